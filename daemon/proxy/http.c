/*
 * HTTP CONNECT (RFC 9110 §9.3.6) with a client: the head of its request, and
 * either "200" or an error after which the connection closes.
 */
#include "daemon/proxy/http_head.h"
#include "daemon/proxy/http_reply.h"
#include "daemon/proxy/proxy_internal.h"

#include <string.h>

static enum outcome read_request(struct request *rq)
{
	struct http_head head;
	enum outcome o;
	int r;

	http_head_init(&head, HTTP_REQUEST);
	for (;;) {
		struct span in = { .at = rq->input.at, .len = rq->input.len };

		r = http_head_parse(&head, in);
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
	if (r < 0)
		return (enum outcome)head.fault;
	if (head.method != HTTP_METHOD_CONNECT)
		return OUTCOME_BAD_METHOD;
	if (request_needs_login(rq))
		return OUTCOME_AUTH_REQUIRED;
	rq->command = COMMAND_CONNECT;
	request_set_target(rq, &head.target);
	request_consume(rq, (size_t)r);
	return OUTCOME_NONE;
}

static int grant(struct request *rq)
{
	return tcp_conn_write_all(rq->client, HTTP_REPLY_CONNECTED,
				  sizeof(HTTP_REPLY_CONNECTED) - 1,
				  rq->deadline);
}

static bool is_head(const struct input *in)
{
	static const char method[] = "HEAD ";

	return in->len >= sizeof(method) - 1 &&
	       memcmp(in->at, method, sizeof(method) - 1) == 0;
}

static void refuse(struct request *rq, enum outcome why)
{
	char reply[HTTP_REPLY_MAX];
	struct http_error e = {
		.status = outcome_http(why),
		.head_only = is_head(&rq->input),
	};

	if (e.status)
		request_last_words(rq, reply,
				   http_error_format(reply, sizeof(reply), &e));
}

const struct proxy_protocol http_protocol = {
	.number = PROTOCOL_HTTP,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
