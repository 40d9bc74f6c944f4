/*
 * One session from the first byte to its last log line: which protocol, what
 * is asked for, the target, the relay, the end.
 */
#include "core/task.h"
#include "daemon/proxy/guess.h"
#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_count.h"
#include "daemon/proxy/rule_times.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_realtime_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- The record --------------------------------------------------------- */

/* A connection's tag: the client rule's number, and above it what the limits
 * have counted at its admission. */
#define RULE_BITS 16

static uint16_t rule_in(unsigned tag)
{
	return (uint16_t)(tag & ((1u << RULE_BITS) - 1));
}

static unsigned worker_number(const struct proxy_listener *l)
{
	return (unsigned)(proxy_here() - l->proxy->worker);
}

/* Opens the record of a client that came at `since` (CLOCK_MONOTONIC, ms). */
static struct session *open_record(const struct proxy_listener *l,
				   const struct tcp_addr *client, uint16_t rule,
				   int64_t since)
{
	struct session *s = sessions_open(l->proxy->sessions, worker_number(l));

	if (!s)
		return NULL;
	session_begin(s);
	s->client = *client;
	s->listener = l->number;
	s->client_rule = rule;
	s->started_us = clock_realtime_us() - (tcp_deadline(0) - since) * 1000;
	s->started_ms = s->changed_ms = since;
	session_end(s);
	return s;
}

/* Opens that of one who was let in; it holds what was counted for him. */
static struct session *open_admitted(struct tcp_conn *c,
				     const struct proxy_listener *l)
{
	struct proxy *p = l->proxy;
	unsigned tag = tcp_conn_tag(c), ticket = tag >> RULE_BITS;
	struct limits_who who = { tcp_conn_peer(c), l->number, rule_in(tag) };
	struct session *s = open_record(l, who.client, who.rule,
					tcp_conn_started(c));

	if (s)
		limits_begin(p->limits, sessions_slot(p->sessions, s), ticket);
	else
		limits_leave(p->limits, &who, ticket);
	return s;
}

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

static void close_record(struct proxy *p, struct session *s, enum outcome o,
			 int error)
{
	const struct limits_who who = { &s->client, s->listener,
					s->client_rule };
	bool began = s->state == SESSION_RELAY;

	session_begin(s);
	s->state = SESSION_ENDED;
	s->outcome = (uint8_t)o;
	s->error = (int16_t)error;
	s->ended_ms = tcp_deadline(0);
	session_end(s);
	count_session(&p->counts[s->worker], s);
	limits_end(p->limits, sessions_slot(p->sessions, s), &who);
	if (p->options.ended)
		p->options.ended(p->options.ctx, s,
				 sessions_host_tail(p->sessions, s), began);
	sessions_close(p->sessions, s);
}

static void note_request(struct request *rq)
{
	struct session *s = rq->session;

	session_begin(s);
	s->command = (uint8_t)rq->command & 15;
	s->method = (uint8_t)rq->method & 15;
	s->target = rq->target;
	s->target.port = rq->port;
	sessions_set_host(rq->here->proxy->sessions, s,
			  (struct span){ .at = (const uint8_t *)rq->host,
					 .len = strlen(rq->host) });
	session_end(s);
}

void request_began(struct request *rq)
{
	const struct proxy *p = rq->here->proxy;

	request_set_state(rq, SESSION_RELAY);
	if (p->options.began)
		p->options.began(p->options.ctx, rq->session,
				 sessions_host_tail(p->sessions, rq->session));
}

/* --- The relay ---------------------------------------------------------- */

static void relay_progress(void *ctx, const struct tcp_relay_count *n)
{
	struct session *s = ctx;

	session_begin(s);
	s->bytes_up = n->bytes[0];
	s->bytes_down = n->bytes[1];
	s->changed_ms = n->progress_ms;
	session_end(s);
}

static void relay_ended(void *ctx, enum tcp_relay_end end, int error,
			const struct tcp_relay_count *n)
{
	static const enum outcome outcomes[] = {
		[TCPSERVER_END_CLOSED] = OUTCOME_CLOSED,
		[TCPSERVER_END_BROKEN_A] = OUTCOME_CLIENT_RESET,
		[TCPSERVER_END_BROKEN_B] = OUTCOME_TARGET_RESET,
		[TCPSERVER_END_IDLE] = OUTCOME_IDLE,
		[TCPSERVER_END_HALF_CLOSED] = OUTCOME_HALF_CLOSED,
		[TCPSERVER_END_EXPIRED] = OUTCOME_EXPIRED,
		[TCPSERVER_END_KILLED] = OUTCOME_SHUTDOWN,
		[TCPSERVER_END_NO_MEMORY] = OUTCOME_NO_RESOURCES,
	};

	relay_progress(ctx, n);
	close_record(proxy_here()->proxy, ctx,
		     proxy_here()->enforcing ? OUTCOME_KILLED : outcomes[end],
		     error);
}

static const struct tcp_relay_events relay_events = {
	.progress = relay_progress,
	.ended = relay_ended,
};

/* Hands both connections and the record to a relay. */
static int start_relay(struct request *rq)
{
	const struct proxy_options *o = &rq->here->proxy->options;
	struct bandwidth *bandwidth;
	struct tcp_relay_options ro = {
		.mode = o->relay,
		.idle_ms = rule_idle_ms(&o->actions, rq->rule,
					o->timeouts.idle_ms),
		.half_closed_ms = o->timeouts.half_closed_ms,
		.max_ms = o->timeouts.session_ms,
		.early = rq->input.at,
		.early_len = rq->input.len,
		.events = &relay_events,
		.ctx = rq->session,
	};
	int r;

	if (rq->killed)
		return -ECANCELED;
	r = request_bandwidth(rq, &bandwidth);
	if (r < 0)
		return r;
	ro.pacer = bandwidth_pacer(bandwidth);
	request_began(rq); /* the relay may be done before it returns */
	r = tcp_relay_start(rq->client, rq->server, &ro, NULL);
	if (r == 0)
		rq->server = NULL;
	else
		bandwidth_close(bandwidth);
	return r;
}

/* --- The handshake ------------------------------------------------------ */

static const struct proxy_protocol *protocol_of(enum session_protocol number)
{
	static const struct proxy_protocol *const all[] = {
		&socks5_protocol,
		&http_protocol,
		&socks4_protocol,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->number == number)
			return all[i];
	return NULL;
}

static enum outcome find_protocol(struct request *rq)
{
	enum outcome o = request_read(rq);

	if (o != OUTCOME_NONE)
		return o;
	rq->protocol = protocol_of(
		guess_protocol(rq->input.at[0], rq->listener->protocols));
	if (!rq->protocol)
		return OUTCOME_BAD_PROTOCOL;
	session_begin(rq->session);
	rq->session->protocol = (uint8_t)rq->protocol->number;
	session_end(rq->session);
	return OUTCOME_NONE;
}

/* Finds and connects the target, as long as the client is there. */
static enum outcome connect_for_client(struct request *rq)
{
	enum outcome o;

	tcp_conn_watch_reset(rq->client, true);
	o = request_connect(rq);
	tcp_conn_watch_reset(rq->client, false);
	return o;
}

/* OUTCOME_NONE: rq->server is connected. */
static enum outcome carry_out(struct request *rq)
{
	enum outcome o = OUTCOME_BAD_COMMAND;

	switch (rq->command) {
	case COMMAND_NONE:
		break;
	case COMMAND_CONNECT:
		o = connect_for_client(rq);
		break;
	case COMMAND_BIND:
		o = request_bind(rq);
		break;
	case COMMAND_UDP:
		o = request_associate(rq);
		break;
	}
	session_begin(rq->session);
	rq->session->rule = rq->rule;
	session_end(rq->session);
	if (o == OUTCOME_SHUTDOWN && tcp_conn_is_reset(rq->client))
		o = OUTCOME_CLIENT_LEFT;
	return o;
}

/* A reply to what was granted already has a place in BIND only. */
static void refuse(struct request *rq, enum outcome why)
{
	if (!rq->granted || rq->command == COMMAND_BIND)
		rq->protocol->refuse(rq, why);
}

/* From the first byte to the relay; OUTCOME_NONE: the relay has it all. */
static enum outcome serve(struct request *rq)
{
	enum outcome o;

	o = find_protocol(rq);
	if (o == OUTCOME_BAD_PROTOCOL)
		request_last_words(rq, NULL, 0);
	if (o != OUTCOME_NONE)
		return o;
	o = rq->protocol->read_request(rq);
	if (o == OUTCOME_NONE) {
		note_request(rq);
		o = request_user_is_gone(rq, rq->here->policy)
			    ? OUTCOME_KILLED
			    : request_count_user(rq);
	}
	if (o == OUTCOME_NONE)
		o = carry_out(rq);
	if (o != OUTCOME_NONE) {
		refuse(rq, o);
		return o;
	}
	/* Name and connect had times of their own. */
	rq->deadline = tcp_deadline(
		rq->here->proxy->options.timeouts.handshake_ms);
	rq->error = rq->protocol->grant(rq);
	if (rq->error < 0)
		return OUTCOME_CLIENT_LEFT;
	rq->error = start_relay(rq);
	if (rq->error == 0)
		return OUTCOME_NONE;
	/* It was promised a tunnel: an orderly end would be a lie. */
	tcp_conn_set_reset(rq->client);
	return OUTCOME_NO_RESOURCES;
}

void proxy_serve(struct tcp_conn *c, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct request rq;
	enum outcome o;

	/* Not the whole of it: the buffers need no zeros. */
	memset(&rq, 0, offsetof(struct request, host));
	rq.host[0] = '\0';
	rq.input.at = rq.input.first;
	rq.input.len = 0;
	rq.input.size = sizeof(rq.input.first);
	rq.client = c;
	rq.listener = l;
	rq.here = proxy_here();
	rq.task = task_self();
	rq.policy = policy_number(rq.here->policy);
	rq.deadline = tcp_conn_started(c) +
		      l->proxy->options.timeouts.handshake_ms;
	rq.session = open_admitted(c, l);
	if (!rq.session) {
		tcp_conn_set_reset(c);
		return;
	}
	list_append(&rq.here->requests, &rq.link);
	o = serve(&rq);
	list_remove(&rq.link);
	if (rq.killed && o != OUTCOME_NONE)
		o = OUTCOME_KILLED;
	if (rq.input.at != rq.input.first)
		free(rq.input.at);
	if (rq.server)
		tcp_conn_close(rq.server);
	if (o != OUTCOME_NONE)
		close_record(l->proxy, rq.session, o, -rq.error);
}

/* Says and logs why a client does not come in at all. */
static int send_away(const struct proxy_listener *l,
		     const struct tcp_addr *peer, uint16_t rule, enum outcome o)
{
	struct session *s = open_record(l, peer, rule, tcp_deadline(0));

	if (s)
		close_record(l->proxy, s, o, 0);
	return -EACCES;
}

int proxy_admit(const struct tcp_addr *peer, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct verdict v = rules_client(policy_rules(proxy_here()->policy),
					peer, l->number);
	struct limits_who who = { peer, l->number, v.rule };
	unsigned ticket;
	enum outcome o;

	if (!v.allow)
		return send_away(l, peer, v.rule, OUTCOME_DENIED);
	o = limits_admit(l->proxy->limits, worker_number(l), &who,
			 tcp_deadline(0), &ticket);
	if (o != OUTCOME_NONE)
		return send_away(l, peer, v.rule, o);
	return (int)(ticket << RULE_BITS | v.rule);
}

void proxy_forgotten(const struct tcp_addr *peer, int tag, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct limits_who who = { peer, l->number, rule_in((unsigned)tag) };

	limits_leave(l->proxy->limits, &who, (unsigned)tag >> RULE_BITS);
}

void proxy_unhandled(struct tcp_conn *c, int r, void *ctx)
{
	const struct proxy_listener *l = ctx;
	struct session *s = open_admitted(c, l);

	if (!s)
		return;
	if (r == -ETIMEDOUT)
		close_record(l->proxy, s, OUTCOME_HANDSHAKE, 0);
	else if (r == -ECANCELED)
		close_record(l->proxy, s, OUTCOME_SHUTDOWN, 0);
	else
		close_record(l->proxy, s, OUTCOME_NO_RESOURCES, -r);
}
