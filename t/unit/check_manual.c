/*
 * The manual against the table: each option in its section, with its default,
 * its bounds and an example that is taken; each block of an example a
 * configuration without a fault, once what it leaves out is put in.
 */
#include "conf/option.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static char *manual;

static void set_up(void)
{
	const char *folder = getenv("SRCDIR");
	char path[4096];
	size_t size = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/man/spliced.conf.5",
		       folder ? folder : ".");
	f = fopen(path, "re");
	ck_assert_msg(f != NULL, "no %s: run in the source tree or set SRCDIR",
		      path);
	manual = NULL;
	ck_assert_int_gt(getdelim(&manual, &size, '\0', f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void tear_down(void)
{
	free(manual);
}

/* What stands between two marks, the second one behind the first; to free. */
static char *between(const char *text, const char *first, const char *second)
{
	const char *at = strstr(text, first), *end;

	if (!at)
		return NULL;
	at += strlen(first);
	end = strstr(at, second);
	return end ? strndup(at, (size_t)(end - at)) : NULL;
}

/* Takes out of a macro's argument what mdoc makes of it. */
static void unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in;) {
		if (!strncmp(in, "\\(dq", 4)) {
			*out++ = '"';
			in += 4;
		} else if (!strncmp(in, "\\&", 2)) {
			in += 2;
		} else if (*in == '\\' && in[1] == 'e') {
			*out++ = '\\';
			in += 2;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
}

/* The heading under which the options of a section stand. */
static const char *heading(const struct conf_section *s)
{
	static char text[64];

	if (!*s->name)
		return "\n.Ss Top level\n";
	if (!strcmp(s->name, "udp"))
		return "\n.Ss UDP\n";
	if (!strcmp(s->name, "tls"))
		return "\n.Ss TLS\n";
	if (!strcmp(s->name, "http"))
		return "\n.Ss HTTP\n";
	(void)snprintf(text, sizeof(text), "\n.Ss %c%s\n",
		       toupper((unsigned char)*s->name), s->name + 1);
	return text;
}

/* The part of the manual about a section; to free. */
static char *section_text(const struct conf_section *s)
{
	char *text = between(manual, heading(s), "\n.Sh "), *next;

	ck_assert_msg(text != NULL, "the manual has no%s", heading(s));
	next = strstr(text, "\n.Ss ");
	if (next)
		*next = '\0';
	return text;
}

/* What is said of one option, from its kind on: "Duration: ..."; to free. */
static char *option_text(const char *section, const struct conf_option *o)
{
	char mark[80], *whole, *rest, *last = NULL;

	(void)snprintf(mark, sizeof(mark), "\n.It Ic %s\n", o->key);
	rest = strstr(section, mark);
	ck_assert_msg(rest != NULL, "no entry for %s", o->key);
	whole = between(rest, mark, "\nexample:\n");
	ck_assert_msg(whole != NULL, "%s has no example", o->key);
	/* The last paragraph. */
	for (char *at = whole; (at = strstr(at, "\n.Pp\n")) != NULL; at++)
		last = at + 5;
	ck_assert_msg(last != NULL, "%s has no kind", o->key);
	last = strdup(last);
	free(whole);
	return last;
}

static void check_default(const struct conf_option *o, const char *text)
{
	char *value = between(text, "default\n.Ql \"", "\" ;");

	if (o->required) {
		ck_assert_msg(strstr(text, "required;") != NULL,
			      "%s is required", o->key);
		return;
	}
	ck_assert_msg(value != NULL, "%s: no default in\n%s", o->key, text);
	unescape(value);
	/* As the table writes it. */
	for (char *in = value, *out = value;; in++) {
		if (*in && strchr("\",[]", *in))
			continue;
		if (*in == ' ' && (out == value || out[-1] == ' '))
			continue;
		*out++ = *in;
		if (!*in)
			break;
	}
	if (*value && value[strlen(value) - 1] == ' ')
		value[strlen(value) - 1] = '\0';
	ck_assert_msg(!strcmp(value, o->def), "%s: default '%s', not '%s'",
		      o->key, o->def, value);
	free(value);
}

static void check_bounds(const struct conf_option *o, const char *text)
{
	char bounds[CONF_BOUNDS_BYTES];
	const char *wanted = conf_option_bounds(o, bounds);

	if (o->words)
		wanted = strchr(wanted, ':') + 2;
	else if (o->type == CONF_TYPE_RATE)
		(void)snprintf(bounds, sizeof(bounds),
			       "Rate: 0, or %" PRId64 " to %" PRId64
			       " in 100ms to 1d;",
			       o->min, o->max);
	else if (o->type == CONF_TYPE_BOOL)
		wanted = "Boolean;";
	else if (o->type == CONF_TYPE_NAME)
		(void)snprintf(bounds, sizeof(bounds),
			       o->min ? "1 to %" PRId64 " letters"
				      : "at most %" PRId64 " letters",
			       o->max);
	ck_assert_msg(strstr(text, wanted) != NULL, "%s: no '%s' in\n%s",
		      o->key, wanted, text);
}

START_TEST(every_option_has_its_default_and_its_bounds)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];
		char *section = section_text(s);

		for (size_t k = 0; k < s->option_count; k++) {
			char *text = option_text(section, &s->options[k]);

			check_default(&s->options[k], text);
			check_bounds(&s->options[k], text);
			free(text);
		}
		free(section);
	}
}
END_TEST

static bool has_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; (at = strstr(at, key)) != NULL; at += len)
		if ((at == text || isspace((unsigned char)at[-1])) &&
		    at[len] == ':')
			return true;
	return false;
}

/* Loads a part of a configuration, with what every one must have. */
static void loads(const char *part)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	char text[4096];
	int r;

	(void)snprintf(
		text, sizeof(text), "%s%s%s%s%s%s",
		has_key(part, "tls")
			? ""
			: "tls: ( { name = \"edge\"; certificate = \"/c\"; "
			  "client_ca = \"/a\"; } );\n",
		has_key(part, "upstreams")
			? ""
			: "upstreams: ( { name = \"paris\"; url = "
			  "\"socks5://192.0.2.1\"; } );\n",
		has_key(part, "listeners")
			? ""
			: "listeners: ( { name = \"lan\"; address = "
			  "\"127.0.0.1:1080\"; }, { name = \"vpn\"; address = "
			  "\"127.0.0.1:1081\"; } );\n",
		has_key(part, "clients")
			? ""
			: "clients: ( { action = \"allow\"; from = "
			  "\"loopback\"; auth = [ \"pam\", \"none\" ]; } );\n",
		has_key(part, "rules") ? ""
				       : "rules: ( { action = \"allow\"; } );",
		part);
	r = conf_load_text(&c, text, "text", &e);
	if (r < 0) {
		fprintf(stderr, "---- text\n%s\n---- found\n", text);
		conf_errors_print(&e, stderr);
	}
	ck_assert_int_eq(r, 0);
	conf_free(c);
	conf_errors_done(&e);
}

/* One option by itself need make no sense, but must be taken. */
static void check_example(const struct conf_section *s,
			  const struct conf_option *o, const char *section)
{
	char mark[80], part[2048], *example, *entry;
	const char *files =
		"auth: { users_file = \"/u\"; groups_file = \"/g\"; };\n";

	(void)snprintf(mark, sizeof(mark), "\n.It Ic %s\n", o->key);
	entry = strstr(section, mark);
	example = between(entry, "\nexample:\n.Ql \"", "\"\n");
	ck_assert_msg(example != NULL, "%s has no example", o->key);
	unescape(example);
	ck_assert_msg(!strncmp(example, o->key, strlen(o->key)) &&
			      !strncmp(example + strlen(o->key), " = ", 3),
		      "%s: %s", o->key, example);
	if (s->is_list) {
		memcpy(part, files, strlen(files));
		conf_text_entry(part + strlen(files),
				sizeof(part) - strlen(files), s->name, o->key,
				example);
	} else if (*s->name)
		(void)snprintf(part, sizeof(part), "%s: { %s };", s->name,
			       example);
	else
		(void)snprintf(part, sizeof(part), "%s", example);
	loads(part);
	free(example);
}

START_TEST(every_option_has_an_example_that_is_taken)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];
		char *section = section_text(s);

		for (size_t k = 0; k < s->option_count; k++)
			check_example(s, &s->options[k], section);
		free(section);
	}
}
END_TEST

#define BLOCK     "\n.Bd -literal -offset indent\n"
#define BLOCK_END "\n.Ed"

START_TEST(every_section_has_an_example)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];
		char *section = section_text(s);
		char *block = between(section, BLOCK, BLOCK_END);

		ck_assert_msg(block != NULL, "'%s' has no example", s->name);
		ck_assert_msg(!*s->name || has_key(block, s->name),
			      "the example of '%s' is none of it", s->name);
		free(block);
		free(section);
	}
}
END_TEST

/* But that of a list's lines, which are none of a configuration. */
START_TEST(every_example_is_a_configuration)
{
	const char *at = manual;
	size_t count = 0;

	while ((at = strstr(at, BLOCK)) != NULL) {
		char *block = between(at, BLOCK, BLOCK_END);

		ck_assert_ptr_nonnull(block);
		unescape(block);
		at += strlen(BLOCK);
		if (strchr(block, '{') || strchr(block, '=')) {
			loads(block);
			count++;
		}
		free(block);
	}
	ck_assert_uint_ge(count, conf_section_count);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual");
	TCase *t = tcase_create("manual");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, every_option_has_its_default_and_its_bounds);
	tcase_add_test(t, every_option_has_an_example_that_is_taken);
	tcase_add_test(t, every_section_has_an_example);
	tcase_add_test(t, every_example_is_a_configuration);
	suite_add_tcase(s, t);
	return run_suite(s);
}
