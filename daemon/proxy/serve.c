/*
 * One session from the first byte to its last log line: which protocol, what
 * is asked for, the target, the relay, the end.
 */
#include "core/arrival.h"
#include "core/task.h"
#include "daemon/proxy/admit.h"
#include "daemon/proxy/guess.h"
#include "daemon/proxy/h2.h"
#include "daemon/proxy/http_forward.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"
#include "daemon/proxy/request_count.h"
#include "daemon/proxy/request_login.h"
#include "daemon/proxy/rule_times.h"

#include <stdlib.h>
#include <string.h>

/* --- The record --------------------------------------------------------- */

void request_note(struct request *rq)
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
	record_moved(proxy_here()->proxy, ctx, n->bytes, n->progress_ms);
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

	const struct proxy_worker *w = proxy_here();

	relay_progress(ctx, n);
	record_close(w->proxy, ctx,
		     w->enforcing    ? OUTCOME_KILLED
		     : w->over_quota ? OUTCOME_QUOTA
				     : outcomes[end],
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
	/* The relay may be done before it returns. */
	if (rq->session->state != SESSION_RELAY)
		request_began(rq);
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
		&socks5_protocol, &http_protocol,    &h2_protocol,
		&socks4_protocol, &forward_protocol, &transparent_protocol,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->number == number)
			return all[i];
	return NULL;
}

/* A listener for one of these speaks nothing else. */
static enum session_protocol silent_protocol(const struct request *rq)
{
	if (rq->listener->protocols & PROTOCOL_BIT(PROTOCOL_FORWARD))
		return PROTOCOL_FORWARD;
	if (rq->listener->protocols & PROTOCOL_BIT(PROTOCOL_TRANSPARENT))
		return PROTOCOL_TRANSPARENT;
	return PROTOCOL_NONE;
}

static enum outcome find_protocol(struct request *rq)
{
	enum session_protocol number = h2_is_stream(rq->client)
					       ? PROTOCOL_HTTP2
					       : silent_protocol(rq);
	enum outcome o = number ? OUTCOME_NONE : request_read(rq);

	if (o != OUTCOME_NONE)
		return o;
	if (!number)
		number = guess_protocol(rq->input.at[0],
					rq->listener->protocols);
	rq->protocol = protocol_of(number);
	if (!rq->protocol)
		return OUTCOME_BAD_PROTOCOL;
	session_begin(rq->session);
	rq->session->protocol = (uint8_t)rq->protocol->number;
	session_end(rq->session);
	request_login_certificate(rq);
	return OUTCOME_NONE;
}

/* Finds and connects the target, as long as the client is there. */
static enum outcome connect_for_client(struct request *rq)
{
	enum outcome o;

	tcp_conn_watch_reset(rq->client, true);
	o = rq->protocol->connect ? rq->protocol->connect(rq)
				  : request_connect(rq);
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
	case COMMAND_REQUEST:
		o = request_forward(rq);
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
	if (rq->waiting)
		return; /* nobody has asked for anything */
	if (!rq->granted || rq->command == COMMAND_BIND)
		rq->protocol->refuse(rq, why);
}

/* Another thread says so. */
static bool is_drained(const struct proxy_listener *l)
{
	return __atomic_load_n(&l->drained, __ATOMIC_RELAXED);
}

/* From the request on; OUTCOME_NONE: the relay has it all. */
static enum outcome serve_request(struct request *rq)
{
	enum outcome o = rq->protocol->read_request(rq);

	if (o == OUTCOME_NONE) {
		request_note(rq);
		if (is_drained(rq->listener))
			o = OUTCOME_MAINTENANCE;
		else if (request_user_is_gone(rq, rq->here->policy))
			o = OUTCOME_KILLED;
		else
			o = request_count_user(rq);
	}
	if (o == OUTCOME_NONE)
		o = carry_out(rq);
	if (o != OUTCOME_NONE) {
		/* The client may have another request, or linger. */
		if (rq->server)
			tcp_conn_close(TAKE_PTR(rq->server));
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

/*
 * Where nothing of the next request is there, a plain connection waits for it
 * without a task, as one does that has not said anything yet.
 */
static bool goes_to_rest(struct request *rq)
{
	conn_handshake_done(rq->client);
	if (rq->input.len || conn_rest(rq->client, tcp_deadline(rq->idle_ms)))
		return false;
	rq->client->tag |= TAG_SERVED;
	rq->resting = true;
	return true;
}

/* Only HTTP has more than one. */
static enum outcome begin_next(struct request *rq)
{
	rq->protocol = &http_protocol;
	rq->waiting = true;
	rq->deadline = tcp_deadline(
		rq->here->proxy->options.timeouts.handshake_ms);
	session_begin(rq->session);
	rq->session->protocol = PROTOCOL_HTTP;
	session_end(rq->session);
	return OUTCOME_NONE;
}

/* From the first byte on, one request after the other. */
static enum outcome serve(struct request *rq)
{
	enum outcome o = OUTCOME_NONE;

	if (tcp_conn_tag(rq->client) & TAG_SERVED)
		o = begin_next(rq);
	else if (rq->listener->tls_late && !h2_is_stream(rq->client))
		o = request_serve_tls(rq);
	if (o == OUTCOME_NONE && rq->client->tls && h2_is_spoken(rq->client))
		return h2_begin(rq);
	if (o == OUTCOME_NONE && !rq->protocol)
		o = find_protocol(rq);
	if (o == OUTCOME_BAD_PROTOCOL)
		request_last_words(rq, NULL, 0);
	if (o != OUTCOME_NONE)
		return o;
	for (;;) {
		o = serve_request(rq);
		if (!rq->again || rq->killed)
			return o;
		if (goes_to_rest(rq))
			return o;
		request_next(rq, o);
	}
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
	if (tcp_conn_tag(c) & TAG_LATE && !request_admit_late(&rq))
		return;
	rq.session = record_open_admitted(l, c, tcp_conn_tag(c));
	if (!rq.session) {
		tcp_conn_set_reset(c);
		return;
	}
	list_append(&rq.here->requests, &rq.link);
	o = serve(&rq);
	list_remove(&rq.link);
	if (rq.killed && o != OUTCOME_NONE)
		o = rq.over_quota ? OUTCOME_QUOTA : OUTCOME_KILLED;
	request_put_exchange(&rq);
	if (rq.input.at != rq.input.first)
		free(rq.input.at);
	if (rq.server)
		tcp_conn_close(rq.server);
	if (rq.resting)
		record_rest(l->proxy, rq.session, o, -rq.error);
	else if (rq.waiting)
		record_drop(l->proxy, rq.session);
	else if (o != OUTCOME_NONE)
		record_close(l->proxy, rq.session, o, -rq.error);
}
