/*
 * Answers as people read them, and lists of sessions.
 */
#include "daemon/ctl/show.h"
#include "daemon/ctl/show_sessions.h"
#include "t/unit/session_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct reply reply;
static char *text;
static size_t text_len;
static FILE *out;
static struct filters filters;

static void setup(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(null, 0);
	ck_assert_int_ge(dup2(null, STDERR_FILENO), 0);
	close_fd(&null);
	filters.count = 0;
	out = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(out);
}

static void teardown(void)
{
	reply_done(&reply);
	free(text);
}

/* An answer of these lines, NULL behind the last. */
static void answer(const char *const *lines)
{
	reply = (struct reply){ .lines = json_array() };
	for (; *lines; lines++) {
		reply.last = json_loads(*lines, 0, NULL);
		ck_assert_msg(reply.last, "no JSON: %s", *lines);
		ck_assert_int_eq(json_array_append_new(reply.lines, reply.last),
				 0);
	}
}

#define ANSWER(...) answer((const char *const[]){ __VA_ARGS__, NULL })

static void expect(const char *want)
{
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, want);
}

static const char *shown(void)
{
	ck_assert_int_eq(fflush(out), 0);
	return text;
}

START_TEST(a_status_is_a_list)
{
	ANSWER("{\"state\":\"serving\",\"version\":\"1.0\",\"pid\":7,"
	       "\"uptime_s\":3661,\"generation\":4,\"generations\":2,"
	       "\"addresses\":[\"127.0.0.1:1080\",\"[::1]:1080\"],"
	       "\"connections\":{\"active\":9,\"handshakes\":2,\"tunnels\":7},"
	       "\"totals\":{\"accepted\":100,\"rejected\":1,\"sessions\":91,"
	       "\"bytes_up\":2048,\"bytes_down\":3221225472,"
	       "\"datagrams_up\":5000000000,\"datagrams_down\":6,"
	       "\"datagrams_dropped\":7},"
	       "\"reloads\":{\"ok\":3,\"failed\":1,\"last\":{\"ok\":true,"
	       "\"generation\":4,\"ms\":80,\"error\":\"\"}},\"crashes\":0}");
	show_status(out, &reply);
	expect("state        serving\n"
	       "version      1.0\n"
	       "pid          7\n"
	       "uptime       1h01m\n"
	       "generation   4, 2 alive\n"
	       "addresses    127.0.0.1:1080 [::1]:1080\n"
	       "connections  9 now: 2 in a handshake, 7 tunnels\n"
	       "accepted     100, and 1 rejected\n"
	       "sessions     91 ended, 2.0k up, 3.0G down\n"
	       "datagrams    5000000000 up, 6 down, 7 dropped\n"
	       "reloads      3, and 1 failed\n"
	       "last reload  generation 4, after 80 ms\n"
	       "crashes      0\n");
}
END_TEST

START_TEST(a_failed_reload_is_shown_in_one_line)
{
	ANSWER("{\"reloads\":{\"last\":{\"ok\":false,"
	       "\"error\":\"a\\nb\\u001b\"}}}");
	show_status(out, &reply);
	ck_assert_ptr_nonnull(
		strstr(shown(), "\nlast reload  failed: a\\x0ab\\x1b\n"));
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(what_an_older_daemon_leaves_out_is_nothing)
{
	ANSWER("{\"done\":true,\"ok\":true}");
	show_status(out, &reply);
	ck_assert_ptr_nonnull(strstr(shown(), "state        \n"));
	ck_assert_ptr_nonnull(strstr(shown(), "sessions     0 ended, 0 up"));
	ck_assert_ptr_null(strstr(shown(), "last reload"));
	ck_assert_int_eq(fclose(out), 0);
}
END_TEST

START_TEST(generations_are_a_table)
{
	ANSWER("{\"generation\":3,\"pid\":70,\"state\":\"draining\","
	       "\"age_s\":90,\"connections\":{\"active\":4,\"tunnels\":3},"
	       "\"accepted\":5,\"version\":\"1.0\",\"config\":\"/a b\"}",
	       "{\"done\":true,\"ok\":true}");
	ck_assert_int_eq(show_generations(out, &reply), 0);
	expect("GENERATION  PID  STATE       AGE  ACTIVE  TUNNELS  ACCEPTED"
	       "  VERSION  CONFIG\n"
	       "         3   70  draining  1m30s       4        3         5"
	       "  1.0      /a b\n");
}
END_TEST

START_TEST(json_is_passed_on_without_what_terminals_obey)
{
	ANSWER("{\"b\":\"\xc2\x9b\",\"a\":1}", "{\"done\":true}");
	ck_assert_int_eq(show_json(out, &reply), 0);
	expect("{\"b\":\"\\u009B\",\"a\":1}\n{\"done\":true}\n");
}
END_TEST

START_TEST(errors_come_with_all_their_lines)
{
	ANSWER("{\"ok\":false,\"number\":2,\"generation\":1,"
	       "\"error\":\"a.conf:1: \\\"x\\\"\\na.conf:2: y\\u0007\\n\"}");
	show_error(out, &reply);
	expect("a.conf:1: \"x\"\na.conf:2: y\\x07\n"
	       "splicedctl: the reload failed, generation 1 goes on\n");
}
END_TEST

START_TEST(other_errors_are_one_sentence)
{
	ANSWER("{\"ok\":false,\"error\":\"no such verb\"}");
	show_error(out, &reply);
	expect("splicedctl: no such verb\n");
}
END_TEST

START_TEST(an_error_without_words_gets_some)
{
	ANSWER("{\"ok\":false,\"number\":1}");
	show_error(out, &reply);
	expect("the daemon said no\nsplicedctl: the reload failed\n");
}
END_TEST

START_TEST(a_reload_is_told_in_a_sentence)
{
	ANSWER("{\"ok\":true,\"generation\":4,\"ms\":80}");
	show_reload(out, &reply, true);
	show_reload(out, &reply, false);
	show_version(out, &reply);
	expect("generation 4 serves, after 80 ms\n"
	       "the reload has begun\nspliced \n");
}
END_TEST

/* --- Sessions ----------------------------------------------------------- */

static void filter(const char *filter_text)
{
	char why[FILTER_WHY_BYTES];

	ck_assert_int_eq(filters_add(&filters, filter_text, why), 0);
}

static void add_fd(int fd)
{
	ck_assert_int_ge(fd, 0);
	reply.fds[reply.fd_count++] = fd;
}

static void add_table(const struct session_table *t)
{
	add_fd(fcntl(segment_fd(t->segment), F_DUPFD_CLOEXEC, 0));
}

START_TEST(sessions_of_all_generations_are_listed)
{
	struct session_table a, b;
	struct session *last;

	session_table_init(&a, 2);
	session_table_init(&b, 3);
	session_table_add(&a, "198.51.100.1:50", "x.example", 5000)
		->bytes_up = 2048;
	last = session_table_add(&b, "198.51.100.2:60", NULL, 90000);
	last->rule = 2;
	last->upstream = 1;
	sessions_open(b.sessions, 0);
	ANSWER("{\"generations\":[2,3]}");
	add_table(&a);
	add_table(&b);
	ck_assert_int_eq(show_sessions(out, &reply, &filters, false), 0);
	expect("ID     CLIENT           LISTENER  PROTOCOL  STATE      TARGET"
	       "           UP  DOWN    AGE   IDLE  RULE         UPSTREAM\n"
	       "2.0.1  198.51.100.1:50  lan       socks5    tunnel     "
	       "x.example:443  2.0k     0     5s     5s  web          -\n"
	       "3.0.1  198.51.100.2:60  lan       socks5    tunnel     "
	       "192.0.2.7:443     0     0  1m30s  1m30s  \\x1b[31mred  paris\n"
	       "3.0.2  -                -         -         handshake  -"
	       "                 0     0     0s     0s  -            -\n");
	session_table_done(&a);
	session_table_done(&b);
}
END_TEST

START_TEST(filters_choose_sessions)
{
	struct session_table a;
	json_t *j;

	session_table_init(&a, 2);
	session_table_add(&a, "198.51.100.1:50", "x.example", 5000);
	session_table_add(&a, "198.51.100.2:60", "y.example", 5000);
	ANSWER("{\"generations\":[2]}");
	add_table(&a);
	filter("host=y.example");
	ck_assert_int_eq(show_sessions(out, &reply, &filters, true), 0);
	j = json_loads(shown(), 0, NULL);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(json_string_value(json_object_get(j, "target")),
			 "y.example:443");
	json_decref(j);
	ck_assert_int_eq(fclose(out), 0);
	session_table_done(&a);
}
END_TEST

START_TEST(what_cannot_be_read_does_not_hide_the_rest)
{
	struct session_table a;

	session_table_init(&a, 3);
	session_table_add(&a, "198.51.100.1:50", "x.example", 5000);
	ANSWER("{\"generations\":[2,3]}");
	add_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
	add_table(&a);
	ck_assert_int_eq(show_sessions(out, &reply, &filters, true), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(shown(), "x.example:443"));
	ck_assert_int_eq(fclose(out), 0);
	session_table_done(&a);
}
END_TEST

START_TEST(a_full_disk_is_noticed)
{
	struct session_table a;
	FILE *full = fopen("/dev/full", "we");

	ck_assert_ptr_nonnull(full);
	setbuf(full, NULL);
	session_table_init(&a, 3);
	session_table_add(&a, "198.51.100.1:50", "x.example", 5000);
	ANSWER("{\"generations\":[3]}");
	add_table(&a);
	ck_assert_int_eq(show_sessions(full, &reply, &filters, true), -EIO);
	ck_assert_int_eq(fclose(full), 0);
	ck_assert_int_eq(fclose(out), 0);
	session_table_done(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("show");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_status_is_a_list);
	tcase_add_test(t, a_failed_reload_is_shown_in_one_line);
	tcase_add_test(t, what_an_older_daemon_leaves_out_is_nothing);
	tcase_add_test(t, generations_are_a_table);
	tcase_add_test(t, json_is_passed_on_without_what_terminals_obey);
	tcase_add_test(t, errors_come_with_all_their_lines);
	tcase_add_test(t, other_errors_are_one_sentence);
	tcase_add_test(t, an_error_without_words_gets_some);
	tcase_add_test(t, a_reload_is_told_in_a_sentence);
	tcase_add_test(t, sessions_of_all_generations_are_listed);
	tcase_add_test(t, filters_choose_sessions);
	tcase_add_test(t, what_cannot_be_read_does_not_hide_the_rest);
	tcase_add_test(t, a_full_disk_is_noticed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
