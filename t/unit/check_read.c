/*
 * From text to tree to struct: unknown keys, misplaced ones, shapes of groups
 * and lists, syntax errors in plain words, lines, all errors at once.
 */
#include "conf/read.h"

#include "t/unit/conf_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(unknown_options_are_told_with_the_nearest)
{
	conf_text_refused(CONF_TEXT "wrokers = 4;",
			  "text:4: unknown option 'wrokers' (did you mean "
			  "'workers'?)",
			  true);
	conf_text_refused(CONF_TEXT "log: {\n\tlevle = \"info\";\n};",
			  "text:5: unknown option 'levle' in 'log' (did you "
			  "mean 'level'?)",
			  true);
	conf_text_refused(CONF_TEXT "colour = \"blue\";",
			  "unknown option 'colour'", true);
	conf_text_refused(CONF_TEXT "timeout: { idle = \"1h\"; };",
			  "unknown option 'timeout' (did you mean "
			  "'timeouts'?)",
			  true);
	conf_text_refused("listner: ( );", "(did you mean 'listeners'?)",
			  false);
	conf_text_refused(
		"listeners: ( { name = \"a\"; address = \"127.0.0.1:1\";\n"
		"backlogs = 1; } );",
		"text:2: unknown option 'backlogs' in 'listeners' (did you "
		"mean 'backlog'?)",
		true);
}
END_TEST

START_TEST(misplaced_options_are_told_with_their_home)
{
	conf_text_refused(CONF_TEXT "level = \"info\";",
			  "'level' (it belongs to 'log')", true);
	conf_text_refused(CONF_TEXT "log: { workers = 2; };",
			  "(it belongs to the top level)", true);
}
END_TEST

START_TEST(groups_and_lists_must_be_such)
{
	conf_text_refused(CONF_TEXT "log = 5;",
			  "'log' must be a group, { ... }, but here is a "
			  "number",
			  true);
	conf_text_refused(CONF_TEXT "log = ( );", "but here is a list", true);
	conf_text_refused("listeners = 1.5;" CONF_TEXT_RULES,
			  "must be a list of groups", false);
	conf_text_refused("listeners: { name = \"a\"; };",
			  "'listeners' must be a list of groups, ( { ... }, { "
			  "... } ), but here is a group",
			  true);
	conf_text_refused(CONF_TEXT_LISTENERS "rules = ( \"a\" );",
			  "an entry of 'rules' must be a group '{ }', but here "
			  "is a text in quotes",
			  true);
	conf_text_refused(CONF_TEXT_LISTENERS "rules = [ 1 ];",
			  "an entry of 'rules' must be a group", true);
	conf_text_refused("listeners = [ { name = \"a\"; } ];",
			  "a list of groups or lists stands in '( )'", true);
}
END_TEST

START_TEST(what_is_required_must_be_there)
{
	conf_text_refused("listeners: (\n{ address = \"127.0.0.1:1\"; } );",
			  "text:2: this entry of 'listeners' has no 'name'",
			  true);
	conf_text_refused("listeners: ( { name = \"a\"; } );",
			  "has no 'address'", true);
	conf_text_refused(CONF_TEXT_LISTENERS "clients: ( { } );",
			  "this entry of 'clients' has no 'action'", true);
	conf_text_refused(CONF_TEXT_LISTENERS "rules: ( { to = \"any\"; } );",
			  "this entry of 'rules' has no 'action'", true);
}
END_TEST

START_TEST(a_name_that_is_wrong_is_not_also_missing)
{
	conf_text_refused("listeners: ( { name = 5; address = "
			  "\"127.0.0.1:1\"; } );",
			  "'name' must be a text in quotes, but here is a "
			  "number",
			  true);
}
END_TEST

START_TEST(long_numbers_are_refused_before_parsing)
{
	conf_text_refused(CONF_TEXT "limits: {\n"
				    "connections = 5000000000;\n};",
			  "text:5: 5000000000 does not fit into 32 bits", true);
	conf_text_refused(CONF_TEXT "limits: { connections = 5000000000L; };",
			  "'connections' is 5000000000, but must be auto or 1 "
			  "to 10000000",
			  true);
	conf_text_refused(CONF_TEXT "limits: { handshakes = 4294967296; };",
			  "4294967296 does not fit", true);
}
END_TEST

START_TEST(syntax_errors_are_told_in_plain_words)
{
	conf_text_refused("\n\nworkers 5;\n", "text:3: syntax error here or",
			  true);
	conf_text_refused("workers = ;", "text:1: syntax error", true);
	conf_text_refused("a = 1;\nuser =\n\n\n", "text:2: syntax error", true);
	conf_text_refused("workers = 1;\nuser = \"\";\nworkers = 2;",
			  "text:3: this option stands twice in its group: "
			  "workers = 2;",
			  true);
	conf_text_refused("log: { level = \"info\"; level = \"info\"; };",
			  "stands twice", true);
	conf_text_refused("log: { };\nlog: { };", "text:2: this option", true);
	conf_text_refused("listeners: ( { name = \"a\"; name = \"b\"; } );",
			  "stands twice", true);
	conf_text_refused("a = [ 1, \"x\" ];", "all texts or all numbers",
			  true);
}
END_TEST

START_TEST(all_errors_are_told_at_once)
{
	static const char text[] = "workers = 5000;\n"
				   "user = 1;\n"
				   "log: { level = \"loud\"; };\n"
				   "listeners: (\n"
				   "{ name = \"a\"; address = \"x\"; },\n"
				   "{ name = \"a b\"; } );\n"
				   "rules: ( { ports = 0; } );\n"
				   "timeouts: { idle = \"soon\"; };\n";
	static const char *const parts[] = {
		"text:1: 'workers'", "text:2: 'user'",     "text:3: 'level'",
		"text:5: 'address'", "text:6: 'name'",     "text:6: this entry",
		"text:7: 'ports'",   "text:7: this entry", "text:8: 'idle'",
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		conf_text_refused(text, parts[i], false);
}
END_TEST

START_TEST(endless_errors_are_cut)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (int i = 0; i < 1000; i++)
		fprintf(out, "unknown%d = 1;\n", i);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_int_eq(conf_load_text(&c, text, "text", &e), -EBADMSG);
	ck_assert_uint_eq(e.kept, CONF_ERRORS_MAX);
	ck_assert_uint_ge(e.errors, 1000);
	conf_errors_done(&e);
	free(text);
}
END_TEST

START_TEST(separators_and_case_are_as_libconfig_has_them)
{
	struct conf *c = conf_text_load(CONF_TEXT
					"workers : 2, user = \"x\"\n"
					"log = { level = \"debug\" }"
					"outbound: { nodelay = FALSE }");

	ck_assert_uint_eq(c->workers, 2);
	ck_assert_str_eq(c->user, "x");
	ck_assert_int_eq(c->log.level, CONF_LOG_DEBUG);
	ck_assert(!c->outbound.nodelay);
	conf_free(c);
}
END_TEST

START_TEST(texts_side_by_side_are_one)
{
	struct conf *c = conf_text_load(CONF_TEXT "user = \"spl\" \"iced\";");

	ck_assert_str_eq(c->user, "spliced");
	conf_free(c);
}
END_TEST

START_TEST(entries_know_their_place_and_name)
{
	struct conf *c = conf_text_load(
		"\nlisteners: (\n{ name = \"a\"; address = \"127.0.0.1:1\"; }\n"
		");" CONF_TEXT_CLIENTS
		"rules: ( { action = \"deny\"; ports = 25; },\n"
		"{ action = \"allow\"; name = \"web\"; },\n"
		"{ action = \"allow\"; to = \"loopback\"; } );");

	ck_assert_str_eq(c->listeners[0].where, "text:3");
	ck_assert_str_eq(c->clients[0].name, "client-1");
	ck_assert_str_eq(c->rules[0].name, "rule-1");
	ck_assert_str_eq(c->rules[1].name, "web");
	ck_assert_str_eq(c->rules[2].name, "rule-3");
	ck_assert_str_eq(c->rules[2].where, "text:7");
	conf_free(c);
}
END_TEST

/* Loads so many rules; *c stays NULL where they are refused. */
static void load_rules(int count, struct conf **c, struct conf_errors *e)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(CONF_TEXT_LISTENERS CONF_TEXT_CLIENTS "rules: (", out);
	for (int i = 0; i < count; i++)
		fprintf(out, "%s{action=\"allow\";to=\"10.0.%d.%d\";}",
			i ? "," : "", i / 256, i % 256);
	fputs(");", out);
	ck_assert_int_eq(fclose(out), 0);
	(void)!conf_load_text(c, text, "text", e);
	free(text);
}

START_TEST(as_many_rules_as_16_bits_count)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;

	load_rules(65534, &c, &e);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->rule_count, 65534);
	ck_assert_str_eq(c->rules[65533].name, "rule-65534");
	conf_free(c);
	c = NULL;
	load_rules(65535, &c, &e);
	ck_assert_ptr_null(c);
	ck_assert_ptr_nonnull(strstr(e.list[0].text, "'rules' has 65535 "
						     "entries, but at most "
						     "65534"));
	conf_errors_done(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("read");
	TCase *t = tcase_create("read");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, unknown_options_are_told_with_the_nearest);
	tcase_add_test(t, misplaced_options_are_told_with_their_home);
	tcase_add_test(t, groups_and_lists_must_be_such);
	tcase_add_test(t, what_is_required_must_be_there);
	tcase_add_test(t, a_name_that_is_wrong_is_not_also_missing);
	tcase_add_test(t, long_numbers_are_refused_before_parsing);
	tcase_add_test(t, syntax_errors_are_told_in_plain_words);
	tcase_add_test(t, all_errors_are_told_at_once);
	tcase_add_test(t, endless_errors_are_cut);
	tcase_add_test(t, separators_and_case_are_as_libconfig_has_them);
	tcase_add_test(t, texts_side_by_side_are_one);
	tcase_add_test(t, entries_know_their_place_and_name);
	tcase_add_test(t, as_many_rules_as_16_bits_count);
	suite_add_tcase(s, t);
	return run_suite(s);
}
