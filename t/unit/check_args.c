/*
 * The command line of splicedctl.
 */
#include "daemon/ctl/command.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct args a;

/* The sentences about errors are for people; here they are noise. */
static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	ck_assert_int_eq(unsetenv(ARGS_SOCKET_ENV), 0);
}

/* Parses words, the last of which is NULL. */
static int parse_list(const char *const *words)
{
	char *argv[FILTERS_MAX + 8] = { (char *)"splicedctl" };
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	return args_parse(&a, argc, argv);
}

#define PARSE(...) parse_list((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(each_command_is_known)
{
	ck_assert_int_eq(PARSE("status"), 0);
	ck_assert_str_eq(a.command->name, "status");
	ck_assert_str_eq(a.socket, ARGS_SOCKET);
	ck_assert(!a.json && !a.wait);
	ck_assert_int_eq(PARSE("generations"), 0);
	ck_assert_str_eq(a.command->name, "generations");
	ck_assert_int_eq(PARSE("sessions"), 0);
	ck_assert_str_eq(a.command->name, "sessions");
	ck_assert_int_eq(PARSE("limits"), 0);
	ck_assert_str_eq(a.command->name, "limits");
	ck_assert_int_eq(PARSE("reload"), 0);
	ck_assert_str_eq(a.command->name, "reload");
	ck_assert_int_eq(PARSE("drain"), 0);
	ck_assert_str_eq(a.command->name, "drain");
	ck_assert_int_eq(PARSE("version"), 0);
	ck_assert_str_eq(a.command->name, "version");
}
END_TEST

START_TEST(options_stand_anywhere)
{
	ck_assert_int_eq(PARSE("reload", "--wait"), 0);
	ck_assert(a.wait);
	ck_assert_int_eq(PARSE("-w", "reload"), 0);
	ck_assert(a.wait);
	ck_assert_int_eq(PARSE("sessions", "state=tunnel", "--json",
			       "--socket=/x", "age>1h"),
			 0);
	ck_assert(a.json);
	ck_assert_str_eq(a.socket, "/x");
	ck_assert_uint_eq(a.filters.count, 2);
	ck_assert_int_eq(PARSE("-j", "-s", "/y", "status"), 0);
	ck_assert(a.json);
	ck_assert_str_eq(a.socket, "/y");
}
END_TEST

START_TEST(a_question_has_two_or_three_words)
{
	ck_assert_int_eq(PARSE("refresh"), 0);
	ck_assert_str_eq(a.command->name, "refresh");
	ck_assert(!a.enforce);
	ck_assert_int_eq(PARSE("refresh", "--enforce"), 0);
	ck_assert(a.enforce);
	ck_assert_int_eq(PARSE("explain", "::1", "a:1"), 0);
	ck_assert_str_eq(a.command->name, "explain");
	ck_assert_str_eq(a.explain.from, "::1");
	ck_assert_str_eq(a.explain.to, "a:1");
	ck_assert_ptr_null(a.explain.user);
	ck_assert_int_eq(PARSE("explain", "::1", "a:1", "bob", "--address",
			       "::2", "--command=udp", "--listener=lan",
			       "--protocol=socks5", "--at=mon 14:00"),
			 0);
	ck_assert_str_eq(a.explain.user, "bob");
	ck_assert_str_eq(a.explain.address, "::2");
	ck_assert_str_eq(a.explain.command, "udp");
	ck_assert_str_eq(a.explain.listener, "lan");
	ck_assert_str_eq(a.explain.protocol, "socks5");
	ck_assert_str_eq(a.explain.at, "mon 14:00");
}
END_TEST

START_TEST(a_password_is_of_one_user)
{
	ck_assert_int_eq(PARSE("passwd", "alice"), 0);
	ck_assert_str_eq(a.command->name, "passwd");
	ck_assert_str_eq(a.passwd.user, "alice");
	ck_assert(!a.passwd.file && !a.passwd.remove);
	ck_assert_int_eq(PARSE("passwd", "--remove", "bob", "--file", "u"), 0);
	ck_assert_str_eq(a.passwd.user, "bob");
	ck_assert_str_eq(a.passwd.file, "u");
	ck_assert(a.passwd.remove);
	ck_assert_int_eq(PARSE("passwd"), -EINVAL);
	ck_assert_int_eq(PARSE("passwd", "alice", "bob"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--remove"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--file", "u"), -EINVAL);
}
END_TEST

START_TEST(a_look_may_be_repeated)
{
	ck_assert_int_eq(PARSE("status"), 0);
	ck_assert_int_eq(a.watch_ms, 0);
	ck_assert_int_eq(PARSE("status", "--watch"), 0);
	ck_assert_int_eq(a.watch_ms, ARGS_WATCH_MS);
	ck_assert_int_eq(PARSE("--watch=5", "limits"), 0);
	ck_assert_int_eq(a.watch_ms, 5000);
	ck_assert_int_eq(PARSE("sessions", "--watch", "3", "user=a"), 0);
	ck_assert_int_eq(a.watch_ms, 3000);
	ck_assert_uint_eq(a.filters.count, 1);
	ck_assert_int_eq(PARSE("--watch", "250ms", "generations"), 0);
	ck_assert_int_eq(a.watch_ms, 250);
	ck_assert_int_eq(PARSE("status", "--watch=0"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--watch=99ms"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--watch=2d"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--watch=99999999999999999999"),
			 -EINVAL);
	ck_assert_int_eq(PARSE("status", "--watch=often"), -EINVAL);
	ck_assert_int_eq(PARSE("reload", "--watch"), -EINVAL);
}
END_TEST

START_TEST(the_environment_names_the_socket)
{
	ck_assert_int_eq(setenv(ARGS_SOCKET_ENV, "/z", 1), 0);
	ck_assert_int_eq(PARSE("status"), 0);
	ck_assert_str_eq(a.socket, "/z");
	ck_assert_int_eq(PARSE("status", "-s", "/y"), 0);
	ck_assert_str_eq(a.socket, "/y");
	ck_assert_int_eq(setenv(ARGS_SOCKET_ENV, "", 1), 0);
	ck_assert_int_eq(PARSE("status"), 0);
	ck_assert_str_eq(a.socket, ARGS_SOCKET);
}
END_TEST

START_TEST(help_and_version_need_no_command)
{
	ck_assert_int_eq(PARSE("--help"), 0);
	ck_assert(!a.command && a.help);
	ck_assert_int_eq(PARSE("status", "-h"), 0);
	ck_assert(!a.command && a.help);
	ck_assert_int_eq(PARSE("--version"), 0);
	ck_assert(!a.command && !a.help);
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
	ck_assert_int_eq(parse_list((const char *const[]){ NULL }), -EINVAL);
	ck_assert_int_eq(PARSE("stat"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "now"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--wait"), -EINVAL);
	ck_assert_int_eq(PARSE("sessions", "open"), -EINVAL);
	ck_assert_int_eq(PARSE("sessions", "bytes>x"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--enforce"), -EINVAL);
	ck_assert_int_eq(PARSE("refresh", "--wait"), -EINVAL);
	ck_assert_int_eq(PARSE("refresh", "now"), -EINVAL);
	ck_assert_int_eq(PARSE("refresh", "--address", "::1"), -EINVAL);
	ck_assert_int_eq(PARSE("explain"), -EINVAL);
	ck_assert_int_eq(PARSE("explain", "::1"), -EINVAL);
	ck_assert_int_eq(PARSE("explain", "::1", "a:1", "b", "c"), -EINVAL);
	ck_assert_int_eq(PARSE("--nonsense", "status"), -EINVAL);
	ck_assert_int_eq(PARSE("status", "--socket"), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("args");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, each_command_is_known);
	tcase_add_test(t, options_stand_anywhere);
	tcase_add_test(t, a_question_has_two_or_three_words);
	tcase_add_test(t, a_password_is_of_one_user);
	tcase_add_test(t, a_look_may_be_repeated);
	tcase_add_test(t, the_environment_names_the_socket);
	tcase_add_test(t, help_and_version_need_no_command);
	tcase_add_test(t, what_is_wrong_is_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
