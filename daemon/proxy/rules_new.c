/*
 * Makes rules of their specifications: checks these, counts what has to be
 * copied, then copies it all into one block.
 */
#include "daemon/proxy/rules.h"

#include "daemon/proxy/rules_internal.h"
#include "daemon/proxy/target.h"

#include <stdlib.h>
#include <string.h>

#define ALL_AUTH (AUTH_BIT(AUTH_NONE) | AUTH_BIT(AUTH_PASSWORD))

/* How much there is to copy. */
struct room {
	size_t matches, userids, ports, listeners, text;
};

/* Where the next copies go. */
struct pools {
	struct rule_match *matches;
	const char **userids;
	struct port_range *ports;
	uint16_t *listeners;
	char *text;
};

/* The name of a match without the dots at its ends. */
static struct span bare_name(const struct rule_match *m)
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
		return m->name && host_name_is_valid(bare_name(m));
	case RULE_MATCH_LIST:
		return false;
	}
	return false;
}

/* What a rule of the one list has, and one of the other has not. */
static bool kind_is_valid(const struct rule_spec *spec, bool client)
{
	if (!client)
		return !spec->userid_count && !spec->auth;
	for (size_t i = 0; i < spec->userid_count; i++)
		if (!spec->userids[i])
			return false;
	return !spec->to_count && !spec->port_count && !spec->commands &&
	       !(spec->auth & ~ALL_AUTH);
}

static bool spec_is_valid(const struct rule_spec *spec, bool client)
{
	if (!kind_is_valid(spec, client))
		return false;
	for (size_t i = 0; i < spec->from_count; i++)
		if (match_is_by_name(&spec->from[i]) ||
		    !match_is_valid(&spec->from[i]))
			return false;
	for (size_t i = 0; i < spec->to_count; i++)
		if (!match_is_valid(&spec->to[i]))
			return false;
	for (size_t i = 0; i < spec->port_count; i++)
		if (spec->ports[i].first > spec->ports[i].last)
			return false;
	for (size_t i = 0; i < spec->listener_count; i++)
		if (!spec->listeners[i])
			return false;
	return true;
}

static size_t text_size(const struct rule_match *m, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		if (match_is_by_name(&m[i]))
			size += bare_name(&m[i]).len + 1;
	return size;
}

static int add_room(struct room *room, const struct rule_spec *specs,
		    size_t count, bool client)
{
	if (count > UINT16_MAX)
		return -E2BIG;
	for (size_t i = 0; i < count; i++) {
		const struct rule_spec *spec = &specs[i];

		if (!spec_is_valid(spec, client))
			return -EINVAL;
		room->matches += spec->from_count + spec->to_count;
		room->userids += spec->userid_count;
		room->ports += spec->port_count;
		room->listeners += spec->listener_count;
		room->text += text_size(spec->to, spec->to_count) + 1;
		if (spec->name)
			room->text += strlen(spec->name);
		for (size_t k = 0; k < spec->userid_count; k++)
			room->text += strlen(spec->userids[k]) + 1;
	}
	return 0;
}

static const char *copy_text(struct pools *to, const void *text, size_t len)
{
	char *copy = to->text;

	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	to->text += len + 1;
	return copy;
}

static const struct rule_match *
copy_matches(struct pools *to, const struct rule_match *from, size_t count)
{
	struct rule_match *copy = to->matches;

	for (size_t i = 0; i < count; i++) {
		copy[i] = from[i];
		if (match_is_by_name(&from[i])) {
			struct span name = bare_name(&from[i]);

			copy[i].name = copy_text(to, name.at, name.len);
		}
	}
	to->matches += count;
	return copy;
}

static void copy_rule(struct rule *rule, struct pools *to,
		      const struct rule_spec *spec)
{
	*rule = (struct rule){
		.name = copy_text(to, spec->name,
				  spec->name ? strlen(spec->name) : 0),
		.from = copy_matches(to, spec->from, spec->from_count),
		.to = copy_matches(to, spec->to, spec->to_count),
		.userids = to->userids,
		.ports = to->ports,
		.listeners = to->listeners,
		.from_count = spec->from_count,
		.to_count = spec->to_count,
		.port_count = spec->port_count,
		.listener_count = spec->listener_count,
		.userid_count = spec->userid_count,
		.commands = spec->commands,
		.auth = spec->auth ? spec->auth : AUTH_BIT(AUTH_NONE),
		.allow = spec->allow,
	};
	for (size_t i = 0; i < spec->userid_count; i++)
		*to->userids++ = copy_text(to, spec->userids[i],
					   strlen(spec->userids[i]));
	for (size_t i = 0; i < spec->port_count; i++)
		*to->ports++ = spec->ports[i];
	for (size_t i = 0; i < spec->listener_count; i++)
		*to->listeners++ = spec->listeners[i];
}

int rules_new(struct rules **ret, const struct rule_spec *clients,
	      size_t client_count, const struct rule_spec *requests,
	      size_t request_count, const struct groups *groups)
{
	struct room room = { 0 };
	struct pools to;
	struct rules *rules;
	int r;

	(void)groups;
	r = add_room(&room, clients, client_count, true);
	if (r == 0)
		r = add_room(&room, requests, request_count, false);
	if (r < 0)
		return r;
	rules = calloc(1, sizeof(*rules) +
				  (client_count + request_count) *
					  sizeof(struct rule) +
				  room.matches * sizeof(*to.matches) +
				  room.userids * sizeof(*to.userids) +
				  room.ports * sizeof(*to.ports) +
				  room.listeners * sizeof(*to.listeners) +
				  room.text);
	if (!rules)
		return -ENOMEM;
	rules->clients = (struct rule_list){ rules->all, client_count };
	rules->requests = (struct rule_list){ rules->all + client_count,
					      request_count };
	/* What needs the widest alignment comes first. */
	to.matches = (struct rule_match *)(rules->requests.at + request_count);
	to.userids = (const char **)(to.matches + room.matches);
	to.ports = (struct port_range *)(to.userids + room.userids);
	to.listeners = (uint16_t *)(to.ports + room.ports);
	to.text = (char *)(to.listeners + room.listeners);
	for (size_t i = 0; i < client_count; i++)
		copy_rule(&rules->clients.at[i], &to, &clients[i]);
	for (size_t i = 0; i < request_count; i++)
		copy_rule(&rules->requests.at[i], &to, &requests[i]);
	*ret = rules;
	return 0;
}

void rules_free(struct rules *rules)
{
	free(rules);
}
