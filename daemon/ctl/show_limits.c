/*
 * Counts out of the tables of limits.  One key is one thing in all generations
 * that live, so what they have of it is added up.
 *
 * The counts are read by pread(2) before anything else is looked at: through
 * the mapping, each page that nobody has ever used would come into being.
 */
#include "daemon/ctl/show_limits.h"

#include "daemon/ctl/columns.h"
#include "daemon/ctl/human.h"
#include "daemon/limit_words.h"
#include "daemon/tables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN    30u /* rows of the table */
#define ROWS_MAX (1u << 20)
#define CHUNK    64u /* counts that are looked at together */

struct row_of_limit {
	struct limits_label label; /* of the newest generation */
	uint64_t count;
	uint32_t generation;
	struct table_name of; /* the rule or listener, or "" */
};

struct listing {
	FILE *out;
	bool json;
	struct row_of_limit *row;
	size_t count, room;
	uint64_t refused[LIMITS_KINDS], refused_rate[LIMITS_KINDS], uncounted;
};

/* As the configuration calls them. */
static const char *const rates[LIMITS_KINDS] = {
	[LIMITS_CLIENT] = "limits.rate_per_client",
	[LIMITS_CLIENT_RULE_CLIENT] = "clients.rate_per_client",
	[LIMITS_CLIENT_RULE] = "clients.rate",
	[LIMITS_RULE_CLIENT] = "rules.rate_per_client",
	[LIMITS_RULE] = "rules.rate",
};

/* --- Reading ------------------------------------------------------------ */

static int add_row(struct listing *l, const struct segment *s,
		   uint32_t generation, const struct limits_label *label,
		   uint32_t count)
{
	struct row_of_limit *row;

	if (l->count == ROWS_MAX)
		return -EBADMSG;
	if (l->count == l->room) {
		size_t room = max_size(l->room * 2, 64);

		row = realloc(l->row, room * sizeof(*row));
		if (!row)
			return -ENOMEM;
		l->row = row;
		l->room = room;
	}
	row = &l->row[l->count++];
	row->label = *label;
	row->count = count;
	row->generation = generation;
	table_name_read(&row->of, s, limit_names(label->kind), label->number);
	return 0;
}

static int read_counts(struct listing *l, const struct segment *s,
		       const struct limits_table *t, uint32_t generation)
{
	struct limits_count chunk[CHUNK];

	for (uint32_t i = 0; i < t->count; i += CHUNK) {
		uint32_t n = (uint32_t)min_size(CHUNK, t->count - i);
		int r = segment_peek(s, &t->counts[i], chunk,
				     n * sizeof(chunk[0]));

		for (uint32_t k = 0; r == 0 && k < n; k++) {
			struct limits_label label;
			uint32_t count = 0;

			if (chunk[k].word)
				count = limits_table_read(t, i + k, &label);
			if (count)
				r = add_row(l, s, generation, &label, count);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* One generation; takes the descriptor. */
static int read_generation(struct listing *l, int fd)
{
	struct table_about about;
	struct segment *s = NULL;
	struct limits_table t;
	int r = segment_open(&s, fd);

	if (r == 0 &&
	    (!table_about_read(&about, s) || !table_limits_find(&t, s)))
		r = -EBADMSG;
	if (r == 0)
		r = read_counts(l, s, &t, about.generation);
	for (int k = 0; r == 0 && k < LIMITS_KINDS; k++) {
		l->refused[k] += get(&t.about->refused[k]);
		l->refused_rate[k] += get(&t.about->refused_rate[k]);
	}
	if (r == 0)
		l->uncounted += get(&t.about->uncounted);
	segment_free(s);
	return r;
}

/* --- Order -------------------------------------------------------------- */

/* Those of one key together, the newest generation first. */
static int by_key(const void *a, const void *b)
{
	const struct row_of_limit *x = a, *y = b;

	if (x->label.key != y->label.key)
		return x->label.key < y->label.key ? -1 : 1;
	return (x->generation < y->generation) -
	       (x->generation > y->generation);
}

static void add_up(struct listing *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->row, l->count, sizeof(*l->row), by_key);
	for (size_t i = 0; i < l->count; i++) {
		if (kept && l->row[kept - 1].label.key == l->row[i].label.key)
			l->row[kept - 1].count += l->row[i].count;
		else
			l->row[kept++] = l->row[i];
	}
	l->count = kept;
}

/* The fullest first. */
static int by_fullness(const void *a, const void *b)
{
	const struct row_of_limit *x = a, *y = b;
	uint64_t left = x->count * max_size(y->label.bound, 1);
	uint64_t right = y->count * max_size(x->label.bound, 1);

	if (left != right)
		return left > right ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->label.key < y->label.key ? -1 : 1;
}

/* --- Showing ------------------------------------------------------------ */

static int put_json(struct listing *l, json_t *j)
{
	int bad = j ? json_dumpf(j, l->out, JSON_COMPACT | JSON_ENSURE_ASCII)
		    : -1;

	json_decref(j);
	if (bad < 0)
		return ferror(l->out) ? -EIO : -ENOMEM;
	return putc('\n', l->out) == EOF ? -EIO : 0;
}

/* What is no UTF-8 is escaped, as JSON cannot say it. */
static json_t *json_of(const char *text)
{
	char safe[4 * 64 + 1];
	json_t *j = json_string(text);

	return j ? j : json_string(human_text(text, safe, sizeof(safe)));
}

static int show_json_row(struct listing *l, const struct row_of_limit *r)
{
	char text[LIMIT_WHO_BYTES];
	json_t *j = json_pack("{s:s, s:I, s:I}", "limit",
			      limit_option(r->label.kind), "count",
			      (json_int_t)r->count, "bound",
			      (json_int_t)r->label.bound);
	int bad = 0;

	if (j && *r->of.text)
		bad |= json_object_set_new(j, "of", json_of(r->of.text));
	if (j && *limit_who(&r->label, text))
		bad |= json_object_set_new(j, "who", json_of(text));
	if (bad) {
		json_decref(j);
		j = NULL;
	}
	return put_json(l, j);
}

/* Refusals by the options that said so. */
static int show_json_refusals(struct listing *l)
{
	json_t *refused = json_object();
	int bad = 0;

	for (int k = 0; refused && k < LIMITS_KINDS; k++) {
		bad |= json_object_set_new(
			refused, limit_option(k),
			json_integer((json_int_t)l->refused[k]));
		if (rates[k])
			bad |= json_object_set_new(
				refused, rates[k],
				json_integer((json_int_t)l->refused_rate[k]));
	}
	if (bad) {
		json_decref(refused);
		return -ENOMEM;
	}
	return put_json(l, json_pack("{s:o, s:I}", "refused", refused,
				     "uncounted", (json_int_t)l->uncounted));
}

static int show_all_json(struct listing *l)
{
	int bad = 0;

	for (size_t i = 0; bad == 0 && i < l->count; i++)
		bad = show_json_row(l, &l->row[i]);
	return bad < 0 ? bad : show_json_refusals(l);
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static int put_row(struct columns *c, const struct row_of_limit *r)
{
	char count[24], bound[24], full[24], text[64], safe[4 * 64 + 1];
	char of[sizeof(r->of.text) * 4];
	const char *cells[] = {
		count,
		bound,
		full,
		limit_option(r->label.kind),
		or_dash(human_text(r->of.text, of, sizeof(of))),
		or_dash(human_text(limit_who(&r->label, text), safe,
				   sizeof(safe))),
	};

	(void)snprintf(count, sizeof(count), "%" PRIu64, r->count);
	(void)snprintf(bound, sizeof(bound), "%" PRIu32, r->label.bound);
	(void)snprintf(full, sizeof(full), "%" PRIu64 "%%",
		       r->count * 100 / max_size(r->label.bound, 1));
	return columns_put(c, cells);
}

static void show_refusals(const struct listing *l)
{
	for (int k = 0; k < LIMITS_KINDS; k++) {
		if (l->refused[k])
			(void)fprintf(l->out, "refused by %s: %" PRIu64 "\n",
				      limit_option(k), l->refused[k]);
		if (l->refused_rate[k])
			(void)fprintf(l->out, "refused by %s: %" PRIu64 "\n",
				      rates[k], l->refused_rate[k]);
	}
	if (l->uncounted)
		(void)fprintf(l->out,
			      "let in uncounted, limits.table was full: "
			      "%" PRIu64 "\n",
			      l->uncounted);
}

static int show_table(struct listing *l)
{
	static const struct column column[] = {
		{ "COUNT", true },  { "BOUND", true }, { "FULL", true },
		{ "LIMIT", false }, { "OF", false },   { "WHO", false },
	};
	struct columns c;
	int bad = 0;

	columns_init(&c, l->out, column, ARRAY_SIZE(column));
	for (size_t i = 0; bad == 0 && i < l->count && i < SHOWN; i++)
		bad = put_row(&c, &l->row[i]);
	columns_done(&c);
	if (bad < 0)
		return bad;
	if (l->count > SHOWN)
		(void)fprintf(l->out, "... and %zu more, see --json\n",
			      l->count - SHOWN);
	show_refusals(l);
	return ferror(l->out) ? -EIO : 0;
}

static int read_all(struct listing *l, struct reply *r)
{
	const json_t *numbers = json_object_get(r->last, "generations");
	bool complete = true;

	for (size_t i = 0; i < r->fd_count; i++) {
		json_int_t number = json_integer_value(
			json_array_get(numbers, i));
		int bad = read_generation(l, take_fd(&r->fds[i]));

		if (bad == -ENOMEM)
			return bad;
		if (bad == 0)
			continue;
		complete = false;
		(void)fprintf(stderr,
			      "splicedctl: the limits of generation "
			      "%" JSON_INTEGER_FORMAT " cannot be read: %s\n",
			      number, strerror(-bad));
	}
	return complete ? 0 : -EBADMSG;
}

int show_limits(FILE *out, struct reply *r, bool json)
{
	struct listing l = { .out = out, .json = json };
	int partial = read_all(&l, r), bad = partial;

	if (bad == 0 || bad == -EBADMSG) {
		add_up(&l);
		if (l.count)
			qsort(l.row, l.count, sizeof(*l.row), by_fullness);
		bad = json ? show_all_json(&l) : show_table(&l);
	}
	free(l.row);
	return bad < 0 ? bad : partial;
}
