/*
 * From the files that a configuration names to a policy: read, compiled, and
 * what was read only for that let go.
 */
#include "daemon/load_data.h"
#include "daemon/proxy/quota_members.h"
#include "daemon/setup_internal.h"

#include <stdio.h>
#include <string.h>

static int compile(struct policy **ret, const struct conf *c,
		   struct load_data *d, struct conf_errors *errors)
{
	struct quota_members *quotas = NULL;
	struct rules *rules = NULL;
	int r = setup_rules(&rules, c, d);

	if (r == 0)
		r = setup_quota_members(&quotas, c, d->groups);
	if (r == 0)
		r = policy_new(ret, rules, d->users);
	if (r == 0) {
		policy_set_quotas(*ret, quotas);
		d->users = NULL;
		return 0;
	}
	quota_members_free(quotas);
	rules_free(rules);
	conf_errors_add(errors, CONF_ERROR, c->path, 0,
			"the rules cannot be compiled: %s", strerror(-r));
	return r;
}

int setup_policy_told(struct policy **ret, const struct conf *c,
		      struct conf_errors *errors)
{
	struct load_data d;
	int r = load_data(&d, c, errors);

	if (r < 0)
		return r;
	r = compile(ret, c, &d, errors);
	load_data_done(&d);
	return r;
}

int setup_policy(struct policy **ret, const struct conf *c, char *why,
		 size_t size)
{
	struct conf_errors errors = { 0 };
	int r = setup_policy_told(ret, c, &errors);
	const char *first = NULL;

	for (size_t i = 0; i < errors.kept && !first; i++)
		if (errors.list[i].severity == CONF_ERROR)
			first = errors.list[i].text;
	if (r < 0 && errors.errors > 1)
		(void)snprintf(why, size, "%s (and %zu more)",
			       first ? first : strerror(-r), errors.errors - 1);
	else if (r < 0)
		(void)snprintf(why, size, "%s", first ? first : strerror(-r));
	conf_errors_done(&errors);
	return r;
}
