/*
 * SOCKS5 (RFC 1928) with a client: greeting, choice of a method, perhaps a
 * login (RFC 1929), request, reply; a second reply for BIND.
 */
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_login.h"
#include "daemon/proxy/socks5_msg.h"

#include <string.h>

static struct span input_span(const struct request *rq)
{
	return (struct span){ .at = rq->input.at, .len = rq->input.len };
}

static enum outcome say(struct request *rq, const void *bytes, size_t len)
{
	rq->error = tcp_conn_write_all(rq->client, bytes, len, rq->deadline);
	return rq->error < 0 ? OUTCOME_CLIENT_LEFT : OUTCOME_NONE;
}

/* --- The method, RFC 1928 §3 -------------------------------------------- */

/* A certificate was shown before, or was not. */
static uint8_t wire_method(const struct request *rq, enum auth_method m)
{
	if (m == AUTH_CERTIFICATE)
		return rq->method == AUTH_CERTIFICATE
			       ? SOCKS5_METHOD_NONE
			       : SOCKS5_METHOD_UNACCEPTABLE;
	return m == AUTH_NONE ? SOCKS5_METHOD_NONE : SOCKS5_METHOD_PASSWORD;
}

/* May somebody who takes this method be allowed anything by the rules? */
static bool is_useful(const struct request *rq, enum auth_method m)
{
	const struct rule_query q = request_query(rq);

	return rules_may_allow(policy_rules(rq->here->policy), &q,
			       m != AUTH_NONE || rq->user_len);
}

/*
 * The first that the client offers and some rule could allow something with.
 * Where no method at all could, he gets as far as being denied by a rule.
 */
static uint8_t choose_method(const struct request *rq,
			     const struct socks5_greeting *g)
{
	uint8_t denied = SOCKS5_METHOD_UNACCEPTABLE;
	enum auth_method order[AUTH_METHODS];
	unsigned count = request_login_methods(rq, order);
	bool hopeless = true;

	for (unsigned i = 0; i < count; i++) {
		uint8_t method = wire_method(rq, order[i]);
		/* The only one is taken in either case. */
		bool useful = count == 1 || is_useful(rq, order[i]);

		hopeless &= !useful;
		if (!socks5_offers(g, method))
			continue;
		if (useful)
			return method;
		if (denied == SOCKS5_METHOD_UNACCEPTABLE)
			denied = method;
	}
	return hopeless ? denied : SOCKS5_METHOD_UNACCEPTABLE;
}

/* Why none would do: because of what is asked of clients, or of theirs. */
static enum outcome no_method(const struct request *rq)
{
	enum auth_method order[AUTH_METHODS];
	unsigned count = request_login_methods(rq, order);

	for (unsigned i = 0; i < count; i++)
		if (order[i] != AUTH_NONE)
			return OUTCOME_AUTH_REQUIRED;
	return OUTCOME_NO_METHOD;
}

static enum outcome agree_on_method(struct request *rq, uint8_t *ret_method)
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
	*ret_method = choose_method(rq, &greeting);
	socks5_choice_format(choice, *ret_method);
	if (*ret_method != SOCKS5_METHOD_UNACCEPTABLE)
		return say(rq, choice, sizeof(choice));
	request_last_words(rq, choice, sizeof(choice));
	return no_method(rq);
}

/* --- The login, RFC 1929 ------------------------------------------------ */

/*
 * Leaves nothing of it in the input, whatever came of it: stacks are used
 * again, and seen in core dumps.
 */
static enum outcome read_login(struct request *rq, struct request_login *ret)
{
	struct socks5_login login;
	enum outcome o = OUTCOME_NONE;
	int r;

	while ((r = socks5_login_parse(&login, input_span(rq))) == -EAGAIN) {
		o = request_read(rq);
		if (o != OUTCOME_NONE)
			break;
	}
	if (r == -EBADMSG)
		o = OUTCOME_BAD_REQUEST;
	if (r > 0)
		o = request_login_claim(rq, login.name, login.password, ret);
	request_wipe(rq, r > 0 ? (size_t)r : rq->input.len);
	return o;
}

static enum outcome log_in(struct request *rq)
{
	uint8_t status[SOCKS5_STATUS_BYTES];
	struct request_login login = { 0 };
	enum outcome o = read_login(rq, &login);

	if (o == OUTCOME_NONE)
		o = request_login_verify(rq, &login);
	socks5_status_format(status, o == OUTCOME_NONE);
	if (o == OUTCOME_NONE)
		return say(rq, status, sizeof(status));
	if (o != OUTCOME_CLIENT_LEFT && o != OUTCOME_SHUTDOWN &&
	    o != OUTCOME_HANDSHAKE)
		request_last_words(rq, status, sizeof(status));
	return o;
}

/* --- The request, RFC 1928 §4 ------------------------------------------- */

static enum outcome read_request(struct request *rq)
{
	uint8_t method = SOCKS5_METHOD_NONE;
	enum outcome o = agree_on_method(rq, &method);
	struct socks5_request request;
	int r = 0;

	if (o == OUTCOME_NONE && method == SOCKS5_METHOD_PASSWORD)
		o = log_in(rq);
	rq->agreed = o == OUTCOME_NONE;
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

	/* Before there is a method, what was to be said has been said. */
	if (!rq->agreed || why == OUTCOME_CLIENT_LEFT ||
	    why == OUTCOME_HANDSHAKE || why == OUTCOME_SHUTDOWN)
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
