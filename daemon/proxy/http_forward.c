/*
 * A request in absolute-form (RFC 9112 §3.2.2), from its head to the end of the
 * response: whether it has been here before, a connection that is new or was
 * used before, the exchange, and what becomes of both connections.
 */
#include "daemon/proxy/http_forward.h"

#include "core/conn.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/upstream.h"

#include <stdlib.h>
#include <string.h>

/* Exchanges that are kept although nobody has use for them. */
#define SPARE_MAX 64

struct forwarder {
	struct http_pool *pool; /* NULL: none is kept */
	struct list spare;
	size_t spare_count;
};

int forwarder_new(struct forwarder **ret, const struct http_options *o)
{
	struct forwarder *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	list_init(&f->spare);
	r = http_pool_new(&f->pool, &o->pool);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void forwarder_free(struct forwarder *f)
{
	if (!f)
		return;
	while (!list_empty(&f->spare)) {
		struct http_exchange *x = list_first(
			&f->spare, struct http_exchange, link);

		list_remove(&x->link);
		free(x);
	}
	http_pool_free(f->pool);
	free(f);
}

int request_get_exchange(struct request *rq)
{
	struct forwarder *f = rq->here->forwarder;
	struct http_exchange *x;

	if (rq->exchange)
		return 0;
	if (list_empty(&f->spare)) {
		x = malloc(sizeof(*x));
		if (!x)
			return -ENOMEM;
	} else {
		x = list_first(&f->spare, struct http_exchange, link);
		list_remove(&x->link);
		f->spare_count--;
	}
	x->link = (struct list){ 0 };
	x->rq = rq;
	x->held = NULL;
	x->held_len = 0;
	x->held_unread = false;
	rq->exchange = x;
	return 0;
}

void request_put_exchange(struct request *rq)
{
	struct http_exchange *x = TAKE_PTR(rq->exchange);
	struct forwarder *f = rq->here->forwarder;

	if (!x)
		return;
	if (f->spare_count == SPARE_MAX) {
		free(x);
		return;
	}
	/* In front: what was used last is in the cache. */
	list_append(f->spare.next, &x->link);
	f->spare_count++;
}

/* --- Connections -------------------------------------------------------- */

/* Which way a request takes to an address. */
static struct http_way way_to(const struct request *rq,
			      const struct tcp_addr *to)
{
	const struct tcp_dial_options *o = &rq->out.dial;

	if (rq->upstream)
		return (struct http_way){ .to = *to,
					  .source = o->source4,
					  .source6 = o->source6,
					  .upstream = rq->upstream,
					  .hop = rq->hop };
	return (struct http_way){
		.to = *to,
		.source = to->family == AF_INET ? o->source4 : o->source6,
	};
}

bool request_reuse(struct request *rq, const struct tcp_addr *to)
{
	struct http_way way;

	if (!rq->may_reuse)
		return false;
	way = way_to(rq, to);
	rq->server = http_pool_take(rq->here->forwarder->pool, &way,
				    &rq->bound);
	return rq->server;
}

/* Finds and connects the target, as long as the client is there. */
static enum outcome connect_server(struct request *rq, bool may_reuse)
{
	enum outcome o;

	rq->may_reuse = may_reuse;
	rq->reused = false;
	tcp_conn_watch_reset(rq->client, true);
	o = request_connect(rq);
	tcp_conn_watch_reset(rq->client, false);
	return o;
}

/* For another request, or not at all. */
static void leave_server(struct http_exchange *x)
{
	struct request *rq = x->rq;
	struct tcp_addr to = *tcp_conn_peer(rq->server);
	bool lasts = !rq->upstream || upstream_leads_to(rq, &to);
	struct http_way way = way_to(rq, &to);

	if (lasts && x->server_persists && http_pump_over(&x->up)) {
		http_pool_put(rq->here->forwarder->pool, TAKE_PTR(rq->server),
			      &way, &rq->bound);
		return;
	}
	/* It shall not take a part of a request for the whole. */
	if (!http_pump_over(&x->up))
		tcp_conn_set_reset(rq->server);
	tcp_conn_close(TAKE_PTR(rq->server));
}

void http_linger(struct request *rq)
{
	tcp_conn_linger(rq->client, HTTP_LINGER_BYTES,
			tcp_deadline(HTTP_LINGER_MS));
}

static void leave_client(struct http_exchange *x)
{
	struct request *rq = x->rq;

	request_consume(rq, x->used);
	x->used = 0;
	rq->again = x->persists;
	if (rq->again)
		return;
	/* A reset for unread bytes would eat the response. */
	if (rq->input.len || conn_can_read(rq->client) ||
	    !http_pump_over(&x->up))
		http_linger(rq);
}

/* --- The request -------------------------------------------------------- */

static enum outcome check(const struct http_exchange *x)
{
	const struct request *rq = x->rq;
	const char *via = rq->here->proxy->options.http.via;
	struct span in = { rq->input.at, rq->input.len };
	struct span name = { (const uint8_t *)via, via ? strlen(via) : 0 };

	/* Without a name of ours only our own addresses tell. */
	if (name.len && http_head_came_by(&x->request, in, name))
		return OUTCOME_LOOP;
	/* RFC 9110 §7.6.2: it was meant for us, and we are no origin. */
	if (x->request.forwards == 0)
		return OUTCOME_BAD_METHOD;
	return OUTCOME_NONE;
}

/* The rule says whether that is logged. */
static void note_begin(struct request *rq)
{
	session_begin(rq->session);
	rq->session->rule = rq->rule;
	session_end(rq->session);
	if (rq->session->state != SESSION_RELAY)
		request_began(rq);
}

/*
 * No connection more, and no parent more, is tried for one request: it may be
 * the target that never answers.
 */
#define TRIES_MAX 3

/*
 * Whether a parent is to blame that has taken the request and says nothing.  A
 * connection that was used before may have come to its end just then.
 */
static bool is_let_down(const struct http_exchange *x, enum outcome o)
{
	if (!x->absolute)
		return false;
	return o == OUTCOME_PARENT_AUTH || o == OUTCOME_TARGET_TIMEOUT ||
	       (o == OUTCOME_TARGET_LEFT && !x->answered && !x->rq->reused);
}

/* RFC 9112 §9.3.1, RFC 9110 §9.2.2. */
static bool is_worth_another(const struct http_exchange *x, enum outcome o)
{
	const struct request *rq = x->rq;

	if (o != OUTCOME_TARGET_LEFT && o != OUTCOME_TARGET_TIMEOUT)
		return false;
	if (!http_exchange_may_repeat(x))
		return false;
	/* Closed just when the request was on its way. */
	if (o == OUTCOME_TARGET_LEFT && rq->reused)
		return true;
	return is_let_down(x, o) && upstream_has_another(rq);
}

/* One try; *again where it is worth another one. */
static enum outcome try(struct http_exchange *x, bool may_reuse, bool *again)
{
	struct request *rq = x->rq;
	struct bandwidth *pace;
	enum outcome o = connect_server(rq, may_reuse);

	*again = false;
	if (o != OUTCOME_NONE)
		return o;
	rq->error = request_bandwidth(rq, &pace);
	if (rq->error < 0)
		return OUTCOME_NO_RESOURCES;
	x->absolute = request_via_http_parent(rq);
	conn_handshake_done(rq->client);
	note_begin(rq);
	http_exchange_begin(x, pace);
	o = http_exchange_run(x);
	if (o == OUTCOME_CLOSED)
		leave_server(x);
	if (is_let_down(x, o))
		upstream_let_down(rq, o);
	else if (x->absolute && x->head_done)
		upstream_answered(rq);
	*again = is_worth_another(x, o);
	if (*again)
		tcp_conn_close(TAKE_PTR(rq->server));
	http_exchange_end(x);
	bandwidth_close(pace);
	return o;
}

static enum outcome forward(struct http_exchange *x)
{
	struct request *rq = x->rq;
	enum outcome o = check(x);
	bool again = true;

	if (o != OUTCOME_NONE)
		return o;
	for (int i = 0; again && i < TRIES_MAX; i++)
		o = try(x, i == 0, &again);
	rq->idle_ms = rq->here->proxy->options.http.keep_alive_ms;
	if (o == OUTCOME_CLOSED) {
		leave_client(x);
		return o;
	}
	if (o == OUTCOME_NONE) {
		request_consume(rq, x->used);
		return o;
	}
	if (rq->server)
		tcp_conn_set_reset(rq->server);
	if (rq->granted) /* it shall see that the response is cut short */
		tcp_conn_set_reset(rq->client);
	return o;
}

enum outcome request_forward(struct request *rq)
{
	enum outcome o = forward(rq->exchange);

	/* The client may keep us waiting for the next one. */
	request_put_exchange(rq);
	return o;
}
