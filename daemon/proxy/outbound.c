/*
 * Choosing of source addresses.  The sources are laid out as one list of
 * addresses and prefixes a family whenever the interfaces change, so that a
 * choice looks at no interface and allocates nothing; where nothing is left to
 * choose it is a copy.
 */
#include "daemon/proxy/outbound.h"

#include <stdlib.h>
#include <string.h>

/* An address, or the prefix that it begins. */
struct way {
	struct tcp_addr addr;
	uint8_t prefix_bits; /* 0: the very address */
	uint64_t hash;       /* per client: of both */
};

struct ways {
	struct way *at;
	size_t count, room;
	size_t turn; /* whose it is, per connection */
};

struct outbound {
	const struct outbound_options *options;
	struct local_addrs *local;
	struct siphash_key chance; /* of random host parts */
	uint64_t drawn;
	struct ways ways[2]; /* IPv4, IPv6 */
	struct outbound_choice first;
	bool fixed; /* always `first` */
};

/* --- What there is to choose from --------------------------------------- */

static int make_room(struct ways *w, size_t more)
{
	size_t want = min_size(w->count + more, OUTBOUND_ADDRS_MAX);
	struct way *at;

	if (want <= w->room)
		return 0;
	want = max_size(want, w->room * 2);
	at = realloc(w->at, want * sizeof(*at));
	if (!at)
		return -ENOMEM;
	w->at = at;
	w->room = want;
	return 0;
}

/* What there is no room for is left out. */
static void append(const struct outbound *o, struct ways *w,
		   const struct tcp_addr *a, uint8_t prefix_bits)
{
	struct way *way;
	uint8_t key[17];

	if (!w->at || w->count >= min_size(w->room, OUTBOUND_ADDRS_MAX))
		return;
	way = &w->at[w->count++];
	memcpy(key, a->ip, sizeof(a->ip));
	key[16] = prefix_bits;
	*way = (struct way){
		.addr = *a,
		.prefix_bits = prefix_bits,
		.hash = siphash(&o->options->secret, key, sizeof(key)),
	};
	way->addr.port = 0;
}

static int append_interface(const struct outbound *o, struct ways *w,
			    const char *interface, sa_family_t family)
{
	int count = local_addrs_sources(o->local, interface, family, NULL, 0);
	struct tcp_addr *list;
	int r;

	if (count <= 0)
		return 0; /* not now */
	r = make_room(w, (size_t)count);
	list = calloc((size_t)count, sizeof(*list));
	if (r == 0 && list) {
		count = local_addrs_sources(o->local, interface, family, list,
					    (size_t)count);
		for (int i = 0; i < count; i++)
			append(o, w, &list[i], 0);
	}
	if (!list)
		r = -ENOMEM;
	free(list);
	return r;
}

/*
 * An address that has gone is left out of those that rotate, or every so many
 * connections would fail.  Where there is but one, nothing may take its place.
 */
static bool is_there(const struct outbound *o, const struct outbound_source *s)
{
	return s->prefix_bits || o->options->rotate == OUTBOUND_FIRST ||
	       !o->local || local_addrs_has(o->local, &s->addr);
}

static int collect(const struct outbound *o, struct ways *w, sa_family_t family)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->options->source_count; i++) {
		const struct outbound_source *s = &o->options->sources[i];

		if (s->interface) {
			r = append_interface(o, w, s->interface, family);
		} else if (s->addr.family == family && is_there(o, s)) {
			r = make_room(w, 1);
			if (r == 0)
				append(o, w, &s->addr, s->prefix_bits);
		}
	}
	return r;
}

static void set_way(struct outbound_choice *c, const struct tcp_addr *source)
{
	if (source->family == AF_INET) {
		c->dial.source4 = *source;
		c->ipv4 = true;
	} else {
		c->dial.source6 = *source;
		c->ipv6 = true;
	}
}

static void make_first(struct outbound *o)
{
	enum outbound_rotate rotate = o->options->rotate;
	struct outbound_choice *c = &o->first;
	bool routed = o->options->source_count == 0;

	*c = (struct outbound_choice){
		.dial = o->options->dial,
		.ipv4 = routed,
		.ipv6 = routed,
	};
	c->dial.freebind = false;
	c->dial.source4 = c->dial.source6 = (struct tcp_addr){ 0 };
	o->fixed = rotate != OUTBOUND_SAME_AS_INBOUND;
	for (int i = 0; i < 2; i++) {
		const struct ways *w = &o->ways[i];

		if (w->count == 0)
			continue;
		set_way(c, &w->at[0].addr);
		if (w->at[0].prefix_bits ||
		    (w->count > 1 && rotate != OUTBOUND_FIRST))
			o->fixed = false;
	}
}

/* Without memory the lists stay as they were. */
static int refresh(struct outbound *o)
{
	struct ways fresh[2] = { { .turn = o->ways[0].turn },
				 { .turn = o->ways[1].turn } };
	int r = collect(o, &fresh[0], AF_INET);

	if (r == 0)
		r = collect(o, &fresh[1], AF_INET6);
	for (int i = 0; i < 2; i++) {
		struct ways *unwanted = r == 0 ? &o->ways[i] : &fresh[i];

		free(unwanted->at);
		if (r == 0)
			o->ways[i] = fresh[i];
	}
	if (r == 0)
		make_first(o);
	return r;
}

void outbound_refresh(struct outbound *o)
{
	(void)!refresh(o);
}

int outbound_new(struct outbound **ret, const struct outbound_options *options,
		 struct local_addrs *local)
{
	struct outbound *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->options = options;
	o->local = local;
	r = siphash_key_draw(&o->chance);
	/* Workers do not walk through the list in step. */
	o->ways[0].turn = o->ways[1].turn = (uint32_t)o->chance.k[0];
	if (r == 0)
		r = refresh(o);
	if (r < 0) {
		outbound_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

void outbound_free(struct outbound *o)
{
	if (!o)
		return;
	free(o->ways[0].at);
	free(o->ways[1].at);
	free(o);
}

/* --- Choosing ----------------------------------------------------------- */

/* Mixes well enough that the largest of many results is anybody's. */
static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

/*
 * The highest random weight wins: when an address comes or goes, only those
 * clients change theirs who get it or had it.
 */
static const struct way *way_of(const struct ways *w, uint64_t client)
{
	const struct way *best = &w->at[0];
	uint64_t most = 0;

	for (size_t i = 0; i < w->count; i++) {
		uint64_t weight = mix(w->at[i].hash ^ client);

		if (weight < most)
			continue;
		most = weight;
		best = &w->at[i];
	}
	return best;
}

/* Both halves of a host part: a client's own one, or any. */
static void host_part(struct outbound *o, const struct way *w, uint64_t client,
		      uint64_t ret[2])
{
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t of_client[3] = { w->hash, client, i };

		if (o->options->rotate == OUTBOUND_PER_CLIENT) {
			ret[i] = siphash(&o->options->secret, of_client,
					 sizeof(of_client));
		} else {
			ret[i] = siphash(&o->chance, &o->drawn,
					 sizeof(o->drawn));
			o->drawn++;
		}
	}
}

static struct tcp_addr address_within(const struct way *w,
				      const uint64_t host[2])
{
	struct tcp_addr a = w->addr;
	uint8_t bytes[16], any = 0;

	memcpy(bytes, host, sizeof(bytes));
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = w->prefix_bits > 8 * i ? w->prefix_bits - 8 * i
						       : 0;
		uint8_t mask = bits < 8 ? (uint8_t)(0xff >> bits) : 0;

		a.ip[i] |= bytes[i] & mask;
		any |= bytes[i] & mask;
	}
	/* The first one is the routers', RFC 4291 §2.6.1; RFC 6164. */
	if (!any && w->prefix_bits < 127)
		a.ip[15] |= 1;
	return a;
}

/* For one of the two families. */
static void choose_way(struct outbound *o, struct ways *w, bool wanted,
		       uint64_t client, struct outbound_choice *ret)
{
	const struct way *way = w->at;
	struct tcp_addr source;
	uint64_t host[2];

	if (w->count == 0)
		return;
	if (o->options->rotate == OUTBOUND_PER_CONNECTION) {
		way = &w->at[w->turn % w->count];
		w->turn += wanted;
	} else if (o->options->rotate == OUTBOUND_PER_CLIENT) {
		way = way_of(w, client);
	}
	source = way->addr;
	if (way->prefix_bits) {
		host_part(o, way, client, host);
		source = address_within(way, host);
		ret->dial.freebind = true;
	}
	set_way(ret, &source);
}

/* No other one than that which the client came to; it knows no other. */
static void choose_inbound(const struct outbound *o,
			   const struct tcp_addr *inbound,
			   struct outbound_choice *ret)
{
	struct tcp_addr source = *inbound;

	if (source.family != AF_INET && source.family != AF_INET6)
		return; /* it came by a UNIX socket */
	source.port = 0;
	if (o->options->source_count == 0)
		ret->ipv4 = ret->ipv6 = false;
	set_way(ret, &source);
	/* As one of a prefix that is routed here, it is no interface's. */
	if (o->local && !local_addrs_has(o->local, &source))
		ret->dial.freebind = true;
}

void outbound_choose(struct outbound *o, sa_family_t family,
		     const struct tcp_addr *client,
		     const struct tcp_addr *inbound,
		     struct outbound_choice *ret)
{
	uint64_t hash = 0;

	*ret = o->first;
	if (o->fixed)
		return;
	if (o->options->rotate == OUTBOUND_PER_CLIENT)
		hash = siphash(&o->options->secret, client->ip,
			       sizeof(client->ip));
	choose_way(o, &o->ways[0], family != AF_INET6, hash, ret);
	choose_way(o, &o->ways[1], family != AF_INET, hash, ret);
	if (o->options->rotate == OUTBOUND_SAME_AS_INBOUND)
		choose_inbound(o, inbound, ret);
}
