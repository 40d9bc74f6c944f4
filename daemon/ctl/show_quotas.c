/*
 * A row a user; what has no bound is a dash.
 */
#include "daemon/ctl/show_quotas.h"

#include "daemon/ctl/columns.h"
#include "daemon/ctl/human.h"

#define TEXT_BYTES 1024

static const struct column columns[] = {
	{ "USER", false },    { "QUOTA", false }, { "TODAY", true },
	{ "OF", true },       { "MONTH", true },  { "OF", true },
	{ "USED UP", false },
};

static char *text_in(const json_t *j, const char *key, char *out)
{
	const char *text = json_string_value(json_object_get(j, key));

	return human_text(text ? text : "", out, TEXT_BYTES);
}

static char *size_in(const json_t *j, const char *key, char *out)
{
	return human_size((uint64_t)json_integer_value(json_object_get(j, key)),
			  out);
}

static const char *bound_in(const json_t *j, const char *key, char *out)
{
	return json_integer_value(json_object_get(j, key))
		       ? size_in(j, key, out)
		       : "-";
}

static int put_row(struct columns *c, const json_t *j)
{
	char user[TEXT_BYTES], quota[TEXT_BYTES], over[TEXT_BYTES];
	char day[HUMAN_BYTES], day_limit[HUMAN_BYTES];
	char month[HUMAN_BYTES], month_limit[HUMAN_BYTES];
	bool used_up = json_is_true(json_object_get(j, "used_up"));
	const char *cells[] = {
		text_in(j, "user", user),
		text_in(j, "quota", quota),
		size_in(j, "day", day),
		bound_in(j, "day_limit", day_limit),
		size_in(j, "month", month),
		bound_in(j, "month_limit", month_limit),
		used_up ? text_in(j, "over", over) : "",
	};

	_Static_assert(ARRAY_SIZE(cells) == ARRAY_SIZE(columns), "a cell each");
	return columns_put(c, cells);
}

int show_quotas(FILE *out, const struct reply *r)
{
	struct columns c;
	const json_t *j;
	size_t i;
	int bad = 0;

	columns_init(&c, out, columns, ARRAY_SIZE(columns));
	json_array_foreach(r->lines, i,
			   j) if (bad == 0 && json_object_get(j, "user"))
		bad = put_row(&c, j);
	columns_done(&c);
	return bad;
}
