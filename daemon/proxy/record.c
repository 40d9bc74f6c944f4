/*
 * Records of sessions: opening, closing, counting, and from one request of a
 * connection to the next.
 */
#include "daemon/proxy/record.h"

#include "core/conn.h"
#include "daemon/proxy/admit.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_login.h"
#include "daemon/proxy/tally.h"
#include "daemon/proxy/upstream.h"

#include <time.h>

static int64_t clock_realtime_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- Opening ------------------------------------------------------------ */

static void set_start(struct session *s, int64_t since)
{
	s->started_us = clock_realtime_us() - (tcp_deadline(0) - since) * 1000;
	s->started_ms = s->changed_ms = since;
}

struct session *record_open(const struct proxy_listener *l,
			    const struct tcp_addr *client, uint16_t rule,
			    int64_t since)
{
	struct proxy *p = l->proxy;
	struct session *s = sessions_open(p->sessions, proxy_worker_number());

	if (!s)
		return NULL;
	/* Who had the slot before may be over his quota. */
	if (p->quotas)
		quotas_vacate(p->quotas, sessions_slot(p->sessions, s));
	session_begin(s);
	s->client = *client;
	s->listener = l->number;
	s->client_rule = rule;
	set_start(s, since);
	session_end(s);
	return s;
}

struct session *record_open_admitted(const struct proxy_listener *l,
				     const struct tcp_conn *c, unsigned tag)
{
	struct proxy *p = l->proxy;
	struct limits_who who = { tcp_conn_peer(c), l->number, tag_rule(tag) };
	struct session *s = record_open(l, who.client, who.rule,
					tcp_conn_started(c));

	if (s)
		limits_begin(p->limits, sessions_slot(p->sessions, s),
			     tag_ticket(tag));
	else
		limits_leave(p->limits, &who, tag_ticket(tag));
	return s;
}

void record_moved(struct proxy *p, struct session *s, const uint64_t bytes[2],
		  int64_t changed_ms)
{
	int64_t more = (int64_t)(bytes[0] + bytes[1]) -
		       (int64_t)(s->bytes_up + s->bytes_down);

	/* A request that is made again by another way begins at nothing. */
	if (p->quotas && more > 0)
		quotas_count(p->quotas, sessions_slot(p->sessions, s),
			     (uint64_t)more);
	session_begin(s);
	s->bytes_up = bytes[0];
	s->bytes_down = bytes[1];
	s->changed_ms = changed_ms;
	session_end(s);
}

/* --- Closing ------------------------------------------------------------ */

/*
 * Only this thread writes it, and whoever reads sees no half of a number.
 * Release: who sees a session counted sees the rest of its counts, too.
 */
static void counter_add(uint64_t *count, uint64_t by)
{
	__atomic_store_n(count, *count + by, __ATOMIC_RELEASE);
}

static void count_session(struct proxy_counts *n, const struct session *s)
{
	if (s->bytes_up | s->bytes_down) {
		counter_add(&n->bytes_up, s->bytes_up);
		counter_add(&n->bytes_down, s->bytes_down);
	}
	counter_add(&n->protocols[s->protocol], 1);
	counter_add(&n->outcomes[s->outcome], 1);
	counter_add(&n->sessions, 1);
}

static void tell_end(struct proxy *p, struct session *s, enum outcome o,
		     int error)
{
	bool began = s->state == SESSION_RELAY;

	upstream_leave(p->upstreams, s);
	session_begin(s);
	session_set_state(s, SESSION_ENDED);
	s->outcome = (uint8_t)o;
	s->error = (int16_t)error;
	s->ended_ms = tcp_deadline(0);
	session_end(s);
	count_session(&p->counts[s->worker], s);
	tally_end(&p->options.tables, s, began);
	if (began)
		upstream_count(p->upstreams, s);
	if (p->options.ended)
		p->options.ended(p->options.ctx, s,
				 sessions_host_tail(p->sessions, s), began);
}

/* Who was counted at the admission of its connection. */
static struct limits_who who_came(const struct session *s)
{
	return (struct limits_who){ &s->client, s->listener, s->client_rule };
}

static void end_limits(struct proxy *p, const struct session *s)
{
	const struct limits_who who = who_came(s);

	limits_end(p->limits, sessions_slot(p->sessions, s), &who);
}

void record_close(struct proxy *p, struct session *s, enum outcome o, int error)
{
	end_limits(p, s);
	tell_end(p, s, o, error);
	sessions_close(p->sessions, s);
}

void record_rest(struct proxy *p, struct session *s, enum outcome o, int error)
{
	const struct limits_who who = who_came(s);

	limits_next(p->limits, sessions_slot(p->sessions, s), &who);
	limits_rest(p->limits, sessions_slot(p->sessions, s));
	tell_end(p, s, o, error);
	sessions_close(p->sessions, s);
}

void record_refused(const struct proxy_listener *l, const struct tcp_addr *peer,
		    uint16_t rule, enum outcome o)
{
	struct session *s = record_open(l, peer, rule, tcp_deadline(0));

	if (s)
		record_close(l->proxy, s, o, 0);
}

void record_put_off(struct proxy *p, struct session *s)
{
	limits_rest(p->limits, sessions_slot(p->sessions, s));
	sessions_close(p->sessions, s);
}

void record_drop(struct proxy *p, struct session *s)
{
	end_limits(p, s);
	sessions_close(p->sessions, s);
}

/* --- One request after another ------------------------------------------ */

/*
 * All that is of the request goes; the connection, its worker and listener, the
 * protocol and the input stay.
 */
static void forget_request(struct request *rq)
{
	ASSERT(!rq->server);
	rq->policy = policy_number(rq->here->policy);
	rq->target = rq->bound = (struct tcp_addr){ 0 };
	rq->out = (struct outbound_choice){ 0 };
	rq->port = rq->rule = rq->upstream = rq->hop = 0;
	rq->parent_forwards = rq->may_reuse = false;
	rq->parents_silent = 0;
	rq->command = COMMAND_NONE;
	rq->method = (enum auth_method)0;
	rq->user_len = 0;
	rq->agreed = rq->granted = rq->again = false;
	rq->error = 0;
	rq->host[0] = '\0';
}

void request_next(struct request *rq, enum outcome o)
{
	struct proxy *p = rq->here->proxy;
	struct session *s = rq->session;
	struct session was = { .client = s->client,
			       .listener = s->listener,
			       .client_rule = s->client_rule,
			       .protocol = s->protocol };
	const struct limits_who who = who_came(&was);

	/* What is held is noted by the slot, which is the next one's, too. */
	limits_next(p->limits, sessions_slot(p->sessions, s), &who);
	tell_end(p, s, o, -rq->error);
	sessions_close(p->sessions, s);
	rq->session = record_open(rq->listener, &was.client, was.client_rule,
				  tcp_deadline(0));
	ASSERT(rq->session == s); /* the one that was freed last */
	rq->client->tag |= TAG_SERVED;
	session_begin(s);
	s->protocol = was.protocol;
	session_end(s);
	forget_request(rq);
	request_login_certificate(rq);
	if (rq->input.len > 0) {
		request_arrived(rq);
		return;
	}
	rq->waiting = true;
	rq->deadline = tcp_deadline(rq->idle_ms);
}

void request_arrived(struct request *rq)
{
	int64_t now = tcp_deadline(0);

	rq->waiting = false;
	rq->deadline = now + rq->here->proxy->options.timeouts.handshake_ms;
	session_begin(rq->session);
	set_start(rq->session, now);
	session_end(rq->session);
}
