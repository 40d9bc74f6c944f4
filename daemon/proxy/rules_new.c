/*
 * Makes rules of their specifications: checks and copies these, then makes the
 * indexes by which they are found.
 */
#include "daemon/proxy/rule_index.h"
#include "daemon/proxy/rules_make.h"

#include <stdlib.h>

/*
 * Leaves out of what is asked before a login, and of what comes after a rule
 * for everybody, whatever adds nothing to that.
 */
static void leave_idle(bool *leave, const struct rule_list *list)
{
	bool ended = false, named = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct rule *rule = &list->at[i];
		bool bare = !rule->from_count && !rule->listener_count &&
			    !rule->protocols && !rule->timed;

		leave[i] = ended || (!rule->allow && !rule_ends_all(rule)) ||
			   (bare && rule->named && !rule->nobody && named);
		if (leave[i] || !bare)
			continue;
		ended = !rule->named;
		named = true;
	}
}

static int index_anybody(struct rules *rules, const struct rule_spec *requests)
{
	const struct rule_list *list = &rules->requests;
	struct rule_view view = { .parts = PART_BIT(PART_FROM) };
	bool *leave = calloc(list->count + 1, sizeof(*leave));
	int r;

	if (!leave)
		return -ENOMEM;
	leave_idle(leave, list);
	view.leave = leave;
	r = rule_index_init(&rules->of_anybody, &rules->keys, requests,
			    list->count, &view);
	free(leave);
	return r;
}

static int make_indexes(struct rules *rules, const struct rule_spec *clients,
			const struct rule_spec *requests)
{
	const unsigned all = PART_BIT(PARTS) - 1;
	const struct rule_view of_client = { .parts = PART_BIT(PART_FROM) };
	const struct rule_view of_request = { .parts = all, .address = true };
	const struct rule_view of_name = { .parts = all };
	size_t client_count = rules->clients.count;
	size_t count = rules->requests.count;
	int r = rule_keys_init(&rules->keys, &rules->users);

	if (r == 0)
		r = rule_keys_take(&rules->keys, clients, client_count,
				   requests, count);
	if (r == 0)
		r = rule_index_init(&rules->of_client, &rules->keys, clients,
				    client_count, &of_client);
	if (r == 0)
		r = rule_index_init(&rules->of_request, &rules->keys, requests,
				    count, &of_request);
	if (r == 0)
		r = rule_index_init(&rules->of_name, &rules->keys, requests,
				    count, &of_name);
	return r < 0 ? r : index_anybody(rules, requests);
}

/* --- Life --------------------------------------------------------------- */

int rules_new(struct rules **ret, const struct rule_spec *clients,
	      size_t client_count, const struct rule_spec *requests,
	      size_t request_count, const struct groups *groups)
{
	struct rules *rules;
	int r;

	if (client_count > UINT16_MAX || request_count > UINT16_MAX)
		return -E2BIG;
	if (!rule_specs_are_valid(clients, client_count, true) ||
	    !rule_specs_are_valid(requests, request_count, false))
		return -EINVAL;
	rules = calloc(1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	rules->clients.count = client_count;
	rules->requests.count = request_count;
	r = rule_users_init(&rules->users);
	if (r == 0)
		r = rule_users_take(&rules->users, requests, request_count,
				    groups);
	if (r == 0)
		r = rules_copy(rules, clients, requests);
	if (r == 0)
		r = make_indexes(rules, clients, requests);
	if (r < 0) {
		rules_free(rules);
		return r;
	}
	*ret = rules;
	return 0;
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->match_count; i++)
		if (rules->matches[i].type == RULE_MATCH_LIST)
			match_list_free(rules->matches[i].list);
	rule_index_done(&rules->of_client);
	rule_index_done(&rules->of_request);
	rule_index_done(&rules->of_name);
	rule_index_done(&rules->of_anybody);
	rule_keys_done(&rules->keys);
	rule_users_done(&rules->users);
	free(rules->when);
	free(rules->block);
	free(rules);
}
