/*
 * A connection by one parent, or hop after hop by a chain of them: the first
 * one's name and address, PROXY header, TLS, and at each hop the question for
 * the next.
 */
#include "daemon/proxy/upstream_way.h"

#include "daemon/proxy/proxy_protocol.h"

#include <stdio.h>
#include <string.h>

/* What the later of a parent's two families gets once the first has failed. */
#define REST_WAIT_MS 2000

/* What the later one of a further hop's gets, RFC 8305 §3. */
#define FAMILY_WAIT_MS 50

bool upstream_forwards(const struct upstream_way *w)
{
	enum upstream_scheme s = w->group->g->parents[w->last].scheme;

	return w->command == COMMAND_REQUEST &&
	       (s == UPSTREAM_HTTP || s == UPSTREAM_HTTPS);
}

static enum outcome failed(struct upstream_way *w, enum upstream_blame blame,
			   enum outcome o)
{
	w->blame = blame;
	return o;
}

/* --- The first hop ------------------------------------------------------- */

struct addresses {
	struct upstream_way *way;
	uint16_t port;
	const char *host;
	bool own; /* one of them is ours */
	unsigned count;
	struct tcp_addr at[RESOLVE_MAX];
};

static bool has_way(const struct upstream_way *w, const struct tcp_addr *a)
{
	if (!w->out)
		return true;
	return a->family == AF_INET ? w->out->ipv4 : w->out->ipv6;
}

static bool is_known(const struct addresses *a, const struct tcp_addr *one)
{
	for (unsigned i = 0; i < a->count; i++)
		if (addr_equal(&a->at[i], one))
			return true;
	return false;
}

/* Adds what may be dialled, and says how many that are. */
static unsigned add(struct addresses *a, const struct resolve_answer *found)
{
	unsigned before = a->count;

	for (unsigned i = 0; i < found->count && a->count < RESOLVE_MAX; i++) {
		struct tcp_addr one = found->addr[i];

		one.port = a->port;
		if (proxy_is_own(a->way->here, &one))
			a->own = true;
		else if (has_way(a->way, &one) && !is_known(a, &one))
			a->at[a->count++] = one;
	}
	return a->count - before;
}

/* For tcp_dial(): those of the family that did not come first. */
static int take_rest(void *ctx, struct tcp_addr *ret, unsigned max,
		     int64_t deadline)
{
	struct addresses *a = ctx;
	struct resolve_answer found;
	unsigned count;
	int r = resolver_rest(a->way->here->resolver, a->host, &found,
			      min_i64(deadline, tcp_deadline(REST_WAIT_MS)));

	if (r == -ETIMEDOUT)
		return 0;
	if (r < 0)
		return r;
	count = (unsigned)min_size(add(a, &found), max);
	memcpy(ret, a->at + a->count - count, count * sizeof(*ret));
	return count ? (int)count : -ENOENT;
}

static int find(struct addresses *a, struct resolve_answer *found,
		const struct upstream_host *h)
{
	const struct proxy_options *o = &a->way->here->proxy->options;
	int64_t until = min_i64(a->way->connect_until,
				tcp_deadline(o->timeouts.name_ms));

	a->port = h->port;
	a->host = h->host;
	if (h->addr.family != AF_UNSPEC) {
		found->addr[0] = h->addr;
		found->count = 1;
		found->partial = false;
		return 0;
	}
	/* On nobody's behalf: a client does not choose these names. */
	return resolver_lookup_for(a->way->here->resolver, NULL, h->host, found,
				   until);
}

static enum outcome dial(struct upstream_way *w)
{
	const struct upstream_host *h = &w->group->g->parents[w->hop].at;
	struct addresses a = { .way = w };
	struct tcp_dial_more more = { .fn = take_rest, .ctx = &a };
	struct resolve_answer found;
	int r = find(&a, &found, h);

	if (r < 0)
		return upstream_error(w, r);
	if (add(&a, &found) == 0 && found.partial) {
		r = resolver_rest(
			w->here->resolver, a.host, &found,
			min_i64(w->connect_until, tcp_deadline(REST_WAIT_MS)));
		if (r < 0)
			return upstream_error(w, r);
		found.partial = false;
		(void)add(&a, &found);
	}
	if (a.count == 0)
		return failed(w, BLAME_PARENT,
			      a.own ? OUTCOME_LOOP : OUTCOME_NO_SOURCE);
	r = tcp_dial(&w->conn, a.at, a.count, w->dial,
		     found.partial ? &more : NULL, w->connect_until);
	return r < 0 ? upstream_error(w, r) : OUTCOME_NONE;
}

/* Who it is that comes, for a parent that asks for it so. */
static enum outcome send_header(struct upstream_way *w, int64_t deadline)
{
	static const struct tcp_addr nobody = { .family = AF_UNSPEC };
	const struct tcp_addr *client = w->client ? w->client : &nobody;
	const struct tcp_addr *to = w->inbound ? w->inbound : &nobody;
	uint8_t header[PROXY_HEADER_ROOM];
	size_t len;
	int r;

	if (!w->group->g->send_proxy)
		return OUTCOME_NONE;
	len = proxy_header_format(header,
				  (enum proxy_version)w->group->g->send_proxy,
				  client, to);
	r = tcp_conn_write_all(w->conn, header, len, deadline);
	return r < 0 ? upstream_error(w, r) : OUTCOME_NONE;
}

/* --- Each hop ------------------------------------------------------------ */

static enum outcome encrypt(struct upstream_way *w, int64_t deadline)
{
	const struct upstream_parent *p = &w->group->g->parents[w->hop];
	enum outcome o;
	int r;

	if (!p->tls)
		return OUTCOME_NONE;
	r = tcp_conn_start_tls(w->conn, p->tls, p->tls_name, deadline);
	if (r == 0)
		return OUTCOME_NONE;
	(void)snprintf(w->said, sizeof(w->said), "%s",
		       tcp_conn_tls_error(w->conn));
	o = upstream_error(w, r);
	/* Its own, not the connection's: what it shows does not hold. */
	return r == -EPROTO ? OUTCOME_PARENT_TLS : o;
}

/*
 * The next hop, as this one is told of it: its name where that is resolved
 * there, else its address.
 */
static enum outcome next_hop(struct upstream_way *w, struct tcp_addr *room,
			     struct parent_target *ret)
{
	const struct upstream_group *g = w->group->g;
	const struct upstream_host *h = &g->parents[w->hop + 1].at;
	struct addresses a = { .way = w };
	struct resolve_answer found;
	int r;

	*ret = (struct parent_target){ .host = h->host, .port = h->port };
	if (h->addr.family == AF_UNSPEC &&
	    (g->remote || g->parents[w->hop].remote))
		return OUTCOME_NONE;
	r = find(&a, &found, h);
	if (r < 0) {
		w->hop++;
		return upstream_error(w, r);
	}
	if (found.partial)
		(void)!resolver_rest(w->here->resolver, h->host, &found,
				     tcp_deadline(FAMILY_WAIT_MS));
	*room = found.addr[w->variant % found.count];
	w->more |= w->variant + 1 < found.count;
	room->port = h->port;
	/* Of ours, too: 127.0.0.1 is another one where the parent stands. */
	ret->addr = room;
	return OUTCOME_NONE;
}

/* That which is beyond a hop cannot be reached: it is that which failed. */
static enum outcome not_reached(struct upstream_way *w, enum outcome o)
{
	if (w->blame != BLAME_TARGET && o != OUTCOME_CONNECT_TIMEOUT)
		return o;
	w->hop++;
	return failed(w, BLAME_PARENT, OUTCOME_PARENT_FAILED);
}

static enum outcome pass_hop(struct upstream_way *w, struct dialog *d,
			     int64_t deadline)
{
	struct parent_target next;
	struct tcp_addr room;
	enum outcome o = encrypt(w, deadline);

	if (o != OUTCOME_NONE)
		return o;
	if (w->hop < w->last) {
		o = next_hop(w, &room, &next);
		if (o != OUTCOME_NONE)
			return o;
		o = upstream_ask(w, d, &next, deadline);
		return o == OUTCOME_NONE ? o : not_reached(w, o);
	}
	if (upstream_forwards(w))
		return OUTCOME_NONE;
	if (w->target.port == 0 && w->command != COMMAND_UDP)
		return upstream_ask(w, d, NULL, deadline);
	return upstream_ask(w, d, &w->target, deadline);
}

/* Behind a chain datagrams would have to find their own way to the last. */
static bool passes_udp(const struct upstream_way *w)
{
	return w->first == w->last &&
	       w->group->g->parents[w->last].scheme == UPSTREAM_SOCKS5;
}

enum outcome upstream_go(struct upstream_way *w)
{
	struct dialog *d = NULL;
	int64_t deadline;
	enum outcome o;

	w->hop = w->first;
	w->error = 0;
	w->more = false;
	w->said[0] = '\0';
	w->conn = NULL;
	w->blame = BLAME_PARENT;
	if (w->command == COMMAND_UDP && !passes_udp(w))
		return failed(w, BLAME_REQUEST, OUTCOME_BAD_COMMAND);
	o = dial(w);
	if (o != OUTCOME_NONE)
		return o;
	w->hops_until = min_i64(w->until, tcp_deadline(w->hops_ms));
	deadline = min_i64(w->try_until, w->hops_until);
	o = send_header(w, deadline);
	if (o == OUTCOME_NONE && dialog_new(&d) < 0)
		o = upstream_error(w, -ENOMEM);
	while (o == OUTCOME_NONE) {
		o = pass_hop(w, d, deadline);
		if (o != OUTCOME_NONE || w->hop == w->last)
			break;
		w->hop++;
	}
	dialog_free(d);
	if (o != OUTCOME_NONE)
		tcp_conn_close(TAKE_PTR(w->conn));
	return o;
}
