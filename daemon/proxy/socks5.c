/*
 * SOCKS5 (RFC 1928) with a client: greeting, choice of a method, request,
 * reply.
 */
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/socks5_msg.h"

static struct span input_span(const struct request *rq)
{
	return (struct span){ .at = rq->input.at, .len = rq->input.len };
}

/* RFC 1928 §3. */
static enum outcome agree_on_method(struct request *rq)
{
	uint8_t choice[SOCKS5_CHOICE_BYTES];
	struct socks5_greeting greeting;
	int r;

	while ((r = socks5_greeting_parse(&greeting, input_span(rq))) ==
	       -EAGAIN) {
		enum outcome o = request_read(rq);

		if (o != OUTCOME_NONE)
			return o;
	}
	if (r < 0)
		return OUTCOME_BAD_REQUEST;
	request_consume(rq, (size_t)r);
	if (!socks5_offers(&greeting, SOCKS5_METHOD_NONE)) {
		socks5_choice_format(choice, SOCKS5_METHOD_UNACCEPTABLE);
		request_last_words(rq, choice, sizeof(choice));
		return OUTCOME_NO_METHOD;
	}
	socks5_choice_format(choice, SOCKS5_METHOD_NONE);
	rq->error = tcp_conn_write_all(rq->client, choice, sizeof(choice),
				       rq->deadline);
	return rq->error < 0 ? OUTCOME_CLIENT_LEFT : OUTCOME_NONE;
}

/* RFC 1928 §4. */
static enum outcome read_request(struct request *rq)
{
	enum outcome o = agree_on_method(rq);
	struct socks5_request request;
	int r = 0;

	while (o == OUTCOME_NONE &&
	       (r = socks5_request_parse(&request, input_span(rq), &o)) < 0) {
		if (r == -EAGAIN)
			o = request_read(rq);
	}
	if (o != OUTCOME_NONE)
		return o;
	rq->command = request.command;
	request_set_target(rq, &request.target);
	request_consume(rq, (size_t)r);
	return OUTCOME_NONE;
}

/* RFC 1928 §6. */
static int grant(struct request *rq)
{
	uint8_t reply[SOCKS5_REPLY_MAX];
	size_t len = socks5_reply_format(reply, SOCKS5_REP_SUCCEEDED,
					 &rq->bound);

	return tcp_conn_write_all(rq->client, reply, len, rq->deadline);
}

static void refuse(struct request *rq, enum outcome why)
{
	uint8_t reply[SOCKS5_REPLY_MAX];
	size_t len;

	/* Before the request there is no place for a reply. */
	if (why == OUTCOME_NO_METHOD || why == OUTCOME_BAD_REQUEST ||
	    why == OUTCOME_CLIENT_LEFT || why == OUTCOME_HANDSHAKE ||
	    why == OUTCOME_SHUTDOWN)
		return;
	len = socks5_reply_format(reply, outcome_socks5(why), NULL);
	request_last_words(rq, reply, len);
}

const struct proxy_protocol socks5_protocol = {
	.number = PROTOCOL_SOCKS5,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
