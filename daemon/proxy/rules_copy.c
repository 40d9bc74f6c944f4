/*
 * Copies rules of their specifications into one block: counts what there is,
 * then copies it all.  Many elements of one rule become a list of its own.
 */
#include "daemon/proxy/rules_make.h"

#include "daemon/proxy/give_way.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* So many prefixes and names are compared one by one. */
#define ELEMENTS_INLINE 8

#define ALL_COMMANDS                                                           \
	(COMMAND_BIT(COMMAND_CONNECT) | COMMAND_BIT(COMMAND_BIND) |            \
	 COMMAND_BIT(COMMAND_UDP) | COMMAND_BIT(COMMAND_REQUEST))
#define ALL_PROTOCOLS (((1u << PROTOCOL_COUNT) - 1) & ~(1u << PROTOCOL_NONE))

/* A bit that no command and no protocol has. */
#define NOTHING 0x80

/* How much there is to copy. */
struct room {
	size_t matches, userids, ports, listeners, numbers, text;
};

/* Where the next copies go. */
struct pools {
	struct rule_match *matches;
	const char **userids;
	uint32_t *numbers;
	struct port_range *ports;
	uint16_t *listeners;
	char *text;
};

/* --- Counting ----------------------------------------------------------- */

static size_t text_size(const struct rule_match *m, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		if (match_is_by_name(&m[i]))
			size += match_bare_name(&m[i]).len + 1;
	return size;
}

static int add_room(struct room *room, const struct rule_spec *specs,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rule_spec *spec = &specs[i];

		if (spec->port_count > UINT16_MAX ||
		    spec->listener_count > UINT16_MAX ||
		    spec->user_count > UINT16_MAX ||
		    spec->group_count > UINT16_MAX)
			return -E2BIG;
		room->matches += spec->from_count + spec->to_count;
		room->userids += spec->userid_count;
		room->ports += spec->port_count;
		room->listeners += spec->listener_count;
		room->numbers += spec->user_count + spec->group_count;
		room->text += text_size(spec->to, spec->to_count) + 1;
		if (spec->name)
			room->text += strlen(spec->name);
		for (size_t k = 0; k < spec->userid_count; k++)
			room->text += strlen(spec->userids[k]) + 1;
	}
	return 0;
}

static int make_pools(struct rules *rules, const struct room *room,
		      struct pools *to)
{
	size_t count = rules->clients.count + rules->requests.count;
	size_t bytes = count * sizeof(struct rule) +
		       rules->clients.count * sizeof(*rules->client) +
		       room->matches * sizeof(*to->matches) +
		       room->userids * sizeof(*to->userids) +
		       room->numbers * sizeof(*to->numbers) +
		       room->ports * sizeof(*to->ports) +
		       room->listeners * sizeof(*to->listeners) + room->text;

	/* A size that the alignment divides, as C11 wants it. */
	bytes = (bytes + sizeof(struct rule)) / sizeof(struct rule) *
		sizeof(struct rule);
	rules->block = aligned_alloc(_Alignof(struct rule), bytes);
	if (!rules->block)
		return -ENOMEM;
	memset(rules->block, 0, bytes);
	/* What needs the widest alignment comes first. */
	rules->clients.at = rules->block;
	rules->requests.at = rules->clients.at + rules->clients.count;
	rules->client = (struct client_part *)(rules->clients.at + count);
	to->matches = (struct rule_match *)(rules->client +
					    rules->clients.count);
	to->userids = (const char **)(to->matches + room->matches);
	to->numbers = (uint32_t *)(to->userids + room->userids);
	to->ports = (struct port_range *)(to->numbers + room->numbers);
	to->listeners = (uint16_t *)(to->ports + room->ports);
	to->text = (char *)(to->listeners + room->listeners);
	rules->matches = to->matches;
	rules->match_count = room->matches;
	return 0;
}

/* --- Copying ------------------------------------------------------------ */

static const char *copy_text(struct pools *to, const void *text, size_t len)
{
	char *copy = to->text;

	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	to->text += len + 1;
	return copy;
}

/* In lower case, as names are looked for. */
static const char *copy_name(struct pools *to, struct span name)
{
	char *copy = to->text;

	for (size_t i = 0; i < name.len; i++)
		copy[i] = (char)tolower(name.at[i]);
	copy[name.len] = '\0';
	to->text += name.len + 1;
	return copy;
}

static bool is_one(const struct rule_match *m)
{
	return m->type != RULE_MATCH_CLASS && m->type != RULE_MATCH_LIST;
}

static size_t count_ones(const struct rule_match *m, size_t count)
{
	size_t ones = 0;

	for (size_t i = 0; i < count; i++)
		ones += is_one(&m[i]);
	return ones;
}

static void copy_match(struct rule_match *copy, struct pools *to,
		       const struct rule_match *from)
{
	give_way(GIVE_WAY_ENTRY);
	*copy = *from;
	if (from->type == RULE_MATCH_LIST)
		copy->list = match_list_ref(from->list);
	else if (match_is_by_name(from))
		copy->name = copy_name(to, match_bare_name(from));
}

static int copy_matches(struct pools *to, const struct rule_match *from,
			size_t count, const struct rule_match **ret,
			uint16_t *ret_count)
{
	bool make_list = count_ones(from, count) > ELEMENTS_INLINE;
	struct rule_match *first = to->matches;
	struct match_list *list;
	int r;

	for (size_t i = 0; i < count; i++)
		if (!make_list || !is_one(&from[i]))
			copy_match(to->matches++, to, &from[i]);
	if (make_list) {
		r = match_list_new(&list, from, count);
		if (r < 0)
			return r;
		*to->matches++ = (struct rule_match){ .type = RULE_MATCH_LIST,
						      .list = list };
	}
	if (to->matches - first > UINT16_MAX)
		return -E2BIG;
	*ret = first;
	*ret_count = (uint16_t)(to->matches - first);
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The numbers of names that are all in the table. */
static void copy_numbers(struct pools *to, const struct text_table *t,
			 const char *const *names, size_t count)
{
	uint32_t *numbers = to->numbers;

	for (size_t i = 0; i < count; i++) {
		give_way(GIVE_WAY_LINE);
		numbers[i] = text_table_find(
			t, (struct span){ (const uint8_t *)names[i],
					  strlen(names[i]) });
	}
	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	to->numbers += count;
}

/* A set of all that there is narrows nothing; one of none takes nothing. */
static uint8_t narrow(uint32_t set, uint32_t all)
{
	if (!set || (set & all) == all)
		return 0;
	return set & all ? (uint8_t)(set & all) : NOTHING;
}

static int copy_rule(struct rule *rule, struct pools *to,
		     const struct rule_spec *spec, const struct rules *rules)
{
	int r;

	*rule = (struct rule){
		.name = copy_text(to, spec->name,
				  spec->name ? strlen(spec->name) : 0),
		.ports = to->ports,
		.listeners = to->listeners,
		.port_count = (uint16_t)spec->port_count,
		.listener_count = (uint16_t)spec->listener_count,
		.user_count = (uint16_t)spec->user_count,
		.group_count = (uint16_t)spec->group_count,
		.people = to->numbers,
		.commands = narrow(spec->commands, ALL_COMMANDS),
		.protocols = narrow(spec->protocols, ALL_PROTOCOLS),
		.named = spec->user_count + spec->group_count > 0,
		.anybody = rule_spec_names_anybody(spec),
		.nobody = rule_spec_names_nobody(spec),
		.timed = spec->when_count > 0,
		.allow = spec->allow,
	};
	r = copy_matches(to, spec->from, spec->from_count, &rule->from,
			 &rule->from_count);
	if (r == 0)
		r = copy_matches(to, spec->to, spec->to_count, &rule->to,
				 &rule->to_count);
	if (r < 0)
		return r;
	copy_numbers(to, &rules->users.users, spec->users, spec->user_count);
	copy_numbers(to, &rules->users.groups, spec->groups, spec->group_count);
	for (size_t i = 0; i < spec->port_count; i++)
		*to->ports++ = spec->ports[i];
	for (size_t i = 0; i < spec->listener_count; i++)
		*to->listeners++ = spec->listeners[i];
	return 0;
}

static void copy_client_part(struct client_part *c, struct pools *to,
			     const struct rule_spec *spec)
{
	uint32_t left = spec->auth ? spec->auth : AUTH_BIT(AUTH_NONE);

	*c = (struct client_part){ .userids = to->userids,
				   .userid_count = spec->userid_count,
				   .auth = left };
	for (size_t i = 0; i < spec->userid_count; i++)
		*to->userids++ = copy_text(to, spec->userids[i],
					   strlen(spec->userids[i]));
	for (unsigned i = 0; i < spec->order_count; i++) {
		c->order[c->order_count++] = spec->order[i];
		left &= ~AUTH_BIT(spec->order[i]);
	}
	for (unsigned m = 0; m < AUTH_METHODS; m++)
		if (left & AUTH_BIT(m))
			c->order[c->order_count++] = (enum auth_method)m;
}

/* Into one block of its own: most have none. */
static int copy_times(struct rules *rules, const struct rule_spec *clients,
		      const struct rule_spec *requests)
{
	size_t first = rules->clients.count;
	size_t count = first + rules->requests.count, windows = 0;
	struct rule_window *to;

	for (size_t i = 0; i < count; i++)
		windows += i < first ? clients[i].when_count
				     : requests[i - first].when_count;
	if (!windows)
		return 0;
	rules->when = calloc(1, count * sizeof(*rules->when) +
					windows * sizeof(*to));
	if (!rules->when)
		return -ENOMEM;
	to = (struct rule_window *)(rules->when + count);
	for (size_t i = 0; i < count; i++) {
		const struct rule_spec *spec = i < first ? &clients[i]
							 : &requests[i - first];

		rules->when[i] = (struct rule_when){ to, spec->when_count };
		for (size_t k = 0; k < spec->when_count; k++)
			*to++ = spec->when[k];
	}
	return 0;
}

int rules_copy(struct rules *rules, const struct rule_spec *clients,
	       const struct rule_spec *requests)
{
	struct room room = { 0 };
	struct pools to;
	int r = add_room(&room, clients, rules->clients.count);

	if (r == 0)
		r = add_room(&room, requests, rules->requests.count);
	if (r == 0)
		r = make_pools(rules, &room, &to);
	for (size_t i = 0; r == 0 && i < rules->clients.count; i++) {
		r = copy_rule(&rules->clients.at[i], &to, &clients[i], rules);
		copy_client_part(&rules->client[i], &to, &clients[i]);
	}
	for (size_t i = 0; r == 0 && i < rules->requests.count; i++)
		r = copy_rule(&rules->requests.at[i], &to, &requests[i], rules);
	return r == 0 ? copy_times(rules, clients, requests) : r;
}
