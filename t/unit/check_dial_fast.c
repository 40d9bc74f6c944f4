/*
 * TCP Fast Open: a dial that returns before it is connected, in a network
 * namespace of the test's own, where it may make one.
 */
#include "core/conn.h"

#include "t/unit/conn_ends.h"
#include "t/unit/fast_open.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>

/* --- The first write ---------------------------------------------------- */

static void write_little(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;

	conn_send(c, 0, 100);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	ck_assert(fast_had_data(c));
	fast_finish(c, far);
}

START_TEST(the_first_write_goes_with_the_syn)
{
	fast_run(write_little);
}
END_TEST

static void write_much(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	struct reader r;
	ssize_t n = conn_write_now(c, pattern(0), PATTERN_RUN);

	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, PATTERN_RUN);
	far = fast_accepted();
	reader_start(&r, far, 0, 500000);
	conn_send(c, (size_t)n, 500000 - (size_t)n);
	reader_finish(&r);
	fast_finish(c, far);
}

START_TEST(what_does_not_fit_into_the_syn_follows)
{
	fast_run(write_much);
}
END_TEST

static void write_slices(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	struct iovec v[2] = {
		{ .iov_base = (void *)(uintptr_t)pattern(0), .iov_len = 50 },
		{ .iov_base = (void *)(uintptr_t)pattern(50), .iov_len = 50 },
	};

	ck_assert_int_eq(tcp_conn_writev_all(c, v, 2, deadline_in(SOON_MS)), 0);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	ck_assert(fast_had_data(c));
	fast_finish(c, far);
}

START_TEST(slices_go_with_the_syn)
{
	fast_run(write_slices);
}
END_TEST

static void write_file(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	int fd = file_of(100000);

	ck_assert_int_eq(
		tcp_conn_sendfile(c, fd, 0, 100000, deadline_in(SOON_MS)),
		100000);
	far = fast_accepted();
	conn_expect(far, 0, 100000);
	close_fd(&fd);
	fast_finish(c, far);
}

START_TEST(a_file_opens_it_too)
{
	fast_run(write_file);
}
END_TEST

static void move_first(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	struct ends e;

	ends_open(&e, 0, false);
	conn_send(e.here, 0, 40000);
	ck_assert_int_eq(
		tcp_conn_splice(c, e.there, 40000, deadline_in(SOON_MS)),
		40000);
	far = fast_accepted();
	conn_expect(far, 0, 40000);
	ends_close(&e);
	fast_finish(c, far);
}

START_TEST(bytes_of_another_connection_open_it_too)
{
	fast_run(move_first);
}
END_TEST

/* --- When it comes to nothing ------------------------------------------- */

static void refuse(void)
{
	struct tcp_conn *c = fast_dial_early();
	int r;

	close_fd(&fast_listening);
	r = tcp_conn_write_all(c, pattern(0), 100000, deadline_in(SOON_MS));
	ck_assert_int_eq(r, -ECONNREFUSED);
	tcp_conn_close(c);
}

START_TEST(a_refusal_is_told_by_the_write)
{
	fast_run(refuse);
}
END_TEST

static void read_first(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	uint8_t byte;

	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(5)),
			 -ETIMEDOUT);
	conn_send(c, 0, 100);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	fast_finish(c, far);
}

START_TEST(before_the_first_write_nothing_comes)
{
	fast_run(read_first);
}
END_TEST

/* The cookie went between dial and write: an ordinary SYN. */
static void lose_cookie(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;

	/* The test ends here where the program is missing. */
	if (system("ip tcp_metrics flush all >/dev/null 2>&1") == 0) {
		ck_assert_int_eq(conn_write_now(c, pattern(0), 10), -EAGAIN);
		ck_assert(!conn_can_write(c));
	}
	conn_send(c, 0, 100);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	fast_finish(c, far);
}

START_TEST(without_its_cookie_it_connects_as_usual)
{
	fast_run(lose_cookie);
}
END_TEST

static void server_forgets(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;

	ck_assert(fast_set("/proc/sys/net/ipv4/tcp_fastopen_key", "1-2-3-4"));
	conn_send(c, 0, 100);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	fast_finish(c, far);
}

START_TEST(a_server_that_knows_the_cookie_no_more_gets_all)
{
	fast_run(server_forgets);
}
END_TEST

static void forbidden(void)
{
	struct tcp_conn *c, *far;

	ck_assert(fast_allow("0"));
	c = fast_dial();
	far = fast_accepted();
	fast_finish(c, far);
}

START_TEST(where_the_kernel_does_not_do_it_it_connects_as_usual)
{
	fast_run(forbidden);
}
END_TEST

static void race(void)
{
	struct tcp_conn *c, *far;

	fast_get_cookie();
	fast_to[1] = fast_to[0];
	ck_assert_int_eq(tcp_dial(&c, fast_to, 2, &fast_options, NULL,
				  deadline_in(SOON_MS)),
			 0);
	far = fast_accepted();
	fast_finish(c, far);
}

START_TEST(of_several_addresses_one_must_answer)
{
	fast_run(race);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dial_fast");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_first_write_goes_with_the_syn);
	tcase_add_test(t, what_does_not_fit_into_the_syn_follows);
	tcase_add_test(t, slices_go_with_the_syn);
	tcase_add_test(t, a_file_opens_it_too);
	tcase_add_test(t, bytes_of_another_connection_open_it_too);
	tcase_add_test(t, a_refusal_is_told_by_the_write);
	tcase_add_test(t, before_the_first_write_nothing_comes);
	tcase_add_test(t, without_its_cookie_it_connects_as_usual);
	tcase_add_test(t, a_server_that_knows_the_cookie_no_more_gets_all);
	tcase_add_test(t, where_the_kernel_does_not_do_it_it_connects_as_usual);
	tcase_add_test(t, of_several_addresses_one_must_answer);
	suite_add_tcase(s, t);
	return run_suite(s);
}
