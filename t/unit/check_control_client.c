/*
 * What a client of the control socket may send, and that none can take more
 * than its share of time and memory.
 */
#include "daemon/control_client.h"
#include "t/unit/master_stand_in.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BIG_BYTES (1u << 20)

/* --- Requests ----------------------------------------------------------- */

static void wrong_requests_body(void)
{
	stand_in_begin();
	expect_error(asking("stats\n"), "no such verb");
	expect_error(asking("\n"), "no such verb");
	expect_error(asking("STATUS\n"), "no such verb");
	expect_error(asking("status now\n"), "too many words");
	expect_error(asking("version wait\n"), "too many words");
	expect_error(asking("reload wait long\n"), "too many words");
	expect_error(asking("status\t\n"), "printable ASCII only");
	expect_error(asking("stat\xc3\xbcs\n"), "printable ASCII only");
	ck_assert_uint_eq(stand_in.number, 0);
	ck_assert_int_eq(stand_in.drains, 0);
	stand_in_end();
}

START_TEST(what_is_no_request_is_told_so)
{
	on_loop(wrong_requests_body, NULL);
}
END_TEST

static void forms_body(void)
{
	int fd;

	stand_in_begin();
	expect_ok(asking("  version  \n"));
	expect_ok(asking("version\r\n"));
	expect_ok(asking("version\nand more that nobody asked for\n"));
	fd = asking("version");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_ok(fd);
	fd = asker();
	for (const char *at = "version\n"; *at; at++) {
		char one[2] = { *at };

		ck_assert(is_open(fd));
		asker_tell(fd, one);
	}
	expect_ok(fd);
	stand_in_end();
}

START_TEST(a_line_may_come_in_pieces_and_with_blanks)
{
	on_loop(forms_body, NULL);
}
END_TEST

static void long_lines_body(void)
{
	char line[CONTROL_REQUEST_BYTES + 2];
	int fd;

	stand_in_begin();
	memset(line, ' ', sizeof(line));
	memcpy(line, "version", 7);
	line[CONTROL_REQUEST_BYTES - 1] = '\n';
	line[CONTROL_REQUEST_BYTES] = '\0';
	expect_ok(asking(line));
	line[CONTROL_REQUEST_BYTES - 1] = ' ';
	line[CONTROL_REQUEST_BYTES] = '\n';
	line[CONTROL_REQUEST_BYTES + 1] = '\0';
	expect_error(asking(line), "the line is too long");
	line[CONTROL_REQUEST_BYTES - 1] = '\0';
	fd = asking(line);
	ck_assert(is_open(fd));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_ok(fd);
	stand_in_end();
}

START_TEST(a_line_has_at_most_512_bytes)
{
	on_loop(long_lines_body, NULL);
}
END_TEST

static void no_request_body(void)
{
	int fd;

	stand_in_begin();
	fd = asker();
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_closed(fd);
	stand_in_end();
}

START_TEST(who_asks_nothing_gets_nothing)
{
	on_loop(no_request_body, NULL);
}
END_TEST

/* --- Bounds ------------------------------------------------------------- */

static void crowd_body(void)
{
	int fds[CONTROL_CLIENTS_MAX];

	stand_in_begin();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = asker();
	expect_error(asker(), "too many clients");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		ck_assert(is_open(fds[i]));
	close_fd(&fds[7]);
	settle();
	expect_ok(asking("version\n"));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(&fds[i]);
	settle();
	expect_ok(asking("version\n"));
	stand_in_end();
}

START_TEST(clients_beyond_32_are_told_so)
{
	on_loop(crowd_body, NULL);
}
END_TEST

static void silent_body(void)
{
	int silent, slow;

	stand_in_begin();
	stand_in_be_impatient(500, 5000, 5000);
	silent = asker();
	slow = asker();
	for (int i = 0; i < 3; i++) {
		asker_tell(slow, "v");
		nap(10);
		ck_assert(is_open(silent) && is_open(slow));
	}
	expect_closed(silent);
	expect_closed(slow);
	stand_in_end();
}

START_TEST(who_sends_no_line_in_time_is_closed)
{
	on_loop(silent_body, NULL);
}
END_TEST

static char *big_text(size_t bytes)
{
	char *text = malloc(bytes + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', bytes);
	text[bytes] = '\0';
	stand_in.view.reloaded = true;
	stand_in.view.last.error = text;
	return text;
}

static void unread_body(void)
{
	char *text;
	int fd;

	stand_in_begin();
	stand_in_be_impatient(5000, 100, 5000);
	text = big_text(BIG_BYTES);
	fd = asking("status\n");
	nap(500);
	ck_assert_uint_lt(strlen(heard(fd)), BIG_BYTES);
	stand_in_end();
	free(text);
}

START_TEST(who_does_not_read_its_answer_is_closed)
{
	on_loop(unread_body, NULL);
}
END_TEST

static void big_body(void)
{
	char *text;
	json_t *j, *last;

	stand_in_begin();
	text = big_text(BIG_BYTES);
	j = only_line(heard(asking("status\n")));
	last = json_object_get(json_object_get(j, "reloads"), "last");
	ck_assert_str_eq(field_text(last, "error"), text);
	json_decref(j);
	free(text);
	text = big_text(5 * BIG_BYTES);
	expect_error(asking("status\n"), "the answer is too long");
	stand_in_end();
	free(text);
}

START_TEST(a_long_answer_arrives_and_one_without_end_does_not)
{
	on_loop(big_body, NULL);
}
END_TEST

static void freed_body(void)
{
	struct control *c;
	char *text;
	int fds[3];

	stand_in_begin();
	text = big_text(BIG_BYTES);
	fds[0] = asking("versio");
	fds[1] = asking("reload wait\n");
	fds[2] = asking("status\n");
	c = TAKE_PTR(stand_in.control);
	control_free(c);
	expect_closed(fds[0]);
	expect_closed(fds[1]);
	ck_assert_uint_gt(strlen(heard(fds[2])), 0);
	stand_in_end();
	free(text);
}

START_TEST(the_end_of_it_closes_all_clients)
{
	on_loop(freed_body, NULL);
}
END_TEST

static void deaf_body(void)
{
	int waiting;

	stand_in_begin();
	ck_assert_int_eq(control_listen(stand_in.control, -1), 0);
	ck_assert_int_eq(control_listen(stand_in.control, -1), 0);
	waiting = asking("version\n");
	ck_assert(is_open(waiting));
	ck_assert_int_eq(control_listen(stand_in.control, stand_in.listener),
			 0);
	ck_assert_int_eq(control_listen(stand_in.control, stand_in.listener),
			 0);
	expect_ok(waiting);
	stand_in_end();
}

START_TEST(it_may_listen_later_and_elsewhere)
{
	on_loop(deaf_body, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control_client");
	TCase *t = tcase_create("all");

	tcase_add_test(t, what_is_no_request_is_told_so);
	tcase_add_test(t, a_line_may_come_in_pieces_and_with_blanks);
	tcase_add_test(t, a_line_has_at_most_512_bytes);
	tcase_add_test(t, who_asks_nothing_gets_nothing);
	tcase_add_test(t, clients_beyond_32_are_told_so);
	tcase_add_test(t, who_sends_no_line_in_time_is_closed);
	tcase_add_test(t, who_does_not_read_its_answer_is_closed);
	tcase_add_test(t, a_long_answer_arrives_and_one_without_end_does_not);
	tcase_add_test(t, the_end_of_it_closes_all_clients);
	tcase_add_test(t, it_may_listen_later_and_elsewhere);
	suite_add_tcase(s, t);
	return run_suite(s);
}
