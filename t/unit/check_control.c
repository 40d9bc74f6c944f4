/*
 * What the verbs of the control socket answer.
 */
#include "daemon/control.h"
#include "t/unit/master_stand_in.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* --- Segments ----------------------------------------------------------- */

static struct segment *segment_of(uint32_t generation, uint64_t accepted)
{
	struct segment_spec specs[] = {
		{ "about", sizeof(struct table_about), 1 },
		{ "workers", sizeof(struct tcp_worker_counts), 1 },
		{ "proxy", sizeof(struct proxy_counts), 1 },
	};
	struct table_about *about;
	struct tcp_worker_counts *counts;
	struct segment *s;
	uint32_t count;

	ck_assert_int_eq(segment_new(&s, specs, ARRAY_SIZE(specs)), 0);
	about = segment_table(s, "about", sizeof(*about), &count);
	about->generation = generation;
	about->workers = 1;
	(void)snprintf(about->version, sizeof(about->version), "7.%u",
		       generation);
	(void)snprintf(about->config, sizeof(about->config), "/etc/\xff.conf");
	counts = segment_table(s, "workers", sizeof(*counts), &count);
	counts->accepted = accepted;
	counts->active = 5;
	counts->relays = 2;
	return s;
}

static void add_generation(uint32_t number_, struct segment *s)
{
	stand_in.generations[stand_in.view.generation_count++] =
		(struct view_generation){ .number = number_,
					  .pid = (pid_t)(1000 + number_),
					  .state = "serving",
					  .segment = s };
}

/* --- Verbs -------------------------------------------------------------- */

static void version_body(void)
{
	json_t *j;

	stand_in_begin();
	j = only_line(heard(asking("version\n")));
	ck_assert(field_is_true(j, "ok"));
	ck_assert_int_gt((int)strlen(field_text(j, "version")), 0);
	json_decref(j);
	stand_in_end();
}

START_TEST(the_version_is_told)
{
	on_loop(version_body, NULL);
}
END_TEST

static void status_body(void)
{
	struct segment *a, *b;
	json_t *j, *part;

	stand_in_begin();
	a = segment_of(2, 100);
	b = segment_of(3, 10);
	add_generation(2, a);
	add_generation(3, b);
	add_generation(4, NULL);
	stand_in.view.carried.accepted = 1000;
	stand_in.view.carried.bytes_up = (uint64_t)1 << 40;
	stand_in.view.carried.datagrams_dropped = 9;
	stand_in.view.reloads = 7;
	stand_in.view.failed_reloads = 1;
	stand_in.view.crashes = 2;
	j = only_line(heard(asking("status\n")));
	ck_assert(field_is_true(j, "ok"));
	ck_assert_str_eq(field_text(j, "state"), "serving");
	ck_assert_int_eq(field_number(j, "pid"), getpid());
	ck_assert_int_eq(field_number(j, "generation"), 3);
	ck_assert_int_eq(field_number(j, "generations"), 3);
	ck_assert_int_gt(field_number(j, "uptime_s"), 1000000);
	ck_assert_int_eq(field_number(j, "crashes"), 2);
	part = json_object_get(j, "addresses");
	ck_assert_uint_eq(json_array_size(part), 2);
	ck_assert_str_eq(json_string_value(json_array_get(part, 1)),
			 "[::1]:1080");
	part = json_object_get(j, "connections");
	ck_assert_int_eq(field_number(part, "active"), 10);
	ck_assert_int_eq(field_number(part, "tunnels"), 4);
	part = json_object_get(j, "totals");
	ck_assert_int_eq(field_number(part, "accepted"), 1110);
	ck_assert_int_eq(field_number(part, "bytes_up"), (int64_t)1 << 40);
	ck_assert_int_eq(field_number(part, "datagrams_up"), 0);
	ck_assert_int_eq(field_number(part, "datagrams_dropped"), 9);
	part = json_object_get(j, "reloads");
	ck_assert_int_eq(field_number(part, "ok"), 7);
	ck_assert_int_eq(field_number(part, "failed"), 1);
	ck_assert(json_is_null(json_object_get(part, "last")));
	json_decref(j);
	stand_in_end();
	segment_free(a);
	segment_free(b);
}

START_TEST(the_status_adds_up_what_lived_and_lives)
{
	on_loop(status_body, NULL);
}
END_TEST

static void steered_body(void)
{
	json_t *j;

	stand_in_begin();
	expect_ok(asking("drain on lan%20x\n"));
	ck_assert(drained_has(&stand_in.drained, "lan x"));
	expect_error(asking("drain on lan%20x\n"), "that is so");
	j = only_line(heard(asking("status\n")));
	ck_assert_str_eq(json_string_value(json_array_get(
				 json_object_get(j, "drained"), 0)),
			 "lan x");
	json_decref(j);
	expect_error(asking("drain on x\n"),
		     "the generation that serves has no such listener");
	expect_error(asking("drain on %\n"), "that is no name of a listener");
	expect_ok(asking("drain off  lan%20x \n"));
	ck_assert_uint_eq(stand_in.drained.count, 0);
	ck_assert_int_eq(stand_in.drains, 0);
	expect_error(asking("drain on\n"),
		     "drain takes nothing, or on or off and a listener");
	json_decref(only_line(heard(asking("kill 17 user=x\n"))));
	ck_assert_str_eq(stand_in.passed, "17: kill 17 user=x");
	json_decref(only_line(heard(asking("log-level debug\n"))));
	ck_assert_str_eq(stand_in.passed, "all: log-level debug");
	expect_error(asking("kill 0 user=x\n"),
		     "the number of a generation is missing");
	expect_error(asking("kill 4294967295 a=x\n"),
		     "the number of a generation is missing");
	expect_error(asking("kill 5x\n"),
		     "the number of a generation is missing");
	stand_in.passes = -ESRCH;
	expect_error(asking("kill 5 a=x\n"), "there is no such generation");
	stand_in_end();
}

START_TEST(listeners_and_sessions_are_steered)
{
	on_loop(steered_body, NULL);
}
END_TEST

static void passed_on_body(void)
{
	json_t *j;

	stand_in_begin();
	j = only_line(heard(asking("refresh enforce\n")));
	json_decref(j);
	ck_assert_str_eq(stand_in.passed, "all: refresh enforce");
	j = only_line(heard(asking(" explain a  b:1 user=x\n")));
	json_decref(j);
	ck_assert_str_eq(stand_in.passed, " explain a  b:1 user=x");
	ck_assert_int_eq(stand_in.passes, 2);
	j = only_line(heard(asking("refreshed\n")));
	ck_assert_str_eq(field_text(j, "error"), "no such verb");
	json_decref(j);
	ck_assert_int_eq(stand_in.passes, 2);
	stand_in_end();
}

START_TEST(generations_answer_for_themselves)
{
	on_loop(passed_on_body, NULL);
}
END_TEST

static void not_passed_on_body(void)
{
	json_t *j;

	stand_in_begin();
	stand_in.passes = -ESRCH;
	j = only_line(heard(asking("refresh\n")));
	ck_assert(!field_is_true(j, "ok"));
	ck_assert_str_eq(field_text(j, "error"), "no generation serves");
	json_decref(j);
	stand_in.passes = -EPIPE;
	j = only_line(heard(asking("explain\n")));
	ck_assert_str_eq(field_text(j, "error"), strerror(EPIPE));
	json_decref(j);
	stand_in_end();
}

START_TEST(who_cannot_be_passed_on_is_told)
{
	on_loop(not_passed_on_body, NULL);
}
END_TEST

static void last_reload_body(void)
{
	json_t *j, *last;

	stand_in_begin();
	stand_in.view.addresses = NULL;
	stand_in.view.reloaded = true;
	stand_in.view.last = (struct view_reload){
		.generation = 3, .ms = 12, .error = "x.conf:1: \"\x1b\"\nline 2"
	};
	j = only_line(heard(asking("status\n")));
	ck_assert_uint_eq(json_array_size(json_object_get(j, "addresses")), 0);
	last = json_object_get(json_object_get(j, "reloads"), "last");
	ck_assert(!field_is_true(last, "ok"));
	ck_assert_int_eq(field_number(last, "ms"), 12);
	ck_assert_str_eq(field_text(last, "error"), stand_in.view.last.error);
	json_decref(j);
	stand_in_end();
}

START_TEST(the_status_tells_of_the_last_reload)
{
	on_loop(last_reload_body, NULL);
}
END_TEST

static void generations_body(void)
{
	struct segment *a;
	const char *text;
	json_t *j;

	stand_in_begin();
	a = segment_of(2, 100);
	add_generation(2, a);
	add_generation(3, NULL);
	text = heard(asking("generations\n"));
	for (const char *at = text; *at; at++)
		ck_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
	j = line_of(text, 0);
	ck_assert_int_eq(field_number(j, "generation"), 2);
	ck_assert_int_eq(field_number(j, "pid"), 1002);
	ck_assert_int_eq(field_number(j, "accepted"), 100);
	ck_assert_str_eq(field_text(j, "version"), "7.2");
	ck_assert_str_eq(field_text(j, "config"), "/etc/?.conf");
	ck_assert_int_eq(
		field_number(json_object_get(j, "connections"), "active"), 5);
	json_decref(j);
	j = line_of(text, 1);
	ck_assert_int_eq(field_number(j, "generation"), 3);
	ck_assert_str_eq(field_text(j, "version"), "");
	ck_assert_ptr_null(json_object_get(j, "done"));
	json_decref(j);
	j = line_of(text, 2);
	ck_assert(field_is_true(j, "done") && field_is_true(j, "ok"));
	json_decref(j);
	ck_assert_ptr_null(line_of(text, 3));
	stand_in_end();
	segment_free(a);
}

START_TEST(each_generation_has_a_line)
{
	on_loop(generations_body, NULL);
}
END_TEST

/* Takes the descriptors that come with the first bytes. */
static size_t take_fds(int fd, int *fds, size_t room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} space;
	char byte;
	struct iovec to = { &byte, 1 };
	struct msghdr m = { .msg_iov = &to,
			    .msg_iovlen = 1,
			    .msg_control = &space,
			    .msg_controllen = sizeof(space) };
	struct cmsghdr *c;
	size_t count;

	ck_assert_int_eq((int)recvmsg(fd, &m, MSG_CMSG_CLOEXEC), 1);
	ck_assert_int_eq(byte, '{');
	c = CMSG_FIRSTHDR(&m);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(c->cmsg_type, SCM_RIGHTS);
	count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	ck_assert_uint_le(count, room);
	memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	return count;
}

/* The rest of an answer whose first byte is gone. */
static json_t *rest_of(int fd)
{
	static char text[8192];

	text[0] = '{';
	(void)snprintf(text + 1, sizeof(text) - 1, "%s", heard(fd));
	return only_line(text);
}

static void sessions_body(void)
{
	struct segment *a, *b;
	struct stat want, got;
	json_t *j, *numbers;
	int fds[253], fd;

	stand_in_begin();
	a = segment_of(2, 1);
	b = segment_of(4, 1);
	add_generation(2, a);
	add_generation(3, NULL);
	add_generation(4, b);
	fd = asking("sessions\n");
	ck_assert_uint_eq(take_fds(fd, fds, 253), 2);
	ck_assert_int_eq(fstat(segment_fd(b), &want), 0);
	ck_assert_int_eq(fstat(fds[1], &got), 0);
	ck_assert_uint_eq(want.st_ino, got.st_ino);
	close_fd(&fds[0]);
	close_fd(&fds[1]);
	j = rest_of(fd);
	numbers = json_object_get(j, "generations");
	ck_assert_uint_eq(json_array_size(numbers), 2);
	ck_assert_int_eq(json_integer_value(json_array_get(numbers, 0)), 2);
	ck_assert_int_eq(json_integer_value(json_array_get(numbers, 1)), 4);
	ck_assert_int_eq(field_number(j, "left_out"), 1);
	json_decref(j);
	stand_in_end();
	segment_free(a);
	segment_free(b);
}

START_TEST(segments_come_in_the_order_of_their_numbers)
{
	on_loop(sessions_body, NULL);
}
END_TEST

static void many_segments_body(void)
{
	struct segment *a;
	int fds[253], fd;
	json_t *j, *numbers;

	stand_in_begin();
	a = segment_of(1, 1);
	for (uint32_t i = 1; i <= 300; i++)
		add_generation(i, a);
	fd = asking("sessions\n");
	ck_assert_uint_eq(take_fds(fd, fds, 253), 252);
	for (size_t i = 0; i < 252; i++)
		close_fd(&fds[i]);
	j = rest_of(fd);
	numbers = json_object_get(j, "generations");
	ck_assert_uint_eq(json_array_size(numbers), 252);
	ck_assert_int_eq(json_integer_value(json_array_get(numbers, 0)), 49);
	ck_assert_int_eq(json_integer_value(json_array_get(numbers, 251)), 300);
	ck_assert_int_eq(field_number(j, "left_out"), 48);
	json_decref(j);
	stand_in_end();
	segment_free(a);
}

START_TEST(the_newest_segments_come_where_not_all_fit)
{
	on_loop(many_segments_body, NULL);
}
END_TEST

static void no_segment_body(void)
{
	json_t *j;

	stand_in_begin();
	j = only_line(heard(asking("sessions\n")));
	ck_assert_uint_eq(json_array_size(json_object_get(j, "generations")),
			  0);
	json_decref(j);
	stand_in_end();
}

START_TEST(without_a_generation_there_are_no_sessions)
{
	on_loop(no_segment_body, NULL);
}
END_TEST

static void drain_body(void)
{
	stand_in_begin();
	expect_ok(asking("drain\n"));
	ck_assert_int_eq(stand_in.drains, 1);
	stand_in_end();
}

START_TEST(a_drain_is_passed_on)
{
	on_loop(drain_body, NULL);
}
END_TEST

/* --- Reloads ------------------------------------------------------------ */

static void reload_body(void)
{
	json_t *j;

	stand_in_begin();
	stand_in.number = 41;
	j = only_line(heard(asking("reload\n")));
	ck_assert(field_is_true(j, "ok"));
	ck_assert_int_eq(field_number(j, "number"), 42);
	json_decref(j);
	stand_in_end();
}

START_TEST(a_reload_has_a_number)
{
	on_loop(reload_body, NULL);
}
END_TEST

static void reload_wait_body(void)
{
	struct view_reload good = { .ok = true, .generation = 4, .ms = 80 };
	struct view_reload bad = { .generation = 4,
				   .ms = 9,
				   .error = "a.conf:1: x\na.conf:2: y\n" };
	int first, second, third;
	json_t *j;

	stand_in_begin();
	first = asking("reload wait\n");
	second = asking("reload wait\n");
	third = asking("reload wait\n");
	ck_assert(is_open(first) && is_open(second) && is_open(third));
	control_reloaded(stand_in.control, 2, &good);
	for (int i = 0; i < 2; i++) {
		j = only_line(heard(i ? second : first));
		ck_assert(field_is_true(j, "ok"));
		ck_assert_int_eq(field_number(j, "generation"), 4);
		ck_assert_int_eq(field_number(j, "ms"), 80);
		ck_assert_str_eq(field_text(j, "error"), "");
		json_decref(j);
	}
	ck_assert(is_open(third));
	control_reloaded(stand_in.control, 3, &bad);
	j = only_line(heard(third));
	ck_assert(!field_is_true(j, "ok"));
	ck_assert_int_eq(field_number(j, "generation"), 4);
	ck_assert_str_eq(field_text(j, "error"), bad.error);
	json_decref(j);
	stand_in_end();
}

START_TEST(who_waits_hears_how_the_reload_went)
{
	on_loop(reload_wait_body, NULL);
}
END_TEST

static void reload_at_once_body(void)
{
	stand_in_begin();
	stand_in.ends_at_once = true;
	expect_error(asking("reload wait\n"), "no fork");
	stand_in.ends_at_once = false;
	stand_in.refuses = true;
	expect_error(asking("reload wait\n"), "the daemon ends");
	expect_error(asking("reload\n"), "the daemon ends");
	stand_in_end();
}

START_TEST(a_reload_may_fail_before_it_has_begun)
{
	on_loop(reload_at_once_body, NULL);
}
END_TEST

static void reload_leaves_body(void)
{
	struct view_reload good = { .ok = true, .generation = 4 };
	int gone, half;

	stand_in_begin();
	gone = asking("reload wait\n");
	half = asking("reload wait\n");
	close_fd(&gone);
	ck_assert_int_eq(shutdown(half, SHUT_WR), 0);
	ck_assert(is_open(half));
	control_reloaded(stand_in.control, 2, &good);
	expect_ok(half);
	stand_in_end();
}

START_TEST(who_waits_may_leave_and_may_end_its_own_side)
{
	on_loop(reload_leaves_body, NULL);
}
END_TEST

static void reload_late_body(void)
{
	stand_in_begin();
	stand_in_be_impatient(5000, 5000, 20);
	expect_error(asking("reload wait\n"), "the reload takes too long");
	stand_in_end();
}

START_TEST(a_reload_is_not_waited_for_without_end)
{
	on_loop(reload_late_body, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_version_is_told);
	tcase_add_test(t, listeners_and_sessions_are_steered);
	tcase_add_test(t, the_status_adds_up_what_lived_and_lives);
	tcase_add_test(t, generations_answer_for_themselves);
	tcase_add_test(t, who_cannot_be_passed_on_is_told);
	tcase_add_test(t, the_status_tells_of_the_last_reload);
	tcase_add_test(t, each_generation_has_a_line);
	tcase_add_test(t, segments_come_in_the_order_of_their_numbers);
	tcase_add_test(t, the_newest_segments_come_where_not_all_fit);
	tcase_add_test(t, without_a_generation_there_are_no_sessions);
	tcase_add_test(t, a_drain_is_passed_on);
	tcase_add_test(t, a_reload_has_a_number);
	tcase_add_test(t, who_waits_hears_how_the_reload_went);
	tcase_add_test(t, a_reload_may_fail_before_it_has_begun);
	tcase_add_test(t, who_waits_may_leave_and_may_end_its_own_side);
	tcase_add_test(t, a_reload_is_not_waited_for_without_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
