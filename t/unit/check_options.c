/*
 * The command line.
 */
#include "daemon/options.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct options o;

/* The sentences about errors are for people; here they are noise. */
static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
}

/* Parses words, the last of which is NULL. */
static int parse_list(const char *const *words)
{
	char *argv[OPTIONS_LISTEN_MAX * 2 + 8] = { (char *)"spliced" };
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	return options_parse(&o, argc, argv);
}

#define PARSE(...) parse_list((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(without_arguments_it_runs_with_the_embedded_default)
{
	ck_assert_int_eq(parse_list((const char *const[]){ NULL }), 0);
	ck_assert_int_eq(o.verb, VERB_RUN);
	ck_assert_ptr_null(o.config);
	ck_assert_uint_eq(o.listen_count, 0);
	ck_assert(!o.single);
}
END_TEST

START_TEST(a_file_is_named_in_three_ways)
{
	ck_assert_int_eq(PARSE("--config", "/a"), 0);
	ck_assert_str_eq(o.config, "/a");
	ck_assert_int_eq(PARSE("--config=/b"), 0);
	ck_assert_str_eq(o.config, "/b");
	ck_assert_int_eq(PARSE("-c", "/c"), 0);
	ck_assert_str_eq(o.config, "/c");
	ck_assert_int_eq(o.verb, VERB_RUN);
}
END_TEST

START_TEST(a_question_has_two_or_three_words)
{
	ck_assert_int_eq(PARSE("--explain", "::1", "a:1"), 0);
	ck_assert_int_eq(o.verb, VERB_EXPLAIN);
	ck_assert_str_eq(o.explain.from, "::1");
	ck_assert_str_eq(o.explain.to, "a:1");
	ck_assert_ptr_null(o.explain.user);
	ck_assert_int_eq(PARSE("--explain", "::1", "a:1", "bob", "-c", "/a",
			       "--address=::2", "--command=udp",
			       "--listener=lan", "--protocol=socks5"),
			 0);
	ck_assert_str_eq(o.config, "/a");
	ck_assert_str_eq(o.explain.user, "bob");
	ck_assert_str_eq(o.explain.address, "::2");
	ck_assert_str_eq(o.explain.command, "udp");
	ck_assert_str_eq(o.explain.listener, "lan");
	ck_assert_str_eq(o.explain.protocol, "socks5");
	ck_assert_int_eq(PARSE("--explain"), -EINVAL);
	ck_assert_int_eq(PARSE("--explain", "::1"), -EINVAL);
	ck_assert_int_eq(PARSE("--explain", "::1", "a:1", "b", "c"), -EINVAL);
	ck_assert_int_eq(PARSE("--check", "--listener=lan"), -EINVAL);
	ck_assert_int_eq(PARSE("--address=::1"), -EINVAL);
}
END_TEST

START_TEST(addresses_are_kept_in_their_order)
{
	ck_assert_int_eq(PARSE("-l", "127.0.0.1:1", "--listen", "[::1]:2",
			       "--listen=lo:3"),
			 0);
	ck_assert_uint_eq(o.listen_count, 3);
	ck_assert_str_eq(o.listen[0], "127.0.0.1:1");
	ck_assert_str_eq(o.listen[1], "[::1]:2");
	ck_assert_str_eq(o.listen[2], "lo:3");
}
END_TEST

START_TEST(as_many_addresses_as_there_is_room_for)
{
	const char *words[OPTIONS_LISTEN_MAX + 2] = { NULL };

	for (size_t i = 0; i < OPTIONS_LISTEN_MAX; i++)
		words[i] = "--listen=127.0.0.1:0";
	ck_assert_int_eq(parse_list(words), 0);
	ck_assert_uint_eq(o.listen_count, OPTIONS_LISTEN_MAX);
	words[OPTIONS_LISTEN_MAX] = "--listen=127.0.0.1:0";
	ck_assert_int_eq(parse_list(words), -EINVAL);
}
END_TEST

START_TEST(each_verb_is_known)
{
	ck_assert_int_eq(PARSE("--check"), 0);
	ck_assert_int_eq(o.verb, VERB_CHECK);
	ck_assert_int_eq(PARSE("--dump"), 0);
	ck_assert_int_eq(o.verb, VERB_DUMP);
	ck_assert_int_eq(PARSE("--version"), 0);
	ck_assert_int_eq(o.verb, VERB_VERSION);
	ck_assert_int_eq(PARSE("--help"), 0);
	ck_assert_int_eq(o.verb, VERB_HELP);
	ck_assert_int_eq(PARSE("-h"), 0);
	ck_assert_int_eq(o.verb, VERB_HELP);
	ck_assert_int_eq(PARSE("--config", "/a", "--check"), 0);
	ck_assert_int_eq(o.verb, VERB_CHECK);
	ck_assert_str_eq(o.config, "/a");
}
END_TEST

START_TEST(one_process_may_be_asked_for)
{
	ck_assert_int_eq(PARSE("--single", "-c", "/a"), 0);
	ck_assert(o.single);
	ck_assert_int_eq(o.verb, VERB_RUN);
	ck_assert_int_eq(PARSE("--single=yes"), -EINVAL);
}
END_TEST

START_TEST(what_is_wrong_is_refused_and_changes_nothing)
{
	ck_assert_int_eq(PARSE("--config", "/before"), 0);
	ck_assert_int_eq(PARSE("--no-such-option"), -EINVAL);
	ck_assert_int_eq(PARSE("-x"), -EINVAL);
	ck_assert_int_eq(PARSE("--config"), -EINVAL);
	ck_assert_int_eq(PARSE("-l"), -EINVAL);
	ck_assert_int_eq(PARSE("--check=yes"), -EINVAL);
	ck_assert_int_eq(PARSE("file.conf"), -EINVAL);
	ck_assert_int_eq(PARSE("--check", "file.conf"), -EINVAL);
	ck_assert_int_eq(PARSE("--", "x"), -EINVAL);
	ck_assert_str_eq(o.config, "/before");
}
END_TEST

START_TEST(the_help_names_every_option)
{
	static const char *const names[] = { "--config", "--listen",
					     "--check",  "--dump",
					     "--single", "--version",
					     "--help" };
	char text[4096] = "";
	int fd[2];

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	ck_assert_int_ge(dup2(fd[1], STDOUT_FILENO), 0);
	options_help();
	ck_assert_int_eq(fflush(stdout), 0);
	ck_assert_int_gt((int)read(fd[0], text, sizeof(text) - 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_msg(strstr(text, names[i]), "%s", names[i]);
	close_fd(&fd[0]);
	close_fd(&fd[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, without_arguments_it_runs_with_the_embedded_default);
	tcase_add_test(t, a_question_has_two_or_three_words);
	tcase_add_test(t, a_file_is_named_in_three_ways);
	tcase_add_test(t, addresses_are_kept_in_their_order);
	tcase_add_test(t, as_many_addresses_as_there_is_room_for);
	tcase_add_test(t, each_verb_is_known);
	tcase_add_test(t, one_process_may_be_asked_for);
	tcase_add_test(t, what_is_wrong_is_refused_and_changes_nothing);
	tcase_add_test(t, the_help_names_every_option);
	suite_add_tcase(s, t);
	return run_suite(s);
}
