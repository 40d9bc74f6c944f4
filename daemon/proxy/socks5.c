/*
 * SOCKS5 (RFC 1928) with a client: greeting, choice of a method, perhaps a
 * login (RFC 1929), request, reply; a second reply for BIND.
 */
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/socks5_msg.h"

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

/* A client that can say who it is is asked, also where it need not. */
static uint8_t choose_method(const struct request *rq,
			     const struct socks5_greeting *g)
{
	uint32_t auth = rules_client_auth(policy_rules(rq->here->policy),
					  rq->session->client_rule);

	if (auth & AUTH_BIT(AUTH_PASSWORD) &&
	    socks5_offers(g, SOCKS5_METHOD_PASSWORD))
		return SOCKS5_METHOD_PASSWORD;
	if (auth & AUTH_BIT(AUTH_NONE) && socks5_offers(g, SOCKS5_METHOD_NONE))
		return SOCKS5_METHOD_NONE;
	return SOCKS5_METHOD_UNACCEPTABLE;
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
	return request_needs_login(rq) ? OUTCOME_AUTH_REQUIRED
				       : OUTCOME_NO_METHOD;
}

/* --- The login, RFC 1929 ------------------------------------------------ */

static enum outcome outcome_of_login(const struct request *rq, int r)
{
	switch (r) {
	case 0:
		return OUTCOME_NONE;
	case -EACCES:
		return OUTCOME_AUTH_FAILED;
	case -EAGAIN:
		return OUTCOME_LIMIT;
	case -ETIMEDOUT:
		return OUTCOME_HANDSHAKE;
	case -ECANCELED:
		return tcp_conn_is_reset(rq->client) ? OUTCOME_CLIENT_LEFT
						     : OUTCOME_SHUTDOWN;
	default:
		return OUTCOME_NO_RESOURCES;
	}
}

/*
 * Leaves nothing of it in the input, whatever came of it: stacks are used
 * again, and seen in core dumps.  *ret_login is NULL where nobody can log in.
 */
static enum outcome read_login(struct request *rq, struct login **ret_login)
{
	const struct users *users;
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
	if (r > 0) {
		users = policy_users(rq->here->policy);
		request_set_user(rq, login.name);
		if (users)
			*ret_login = login_new(users, login.name,
					       login.password);
		if (users && !*ret_login)
			o = OUTCOME_NO_RESOURCES;
	}
	request_wipe(rq, r > 0 ? (size_t)r : rq->input.len);
	return o;
}

/* Takes the login and verifies it, as long as the client is there. */
static enum outcome verify(struct request *rq, struct login *login)
{
	int r;

	if (!login)
		return OUTCOME_AUTH_FAILED;
	tcp_conn_watch_reset(rq->client, true);
	r = login_verify(rq->here->proxy->options.auth, login, rq->deadline);
	tcp_conn_watch_reset(rq->client, false);
	return outcome_of_login(rq, r);
}

static enum outcome log_in(struct request *rq)
{
	uint8_t status[SOCKS5_STATUS_BYTES];
	struct login *login = NULL;
	enum outcome o = read_login(rq, &login);

	if (o == OUTCOME_NONE)
		o = verify(rq, login);
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
