/*
 * When a connection is worth another try, where its stream is not the
 * socket's: bytes without an event, directions that wait for the other one's
 * event, an end that needs room.
 */
#include "core/conn.h"

#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>
#include <string.h>
#include <sys/socket.h>

static struct tcp_conn *this_end, *far_end; /* both ends of one connection */
static struct toy *this_toy, *far_toy;

static void make_pair(int fd[2])
{
	this_end = conn_of(fd[0]);
	far_end = conn_of(fd[1]);
	this_toy = toy_start(this_end);
	far_toy = toy_start(far_end);
	settle();
}

static void open_pair(int buffer)
{
	int fd[2];

	tcp_pair(fd, buffer);
	make_pair(fd);
}

/* Whether there is room is known at once here: nothing is on its way. */
static void open_unix_pair(void)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fd),
			 0);
	make_pair(fd);
}

static void close_pair(void)
{
	if (this_end)
		tcp_conn_close(TAKE_PTR(this_end));
	if (far_end)
		tcp_conn_close(TAKE_PTR(far_end));
}

static uint8_t junk[4096];

/* Fills the socket behind the stream's back until it takes no more. */
static size_t fill(struct tcp_conn *c)
{
	size_t all = 0;
	ssize_t n;

	while ((n = send(tcp_conn_fd(c), junk, sizeof(junk), 0)) > 0)
		all += (size_t)n;
	ck_assert_int_eq(errno, EAGAIN);
	c->watch.ready &= ~(uint32_t)EPOLLOUT;
	return all;
}

/* Takes that out of the socket of the other end. */
static void drain(struct tcp_conn *c, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(tcp_conn_fd(c), junk,
				 min_size(len, sizeof(junk)), 0);

		ck_assert_int_gt(n, 0);
		len -= (size_t)n;
	}
}

/* A task of its own beside the body. */
static ssize_t result;
static bool returned;

static void start(void (*fn)(void *arg))
{
	returned = false;
	ck_assert_int_eq(task_start(fn, NULL, NULL), 0);
	settle();
}

static void expect_result(ssize_t r)
{
	int64_t until = deadline_in(SOON_MS);

	while (!returned && deadline_in(0) < until)
		nap(1);
	ck_assert_msg(returned, "it still waits");
	ck_assert_int_eq(result, r);
}

static uint8_t got[100];

static void read_some(void *arg UNUSED)
{
	result = tcp_conn_read(far_end, got, sizeof(got), deadline_in(SOON_MS));
	returned = true;
}

static void write_some(void *arg UNUSED)
{
	result = tcp_conn_write_all(far_end, pattern(0), 100,
				    deadline_in(SOON_MS));
	returned = true;
}

static void shut(void *arg UNUSED)
{
	result = tcp_conn_shutdown(far_end, deadline_in(SOON_MS));
	returned = true;
}

/* --- Bytes without an event --------------------------------------------- */

static void read_in_slices(void)
{
	open_pair(0);
	far_toy->slice = 10;
	conn_send(this_end, 0, 5000);
	conn_expect(far_end, 0, 10);
	settle(); /* no event will come any more */
	ck_assert(!(far_end->watch.ready & EPOLLIN));
	ck_assert(far_end->pending && conn_can_read(far_end));
	conn_expect(far_end, 10, 4990);
	ck_assert(!conn_can_read(far_end));
	close_pair();
}

START_TEST(what_is_in_user_space_is_read_without_an_event)
{
	on_loop(read_in_slices, NULL);
}
END_TEST

static void read_half_a_record(void)
{
	uint8_t record[TOY_HEADER + 100];
	unsigned reads;

	open_pair(0);
	put_be16(record, 100);
	for (size_t i = 0; i < 100; i++)
		record[TOY_HEADER + i] = pattern(0)[i] ^ 0xff;
	ck_assert_int_eq(send(tcp_conn_fd(this_end), record, 50, 0), 50);
	start(read_some);
	nap(5);
	ck_assert(!returned);
	reads = far_toy->reads;
	nap(20);
	ck_assert_uint_eq(far_toy->reads, reads); /* it does not spin */
	ck_assert_uint_le(reads, 2);
	ck_assert_int_eq(send(tcp_conn_fd(this_end), record + 50,
			      sizeof(record) - 50, 0),
			 sizeof(record) - 50);
	expect_result(100);
	ck_assert_mem_eq(got, pattern(0), 100);
	close_pair();
}

START_TEST(half_a_record_is_waited_for_without_spinning)
{
	on_loop(read_half_a_record, NULL);
}
END_TEST

static void read_too_long(void)
{
	open_pair(0);
	ck_assert_int_eq(tcp_conn_read(far_end, got, 1, deadline_in(5)),
			 -ETIMEDOUT);
	conn_send(this_end, 0, 10);
	conn_expect(far_end, 0, 10);
	close_pair();
}

START_TEST(a_read_ends_with_its_deadline)
{
	on_loop(read_too_long, NULL);
}
END_TEST

/* --- The other direction's event ---------------------------------------- */

static void read_wants_room(void)
{
	size_t filled;

	open_unix_pair();
	filled = fill(far_end);
	far_toy->deny_reads = 1;
	conn_send(this_end, 0, 100);
	start(read_some);
	nap(5);
	ck_assert_uint_eq(far_toy->reads, 1);
	ck_assert(far_end->read_wants_out && !conn_can_read(far_end));
	conn_send(this_end, 100, 100); /* not what it waits for */
	nap(5);
	ck_assert_uint_eq(far_toy->reads, 1);
	ck_assert(!returned);
	drain(this_end, filled);
	expect_result(100);
	ck_assert(!far_end->read_wants_out);
	ck_assert_uint_eq(far_toy->reads, 2);
	close_pair();
}

START_TEST(a_read_that_wants_to_write_waits_for_room)
{
	on_loop(read_wants_room, NULL);
}
END_TEST

static void write_wants_bytes(void)
{
	open_pair(0);
	far_toy->deny_writes = 1;
	start(write_some);
	nap(5);
	ck_assert_uint_eq(far_toy->writes, 1);
	ck_assert(far_end->write_wants_in && !conn_can_write(far_end));
	ck_assert(!returned);
	conn_send(this_end, 0, 10);
	expect_result(0);
	ck_assert_uint_eq(far_toy->writes, 2);
	conn_expect(this_end, 0, 100);
	conn_expect(far_end, 0, 10);
	close_pair();
}

START_TEST(a_write_that_wants_to_read_waits_for_bytes)
{
	on_loop(write_wants_bytes, NULL);
}
END_TEST

static void write_too_much(void)
{
	open_pair(16384);
	while (tcp_conn_write_all(this_end, pattern(0), 65536,
				  deadline_in(10)) == 0)
		;
	ck_assert_uint_gt(this_toy->out_len, 0);
	ck_assert(!conn_can_write(this_end));
	close_pair();
}

START_TEST(a_write_ends_with_its_deadline)
{
	on_loop(write_too_much, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void shut_and_go_on(void)
{
	open_pair(0);
	conn_send(far_end, 0, 100);
	ck_assert_int_eq(tcp_conn_shutdown(far_end, deadline_in(SOON_MS)), 0);
	conn_expect(this_end, 0, 100);
	conn_expect_end(this_end);
	conn_send(this_end, 0, 100); /* the other direction goes on */
	conn_expect(far_end, 0, 100);
	close_pair();
}

START_TEST(a_shutdown_ends_one_direction_only)
{
	on_loop(shut_and_go_on, NULL);
}
END_TEST

static void shut_in_vain(void)
{
	size_t filled;

	open_unix_pair();
	filled = fill(far_end);
	far_toy->deny_shuts = 1;
	ck_assert_int_eq(tcp_conn_shutdown(far_end, deadline_in(5)),
			 -ETIMEDOUT);
	ck_assert(!far_toy->said_end);
	start(shut);
	nap(5);
	ck_assert(!returned);
	drain(this_end, filled);
	expect_result(0);
	ck_assert(far_toy->said_end);
	conn_expect_end(this_end);
	close_pair();
}

START_TEST(a_shutdown_waits_for_room_until_its_deadline)
{
	on_loop(shut_in_vain, NULL);
}
END_TEST

static void linger(void)
{
	open_pair(0);
	conn_send(this_end, 0, 5000); /* which nobody reads */
	nap(1);
	conn_send(far_end, 0, 100); /* the last reply */
	ck_assert_int_eq(tcp_conn_shutdown(this_end, TCPSERVER_NEVER), 0);
	tcp_conn_linger(far_end, 1 << 20, deadline_in(SOON_MS));
	ck_assert(far_toy->heard_end);
	tcp_conn_close(TAKE_PTR(far_end));
	conn_expect(this_end, 0, 100);
	conn_expect_end(this_end);
	close_pair();
}

START_TEST(a_last_reply_survives_unread_bytes)
{
	on_loop(linger, NULL);
}
END_TEST

static void linger_bounded(void)
{
	int64_t began;

	open_pair(0);
	conn_send(this_end, 0, 5000);
	nap(1);
	tcp_conn_linger(far_end, 1000, deadline_in(SOON_MS)); /* by bytes */
	conn_expect(far_end, 1000, 4000);
	began = deadline_in(0);
	tcp_conn_linger(far_end, 1 << 20, deadline_in(20)); /* by time */
	ck_assert_int_ge(deadline_in(0) - began, 20);
	close_pair();
}

START_TEST(lingering_is_bounded_by_bytes_and_time)
{
	on_loop(linger_bounded, NULL);
}
END_TEST

static void cut(void)
{
	open_pair(0);
	conn_send(far_end, 0, 10);
	tcp_conn_close(TAKE_PTR(far_end)); /* without a word */
	conn_expect(this_end, 0, 10);
	conn_expect_reset(this_end);
	close_pair();
}

START_TEST(an_end_that_was_not_said_is_a_failure)
{
	on_loop(cut, NULL);
}
END_TEST

/* --- Closing ------------------------------------------------------------ */

static void close_and_tell(void)
{
	bool closed = false;

	open_pair(0);
	far_toy->closed = &closed;
	tcp_conn_close(TAKE_PTR(far_end));
	ck_assert(closed);
	close_pair();
}

START_TEST(a_stream_is_told_of_the_close_before_it_is_done)
{
	on_loop(close_and_tell, NULL);
}
END_TEST

static int slept;

static void sleep_and_watch(void *arg UNUSED)
{
	tcp_conn_watch_reset(far_end, true);
	slept = tcp_sleep(deadline_in(SOON_MS));
	tcp_conn_watch_reset(far_end, false);
}

static void leave(void)
{
	open_pair(0);
	slept = 1;
	ck_assert_int_eq(task_start(sleep_and_watch, NULL, NULL), 0);
	nap(2);
	conn_send(this_end, 0, 10); /* neither bytes nor an end are a reset */
	ck_assert_int_eq(tcp_conn_shutdown(this_end, TCPSERVER_NEVER), 0);
	nap(2);
	ck_assert_int_eq(slept, 1);
	ck_assert(!tcp_conn_is_reset(far_end));
	tcp_conn_set_reset(this_end);
	tcp_conn_close(TAKE_PTR(this_end));
	nap(2);
	ck_assert_int_eq(slept, -ECANCELED);
	ck_assert(tcp_conn_is_reset(far_end));
	close_pair();
}

START_TEST(a_reset_cancels_the_task_that_watches_for_it)
{
	on_loop(leave, NULL);
}
END_TEST

static void keep_bytes(void)
{
	open_pair(0);
	far_toy->slice = 10;
	conn_send(this_end, 0, 100);
	conn_expect(far_end, 0, 10);
	tcp_conn_watch_reset(far_end, true);
	nap(1);
	tcp_conn_watch_reset(far_end, false);
	conn_expect(far_end, 10, 90);
	close_pair();
}

START_TEST(watching_for_a_reset_forgets_no_bytes)
{
	on_loop(keep_bytes, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conn_ready");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_in_user_space_is_read_without_an_event);
	tcase_add_test(t, half_a_record_is_waited_for_without_spinning);
	tcase_add_test(t, a_read_ends_with_its_deadline);
	tcase_add_test(t, a_read_that_wants_to_write_waits_for_room);
	tcase_add_test(t, a_write_that_wants_to_read_waits_for_bytes);
	tcase_add_test(t, a_write_ends_with_its_deadline);
	tcase_add_test(t, a_shutdown_ends_one_direction_only);
	tcase_add_test(t, a_shutdown_waits_for_room_until_its_deadline);
	tcase_add_test(t, a_last_reply_survives_unread_bytes);
	tcase_add_test(t, lingering_is_bounded_by_bytes_and_time);
	tcase_add_test(t, an_end_that_was_not_said_is_a_failure);
	tcase_add_test(t, a_stream_is_told_of_the_close_before_it_is_done);
	tcase_add_test(t, a_reset_cancels_the_task_that_watches_for_it);
	tcase_add_test(t, watching_for_a_reset_forgets_no_bytes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
