/*
 * What specifications of rules make sense.
 */
#include "daemon/proxy/rules_make.h"
#include "daemon/proxy/target.h"
#include "daemon/proxy/week.h"

#include <string.h>

#define ALL_AUTH ((1u << AUTH_METHODS) - 1)

struct span match_bare_name(const struct rule_match *m)
{
	struct span s = { (const uint8_t *)m->name, strlen(m->name) };

	if (m->type == RULE_MATCH_SUFFIX && s.len && s.at[0] == '.')
		s = (struct span){ s.at + 1, s.len - 1 };
	if (s.len && s.at[s.len - 1] == '.')
		s.len--;
	return s;
}

static bool match_is_valid(const struct rule_match *m)
{
	switch (m->type) {
	case RULE_MATCH_PREFIX:
		return m->prefix.bits <= 128 &&
		       m->prefix.bits >= (m->prefix.v4 ? 96 : 0);
	case RULE_MATCH_CLASS:
		return (unsigned)m->class < ADDR_CLASS_COUNT;
	case RULE_MATCH_NAME:
	case RULE_MATCH_SUFFIX:
		return m->name && host_name_is_valid(match_bare_name(m));
	case RULE_MATCH_LIST:
		return m->list;
	}
	return false;
}

static bool texts_are_valid(const char *const *list, size_t count,
			    bool may_be_empty)
{
	for (size_t i = 0; i < count; i++)
		if (!list[i] || (!*list[i] && !may_be_empty))
			return false;
	return true;
}

/* Each of the methods once at most, and no others. */
static bool order_is_valid(const struct rule_spec *spec)
{
	uint32_t seen = 0;

	if (spec->order_count > AUTH_METHODS)
		return false;
	for (unsigned i = 0; i < spec->order_count; i++) {
		uint32_t bit = spec->order[i] < AUTH_METHODS
				       ? AUTH_BIT(spec->order[i])
				       : 0;

		if (!(spec->auth & bit & ~seen))
			return false;
		seen |= bit;
	}
	return true;
}

/* What a rule of the one list has, and one of the other has not. */
static bool kind_is_valid(const struct rule_spec *spec, bool client)
{
	if (!client)
		return !spec->userid_count && !spec->auth &&
		       !spec->order_count &&
		       texts_are_valid(spec->users, spec->user_count, false) &&
		       texts_are_valid(spec->groups, spec->group_count, false);
	return !spec->to_count && !spec->port_count && !spec->commands &&
	       !spec->user_count && !spec->group_count && !spec->protocols &&
	       !(spec->auth & ~ALL_AUTH) && order_is_valid(spec) &&
	       texts_are_valid(spec->userids, spec->userid_count, true);
}

/* A list in `from` may hold names, which no client has. */
static bool froms_are_valid(const struct rule_spec *spec)
{
	for (size_t i = 0; i < spec->from_count; i++)
		if (match_is_by_name(&spec->from[i]) ||
		    !match_is_valid(&spec->from[i]))
			return false;
	return true;
}

static bool spec_is_valid(const struct rule_spec *spec, bool client)
{
	if (!kind_is_valid(spec, client) || !froms_are_valid(spec))
		return false;
	for (size_t i = 0; i < spec->to_count; i++)
		if (!match_is_valid(&spec->to[i]))
			return false;
	for (size_t i = 0; i < spec->when_count; i++)
		if (!spec->when[i].first ||
		    spec->when[i].first > spec->when[i].last ||
		    spec->when[i].last > WEEK_MINUTES)
			return false;
	for (size_t i = 0; i < spec->port_count; i++)
		if (spec->ports[i].first > spec->ports[i].last)
			return false;
	for (size_t i = 0; i < spec->listener_count; i++)
		if (!spec->listeners[i])
			return false;
	return true;
}

bool rule_specs_are_valid(const struct rule_spec *specs, size_t count,
			  bool client)
{
	for (size_t i = 0; i < count; i++)
		if (!spec_is_valid(&specs[i], client))
			return false;
	return true;
}

static bool names(const struct rule_spec *spec, const char *user)
{
	for (size_t i = 0; i < spec->user_count; i++)
		if (!strcmp(spec->users[i], user))
			return true;
	return false;
}

bool rule_spec_names_anybody(const struct rule_spec *spec)
{
	return names(spec, "*");
}

bool rule_spec_names_nobody(const struct rule_spec *spec)
{
	return names(spec, "-");
}
