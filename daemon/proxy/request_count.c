/*
 * From requests and sessions to what the limits ask for.
 */
#include "daemon/proxy/request_count.h"

#include "daemon/proxy/limits_steps.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/quota_members.h"

static struct limits_session counted(const struct proxy *p,
				     const struct session *s)
{
	return (struct limits_session){
		.worker = s->worker,
		.slot = sessions_slot(p->sessions, s),
		.client = &s->client,
		.user = { (const uint8_t *)s->user, s->user_len },
		.now_ms = tcp_deadline(0),
	};
}

static enum outcome begin_quota(struct request *rq)
{
	struct proxy *p = rq->here->proxy;
	const struct span user = { (const uint8_t *)rq->user, rq->user_len };

	return quotas_begin(
		p->quotas, sessions_slot(p->sessions, rq->session), user,
		quota_members_find(policy_quotas(rq->here->policy), user));
}

enum outcome request_count_user(struct request *rq)
{
	struct proxy *p = rq->here->proxy;
	enum outcome o = p->quotas ? begin_quota(rq) : OUTCOME_NONE;
	struct limits_session s;

	if (o != OUTCOME_NONE)
		return o;
	if (!p->limits || rq->user_len == 0)
		return OUTCOME_NONE;
	s = counted(p, rq->session);
	s.user = (struct span){ (const uint8_t *)rq->user, rq->user_len };
	return limits_user(p->limits, &s);
}

enum outcome session_count_rule(struct proxy *p, const struct session *s,
				uint16_t rule)
{
	struct limits_session who;

	if (!p->limits)
		return OUTCOME_NONE;
	who = counted(p, s);
	return limits_rule(p->limits, &who, rule);
}

enum outcome request_count_rule(struct request *rq, uint16_t rule)
{
	enum outcome o = session_count_rule(rq->here->proxy, rq->session, rule);

	if (o != OUTCOME_NONE)
		rq->rule = rule;
	return o;
}
