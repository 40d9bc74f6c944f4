/*
 * Logins by Proxy-Authorization, in each version of HTTP.
 */
#include "daemon/proxy/http_login.h"

#include "daemon/proxy/http_basic.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/request_login.h"

#include <string.h>

static bool is_by_password(enum auth_method m)
{
	return m == AUTH_PASSWORD || m == AUTH_PAM || m == AUTH_SYSTEM;
}

/* Whether this client may show who it is. */
static bool may_log_in(const struct request *rq)
{
	enum auth_method order[AUTH_METHODS];
	unsigned count = request_login_methods(rq, order);

	for (unsigned i = 0; i < count; i++)
		if (is_by_password(order[i]))
			return true;
	return false;
}

/*
 * Leaves nothing of it behind: the field ends here anyway.  OUTCOME_NONE: to be
 * verified; or there is none, and *ret says so by a login of no name.
 */
static enum outcome read_login(struct request *rq, struct span value,
			       struct request_login *ret, bool *ret_found)
{
	uint8_t room[HTTP_BASIC_MAX];
	struct span name, password;
	enum outcome o = OUTCOME_NONE;
	int r = http_basic_parse(value, room, &name, &password);

	*ret_found = r == 0;
	if (r == 0)
		o = request_login_claim(rq, name, password, ret);
	else if (r == -EBADMSG)
		o = OUTCOME_AUTH_FAILED;
	explicit_bzero(room, sizeof(room));
	memset((uint8_t *)(uintptr_t)value.at, '*', value.len);
	return o;
}

enum outcome http_log_in(struct request *rq, struct span value)
{
	struct request_login login;
	bool found = false;
	enum outcome o;

	if (value.at && may_log_in(rq)) {
		o = read_login(rq, value, &login, &found);
		if (o == OUTCOME_NONE && found)
			o = request_login_verify(rq, &login);
		if (o != OUTCOME_NONE || found)
			return o;
	}
	return request_needs_login(rq) ? OUTCOME_AUTH_REQUIRED : OUTCOME_NONE;
}

int http_refusal_status(const struct request *rq, enum outcome why)
{
	const struct rule_query q = request_query(rq);

	/* Without a command it is the client rules that deny. */
	if (why != OUTCOME_DENIED || rq->command == COMMAND_NONE ||
	    rq->user_len || !may_log_in(rq) ||
	    !rules_may_allow(policy_rules(rq->here->policy), &q, true))
		return outcome_http(why);
	return outcome_http(OUTCOME_AUTH_REQUIRED);
}
