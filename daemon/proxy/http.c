/*
 * HTTP/1.1 with a client: the heads of its requests, its login (RFC 7617), and
 * what it is told where a request comes to nothing.  CONNECT (RFC 9110 §9.3.6)
 * becomes a tunnel, http_forward.c does the rest.
 */
#include "daemon/proxy/admit.h"
#include "daemon/proxy/http_forward.h"
#include "daemon/proxy/http_login.h"
#include "daemon/proxy/http_reply.h"
#include "daemon/proxy/proxy_internal.h"

#include "core/conn.h"

#include <string.h>

/* --- The head ----------------------------------------------------------- */

static enum outcome parse_head(struct request *rq, struct http_head *h)
{
	int r;

	http_head_init(h, HTTP_REQUEST);
	for (;;) {
		struct span in = { .at = rq->input.at, .len = rq->input.len };
		enum outcome o;

		r = in.len ? http_head_parse(h, in) : -EAGAIN;
		if (r != -EAGAIN)
			break;
		/* Most heads fit what is there; only a longer one costs. */
		if (rq->input.len == rq->input.size &&
		    request_grow(rq, HTTP_HEAD_MAX) < 0)
			return OUTCOME_NO_RESOURCES;
		o = request_read(rq);
		if (o != OUTCOME_NONE)
			return o;
	}
	return r < 0 ? (enum outcome)h->fault : OUTCOME_NONE;
}

/*
 * How much of the input is the request; 0: not all of it has come.  What comes
 * behind a CONNECT may be meant for the tunnel that is refused.
 */
static uint32_t whole_request(struct request *rq, const struct http_head *h)
{
	size_t behind = rq->input.len - h->len;
	struct http_body body;
	ssize_t n = 0;

	if (h->method == HTTP_METHOD_CONNECT)
		return behind ? 0 : h->len;
	http_request_body(h, &body);
	if (behind)
		n = http_body_take(
			&body, (struct span){ rq->input.at + h->len, behind });
	return n >= 0 && http_body_is_whole(&body) ? h->len + (uint32_t)n : 0;
}

static enum outcome take_request(struct request *rq, const struct http_head *h)
{
	if (h->method == HTTP_METHOD_CONNECT) {
		rq->command = COMMAND_CONNECT;
		request_set_target(rq, &h->target);
		request_consume(rq, h->len);
		rq->whole = 0;
		return OUTCOME_NONE;
	}
	/* To a proxy a request says where it is to go, RFC 9112 §3.2.2. */
	if (h->form != HTTP_FORM_ABSOLUTE)
		return OUTCOME_BAD_AUTHORITY;
	if (request_get_exchange(rq) < 0)
		return OUTCOME_NO_RESOURCES;
	memcpy(&rq->exchange->request, h,
	       offsetof(struct http_head, field) +
		       h->count * sizeof(h->field[0]));
	rq->command = COMMAND_REQUEST;
	request_set_target(rq, &h->target);
	return OUTCOME_NONE;
}

static struct span credentials(const struct request *rq,
			       const struct http_head *h)
{
	return http_head_value(h, (struct span){ rq->input.at, rq->input.len },
			       HTTP_FIELD_PROXY_AUTHORIZATION);
}

static enum outcome read_request(struct request *rq)
{
	struct http_head head;
	enum outcome o;

	rq->whole = 0;
	rq->is_head = rq->is_options = rq->uploads = false;
	o = parse_head(rq, &head);
	if (o != OUTCOME_NONE)
		return o;
	rq->is_head = head.method == HTTP_METHOD_HEAD;
	if (tcp_conn_tag(rq->client) & TAG_SERVED) {
		o = request_admit_again(rq);
		if (o != OUTCOME_NONE)
			return o;
	}
	rq->is_options = head.method == HTTP_METHOD_OPTIONS;
	rq->uploads = head.method != HTTP_METHOD_CONNECT &&
		      (head.chunked || head.length);
	/* After an error it may ask again where it would have done so anyway,
	 * and where what follows is sure to be a request. */
	if (http_head_persists(&head))
		rq->whole = whole_request(rq, &head);
	o = http_log_in(rq, credentials(rq, &head));
	return o == OUTCOME_NONE ? take_request(rq, &head) : o;
}

/* --- Answers ------------------------------------------------------------ */

static int grant(struct request *rq)
{
	if (rq->command == COMMAND_REQUEST)
		return 0; /* by the target's own 101 */
	return tcp_conn_write_all(rq->client, HTTP_REPLY_CONNECTED,
				  sizeof(HTTP_REPLY_CONNECTED) - 1,
				  rq->deadline);
}

static bool may_ask_again(const struct request *rq)
{
	return rq->whole && !net_self()->draining && !rq->killed &&
	       rq->here->proxy->options.http.keep_alive_ms > 0;
}

/*
 * Whether it gets the time of an upload to see its answer: clients, browsers
 * among them, send the content of a request before they look for one.  Who was
 * too slow, or wrong, has had its time.
 */
static bool may_upload(const struct request *rq, enum outcome why)
{
	return rq->uploads && why != OUTCOME_HANDSHAKE && why != OUTCOME_IDLE &&
	       why != OUTCOME_BAD_REQUEST;
}

static void refuse(struct request *rq, enum outcome why)
{
	const struct http_options *o = &rq->here->proxy->options.http;
	char reply[HTTP_REPLY_MAX];
	struct http_error e = {
		.status = http_refusal_status(rq, why),
		.head_only = rq->is_head,
		.keep = may_ask_again(rq),
		.realm = o->realm,
	};
	size_t len;

	if (!e.status)
		return;
	if (why == OUTCOME_BAD_METHOD && rq->is_options)
		e.status = 200;
	len = http_error_format(reply, sizeof(reply), &e);
	if (!e.keep && !may_upload(rq, why)) {
		request_last_words(rq, reply, len);
		return;
	}
	if (tcp_conn_write_all(rq->client, reply, len,
			       tcp_deadline(HTTP_LINGER_MS)) < 0)
		return;
	if (!e.keep) {
		http_linger(rq);
		return;
	}
	request_consume(rq, rq->whole);
	rq->idle_ms = o->keep_alive_ms;
	rq->again = true;
}

const struct proxy_protocol http_protocol = {
	.number = PROTOCOL_HTTP,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
