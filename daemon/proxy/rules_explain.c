/*
 * Why a question is answered as it is: the walk again, aloud.
 */
#include "daemon/proxy/rules_match.h"

#include <errno.h>

/*
 * The first thing that keeps a rule from matching, in a word; NULL: nothing.
 * "address" and "port" that are not known yet only might.
 */
static const char *why_not(const struct rule *rule, const struct rules *rules,
			   const struct sight *s)
{
	const struct rule_query *q = s->q;
	struct sight bare;

	if (!rule_has_command(rule, q->command))
		return "command";
	if (!rule_has_protocol(rule, q->protocol))
		return "protocol";
	if (!rule_has_listener(rule, q->listener))
		return "listener";
	if (!rule_has_from(rule, &q->client, &s->client_key))
		return "from";
	if (!rule_has_user(rule, rules, s->user))
		return q->user.len ? "user" : "login";
	if (!rule_has_time(rule, rules, s))
		return "when";
	if (rule_has_port(rule, q->port) == NO)
		return "port";
	if (rule_has_to(rule, s) != NO)
		return NULL;
	bare = *s;
	bare.guarded = false;
	return rule_has_to(rule, &bare) == NO ? "to" : "guarded";
}

static void say_rule(FILE *out, size_t number, const struct rule *rule,
		     const char *what)
{
	fprintf(out, "%zu %s%s%s: %s\n", number, rule->allow ? "allow" : "deny",
		*rule->name ? " " : "", rule->name, what);
}

static int finish(FILE *out, const char *verdict, const struct rule_list *list,
		  size_t i)
{
	if (i == list->count)
		fprintf(out, "%s: no rule matches\n", verdict);
	else
		fprintf(out, "%s: rule %zu%s%s\n", verdict, i + 1,
			*list->at[i].name ? " " : "", list->at[i].name);
	return ferror(out) ? -EIO : 0;
}

/* Names a rule that would turn what those after it come to. */
static int finish_open(FILE *out, const struct rule_list *list, size_t i)
{
	fprintf(out, "undecided: rule %zu%s%s may match\n", i + 1,
		*list->at[i].name ? " " : "", list->at[i].name);
	return ferror(out) ? -EIO : 0;
}

int rules_explain(const struct rules *rules, const struct rule_query *q,
		  FILE *out)
{
	const struct rule_list *list = &rules->requests;
	size_t open[2] = { 0 }; /* the first that may deny, or allow; from 1 */
	struct sight s;
	bool allow;
	size_t i;

	rules_look(&s, rules, q, true);
	for (i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];
		const char *why = why_not(rule, rules, &s);
		enum answer a = rule_match_request(rule, rules, &s);

		if (a == YES) {
			say_rule(out, i + 1, rule, "matches");
			break;
		}
		if (a == MAYBE) {
			if (!open[rule->allow])
				open[rule->allow] = i + 1;
			why = rule_has_port(rule, q->port) == MAYBE
				      ? "depends on the port"
				      : "depends on the address";
		}
		say_rule(out, i + 1, rule, why);
	}
	allow = i < list->count && list->at[i].allow;
	if (open[!allow])
		return finish_open(out, list, open[!allow] - 1);
	return finish(out, allow ? "allow" : "deny", list, i);
}

int rules_explain_client(const struct rules *rules, const struct rule_query *q,
			 FILE *out)
{
	const struct rule_list *list = &rules->clients;
	struct sight s;
	size_t i;

	rules_look(&s, rules, q, false);
	for (i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];
		const char *why = NULL;

		if (!rule_has_listener(rule, q->listener))
			why = "listener";
		else if (!rule_has_from(rule, &q->client, &s.client_key))
			why = "from";
		else if (!rule_has_time(rule, rules, &s))
			why = "when";
		say_rule(out, i + 1, rule, why ? why : "matches");
		if (!why)
			break;
	}
	return finish(out,
		      i < list->count && list->at[i].allow ? "allow" : "deny",
		      list, i);
}
