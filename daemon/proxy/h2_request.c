/*
 * CONNECT on a stream of HTTP/2 (RFC 9113 §8.5), as a protocol like the others.
 *
 * A stream is a session of its own, so it is admitted as a connection would be:
 * by the client rules and limits of now.  Plain requests are not served here;
 * a client that is told to takes HTTP/1.1 for them (RFC 9113 §7).
 */
#include "daemon/proxy/h2_stream.h"
#include "daemon/proxy/http_login.h"
#include "daemon/proxy/http_reply.h"
#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_login.h"

#include <stdlib.h>
#include <string.h>

static enum outcome admit(struct request *rq)
{
	struct proxy *p = rq->here->proxy;
	struct session *s = rq->session;
	struct verdict v = rules_client(policy_rules(rq->here->policy),
					&s->client, s->listener);
	struct limits_who who = { &s->client, s->listener, v.rule };
	unsigned ticket;
	enum outcome o;

	session_begin(s);
	s->client_rule = v.rule;
	session_end(s);
	if (!v.allow)
		return OUTCOME_DENIED;
	o = limits_admit(p->limits, s->worker, &who, tcp_deadline(0), &ticket);
	if (o == OUTCOME_NONE)
		limits_begin(p->limits, sessions_slot(p->sessions, s), ticket);
	return o;
}

static enum outcome take_head(struct request *rq, struct h2_head *h)
{
	struct span credentials = { .at = h->has_credentials ? h->credentials
							     : NULL,
				    .len = h->credentials_len };
	struct target target;
	enum outcome o = admit(rq);

	if (o == OUTCOME_NONE && h->fault)
		o = (enum outcome)h->fault;
	if (o == OUTCOME_NONE) {
		request_login_certificate(rq);
		o = http_log_in(rq, credentials);
	}
	if (o == OUTCOME_NONE)
		o = h2_head_target(h, &target);
	if (o != OUTCOME_NONE)
		return o;
	rq->command = COMMAND_CONNECT;
	request_set_target(rq, &target);
	return OUTCOME_NONE;
}

static enum outcome read_request(struct request *rq)
{
	struct h2_head *h = TAKE_PTR(h2_stream_of(rq->client)->head);
	enum outcome o = take_head(rq, h);

	explicit_bzero(h, sizeof(*h));
	free(h);
	return o;
}

static int grant(struct request *rq)
{
	return h2_stream_respond(h2_stream_of(rq->client), 200, NULL);
}

static void refuse(struct request *rq, enum outcome why)
{
	struct h2_stream *s = h2_stream_of(rq->client);
	int status = http_refusal_status(rq, why);
	char challenge[HTTP_CHALLENGE_MAX];

	if (why == OUTCOME_BAD_METHOD && s->id) {
		h2_stream_reset(s, NGHTTP2_HTTP_1_1_REQUIRED);
		return;
	}
	if (status == 0)
		return; /* its close says it all */
	http_challenge_format(challenge, sizeof(challenge),
			      rq->here->proxy->options.http.realm
				      ? rq->here->proxy->options.http.realm
				      : "");
	(void)!h2_stream_respond(s, status, status == 407 ? challenge : NULL);
}

const struct proxy_protocol h2_protocol = {
	.number = PROTOCOL_HTTP2,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
