/*
 * The table against itself, the sample file and the manual, so that none of
 * the three lags behind.
 */
#include "conf/option.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct conf_section *section_of(const char *name)
{
	for (size_t i = 0; i < conf_section_count; i++)
		if (!strcmp(conf_sections[i]->name, name))
			return conf_sections[i];
	return NULL;
}

static size_t index_of(const struct conf_section *s)
{
	size_t i = 0;

	while (conf_sections[i] != s)
		i++;
	return i;
}

static bool has_option(const struct conf_section *s, const char *key)
{
	for (size_t i = 0; i < s->option_count; i++)
		if (!strcmp(s->options[i].key, key))
			return true;
	return false;
}

static void check_row(const struct conf_section *s, const struct conf_option *o)
{
	char bounds[CONF_BOUNDS_BYTES];

	ck_assert_msg(o->key && *o->key && o->def && o->help && *o->help,
		      "%s.%s is not complete", s->name, o->key);
	ck_assert_msg(o->help[strlen(o->help) - 1] != '.', "%s.%s: help",
		      s->name, o->key);
	ck_assert_msg(o->min <= o->max || o->words || o->type == CONF_TYPE_BOOL,
		      "%s.%s: bounds", s->name, o->key);
	ck_assert_uint_lt(strlen(conf_option_bounds(o, bounds)),
			  CONF_BOUNDS_BYTES - 1);
	ck_assert_msg(!o->step ||
			      (o->min % o->step == 0 && o->max % o->step == 0),
		      "%s.%s: step", s->name, o->key);
	ck_assert((o->type == CONF_TYPE_WORD || o->type == CONF_TYPE_WORDS ||
		   o->type == CONF_TYPE_RANKING) == (o->words != NULL));
}

START_TEST(every_row_is_complete)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];

		ck_assert_ptr_nonnull(s->help);
		ck_assert_uint_gt(s->size, 0);
		for (size_t k = 0; k < s->option_count; k++) {
			check_row(s, &s->options[k]);
			/* No key twice, and fields lie within the struct. */
			for (size_t m = 0; m < k; m++)
				ck_assert_str_ne(s->options[m].key,
						 s->options[k].key);
			ck_assert_uint_lt(s->options[k].offset, s->size);
		}
	}
}
END_TEST

START_TEST(bounds_are_told)
{
	static const char *const words[] = { "a", "b", NULL };
	struct conf_option o = { .type = CONF_TYPE_INT, .min = 1, .max = 10 };
	char text[CONF_BOUNDS_BYTES];

	ck_assert_str_eq(conf_option_bounds(&o, text), "1 to 10");
	o.zero = "auto";
	ck_assert_str_eq(conf_option_bounds(&o, text), "auto or 1 to 10");
	o = (struct conf_option){ .type = CONF_TYPE_DURATION,
				  .zero = "0",
				  .min = 1000,
				  .max = 60000,
				  .step = 1000 };
	ck_assert_str_eq(conf_option_bounds(&o, text),
			 "0 or 1s to 1m in steps of 1s");
	o = (struct conf_option){ .type = CONF_TYPE_SIZE, .max = 65536 };
	ck_assert_str_eq(conf_option_bounds(&o, text), "0 to 64k");
	o = (struct conf_option){ .type = CONF_TYPE_WORD, .words = words };
	ck_assert_str_eq(conf_option_bounds(&o, text), "one of: a b");
	o.type = CONF_TYPE_WORDS;
	ck_assert_str_eq(conf_option_bounds(&o, text), "some of: a b");
	o.type = CONF_TYPE_RANKING;
	ck_assert_str_eq(conf_option_bounds(&o, text),
			 "in order, some of: a b");
	o = (struct conf_option){ .type = CONF_TYPE_DURATION,
				  .zero = "default",
				  .or_zero = true,
				  .min = 100,
				  .max = 60000 };
	ck_assert_str_eq(conf_option_bounds(&o, text),
			 "default, 0 or 100ms to 1m");
	o = (struct conf_option){ .type = CONF_TYPE_RATE, .min = 1, .max = 50 };
	ck_assert_str_eq(conf_option_bounds(&o, text),
			 "0 or COUNT/TIME, 1 to 50 in 100ms to 1d");
	o = (struct conf_option){ .type = CONF_TYPE_BOOL };
	ck_assert_str_eq(conf_option_bounds(&o, text), "true or false");
	o = (struct conf_option){ .type = CONF_TYPE_STRING };
	ck_assert_str_eq(conf_option_bounds(&o, text), "");
}
END_TEST

/* Opens a file of the source tree; NULL: there is none. */
static FILE *open_source(const char *name)
{
	const char *folder = getenv("SRCDIR");
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder ? folder : ".",
		       name);
	return fopen(path, "re");
}

/* Reads a whole file, ended with a NUL; to be freed. */
static char *slurp(FILE *f)
{
	char *text = NULL;
	size_t size = 0;

	if (getdelim(&text, &size, '\0', f) < 0)
		ck_abort_msg("cannot read a source file");
	(void)fclose(f);
	return text;
}

static char *sample(void)
{
	FILE *f = open_source("conf/spliced.conf");

	ck_assert_msg(f != NULL, "no conf/spliced.conf: run in the source "
				 "tree or set SRCDIR");
	return slurp(f);
}

/*
 * Takes a line "key = value;" of the sample, or "#key = value;"; returns the
 * length of the key, 0 for every other line.
 */
static size_t key_length(const char *line)
{
	size_t len = 0;

	while (islower((unsigned char)line[len]) ||
	       (len && (isdigit((unsigned char)line[len]) || line[len] == '_')))
		len++;
	return len && !strncmp(line + len, " = ", 3) ? len : 0;
}

struct sample_walk {
	const struct conf_section *section;
	bool seen[64][64]; /* by section and option */
};

static void walk_line(struct sample_walk *w, const char *line)
{
	bool commented;
	char key[64];
	size_t len;

	if (islower((unsigned char)*line) && strchr(line, ':') &&
	    !strchr(line, '=')) {
		(void)snprintf(key, sizeof(key), "%.*s",
			       (int)strcspn(line, ":"), line);
		w->section = section_of(key);
		ck_assert_msg(w->section != NULL, "no section '%s'", key);
	}
	line += strspn(line, "\t");
	commented = *line == '#';
	len = key_length(line + commented);
	if (!len)
		return;
	(void)snprintf(key, sizeof(key), "%.*s", (int)len, line + commented);
	ck_assert_msg(has_option(w->section, key), "'%s' has no '%s'",
		      w->section->name, key);
	for (size_t k = 0; k < w->section->option_count; k++)
		if (!strcmp(w->section->options[k].key, key))
			w->seen[index_of(w->section)][k] = true;
}

START_TEST(the_sample_shows_every_option)
{
	struct sample_walk w = { .section = conf_sections[0] };
	char *text = sample(), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		walk_line(&w, line);
	free(text);
	for (size_t i = 0; i < conf_section_count; i++)
		for (size_t k = 0; k < conf_sections[i]->option_count; k++)
			ck_assert_msg(w.seen[i][k],
				      "conf/spliced.conf lacks %s.%s",
				      conf_sections[i]->name,
				      conf_sections[i]->options[k].key);
}
END_TEST

START_TEST(the_sample_loads)
{
	char *text = sample();
	struct conf *c = conf_text_load(text);

	ck_assert_str_eq(c->user, "spliced");
	ck_assert_uint_eq(c->rule_count, 3);
	conf_free(c);
	free(text);
}
END_TEST

/*
 * Takes the '#' away where an option stands behind it: in entries that are
 * comments as a whole, "#{" to "#}", or everywhere else.
 */
static void uncomment(char *text, bool entries)
{
	bool inside = false;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		size_t tabs = strspn(line, "\t");
		char *hash = line + tabs;
		bool brace = !strcmp(hash, "#{") || !strcmp(hash, "#}");

		if (brace)
			inside = hash[1] == '{';
		if (brace ? entries
			  : *hash == '#' && inside == entries &&
				    key_length(hash + 1)) {
			*hash = ' ';
			ck_assert_msg(brace || strchr(hash, ';') != NULL, "%s",
				      hash);
		}
		if (text)
			text[-1] = '\n';
	}
}

START_TEST(what_the_sample_comments_out_is_the_default)
{
	char *text = sample(), *bare = strdup(text), *a, *b;
	struct conf *c, *d;

	uncomment(text, false);
	ck_assert_str_ne(text, bare);
	c = conf_text_load(text);
	d = conf_text_load(bare);
	a = conf_text_dump(c);
	b = conf_text_dump(d);
	ck_assert_str_eq(a, b);
	free(a);
	free(b);
	conf_free(c);
	conf_free(d);
	free(text);
	free(bare);
}
END_TEST

/* Each line of the list's only entry but those of required options. */
static void check_entry_defaults(const char *dump, const char *name)
{
	const struct conf_section *s = section_of(name);
	char mark[80], *begin, *end;

	(void)snprintf(mark, sizeof(mark), "\n%s: (\n", name);
	begin = strstr(dump, mark);
	ck_assert_ptr_nonnull(begin);
	begin = strdup(begin);
	end = strstr(begin, "\n);\n");
	ck_assert_ptr_nonnull(end);
	*end = '\0';
	for (size_t k = 0; k < s->option_count; k++) {
		const char *line;

		(void)snprintf(mark, sizeof(mark),
			       "\n\t\t%s = ", s->options[k].key);
		line = strstr(begin, mark);
		ck_assert_ptr_nonnull(line);
		line = strstr(line, ";");
		ck_assert_msg(s->options[k].required ||
				      !strncmp(line, ";  # default\n", 12),
			      "%s.%s has another default", name,
			      s->options[k].key);
	}
	free(begin);
}

START_TEST(entries_that_the_sample_comments_out_have_defaults)
{
	struct conf_errors e = { 0 };
	char *text = sample(), *dump;
	struct conf *c;

	uncomment(text, true);
	ck_assert_int_eq(conf_load_text(&c, text, "text", &e), 0);
	ck_assert_uint_eq(c->tls_count, 1);
	ck_assert_uint_eq(c->upstream_count, 1);
	dump = conf_text_dump(c);
	check_entry_defaults(dump, "tls");
	check_entry_defaults(dump, "upstreams");
	free(dump);
	conf_free(c);
	conf_errors_done(&e);
	free(text);
}
END_TEST

/* In mdoc "\-" may stand for '-'; keys hold none. */
static bool mentions(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *at = text;

	while ((at = strstr(at, word)) != NULL) {
		bool before = at > text &&
			      (isalnum((unsigned char)at[-1]) || at[-1] == '_');
		bool after = isalnum((unsigned char)at[len]) || at[len] == '_';

		if (!before && !after)
			return true;
		at += len;
	}
	return false;
}

START_TEST(the_manual_names_every_option)
{
	FILE *f = open_source("man/spliced.conf.5");
	char *text;

	if (!f)
		return;
	text = slurp(f);
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];

		ck_assert_msg(!*s->name || mentions(text, s->name),
			      "the manual lacks %s", s->name);
		for (size_t k = 0; k < s->option_count; k++)
			ck_assert_msg(mentions(text, s->options[k].key),
				      "the manual lacks %s.%s", s->name,
				      s->options[k].key);
	}
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("option");
	TCase *t = tcase_create("option");

	tcase_add_test(t, every_row_is_complete);
	tcase_add_test(t, bounds_are_told);
	tcase_add_test(t, the_sample_shows_every_option);
	tcase_add_test(t, the_sample_loads);
	tcase_add_test(t, what_the_sample_comments_out_is_the_default);
	tcase_add_test(t, entries_that_the_sample_comments_out_have_defaults);
	tcase_add_test(t, the_manual_names_every_option);
	suite_add_tcase(s, t);
	return run_suite(s);
}
