/*
 * An association's sockets.  Their buffers are the larger part of what it
 * holds, whether anything lies in them or not: so all begin small, and only
 * those get more that are seen to need it.
 */
#include "daemon/proxy/associate_internal.h"

#include "core/sock.h"

#include <string.h>

/* SO_RCVBUF and SO_SNDBUF: some ten datagrams of a full Ethernet frame. */
#define BUFFER_MIN (8u << 10)

/* With which to begin, as long as there is much memory. */
#define BUFFER_FIRST (64u << 10)

/* What the kernel needs for a datagram beside its bytes, at least. */
#define SKB_BYTES 512u

/* What the system takes where the options say nothing. */
#define BUFFER_DEFAULT (104u << 10)

/* A new socket begins with this part of the memory that is left. */
#define BUFFER_PART 512u

/* What of the memory no buffer grows into: there new ones begin. */
#define LEFT_PART 4u

/* How many ports of a range are tried. */
#define PORT_TRIES 1024u

/* --- Buffers ------------------------------------------------------------ */

/* Both buffers, and the kernel takes twice what it is told. */
static size_t cost(size_t buffer)
{
	return 4 * buffer;
}

static size_t buffer_max(const struct associations *all)
{
	return all->o.buffer ? all->o.buffer : BUFFER_DEFAULT;
}

static size_t buffer_min(const struct associations *all)
{
	return min_size(buffer_max(all), BUFFER_MIN);
}

static size_t buffer_first(const struct associations *all)
{
	size_t left = all->budget.max - all->budget.used;
	size_t wanted = min_size(left / BUFFER_PART, BUFFER_FIRST);

	return min_size(max_size(wanted, BUFFER_MIN), buffer_max(all));
}

/* Moves a socket's share of the memory to another size; false: no room. */
static bool set_buffer(struct association *a, struct association_socket *s,
		       size_t buffer)
{
	struct budget *b = &a->all->budget;

	if (buffer > s->buffer &&
	    !budget_take(b, cost(buffer) - cost(s->buffer)))
		return false;
	if (buffer < s->buffer)
		budget_give(b, cost(s->buffer) - cost(buffer));
	s->buffer = buffer;
	if (buffer)
		dgram_set_buffers(&s->d, buffer);
	return true;
}

/* Whoever floods leaves room for those who come after him. */
static bool grow_to(struct association *a, struct association_socket *s,
		    size_t buffer)
{
	const struct budget *b = &a->all->budget;
	size_t more = cost(buffer) - cost(s->buffer);

	return b->max - b->used >= more + b->max / LEFT_PART &&
	       set_buffer(a, s, buffer);
}

void association_grow(struct association *a, struct association_socket *s,
		      unsigned count, size_t bytes)
{
	size_t max = buffer_max(a->all);

	if (s->buffer >= max ||
	    (count < DGRAM_BATCH && bytes + count * SKB_BYTES < s->buffer))
		return;
	if (!grow_to(a, s, min_size(s->buffer * 4, max)))
		(void)!grow_to(a, s, min_size(s->buffer * 2, max));
}

/* Only where others may want it: a burst is welcome after a pause, too. */
void association_shrink(struct association *a)
{
	struct association_socket *all[] = { &a->client, &a->target[0],
					     &a->target[1] };
	const struct budget *b = &a->all->budget;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->buffer > buffer_min(a->all) && b->used > b->max / 2)
			(void)!set_buffer(a, all[i], buffer_min(a->all));
}

/* --- Opening and closing ------------------------------------------------ */

void association_close_socket(struct association *a,
			      struct association_socket *s)
{
	dgram_close(&s->d);
	(void)!set_buffer(a, s, 0);
}

static int open_socket(struct association *a, struct association_socket *s,
		       sa_family_t family)
{
	int r = dgram_open(&s->d, family);

	if (r < 0)
		return r;
	/* The least will do where what it should have is not there. */
	if (!set_buffer(a, s, buffer_first(a->all)) &&
	    !set_buffer(a, s, buffer_min(a->all)))
		return -ENOBUFS;
	return 0;
}

/* From a random port of the range on: who guesses ports shall not know it. */
static int bind_in_range(struct association *a, struct tcp_addr at,
			 const struct port_range *ports)
{
	unsigned count = (unsigned)ports->last - ports->first + 1;
	uint64_t drawn = siphash(&a->all->key, &a->all->opened,
				 sizeof(a->all->opened));
	int r = -EADDRINUSE;

	for (unsigned i = 0; i < min_size(count, PORT_TRIES); i++) {
		at.port = (uint16_t)(ports->first + (drawn + i) % count);
		r = dgram_bind(&a->client.d, &at);
		if (r != -EADDRINUSE)
			break;
	}
	return r;
}

/* The least that makes an association useful. */
static bool reserve(struct association *a)
{
	size_t bytes = cost(buffer_min(a->all)) + contacts_first_bytes();

	if (!budget_take(&a->all->budget, bytes))
		return false;
	a->reserved = bytes;
	return true;
}

void association_claim(struct association *a)
{
	budget_give(&a->all->budget, a->reserved);
	a->reserved = 0;
}

static void client_ready(struct watch *w)
{
	struct association *a = container_of(w, struct association,
					     client.d.watch);

	association_wake(a, &a->client);
}

int association_open_client(struct association *a,
			    const struct tcp_addr *inbound)
{
	const struct port_range *ports = &a->listener->udp_ports;
	struct tcp_addr at = *inbound;
	int r;

	addr_unmap(&at);
	at.port = 0;
	if (!reserve(a))
		return -ENOBUFS;
	r = open_socket(a, &a->client, at.family);
	/* The client may have come to one of a prefix that is routed here. */
	if (r == 0 && !local_addrs_has(a->here->local, &at))
		r = sock_set_freebind(a->client.d.watch.fd, at.family);
	if (r == 0 && ports->last)
		r = bind_in_range(a, at, ports);
	else if (r == 0)
		r = dgram_bind(&a->client.d, &at);
	if (r == 0)
		r = dgram_watch(&a->client.d, client_ready);
	return r;
}

struct tcp_addr association_told(const struct association *a)
{
	const struct proxy_listener *l = a->listener;
	struct tcp_addr told = a->client.d.local;
	const struct tcp_addr *outside = told.family == AF_INET
						 ? &l->udp_address4
						 : &l->udp_address6;

	if (outside->family == told.family) {
		memcpy(told.ip, outside->ip, sizeof(told.ip));
		told.scope = 0;
	}
	return told;
}

static void ipv4_ready(struct watch *w)
{
	struct association *a = container_of(w, struct association,
					     target[0].d.watch);

	association_wake(a, &a->target[0]);
}

static void ipv6_ready(struct watch *w)
{
	struct association *a = container_of(w, struct association,
					     target[1].d.watch);

	association_wake(a, &a->target[1]);
}

static int set_options(int fd, const struct tcp_dial_options *o, bool v6)
{
	int r = 0;

	if (o->device)
		r = sock_bind_device(fd, o->device);
	if (r == 0 && o->mark)
		r = sock_set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (r == 0 && o->freebind)
		r = v6 ? sock_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
		       : sock_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return r;
}

/* The kernel looks for one where a datagram socket is connected. */
bool association_has_way(const struct association *a, const struct tcp_addr *to)
{
	const struct tcp_dial_options *o = &a->out.dial;
	bool v6 = to->family == AF_INET6;
	const struct tcp_addr *source = v6 ? &o->source6 : &o->source4;
	struct dgram d;
	int r;

	if (!(v6 ? a->out.ipv6 : a->out.ipv4) || dgram_open(&d, to->family) < 0)
		return false;
	r = set_options(d.watch.fd, o, v6);
	if (r == 0 && source->family != AF_UNSPEC)
		r = sock_bind_source(d.watch.fd, source);
	if (r == 0)
		r = sock_connect(d.watch.fd, to);
	close_fd(&d.watch.fd);
	return r == 0;
}

static int open_target(struct association *a, struct association_socket *s,
		       bool v6)
{
	const struct tcp_dial_options *o = &a->out.dial;
	const struct tcp_addr *source = v6 ? &o->source6 : &o->source4;
	int r = open_socket(a, s, v6 ? AF_INET6 : AF_INET);

	if (r == 0)
		r = set_options(s->d.watch.fd, o, v6);
	if (r == 0 && source->family != AF_UNSPEC)
		r = dgram_bind(&s->d, source);
	if (r == 0)
		r = dgram_watch(&s->d, v6 ? ipv6_ready : ipv4_ready);
	return r;
}

struct association_socket *association_target(struct association *a,
					      sa_family_t family)
{
	bool v6 = family == AF_INET6;
	struct association_socket *s = &a->target[v6];

	if (dgram_is_open(&s->d))
		return s;
	if (!(v6 ? a->out.ipv6 : a->out.ipv4))
		return NULL;
	if (open_target(a, s, v6) == 0)
		return s;
	association_close_socket(a, s);
	return NULL;
}
