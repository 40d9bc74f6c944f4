/*
 * By which way a request leaves: straight, or by a group of parents.  Which of
 * them takes it depends on who is well, and is not said.
 */
#include "daemon/explain_internal.h"

#include "daemon/proxy/rules_parent.h"
#include "daemon/setup.h"

static const struct conf_upstream *group_of(const struct conf *c, uint16_t rule)
{
	uint16_t number = rule && rule <= c->rule_count
				  ? c->rules[rule - 1].upstream
				  : 0;

	return number && number <= c->upstream_count ? &c->upstreams[number - 1]
						     : NULL;
}

uint16_t explain_by_name(const struct rules *rules, const struct conf *c,
			 const struct rule_query *q)
{
	const struct conf_upstream *group;
	struct verdict v;

	/* Who is to come to a BIND is found out here. */
	if (!c->upstream_count || !q->host.len || q->command == COMMAND_BIND)
		return 0;
	v = rules_by_name(rules, q);
	group = v.allow ? group_of(c, v.rule) : NULL;
	return group && setup_upstream_is_remote(group) ? v.rule : 0;
}

void explain_way(const struct conf *c, uint16_t rule, bool by_name, FILE *out)
{
	const struct conf_upstream *group = group_of(c, rule);

	if (!c->upstream_count)
		return;
	if (!group)
		(void)fputs("way: straight\n", out);
	else
		(void)fprintf(out, "way: upstream '%s'%s\n", group->name,
			      by_name ? ", which looks the name up" : "");
}
