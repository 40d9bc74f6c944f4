/*
 * Datagrams from the client: is it the client, what does the header say, may
 * it go there?  Most of them have the header of the one before, and go where
 * that one went.
 */
#include "daemon/proxy/associate_up.h"
#include "daemon/proxy/associate_name.h"
#include "daemon/proxy/associate_pace.h"
#include "daemon/proxy/request_count.h"
#include "daemon/proxy/rules_parent.h"

#include <string.h>

/* How long a name's address is not asked for again. */
#define NAME_MS 1000

/* --- Whose it is -------------------------------------------------------- */

static bool may_become_peer(const struct association *a,
			    const struct tcp_addr *from)
{
	if (a->all->o.source == ASSOCIATE_ANY)
		return rules_client(policy_rules(a->here->policy), from,
				    a->listener->number)
			.allow;
	if (!addr_same_ip(from, &a->peer))
		return false;
	if (a->all->o.source == ASSOCIATE_ADDRESS)
		return true;
	return !a->heard && (!a->peer.port || a->peer.port == from->port);
}

/* Tells whether a datagram is the client's, who then gets the replies. */
static bool is_client(struct association *a, const union dgram_name *name)
{
	struct tcp_addr from;

	if (a->heard && dgram_name_equal(name, &a->peer_name))
		return true;
	dgram_name_get(name, &from);
	if (!may_become_peer(a, &from))
		return false;
	a->peer_name = *name;
	a->heard = true;
	return true;
}

/* --- Where it goes ------------------------------------------------------ */

void association_note_target(struct association *a, const struct tcp_addr *to,
			     struct span host, uint16_t rule)
{
	struct session *s = a->session;

	if (a->noted)
		return;
	/* Without memory it stays bounded as its user and session are. */
	(void)!association_pace_set(a, rule);
	a->noted = true;
	session_begin(s);
	s->target = *to;
	s->rule = rule;
	if (host.len)
		sessions_set_host(a->here->proxy->sessions, s, host);
	session_end(s);
}

bool association_may_send(struct association *a, const struct tcp_addr *to,
			  const struct rule_query *about, uint16_t *ret_rule)
{
	struct rule_query q = *about;
	struct verdict v;

	q.target = *to;
	q.port = to->port;
	v = rules_request(policy_rules(a->here->policy), &q);
	*ret_rule = v.rule;
	if (!v.allow || proxy_is_own(a->here, to))
		return false;
	/* What is said to the parent's end is not for clients to write. */
	if (a->parent.group && addr_equal(to, &a->parent.at))
		return false;
	return association_by_parent(a, v.rule) ||
	       !proxy_upstream(a->here->proxy, v.rule);
}

bool association_by_parent(const struct association *a, uint16_t rule)
{
	return a->parent.group &&
	       proxy_upstream(a->here->proxy, rule) == a->parent.group;
}

/* An association counts for the rule of its first target. */
bool association_has_room(const struct association *a, uint16_t rule)
{
	return a->noted || session_count_rule(a->here->proxy, a->session,
					      rule) == OUTCOME_NONE;
}

static bool is_allowed(struct association *a, const struct tcp_addr *to)
{
	int known = contacts_verdict(&a->contacts, to);
	uint16_t rule;

	/* Two ways lead out: which one it is the rule says, each time. */
	if (known < 0 || a->parent.group) {
		known = association_may_send(a, to, &a->query, &rule);
		/* Not noted: there may be room for it next time. */
		if (known && !association_has_room(a, rule))
			return false;
		/* What is denied now may be allowed later. */
		if (known || !rules_have_times(policy_rules(a->here->policy)))
			contacts_note(&a->contacts, to, known);
		a->way.parent = known && association_by_parent(a, rule);
		if (known)
			association_note_target(a, to, a->query.host, rule);
	}
	return known;
}

/* Whether a name goes to the parent as it is: by a rule that knows no more. */
static bool is_for_parent(struct association *a, const struct target *t)
{
	struct rule_query q = a->query;
	struct verdict v;

	if (!a->parent.remote || !t->host.len)
		return false;
	q.host = t->host;
	q.port = t->port;
	v = rules_by_name(policy_rules(a->here->policy), &q);
	if (!v.allow || !association_by_parent(a, v.rule) ||
	    !association_has_room(a, v.rule))
		return false;
	association_note_target(a, &(struct tcp_addr){ .port = t->port },
				t->host, v.rule);
	a->way.parent = a->parent.by_name = true;
	return true;
}

/* Finds where a datagram goes; its header's length, or -errno. */
static int find_target(struct association *a, const struct dgram_in *in,
		       struct tcp_addr *ret)
{
	struct target t;
	int len = socks_udp_parse(&t, (struct span){ in->at, in->len });
	int r = 0;

	if (len < 0)
		return len;
	*ret = t.addr;
	a->way.parent = false;
	if (is_for_parent(a, &t))
		return len;
	if (t.host.len)
		r = association_find(
			a, &t,
			(struct span){ in->at + len, in->len - (size_t)len },
			ret);
	else if (!is_allowed(a, ret))
		r = -EACCES;
	/* Its link is the source's, if there is one: a header has no place
	 * for a scope. */
	if (addr_class_match(ADDR_CLASS_LINKLOCAL, ret))
		ret->scope = a->out.dial.source6.scope;
	return r < 0 ? r : len;
}

static bool is_known_way(const struct association *a, const struct dgram_in *in)
{
	const struct association_way *w = &a->way;

	return w->len && in->len >= w->len &&
	       memcmp(in->at, w->header, w->len) == 0 &&
	       a->lost == a->contacts.lost &&
	       loop_now(loop_self()) < w->until_ms;
}

static int find_way(struct association *a, const struct dgram_in *in)
{
	struct association_way *w = &a->way;
	struct tcp_addr to;
	int len, r;

	w->len = 0; /* of what it says of the old one some may be new */
	r = len = find_target(a, in, &to);
	if (r < 0)
		return r;
	association_claim(a);
	if (to.family != AF_UNSPEC)
		r = contacts_mark(&a->contacts, &to);
	if (r < 0)
		return r;
	w->out_len = 0;
	if (w->parent && to.family != AF_UNSPEC)
		w->out_len = (uint8_t)socks_udp_format(w->out, &to);
	if (w->parent)
		to = a->parent.at;
	w->len = (size_t)len;
	memcpy(w->header, in->at, w->len);
	w->until_ms = in->at[3] == 0x03 ? tcp_deadline(NAME_MS) : TIMER_NEVER;
	dgram_name_set(&w->to, &to);
	a->sender.known = false;
	a->lost = a->contacts.lost;
	return 0;
}

/* --- Batches ------------------------------------------------------------ */

/* What is queued for the sockets of a family goes out. */
static void flush(struct association *a, sa_family_t family, size_t *headers)
{
	struct dgram_batch *b = a->all->batch;
	struct association_socket *s = &a->target[family == AF_INET6];
	unsigned queued = dgram_batch_queued(b);
	struct dgram_sent sent;

	if (!queued)
		return;
	sent = dgram_flush(&s->d, b);
	/* Of some that were not sent: then it is about so many. */
	*headers = *headers * sent.count / queued;
	association_moved(a, true, sent.count, sent.bytes - *headers);
	association_dropped(a, queued - sent.count);
	*headers = 0;
}

/* Without its header, or with the one that the parent is to have. */
static void put(struct association *a, struct dgram_batch *b,
		const struct dgram_in *in, size_t *headers)
{
	const struct association_way *w = &a->way;
	size_t skip = w->len, len = 0;

	if (w->parent)
		len = w->out_len ? w->out_len : w->len;
	if (w->parent && w->out_len)
		memcpy(in->at + skip - len, w->out, len);
	*headers += len;
	dgram_batch_put(b, in->at + skip - len, in->len - skip + len, &w->to);
}

static bool is_for_us(struct association *a, const struct dgram_in *in,
		      int *why)
{
	*why = -EACCES;
	if (!is_client(a, in->from))
		return false;
	*why = is_known_way(a, in) ? 0 : find_way(a, in);
	if (*why == 0 && !association_target(a, a->way.to.sa.sa_family))
		*why = -EHOSTUNREACH;
	return *why == 0;
}

bool association_up(struct association *a)
{
	struct dgram_batch *b = a->all->batch;
	unsigned count = dgram_receive(&a->client.d, b), dropped = 0;
	sa_family_t family = AF_INET;
	size_t bytes = 0, headers = 0;

	for (unsigned i = 0; i < count; i++) {
		struct dgram_in in = dgram_batch_at(b, i);
		int why;

		bytes += in.len;
		if (!is_for_us(a, &in, &why)) {
			dropped += why != -EAGAIN;
			continue;
		}
		if (a->way.to.sa.sa_family != family) {
			flush(a, family, &headers);
			family = a->way.to.sa.sa_family;
		}
		put(a, b, &in, &headers);
	}
	association_dropped(a, dropped);
	flush(a, family, &headers);
	association_grow(a, &a->client, count, bytes);
	return count == DGRAM_BATCH;
}
