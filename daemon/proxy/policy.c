#include "daemon/proxy/policy.h"

#include "daemon/proxy/quota_members.h"
#include "daemon/proxy/users.h"

#include <stdatomic.h>
#include <stdlib.h>

struct policy {
	_Atomic uint32_t references;
	uint64_t number;
	struct rules *rules;
	struct users *users;
	struct quota_members *quotas;
};

int policy_new(struct policy **ret, struct rules *rules, struct users *users)
{
	static _Atomic uint64_t number;
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->references = 1;
	p->number = atomic_fetch_add(&number, 1) + 1;
	p->rules = rules;
	p->users = users;
	*ret = p;
	return 0;
}

void policy_set_quotas(struct policy *p, struct quota_members *quotas)
{
	p->quotas = quotas;
}

const struct quota_members *policy_quotas(const struct policy *p)
{
	return p->quotas;
}

/* Who has a reference may count, whoever else looks at what it points to. */
const struct policy *policy_ref(const struct policy *p)
{
	(void)atomic_fetch_add_explicit(&((struct policy *)p)->references, 1,
					memory_order_relaxed);
	return p;
}

void policy_unref(const struct policy *p)
{
	struct policy *own = (struct policy *)p;

	if (!own || atomic_fetch_sub(&own->references, 1) > 1)
		return;
	rules_free(own->rules);
	users_free(own->users);
	quota_members_free(own->quotas);
	free(own);
}

bool policy_is_shared(const struct policy *p)
{
	return atomic_load(&((struct policy *)p)->references) > 1;
}

const struct rules *policy_rules(const struct policy *p)
{
	return p->rules;
}

const struct users *policy_users(const struct policy *p)
{
	return p->users;
}

uint64_t policy_number(const struct policy *p)
{
	return p->number;
}
