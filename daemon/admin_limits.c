/*
 * The limits that are nearest to their bounds, out of the tables of all
 * generations.  Only the fullest counts of each are kept on the way, so that
 * a large table costs reading and no memory.
 */
#include "daemon/admin_pages.h"

#include "daemon/limit_words.h"

#include <string.h>

#define KEPT  64u
#define SHOWN 10u
#define CHUNK 64u /* counts that are looked at together */

struct found {
	struct limits_label label;
	uint64_t count;
	struct table_name of; /* the rule or listener, or "" */
};

struct fullest {
	struct found at[KEPT]; /* the fullest first */
	size_t count;
};

/* Tells whether x is nearer to its bound. */
static bool is_fuller(const struct found *x, const struct found *y)
{
	uint64_t left = x->count * max_size(y->label.bound, 1);
	uint64_t right = y->count * max_size(x->label.bound, 1);

	return left != right ? left > right : x->count > y->count;
}

static void insert(struct fullest *f, const struct found *one)
{
	size_t at;

	if (f->count < KEPT)
		f->count++;
	else if (!is_fuller(one, &f->at[KEPT - 1]))
		return;
	for (at = f->count - 1; at && is_fuller(one, &f->at[at - 1]); at--)
		f->at[at] = f->at[at - 1];
	f->at[at] = *one;
}

/* One key is one thing in all generations: what they have of it is a sum. */
static void add(struct fullest *f, const struct segment *s,
		const struct limits_label *label, uint32_t count)
{
	struct found one = { .label = *label, .count = count };

	for (size_t i = 0; i < f->count; i++) {
		if (f->at[i].label.key != label->key)
			continue;
		one.count += f->at[i].count;
		f->count--;
		memmove(&f->at[i], &f->at[i + 1],
			(f->count - i) * sizeof(f->at[0]));
		break;
	}
	table_name_read(&one.of, s, limit_names(label->kind), label->number);
	insert(f, &one);
}

static void read_segment(struct fullest *f, const struct segment *s)
{
	struct limits_count chunk[CHUNK];
	struct limits_table t;

	if (!table_limits_find(&t, s))
		return;
	for (uint32_t i = 0; i < t.count; i += CHUNK) {
		uint32_t n = (uint32_t)min_size(CHUNK, t.count - i);

		if (segment_peek(s, &t.counts[i], chunk, n * sizeof(chunk[0])) <
		    0)
			return;
		for (uint32_t k = 0; k < n; k++) {
			struct limits_label label;
			uint32_t count = 0;

			if (chunk[k].word)
				count = limits_table_read(&t, i + k, &label);
			if (count)
				add(f, s, &label, count);
		}
	}
}

static json_t *json_found(const struct found *f)
{
	char who[LIMIT_WHO_BYTES];

	(void)limit_who(&f->label, who);
	return json_pack("{s:s, s:I, s:I, s:o, s:o}", "limit",
			 limit_option(f->label.kind), "count",
			 (json_int_t)f->count, "bound",
			 (json_int_t)f->label.bound, "of",
			 admin_text(f->of.text, strlen(f->of.text)), "who",
			 admin_text(who, strlen(who)));
}

json_t *admin_fullest(const struct admin_view *v)
{
	json_t *all = json_array();
	struct fullest f;

	f.count = 0;
	for (size_t i = 0; i < v->count; i++)
		read_segment(&f, v->segments[i]);
	for (size_t i = 0; all && i < min_size(f.count, SHOWN); i++)
		(void)json_array_append_new(all, json_found(&f.at[i]));
	return all;
}
