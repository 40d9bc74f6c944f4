/*
 * SOCKS4 and 4a with a client: one request, one reply; a second one for BIND.
 */
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/socks4_msg.h"

/* Whoever must log in cannot, and whoever must have a name says it here. */
static enum outcome check_user(struct request *rq, struct span userid)
{
	const struct rules *rules = policy_rules(rq->here->policy);
	uint16_t rule = rq->session->client_rule;

	if (request_needs_login(rq))
		return OUTCOME_AUTH_REQUIRED;
	if (!rules_client_has_userids(rules, rule))
		return OUTCOME_NONE;
	request_set_user(rq, userid);
	return rules_client_userid(rules, rule, userid) ? OUTCOME_NONE
							: OUTCOME_AUTH_FAILED;
}

static enum outcome read_request(struct request *rq)
{
	struct socks4_request request;
	enum outcome o = OUTCOME_NONE;
	int r = 0;

	do {
		struct span in = { .at = rq->input.at, .len = rq->input.len };

		r = socks4_request_parse(&request, in, &o);
		if (r == -EAGAIN)
			o = request_read(rq);
	} while (r == -EAGAIN && o == OUTCOME_NONE);
	if (o == OUTCOME_NONE)
		o = check_user(rq, request.userid);
	if (o != OUTCOME_NONE)
		return o;
	rq->command = request.command;
	request_set_target(rq, &request.target);
	request_consume(rq, (size_t)r);
	return OUTCOME_NONE;
}

static int grant(struct request *rq)
{
	uint8_t reply[SOCKS4_REPLY_BYTES];

	socks4_reply_format(reply, SOCKS4_REP_GRANTED, &rq->bound);
	return tcp_conn_write_all(rq->client, reply, sizeof(reply),
				  rq->deadline);
}

static void refuse(struct request *rq, enum outcome why)
{
	uint8_t reply[SOCKS4_REPLY_BYTES];

	/* Nobody waits for this one. */
	if (why == OUTCOME_CLIENT_LEFT || why == OUTCOME_HANDSHAKE ||
	    why == OUTCOME_SHUTDOWN)
		return;
	socks4_reply_format(reply, outcome_socks4(why), NULL);
	request_last_words(rq, reply, sizeof(reply));
}

const struct proxy_protocol socks4_protocol = {
	.number = PROTOCOL_SOCKS4,
	.read_request = read_request,
	.grant = grant,
	.refuse = refuse,
};
