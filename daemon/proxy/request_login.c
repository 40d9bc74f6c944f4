/*
 * From what a client says of itself to who it is.
 */
#include "daemon/proxy/request_login.h"

#include "core/conn.h"
#include "daemon/proxy/proxy_internal.h"

#include <string.h>

unsigned request_login_methods(const struct request *rq, enum auth_method *ret)
{
	return rules_client_order(policy_rules(rq->here->policy),
				  rq->session->client_rule, ret);
}

void request_login_certificate(struct request *rq)
{
	struct tcp_tls_info info;
	struct span name;

	if ((!rq->client->tls && !rq->client->ops->carrier) ||
	    !(rules_client_auth(policy_rules(rq->here->policy),
				rq->session->client_rule) &
	      AUTH_BIT(AUTH_CERTIFICATE)) ||
	    tcp_conn_tls_info(rq->client, &info) < 0)
		return;
	name = (struct span){ (const uint8_t *)info.peer_name,
			      strlen(info.peer_name) };
	if (name.len == 0 || name.len > sizeof(rq->user))
		return;
	request_set_user(rq, name);
	memcpy(rq->user, name.at, name.len);
	rq->user_len = (uint8_t)name.len;
	rq->method = AUTH_CERTIFICATE;
}

static enum outcome outcome_of_login(struct request *rq, int r)
{
	switch (r) {
	case 0:
		return OUTCOME_NONE;
	case -EACCES:
		return OUTCOME_AUTH_FAILED;
	case -EUSERS:
		return OUTCOME_LOCKED_OUT;
	case -EAGAIN:
		return OUTCOME_LIMIT;
	case -ETIMEDOUT:
		return OUTCOME_HANDSHAKE;
	case -ECANCELED:
		return tcp_conn_is_reset(rq->client) ? OUTCOME_CLIENT_LEFT
						     : OUTCOME_SHUTDOWN;
	default:
		rq->error = r; /* it tells why nobody could verify */
		return OUTCOME_NO_RESOURCES;
	}
}

/*
 * What is remembered is settled at once, *ret_login is the rest.  An error as
 * login_verify() has them.
 */
static int look_up(struct request *rq, struct span name, struct span password,
		   struct login **ret_login)
{
	struct auth *auth = rq->here->proxy->options.auth;
	struct login_claim claim = {
		.policy = rq->here->policy,
		.client = tcp_conn_peer(rq->client),
		.name = name,
		.password = password,
	};
	int r;

	request_set_user(rq, name);
	rq->user_len = 0;
	if (!auth)
		return -EACCES;
	claim.kind_count = request_login_methods(rq, claim.kinds);
	r = auth_recall(auth, &claim, &rq->method);
	if (r == -ENOENT) {
		*ret_login = login_new(auth, &claim);
		if (!*ret_login)
			return -ENOMEM;
	}
	/* Who it is counts once it is verified. */
	if (name.len)
		memcpy(rq->user, name.at, min_size(name.len, sizeof(rq->user)));
	return r == -ENOENT ? 0 : r;
}

enum outcome request_login_claim(struct request *rq, struct span name,
				 struct span password,
				 struct request_login *ret)
{
	*ret = (struct request_login){ .name_len = (uint8_t)name.len };
	return outcome_of_login(rq, look_up(rq, name, password, &ret->login));
}

enum outcome request_login_verify(struct request *rq, struct request_login *l)
{
	int r = 0;

	if (l->login) {
		tcp_conn_watch_reset(rq->client, true);
		r = login_verify(rq->here->proxy->options.auth,
				 TAKE_PTR(l->login), &rq->method, rq->deadline);
		tcp_conn_watch_reset(rq->client, false);
	}
	if (r == 0)
		rq->user_len = l->name_len;
	return outcome_of_login(rq, r);
}
