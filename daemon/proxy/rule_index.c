/*
 * The making of an index takes two rounds over all keys: one to see how many
 * rules share each, one to note each rule under the keys of the part that was
 * chosen.  What a rule costs is 2 bytes for each of these keys.
 */
#include "daemon/proxy/rule_index.h"

#include "daemon/proxy/give_way.h"
#include "daemon/proxy/rules_make.h"

#include <stdlib.h>
#include <string.h>

struct making {
	struct rule_index *ix;
	const struct rule_keys *keys;
	const struct rule_spec *specs;
	size_t count;
	const struct rule_view *view;
	uint32_t *sharing[KEY_KINDS]; /* how many rules have a key */
	uint8_t *part;                /* of each rule; PARTS: none */
	uint32_t worst;               /* of the part at hand */
	uint16_t rule;                /* at hand */
};

/* --- Which part --------------------------------------------------------- */

static bool is_left_out(const struct making *m, size_t i)
{
	return m->view->leave && m->view->leave[i];
}

static bool has_keys(const struct making *m, const struct rule_match *e)
{
	return match_is_by_name(e) ||
	       (e->type == RULE_MATCH_PREFIX && m->view->address);
}

/*
 * Tells whether the rule cannot match but by the keys of `to`.  Where the
 * address is not known, a rule that denies has no say by it, so that its names
 * are all that there is to look at.
 */
static bool is_found_by_to(const struct making *m, const struct rule_spec *spec)
{
	for (size_t i = 0; i < spec->to_count; i++) {
		const struct rule_match *e = &spec->to[i];
		bool is_mute = !spec->allow && !m->view->address &&
			       (e->type == RULE_MATCH_PREFIX ||
				(e->type == RULE_MATCH_CLASS &&
				 !match_is_any(e)));

		if (!has_keys(m, e) && !is_mute)
			return false;
	}
	return spec->to_count > 0;
}

static bool is_found_by_from(const struct rule_spec *spec)
{
	for (size_t i = 0; i < spec->from_count; i++)
		if (spec->from[i].type != RULE_MATCH_PREFIX)
			return false;
	return spec->from_count > 0;
}

static bool is_found_by(const struct making *m, const struct rule_spec *spec,
			enum rule_part part)
{
	if (!(m->view->parts & PART_BIT(part)))
		return false;
	switch (part) {
	case PART_USERS:
		return spec->user_count + spec->group_count > 0 &&
		       !rule_spec_names_anybody(spec) &&
		       !rule_spec_names_nobody(spec);
	case PART_TO:
		return is_found_by_to(m, spec);
	case PART_FROM:
		return is_found_by_from(spec);
	case PART_PORTS:
		return spec->port_count > 0;
	}
	return false;
}

static bool is_of_use(const struct making *m, enum rule_key_kind kind)
{
	return kind != KEY_TO || m->view->address;
}

static void count_key(void *ctx, enum rule_key_kind kind, uint32_t key)
{
	struct making *m = ctx;

	m->sharing[kind][key]++;
}

static void weigh_key(void *ctx, enum rule_key_kind kind, uint32_t key)
{
	struct making *m = ctx;

	if (is_of_use(m, kind) && m->sharing[kind][key] > m->worst)
		m->worst = m->sharing[kind][key];
}

static uint8_t choose_part(struct making *m, const struct rule_spec *spec)
{
	uint32_t best = UINT32_MAX;
	uint8_t choice = PARTS;

	for (unsigned p = 0; p < PARTS; p++) {
		if (!is_found_by(m, spec, (enum rule_part)p))
			continue;
		m->worst = 0;
		rule_keys_each(m->keys, spec, (enum rule_part)p, weigh_key, m);
		if (m->worst < best) {
			best = m->worst;
			choice = (uint8_t)p;
		}
	}
	return choice;
}

static void choose_parts(struct making *m)
{
	for (size_t i = 0; i < m->count; i++)
		for (unsigned p = 0; p < PARTS; p++)
			if (!is_left_out(m, i) && m->view->parts & PART_BIT(p))
				rule_keys_each(m->keys, &m->specs[i],
					       (enum rule_part)p, count_key, m);
	for (size_t i = 0; i < m->count; i++)
		if (!is_left_out(m, i))
			m->part[i] = choose_part(m, &m->specs[i]);
}

/* --- Noting ------------------------------------------------------------- */

static void count_note(void *ctx, enum rule_key_kind kind, uint32_t key)
{
	struct making *m = ctx;

	if (is_of_use(m, kind))
		m->ix->by[kind].of[key]++;
}

/* Those that a key has twice are noted once: they come one after the other. */
static void note(void *ctx, enum rule_key_kind kind, uint32_t key)
{
	struct making *m = ctx;
	struct rule_notes *n = &m->ix->by[kind];
	uint16_t *list;

	if (!is_of_use(m, kind))
		return;
	if (n->of[key] & NOTE_ONE) {
		n->of[key] = NOTE_ONE | m->rule;
		return;
	}
	list = n->list + n->of[key];
	if (list[0] == 0 || list[list[0]] != m->rule)
		list[++list[0]] = m->rule;
}

static void each_note(struct making *m, rule_keys_fn *fn)
{
	for (size_t i = 0; i < m->count; i++) {
		if (is_left_out(m, i) || m->part[i] == PARTS)
			continue;
		m->rule = (uint16_t)i;
		rule_keys_each(m->keys, &m->specs[i],
			       (enum rule_part)m->part[i], fn, m);
	}
}

/* From how many there are of each key to where they are to be noted. */
static int make_room(struct rule_notes *n, uint32_t keys)
{
	uint64_t room = 0;
	bool any = false;

	for (uint32_t k = 0; k < keys; k++) {
		uint32_t count = n->of[k];

		give_way(GIVE_WAY_ENTRY);
		any |= count > 0;
		n->of[k] = count == 0   ? NOTE_NONE
			   : count == 1 ? NOTE_ONE
					: (uint32_t)room;
		/* One of two keys in one rule is not noted: room is left. */
		room += count > 1 ? count + 1 : 0;
		if (room >= NOTE_ONE)
			return -E2BIG;
	}
	if (!any)
		free(TAKE_PTR(n->of));
	if (room == 0)
		return 0;
	n->list = calloc(room, sizeof(*n->list));
	return n->list ? 0 : -ENOMEM;
}

static int note_keys(struct making *m)
{
	int r = 0;

	for (unsigned kind = 0; kind < KEY_KINDS; kind++) {
		uint32_t keys = rule_keys_count(m->keys, kind);

		m->ix->by[kind].of = calloc((size_t)keys + 1, sizeof(uint32_t));
		if (!m->ix->by[kind].of)
			return -ENOMEM;
	}
	each_note(m, count_note);
	for (unsigned kind = 0; r == 0 && kind < KEY_KINDS; kind++)
		r = make_room(&m->ix->by[kind], rule_keys_count(m->keys, kind));
	if (r == 0)
		each_note(m, note);
	return r;
}

static int note_others(struct making *m)
{
	struct rule_index *ix = m->ix;

	ix->others = calloc(m->count + 1, sizeof(*ix->others));
	if (!ix->others)
		return -ENOMEM;
	for (size_t i = 0; i < m->count; i++)
		if (!is_left_out(m, i) && m->part[i] == PARTS)
			ix->others[ix->other_count++] = (uint16_t)i;
	return 0;
}

/* --- Life --------------------------------------------------------------- */

static int make(struct making *m)
{
	int r;

	m->part = calloc(m->count + 1, sizeof(*m->part));
	if (!m->part)
		return -ENOMEM;
	for (unsigned kind = 0; kind < KEY_KINDS; kind++) {
		m->sharing[kind] = calloc(
			(size_t)rule_keys_count(m->keys, kind) + 1,
			sizeof(uint32_t));
		if (!m->sharing[kind])
			return -ENOMEM;
	}
	choose_parts(m);
	r = note_keys(m);
	return r < 0 ? r : note_others(m);
}

int rule_index_init(struct rule_index *ix, const struct rule_keys *keys,
		    const struct rule_spec *specs, size_t count,
		    const struct rule_view *view)
{
	struct making m = { .ix = ix,
			    .keys = keys,
			    .specs = specs,
			    .count = count,
			    .view = view };
	int r;

	*ix = (struct rule_index){ 0 };
	r = make(&m);
	free(m.part);
	for (unsigned kind = 0; kind < KEY_KINDS; kind++)
		free(m.sharing[kind]);
	return r;
}

void rule_index_done(struct rule_index *ix)
{
	for (unsigned kind = 0; kind < KEY_KINDS; kind++) {
		free(ix->by[kind].of);
		free(ix->by[kind].list);
	}
	free(ix->others);
}
