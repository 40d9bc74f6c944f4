/*
 * Every option of the table: its default, the bounds and one beyond, each
 * type of value, words that are unknown.  Driven by the table, so that a new
 * option is tested as soon as it has a row.
 */
#include "conf/fill.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct option_at {
	const struct conf_section *section;
	const struct conf_option *option;
};

/* An entry with this value, and lists of all that it may speak of. */
static void write_list(struct option_at at, const char *value, char *out,
		       size_t size)
{
	static const char *const rest[][2] = {
		{ "tls", "" },     { "listeners", "tls = \"edge\";" },
		{ "clients", "" }, { "upstreams", "" },
		{ "rules", "" },   { "quotas", "" },
	};
	char assignment[6000];
	size_t used = (size_t)snprintf(out, size,
				       "auth: { users_file = \"/users\"; };\n");

	(void)snprintf(assignment, sizeof(assignment), "%s = %s;",
		       at.option->key, value);
	for (size_t i = 0; i < ARRAY_SIZE(rest); i++) {
		bool here = !strcmp(rest[i][0], at.section->name);

		conf_text_entry(out + used, size - used, rest[i][0],
				here ? at.option->key : "",
				here ? assignment : rest[i][1]);
		used += strlen(out + used);
	}
}

/* Writes a configuration in which this option has this value. */
static void write_text(struct option_at at, const char *value, char *out,
		       size_t size)
{
	const char *key = at.option->key, *name = at.section->name;

	if (at.section->is_list)
		write_list(at, value, out, size);
	else if (*name)
		(void)snprintf(out, size, CONF_TEXT "%s: { %s = %s; };", name,
			       key, value);
	else
		(void)snprintf(out, size, CONF_TEXT "%s = %s;", key, value);
}

static const void *field(struct option_at at, const struct conf *c)
{
	const char *base = (const char *)c + at.section->offset, *entries;

	if (!at.section->is_list)
		return base + at.option->offset;
	memcpy(&entries, base, sizeof(entries));
	return entries + at.option->offset;
}

/* Loads with that value; NULL: refused, with the key in the only error. */
static struct conf *try(struct option_at at, const char *value)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	char text[8192];
	int r;

	write_text(at, value, text, sizeof(text));
	r = conf_load_text(&c, text, "text", &e);
	if (r < 0) {
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_msg(e.errors == 1 &&
				      strstr(e.list[0].text, at.option->key),
			      "%zu errors, first: %s\n%s", e.errors,
			      e.list[0].text, text);
	}
	conf_errors_done(&e);
	return c;
}

static void refused(struct option_at at, const char *value)
{
	struct conf *c = try(at, value);

	ck_assert_msg(!c, "%s: %s = %s was taken", at.section->name,
		      at.option->key, value);
}

static struct conf *taken(struct option_at at, const char *value)
{
	struct conf *c = try(at, value);

	ck_assert_msg(c != NULL, "%s: %s = %s was refused", at.section->name,
		      at.option->key, value);
	return c;
}

/* Calls for every option that is not required. */
static void each_option(void (*call)(struct option_at at))
{
	for (size_t i = 0; i < conf_section_count; i++)
		for (size_t k = 0; k < conf_sections[i]->option_count; k++) {
			struct option_at at = {
				conf_sections[i],
				&conf_sections[i]->options[k],
			};

			if (!at.option->required)
				call(at);
		}
}

static bool is_quantity(const struct conf_option *o)
{
	return o->type == CONF_TYPE_INT || o->type == CONF_TYPE_SIZE ||
	       o->type == CONF_TYPE_DURATION;
}

static int64_t quantity(struct option_at at, const struct conf *c)
{
	const void *f = field(at, c);

	if (at.option->type == CONF_TYPE_INT)
		return *(const uint32_t *)f;
	if (at.option->type == CONF_TYPE_SIZE)
		return (int64_t) * (const uint64_t *)f;
	return *(const int64_t *)f;
}

static const char *unit(const struct conf_option *o)
{
	return o->type == CONF_TYPE_DURATION ? "ms" : "";
}

static void check_value(struct option_at at, int64_t n, bool good)
{
	char value[64];
	struct conf *c;

	(void)snprintf(value, sizeof(value), "\"%" PRId64 "%s\"", n,
		       unit(at.option));
	if (!good) {
		refused(at, value);
		return;
	}
	/* ttl_min has its own bound in ttl_max. */
	if (!strcmp(at.option->key, "ttl_min") && n)
		return;
	c = taken(at, value);
	ck_assert_int_eq(quantity(at, c), n);
	conf_free(c);
}

static void check_bounds(struct option_at at)
{
	const struct conf_option *o = at.option;
	int64_t step = o->step ? o->step : 1;
	bool zero = o->or_zero || (o->zero && !strcmp(o->zero, "0"));

	if (!is_quantity(o))
		return;
	check_value(at, o->min, true);
	check_value(at, o->max, true);
	check_value(at, o->min + step, true);
	check_value(at, o->max + step, false);
	check_value(at, o->max * 2, false);
	if (o->min - step != 0 || !zero)
		check_value(at, o->min - step, false);
	if (o->min > 0)
		check_value(at, 0, zero);
	if (step > 1)
		check_value(at, o->min + 1, false);
	check_value(at, -1, false);
	check_value(at, INT64_MAX, false);
	check_value(at, INT64_MIN, false);
}

static void check_rate(struct option_at at)
{
	const struct conf_option *o = at.option;
	char value[64];
	struct conf *c;

	if (o->type != CONF_TYPE_RATE)
		return;
	(void)snprintf(value, sizeof(value), "\"%" PRId64 "/1m\"", o->max);
	c = taken(at, value);
	ck_assert_uint_eq(((const struct conf_rate *)field(at, c))->count,
			  o->max);
	ck_assert_uint_eq(((const struct conf_rate *)field(at, c))->ms, 60000);
	conf_free(c);
	(void)snprintf(value, sizeof(value), "\"%" PRId64 "/s\"", o->max + 1);
	refused(at, value);
	conf_free(taken(at, "\"1/1d\""));
	conf_free(taken(at, "\"1/100ms\""));
	conf_free(taken(at, "\"0\""));
	conf_free(taken(at, "0"));
	refused(at, "\"1/99ms\"");
	refused(at, "\"1/2d\"");
	refused(at, "\"0/s\"");
	refused(at, "\"5\"");
	refused(at, "5");
	refused(at, "\"\"");
}

START_TEST(rates_keep_their_bounds)
{
	each_option(check_rate);
}
END_TEST

START_TEST(quantities_keep_their_bounds)
{
	each_option(check_bounds);
}
END_TEST

static void check_number(struct option_at at)
{
	char value[64];

	if (at.option->type == CONF_TYPE_INT) {
		(void)snprintf(value, sizeof(value), "%" PRId64 "L",
			       at.option->max);
		conf_free(taken(at, value));
		(void)snprintf(value, sizeof(value), "\"0x%" PRIx64 "\"",
			       (uint64_t)at.option->max);
		conf_free(taken(at, value));
	} else if (at.option->type == CONF_TYPE_SIZE) {
		(void)snprintf(value, sizeof(value), "%" PRId64 "L",
			       at.option->max);
		conf_free(taken(at, value));
	} else if (at.option->type == CONF_TYPE_DURATION) {
		refused(at, "15");
		refused(at, "\"15\"");
	}
	if (at.option->zero) {
		(void)snprintf(value, sizeof(value), "\"%s\"", at.option->zero);
		conf_free(taken(at, value));
	}
}

/* Every type of value that libconfig has but the right ones. */
static void check_types(struct option_at at)
{
	bool list = conf_type_is_list(at.option->type);
	bool number = is_quantity(at.option) ||
		      at.option->type == CONF_TYPE_RATE ||
		      at.option->type == CONF_TYPE_PORTS;

	refused(at, "1.5");
	refused(at, "{ }");
	refused(at, "{ a = 1; }");
	if (at.option->type == CONF_TYPE_BOOL) {
		refused(at, "\"true\"");
		refused(at, "\"yes\"");
	} else {
		refused(at, "true");
	}
	if (!number) {
		refused(at, "1");
		refused(at, "1L");
	}
	if (list) {
		refused(at, "( { } )");
		refused(at, "( ( ) )");
		refused(at, "[ true ]");
		refused(at, "[ 1.5 ]");
	} else {
		refused(at, "[ ]");
		refused(at, "( )");
		refused(at, "[ \"a\" ]");
		refused(at, "( 1 )");
	}
}

START_TEST(wrong_types_are_refused)
{
	each_option(check_types);
}
END_TEST

static void check_default(struct option_at at)
{
	const struct conf_option *o = at.option;
	const char *key = o->key;
	struct conf *c, *d;
	char value[128], *a, *b;

	if (conf_type_is_list(o->type) || !strcmp(key, "name"))
		return;
	(void)snprintf(value, sizeof(value),
		       o->type == CONF_TYPE_BOOL ? "%s" : "\"%s\"", o->def);
	c = taken(at, value);
	d = conf_text_load(CONF_TEXT);
	a = conf_text_dump(c);
	b = conf_text_dump(d);
	ck_assert_str_eq(strchr(a, '\n'), strchr(b, '\n'));
	free(a);
	free(b);
	conf_free(c);
	conf_free(d);
}

START_TEST(a_default_that_is_written_changes_nothing)
{
	for (size_t i = 0; i < conf_section_count; i++)
		for (size_t k = 0; k < conf_sections[i]->option_count; k++) {
			struct option_at at = {
				conf_sections[i],
				&conf_sections[i]->options[k],
			};

			if (!conf_sections[i]->is_list)
				check_default(at);
		}
}
END_TEST

static void check_words(struct option_at at)
{
	struct conf *c;
	char value[64];

	if (!at.option->words)
		return;
	for (unsigned i = 0; at.option->words[i]; i++) {
		uint32_t expected = at.option->type == CONF_TYPE_WORD ? i
								      : 1u << i;

		(void)snprintf(value, sizeof(value), "\"%s\"",
			       at.option->words[i]);
		c = taken(at, value);
		ck_assert_uint_eq(*(const uint32_t *)field(at, c), expected);
		conf_free(c);
		(void)snprintf(value, sizeof(value), "\"%s_\"",
			       at.option->words[i]);
		refused(at, value);
	}
	refused(at, "\"DEBUG\"");
	if (at.option->or_none) {
		conf_free(taken(at, "\"\""));
		conf_free(taken(at, "[ ]"));
	} else {
		refused(at, "\"\"");
		refused(at, "[ ]");
	}
	if (conf_type_is_list(at.option->type)) {
		(void)snprintf(value, sizeof(value), "[ \"%s\", \"%s\" ]",
			       at.option->words[0], at.option->words[0]);
		refused(at, value);
	}
}

START_TEST(words_are_those_of_the_table)
{
	each_option(check_words);
}
END_TEST

START_TEST(numbers_may_be_texts_and_texts_no_durations)
{
	each_option(check_number);
}
END_TEST

static void check_strings(struct option_at at)
{
	const struct conf_option *o = at.option;
	char value[5008], expected[5000];
	struct conf *c;

	if (o->type != CONF_TYPE_STRING && o->type != CONF_TYPE_NAME &&
	    o->type != CONF_TYPE_PATH)
		return;
	memset(expected, 'x', sizeof(expected));
	expected[0] = '/';
	if (o->type == CONF_TYPE_NAME)
		expected[0] = 'x';
	expected[o->max] = '\0';
	(void)snprintf(value, sizeof(value), "\"%s\"", expected);
	c = taken(at, value);
	ck_assert_str_eq(*(const char *const *)field(at, c), expected);
	conf_free(c);
	expected[o->max] = 'x';
	expected[o->max + 1] = '\0';
	(void)snprintf(value, sizeof(value), "\"%s\"", expected);
	refused(at, value);
	if (o->min)
		refused(at, "\"\"");
	else
		conf_free(taken(at, "\"\""));
	refused(at, "\"/\\x07\"");
	refused(at, "\"/\\n\"");
	if (o->type == CONF_TYPE_PATH)
		refused(at, "\"relative\"");
	if (o->type == CONF_TYPE_NAME) {
		refused(at, "\"a b\"");
		refused(at, "\"a/b\"");
		refused(at, "\"\xc3\xa4\"");
		conf_free(taken(at, "\"aZ09_.-\""));
	}
}

START_TEST(strings_keep_their_length_and_kind)
{
	each_option(check_strings);
}
END_TEST

START_TEST(the_log_goes_to_stderr_journal_or_an_absolute_file)
{
	struct conf *c = conf_text_load(
		CONF_TEXT "log: { target = \"file:/var/log/s.log\"; };");

	ck_assert_str_eq(c->log.path, "/var/log/s.log");
	ck_assert(!c->log.journal);
	conf_free(c);
	c = conf_text_load(CONF_TEXT "log: { target = \"stderr\"; };");
	ck_assert_ptr_null(c->log.path);
	ck_assert(!c->log.journal);
	conf_free(c);
	c = conf_text_load(CONF_TEXT "log: { target = \"journal\"; };");
	ck_assert_ptr_null(c->log.path);
	ck_assert(c->log.journal);
	conf_free(c);
	conf_text_refused(CONF_TEXT "log: { target = \"/var/x\"; };",
			  "write \"file:/var/x\"", true);
	conf_text_refused(CONF_TEXT "log: { target = \"file:x\"; };",
			  "must be \"stderr\", \"journal\" or \"file:", true);
	conf_text_refused(CONF_TEXT "log: { target = \"syslog\"; };",
			  "must be \"stderr\", \"journal\" or \"file:", true);
	conf_text_refused(CONF_TEXT "log: { target = \"journal:\"; };",
			  "must be \"stderr\", \"journal\" or \"file:", true);
}
END_TEST

START_TEST(the_control_socket_is_auto_none_or_a_path)
{
	struct conf *c = conf_text_load(CONF_TEXT);

	ck_assert_str_eq(c->admin.socket, "auto");
	conf_free(c);
	c = conf_text_load(CONF_TEXT "admin: { socket = \"\"; };");
	ck_assert_str_eq(c->admin.socket, "");
	conf_free(c);
	c = conf_text_load(CONF_TEXT "admin: { socket = \"/auto\"; };");
	ck_assert_str_eq(c->admin.socket, "/auto");
	conf_free(c);
	conf_text_refused(CONF_TEXT "admin: { socket = \"automatic\"; };",
			  "'socket' is 'automatic', but must be auto or an "
			  "absolute path",
			  true);
	/* The word stands in the place of this path only. */
	conf_text_refused(CONF_TEXT "names: { hosts = \"auto\"; };",
			  "'hosts' is 'auto', but must be an absolute path",
			  true);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fill");
	TCase *t = tcase_create("fill");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, quantities_keep_their_bounds);
	tcase_add_test(t, rates_keep_their_bounds);
	tcase_add_test(t, wrong_types_are_refused);
	tcase_add_test(t, a_default_that_is_written_changes_nothing);
	tcase_add_test(t, words_are_those_of_the_table);
	tcase_add_test(t, numbers_may_be_texts_and_texts_no_durations);
	tcase_add_test(t, strings_keep_their_length_and_kind);
	tcase_add_test(t, the_log_goes_to_stderr_journal_or_an_absolute_file);
	tcase_add_test(t, the_control_socket_is_auto_none_or_a_path);
	suite_add_tcase(s, t);
	return run_suite(s);
}
