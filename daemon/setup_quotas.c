/*
 * Quotas in the words of the proxy.
 */
#include "daemon/proxy/quota_members.h"
#include "daemon/setup_internal.h"

#include <stdlib.h>

int setup_quotas(struct setup *s, struct quota_options *ret)
{
	const struct conf *c = s->conf;

	*ret = (struct quota_options){ 0 };
	if (!c->quota_count)
		return 0;
	s->quota_bounds = calloc(c->quota_count, sizeof(*s->quota_bounds));
	if (!s->quota_bounds)
		return -ENOMEM;
	for (size_t i = 0; i < c->quota_count; i++)
		s->quota_bounds[i] = (struct quota_bound){
			.name = c->quotas[i].name,
			.day = c->quotas[i].day,
			.month = c->quotas[i].month,
			.end = c->quotas[i].over == CONF_OVER_END,
		};
	*ret = (struct quota_options){ .bounds = s->quota_bounds,
				       .count = c->quota_count,
				       .memory = s->published.quotas };
	return 0;
}

int setup_quota_members(struct quota_members **ret, const struct conf *c,
			const struct groups *groups)
{
	struct quota_spec *list;
	int r;

	*ret = NULL;
	if (!c->quota_count)
		return 0;
	list = calloc(c->quota_count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->quota_count; i++) {
		const struct conf_quota *q = &c->quotas[i];

		list[i] = (struct quota_spec){ .users = q->users.at,
					       .user_count = q->users.count,
					       .groups = q->groups.at,
					       .group_count = q->groups.count };
	}
	r = quota_members_new(ret, list, c->quota_count, groups);
	free(list);
	return r;
}
