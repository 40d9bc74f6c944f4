/*
 * UDP ASSOCIATE, RFC 1928 §7: the request, and the control connection, whose
 * task owns the association and ends it.  Datagrams are no matter of the task.
 */
#include "daemon/proxy/associate_internal.h"
#include "daemon/proxy/associate_name.h"
#include "daemon/proxy/associate_pace.h"
#include "daemon/proxy/rule_times.h"
#include "daemon/proxy/rules_parent.h"
#include "daemon/proxy/upstream.h"

#include "core/conn.h"

#include <stdlib.h>
#include <string.h>

/* A client has nothing to say on its control connection. */
#define CONTROL_BYTES (64u << 10)

/* How often one is looked at that nothing ends.  If nothing has passed for so
 * long, it gives back what memory it can do without. */
#define LOOK_MS 30000

/* --- Opening and closing ------------------------------------------------ */

static void release(struct association *a)
{
	struct associations *all = a->all;

	list_remove(&a->busy);
	association_pace_close(a);
	association_forget_names(a);
	association_close_socket(a, &a->client);
	for (int i = 0; i < 2; i++)
		association_close_socket(a, &a->target[i]);
	contacts_done(&a->contacts);
	association_claim(a);
	list_remove(&a->same_client);
	all->count--;
	budget_give(&all->budget, sizeof(*a) + TASK_BYTES);
	free(a);
}

static struct association *make(struct request *rq)
{
	struct associations *all = rq->here->associations;
	struct association *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->all = all;
	a->here = rq->here;
	a->listener = rq->listener;
	a->session = rq->session;
	a->counts = &rq->here->proxy->counts[rq->session->worker];
	a->out = rq->out;
	a->query = request_query(rq);
	a->query.host = (struct span){ 0 };
	a->query.port = 0;
	a->client.d = a->target[0].d = a->target[1].d = (struct dgram)
		DGRAM_CLOSED;
	a->policy = policy_number(rq->here->policy);
	contacts_init(&a->contacts, &all->budget, &all->key);
	list_init(&a->names);
	a->moved_ms = loop_now(loop_self());
	associations_enter(all, a);
	return a;
}

/*
 * Who is the client?  That is its address, and the port that it announced,
 * unless it announced another address: then it knows nothing of its own.
 */
static void set_peer(struct association *a, const struct request *rq)
{
	struct tcp_addr said = rq->target;

	a->peer = *tcp_conn_peer(rq->client);
	addr_unmap(&a->peer);
	a->peer.port = 0;
	if (rq->host[0])
		return;
	said.scope = a->peer.scope; /* a request has no place for it */
	if (said.family == AF_UNSPEC || addr_is_any(&said) ||
	    addr_same_ip(&said, &a->peer))
		a->peer.port = rq->port;
}

static enum outcome open_association(struct association **ret,
				     struct request *rq)
{
	struct associations *all = rq->here->associations;
	struct tcp_addr inbound;
	struct association *a;
	int r;

	/* By a UNIX socket: there is no address that it could send from. */
	if (tcp_conn_peer(rq->client)->family == AF_UNIX)
		return OUTCOME_BAD_COMMAND;
	if (!associations_have_room(all, tcp_conn_peer(rq->client)) ||
	    !budget_take(&all->budget, sizeof(*a) + TASK_BYTES))
		return OUTCOME_LIMIT;
	a = make(rq);
	if (!a) {
		budget_give(&all->budget, sizeof(*a) + TASK_BYTES);
		return OUTCOME_NO_RESOURCES;
	}
	set_peer(a, rq);
	r = tcp_conn_local(rq->client, &inbound);
	if (r == 0)
		r = association_pace_set(a, SESSION_NONE);
	if (r == 0)
		r = association_open_client(a, &inbound);
	if (r < 0) {
		release(a);
		rq->error = r;
		return r == -ENOBUFS || r == -EADDRINUSE ? OUTCOME_LIMIT
							 : OUTCOME_NO_RESOURCES;
	}
	rq->bound = association_told(a);
	*ret = a;
	return OUTCOME_NONE;
}

/* --- The control connection --------------------------------------------- */

static int64_t idle_ms(const struct association *a)
{
	const struct proxy_options *o = &a->here->proxy->options;

	return rule_idle_ms(&o->actions, a->session->rule,
			    o->timeouts.udp_idle_ms);
}

/* When something is to be done though the client says nothing. */
static int64_t next_look(const struct association *a, int64_t expires)
{
	int64_t idle = idle_ms(a);
	int64_t at = min_i64(expires, tcp_deadline(LOOK_MS));

	return idle ? min_i64(at, association_quiet_since(a) + idle) : at;
}

static enum outcome time_is_up(struct association *a, int64_t expires)
{
	int64_t idle = idle_ms(a);
	int64_t now = loop_now(loop_self());

	if (now >= expires)
		return OUTCOME_EXPIRED;
	if (idle && now >= association_quiet_since(a) + idle)
		return OUTCOME_IDLE;
	if (now >= a->moved_ms + LOOK_MS)
		association_shrink(a);
	return OUTCOME_NONE;
}

static enum outcome control_ended(struct request *rq, ssize_t n)
{
	if (n == 0)
		return OUTCOME_CLOSED;
	if (n == -ECANCELED)
		return OUTCOME_SHUTDOWN;
	if (n == -ENOTCONN)
		return OUTCOME_TARGET_RESET;
	rq->error = (int)n;
	return n == -ENOMEM ? OUTCOME_NO_RESOURCES : OUTCOME_CLIENT_RESET;
}

/*
 * Reads what the client says, as tcp_conn_read(); -ENOTCONN: the parent's side
 * has ended, and with it the way out (RFC 1928 §7).
 */
static ssize_t read_control(struct request *rq, void *to, size_t len,
			    int64_t deadline)
{
	struct tcp_conn *c = rq->client, *p = rq->server;

	while (p && !conn_can_read(c)) {
		uint8_t word;
		int r;

		/* It has nothing to say any more. */
		if (conn_can_read(p) &&
		    conn_read_now(p, &word, sizeof(word)) != -EAGAIN)
			return -ENOTCONN;
		r = conn_wait_either(c, conn_read_bits(c), p, conn_read_bits(p),
				     deadline);
		if (r < 0)
			return r;
	}
	return tcp_conn_read(c, to, len, deadline);
}

/* Waits for the end of an association, and says how it came. */
static enum outcome attend(struct association *a, struct request *rq)
{
	int64_t max = rq->here->proxy->options.timeouts.session_ms;
	int64_t expires = tcp_deadline(max ? max : -1);
	size_t left = CONTROL_BYTES;
	uint8_t sink[256];

	while (left > 0) {
		ssize_t n = read_control(rq, sink, min_size(left, sizeof(sink)),
					 next_look(a, expires));
		enum outcome o = OUTCOME_NONE;

		if (n > 0)
			left -= (size_t)n;
		else if (n == -ETIMEDOUT)
			o = time_is_up(a, expires);
		else
			o = control_ended(rq, n);
		if (o != OUTCOME_NONE)
			return o;
	}
	return OUTCOME_BAD_REQUEST;
}

static enum outcome grant(struct request *rq)
{
	session_begin(rq->session);
	rq->session->bound = rq->bound;
	/* Until a datagram has its own. */
	rq->session->rule = rq->rule;
	session_end(rq->session);
	rq->granted = true;
	rq->error = rq->protocol->grant(rq);
	if (rq->error < 0)
		return OUTCOME_CLIENT_LEFT;
	request_began(rq);
	conn_handshake_done(rq->client);
	return OUTCOME_NONE;
}

/* --- A parent ------------------------------------------------------------ */

/* The first group by which some rule lets this client send, or 0. */
static uint16_t group_of(const struct request *rq, const struct rule_query *q,
			 bool *ret_only)
{
	const struct rules *rules = policy_rules(rq->here->policy);
	uint16_t rule = 0;

	*ret_only = true;
	if (!rq->here->proxy->upstreams)
		return 0;
	while ((rule = rules_next_for_command(rules, q, rule)) != 0) {
		uint16_t group = proxy_upstream(rq->here->proxy, rule);

		if (group)
			return group;
		*ret_only = false;
	}
	return 0;
}

/* Where datagrams may go straight, too, they may do so without a parent. */
static enum outcome find_parent(struct request *rq, const struct rule_query *q)
{
	bool only;
	uint16_t group = group_of(rq, q, &only);
	enum outcome o;

	if (!group)
		return OUTCOME_NONE;
	tcp_conn_watch_reset(rq->client, true);
	o = upstream_associate(rq, group);
	tcp_conn_watch_reset(rq->client, false);
	if (o == OUTCOME_NONE || only || o == OUTCOME_SHUTDOWN)
		return o;
	upstream_forget(rq);
	rq->error = 0;
	return OUTCOME_NONE;
}

static void take_parent(struct association *a, const struct request *rq)
{
	if (!rq->server)
		return;
	a->parent.group = rq->upstream;
	a->parent.remote = upstream_is_remote(rq->here->proxy->upstreams,
					      rq->upstream);
	a->parent.at = rq->relay;
	dgram_name_set(&a->parent.relay, &rq->relay);
}

enum outcome request_associate(struct request *rq)
{
	const struct rules *rules = policy_rules(rq->here->policy);
	struct rule_query q = request_query(rq);
	struct association *a;
	struct verdict v;
	enum outcome o;

	if (!rq->here->associations)
		return OUTCOME_BAD_COMMAND;
	v = rules_command(rules, &q);
	rq->rule = v.rule;
	if (!v.allow)
		return OUTCOME_DENIED;
	/* The first by which it may send: the begin is logged as that says. */
	if (!rq->rule)
		rq->rule = rules_next_for_command(rules, &q, 0);
	request_choose_out(rq);
	o = find_parent(rq, &q);
	if (o == OUTCOME_NONE)
		o = open_association(&a, rq);
	if (o != OUTCOME_NONE)
		return o;
	take_parent(a, rq);
	o = grant(rq);
	if (o == OUTCOME_NONE)
		o = attend(a, rq);
	association_note_progress(a);
	rq->rule = rq->session->rule;
	release(a);
	return o;
}
