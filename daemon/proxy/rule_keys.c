/*
 * Keys get their numbers when rules are taken in; each_...() find them again,
 * for each index that is made.
 */
#include "daemon/proxy/rule_keys.h"

#include "daemon/proxy/give_way.h"

#include <stdlib.h>
#include <string.h>

int rule_keys_init(struct rule_keys *k, const struct rule_users *users)
{
	*k = (struct rule_keys){ .users = users };
	return name_set_init(&k->names);
}

void rule_keys_done(struct rule_keys *k)
{
	name_set_done(&k->names);
	prefix_table_done(&k->to);
	prefix_table_done(&k->from);
	port_table_done(&k->ports);
}

/* --- Taking in ---------------------------------------------------------- */

static int take_ports(struct rule_keys *k, const struct rule_spec *spec)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->port_count; i++)
		r = port_table_add(&k->ports, &spec->ports[i]);
	return r;
}

static int take_names(struct rule_keys *k, const struct rule_spec *spec)
{
	uint32_t number;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->to_count; i++)
		if (spec->to[i].type == RULE_MATCH_NAME)
			r = name_set_add(&k->names, spec->to[i].name,
					 NAME_ITSELF, &number);
		else if (spec->to[i].type == RULE_MATCH_SUFFIX)
			r = name_set_add(&k->names, spec->to[i].name,
					 NAME_SUFFIX, &number);
	return r;
}

/* Writes those of the elements that are prefixes, unless `out` is NULL. */
static size_t gather(struct prefix *out, const struct rule_match *m,
		     size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		give_way(GIVE_WAY_ENTRY);
		if (m[i].type != RULE_MATCH_PREFIX)
			continue;
		if (out)
			out[found] = m[i].prefix;
		found++;
	}
	return found;
}

static size_t gather_all(struct prefix *out, const struct rule_spec *specs,
			 size_t count, bool to)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += gather(out ? out + found : NULL,
				to ? specs[i].to : specs[i].from,
				to ? specs[i].to_count : specs[i].from_count);
	return found;
}

struct spec_lists {
	const struct rule_spec *clients, *requests;
	size_t client_count, request_count;
};

static int take_prefixes(struct prefix_table *t, const struct spec_lists *s,
			 bool to)
{
	size_t first = gather_all(NULL, s->clients, s->client_count, to);
	size_t count = first +
		       gather_all(NULL, s->requests, s->request_count, to);
	struct prefix *list = calloc(count + 1, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	(void)gather_all(list, s->clients, s->client_count, to);
	(void)gather_all(list + first, s->requests, s->request_count, to);
	r = prefix_table_init(t, list, count);
	free(list);
	return r;
}

int rule_keys_take(struct rule_keys *k, const struct rule_spec *clients,
		   size_t client_count, const struct rule_spec *requests,
		   size_t request_count)
{
	const struct spec_lists lists = { clients, requests, client_count,
					  request_count };
	int r = take_prefixes(&k->from, &lists, false);

	if (r == 0)
		r = take_prefixes(&k->to, &lists, true);
	for (size_t i = 0; r == 0 && i < request_count; i++) {
		r = take_names(k, &requests[i]);
		if (r == 0)
			r = take_ports(k, &requests[i]);
	}
	return r;
}

/* --- Asking ------------------------------------------------------------- */

uint32_t rule_keys_count(const struct rule_keys *k, enum rule_key_kind kind)
{
	switch (kind) {
	case KEY_USER:
		return k->users->users.count;
	case KEY_GROUP:
		return k->users->groups.count;
	case KEY_NAME:
	case KEY_SUFFIX:
		return k->names.table.count;
	case KEY_TO:
		return k->to.count;
	case KEY_FROM:
		return k->from.count;
	case KEY_PORT:
		return k->ports.count;
	}
	return 0;
}

static void each_text(const struct text_table *t, const char *const *list,
		      size_t count, enum rule_key_kind kind, rule_keys_fn *fn,
		      void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		give_way(GIVE_WAY_LINE);
		fn(ctx, kind,
		   text_table_find(t, (struct span){ (const uint8_t *)list[i],
						     strlen(list[i]) }));
	}
}

static void each_match(const struct rule_keys *k, const struct rule_match *m,
		       bool to, rule_keys_fn *fn, void *ctx)
{
	give_way(GIVE_WAY_LINE);
	switch (m->type) {
	case RULE_MATCH_PREFIX:
		fn(ctx, to ? KEY_TO : KEY_FROM,
		   prefix_table_number(to ? &k->to : &k->from, &m->prefix));
		break;
	case RULE_MATCH_NAME:
		fn(ctx, KEY_NAME, name_set_find(&k->names, m->name));
		break;
	case RULE_MATCH_SUFFIX:
		fn(ctx, KEY_SUFFIX, name_set_find(&k->names, m->name));
		break;
	case RULE_MATCH_CLASS:
	case RULE_MATCH_LIST:
		break;
	}
}

static void each_port(const struct rule_keys *k, const struct rule_spec *spec,
		      rule_keys_fn *fn, void *ctx)
{
	for (size_t i = 0; i < spec->port_count; i++) {
		uint32_t runs[PORT_RUNS];
		unsigned count = port_runs(&spec->ports[i], runs);

		for (unsigned n = 0; n < count; n++)
			fn(ctx, KEY_PORT, port_table_find(&k->ports, runs[n]));
	}
}

void rule_keys_each(const struct rule_keys *k, const struct rule_spec *spec,
		    enum rule_part part, rule_keys_fn *fn, void *ctx)
{
	switch (part) {
	case PART_USERS:
		each_text(&k->users->users, spec->users, spec->user_count,
			  KEY_USER, fn, ctx);
		each_text(&k->users->groups, spec->groups, spec->group_count,
			  KEY_GROUP, fn, ctx);
		break;
	case PART_TO:
		for (size_t i = 0; i < spec->to_count; i++)
			each_match(k, &spec->to[i], true, fn, ctx);
		break;
	case PART_FROM:
		for (size_t i = 0; i < spec->from_count; i++)
			each_match(k, &spec->from[i], false, fn, ctx);
		break;
	case PART_PORTS:
		each_port(k, spec, fn, ctx);
		break;
	}
}
