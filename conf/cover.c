/*
 * Coverage of conditions, element by element.
 */
#include "conf/cover.h"

#include <string.h>

/* What addr_is_guarded() knows, as prefixes, with what embeds IPv4. */
static const char *const guarded[] = {
	"0.0.0.0/8",       "127.0.0.0/8",     "169.254.0.0/16", "224.0.0.0/4",
	"255.255.255.255", "100.100.100.200", "::/96",          "64:ff9b::/96",
	"2002::/16",       "fe80::/10",       "ff00::/8",       "fd00:ec2::/32",
	"::ffff:0:0/96",
};

static bool may_be_guarded(const struct prefix *p)
{
	struct prefix g;

	for (size_t i = 0; i < ARRAY_SIZE(guarded); i++) {
		int r = prefix_parse(&g, guarded[i]);

		ASSERT(r == 0);
		if (prefix_contains(&g, p) || prefix_contains(p, &g))
			return true;
	}
	return false;
}

/* Tells whether `name` is `domain` or lies below it. */
static bool is_within(const char *name, const char *domain)
{
	size_t len = strlen(name), tail = strlen(domain);

	if (len < tail || strcmp(name + len - tail, domain) != 0)
		return false;
	return len == tail || name[len - tail - 1] == '.';
}

static bool any_covers(const struct conf_match *inner, bool targets)
{
	if (!targets)
		return true;
	switch (inner->kind) {
	case CONF_MATCH_PREFIX:
		return !may_be_guarded(&inner->prefix);
	case CONF_MATCH_CLASS:
		return inner->class == ADDR_CLASS_ANY ||
		       inner->class == ADDR_CLASS_INTERNET;
	case CONF_MATCH_NAME:
	case CONF_MATCH_SUFFIX:
		return true;
	case CONF_MATCH_FILE:
		return false;
	}
	return false;
}

static bool element_covers(const struct conf_match *outer,
			   const struct conf_match *inner, bool targets)
{
	switch (outer->kind) {
	case CONF_MATCH_CLASS:
		if (outer->class == ADDR_CLASS_ANY)
			return any_covers(inner, targets);
		return inner->kind == CONF_MATCH_CLASS &&
		       inner->class == outer->class;
	case CONF_MATCH_PREFIX:
		return inner->kind == CONF_MATCH_PREFIX &&
		       prefix_contains(&outer->prefix, &inner->prefix);
	case CONF_MATCH_NAME:
		return inner->kind == CONF_MATCH_NAME &&
		       !strcmp(inner->name, outer->name);
	case CONF_MATCH_SUFFIX:
		return (inner->kind == CONF_MATCH_NAME ||
			inner->kind == CONF_MATCH_SUFFIX) &&
		       is_within(inner->name, outer->name);
	case CONF_MATCH_FILE:
		return inner->kind == CONF_MATCH_FILE &&
		       !strcmp(inner->file, outer->file);
	}
	return false;
}

bool conf_matches_cover(const struct conf_matches *outer,
			const struct conf_matches *inner, bool targets)
{
	for (size_t i = 0; i < inner->count; i++) {
		size_t k = 0;

		while (k < outer->count &&
		       !element_covers(&outer->at[k], &inner->at[i], targets))
			k++;
		if (k == outer->count)
			return false;
	}
	return true;
}

static bool range_covered(const struct conf_ports *outer,
			  const struct conf_port_range *inner)
{
	for (size_t i = 0; i < outer->count; i++)
		if (outer->at[i].lo <= inner->lo &&
		    outer->at[i].hi >= inner->hi)
			return true;
	return false;
}

bool conf_ports_cover(const struct conf_ports *outer,
		      const struct conf_ports *inner)
{
	if (!outer->count)
		return true;
	if (!inner->count)
		return false;
	for (size_t i = 0; i < inner->count; i++)
		if (!range_covered(outer, &inner->at[i]))
			return false;
	return true;
}

bool conf_listeners_hold(const struct conf_listener_set *set, size_t listener)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->at[i] == listener)
			return true;
	return !set->count;
}

bool conf_listeners_cover(const struct conf_listener_set *outer,
			  const struct conf_listener_set *inner)
{
	if (!outer->count)
		return true;
	for (size_t i = 0; i < inner->count; i++)
		if (!conf_listeners_hold(outer, inner->at[i]))
			return false;
	return inner->count > 0;
}

static bool window_covered(const struct conf_windows *outer,
			   const struct conf_window *inner)
{
	for (size_t i = 0; i < outer->count; i++)
		if (conf_window_equal(&outer->at[i], inner))
			return true;
	return false;
}

bool conf_windows_cover(const struct conf_windows *outer,
			const struct conf_windows *inner)
{
	for (size_t i = 0; outer->count && i < inner->count; i++)
		if (!window_covered(outer, &inner->at[i]))
			return false;
	return !outer->count || inner->count;
}

bool conf_texts_hold(const struct conf_texts *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->at[i], text))
			return true;
	return false;
}

bool conf_texts_cover(const struct conf_texts *outer,
		      const struct conf_texts *inner)
{
	for (size_t i = 0; i < inner->count; i++)
		if (!conf_texts_hold(outer, inner->at[i]))
			return false;
	return true;
}

bool conf_matches_everyone(const struct conf_matches *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct conf_match *m = &from->at[i];

		if (m->kind == CONF_MATCH_CLASS &&
		    (m->class == ADDR_CLASS_ANY ||
		     m->class == ADDR_CLASS_INTERNET))
			return true;
		/* 0.0.0.0/0, or ::/0 and all of its global part. */
		if (m->kind == CONF_MATCH_PREFIX &&
		    m->prefix.bits <= (m->prefix.v4 ? 96 : 3))
			return true;
	}
	return false;
}
