/*
 * Connections as a task sees them: waiting, deadlines, ends, and clients that
 * leave meanwhile.
 */
#include "core/arrival.h"

#include "core/listener.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct tcp_conn *this_end, *far_end; /* both ends of one connection */

static void open_pair(int buffer)
{
	int fd[2];

	tcp_pair(fd, buffer);
	this_end = conn_of(fd[0]);
	far_end = conn_of(fd[1]);
}

static void close_pair(void)
{
	if (this_end)
		tcp_conn_close(TAKE_PTR(this_end));
	if (far_end)
		tcp_conn_close(TAKE_PTR(far_end));
}

/* --- Reading and writing ------------------------------------------------ */

static void read_what_is_there(void)
{
	uint8_t got[100];

	open_pair(0);
	conn_send(this_end, 0, 30);
	nap(1);
	ck_assert_int_eq(
		tcp_conn_read(far_end, got, sizeof(got), deadline_in(5)), 30);
	ck_assert_mem_eq(got, pattern(0), 30);
	conn_send(this_end, 0, 30);
	ck_assert_int_eq(tcp_conn_read(far_end, got, 10, deadline_in(SOON_MS)),
			 10);
	ck_assert_int_eq(tcp_conn_read(far_end, got, 100, deadline_in(SOON_MS)),
			 20);
	close_pair();
}

START_TEST(a_read_takes_what_is_there)
{
	on_loop(read_what_is_there, NULL);
}
END_TEST

static void read_too_long(void)
{
	uint8_t got[10];

	open_pair(0);
	ck_assert_int_eq(tcp_conn_read(far_end, got, 10, deadline_in(10)),
			 -ETIMEDOUT);
	conn_send(this_end, 0, 10); /* it can be read all the same */
	conn_expect(far_end, 0, 10);
	close_pair();
}

START_TEST(a_read_ends_with_its_deadline)
{
	on_loop(read_too_long, NULL);
}
END_TEST

static void write_too_much(void)
{
	int error;

	open_pair(16384);
	do {
		error = tcp_conn_write_all(this_end, pattern(0), 65536,
					   deadline_in(10));
	} while (error == 0);
	ck_assert_int_eq(error, -ETIMEDOUT);
	close_pair();
}

START_TEST(a_write_ends_with_its_deadline)
{
	on_loop(write_too_much, NULL);
}
END_TEST

static void write_to_nobody(void)
{
	int r = 0;

	open_pair(0);
	tcp_conn_set_reset(far_end);
	tcp_conn_close(TAKE_PTR(far_end));
	nap(1);
	r = tcp_conn_write_all(this_end, pattern(0), 1, deadline_in(SOON_MS));
	ck_assert(r == -ECONNRESET || r == -EPIPE);
	close_pair();
}

START_TEST(a_write_to_a_peer_that_is_gone_fails_without_a_signal)
{
	on_loop(write_to_nobody, NULL);
}
END_TEST

static int read_result;

static void read_for_ever(void *arg UNUSED)
{
	uint8_t byte;

	read_result = (int)tcp_conn_read(far_end, &byte, 1, TIMER_NEVER);
}

static void cancel_reader(void)
{
	struct task *t;

	open_pair(0);
	ck_assert_int_eq(task_start(read_for_ever, NULL, &t), 0);
	nap(1);
	task_cancel(t);
	nap(1);
	ck_assert_int_eq(read_result, -ECANCELED);
	conn_send(this_end, 0, 1); /* nobody is woken for it any more */
	nap(1);
	close_pair();
}

START_TEST(a_reader_can_be_cancelled)
{
	on_loop(cancel_reader, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void shut(void)
{
	open_pair(0);
	conn_send(this_end, 0, 10);
	ck_assert_int_eq(tcp_conn_shutdown(this_end, TCPSERVER_NEVER), 0);
	conn_expect(far_end, 0, 10);
	conn_expect_end(far_end);
	conn_expect_end(far_end); /* and so for ever */
	conn_send(far_end, 0, 10);
	conn_expect(this_end, 0, 10);
	close_pair();
}

START_TEST(a_shutdown_ends_one_direction_only)
{
	on_loop(shut, NULL);
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

static void reset(void)
{
	open_pair(0);
	ck_assert(!tcp_conn_is_reset(this_end));
	tcp_conn_set_reset(far_end);
	tcp_conn_close(TAKE_PTR(far_end));
	conn_expect_reset(this_end);
	close_pair();
}

START_TEST(a_close_can_be_made_a_reset)
{
	on_loop(reset, NULL);
}
END_TEST

/* --- Clients that leave ------------------------------------------------- */

static int slept;

static void sleep_and_watch(void *arg UNUSED)
{
	tcp_conn_watch_reset(far_end, true);
	slept = task_sleep(deadline_in(SOON_MS));
	tcp_conn_watch_reset(far_end, false);
}

static void leave(void)
{
	open_pair(0);
	ck_assert_int_eq(task_start(sleep_and_watch, NULL, NULL), 0);
	nap(2);
	conn_send(this_end, 0, 10); /* neither bytes nor an end are a reset */
	ck_assert_int_eq(tcp_conn_shutdown(this_end, TCPSERVER_NEVER), 0);
	nap(2);
	ck_assert_int_eq(slept, 1);
	tcp_conn_set_reset(this_end);
	tcp_conn_close(TAKE_PTR(this_end));
	nap(2);
	ck_assert_int_eq(slept, -ECANCELED);
	ck_assert(tcp_conn_is_reset(far_end));
	close_pair();
}

START_TEST(a_reset_cancels_the_task_that_watches_for_it)
{
	slept = 1;
	on_loop(leave, NULL);
}
END_TEST

static void left_before(void)
{
	open_pair(0);
	tcp_conn_set_reset(this_end);
	tcp_conn_close(TAKE_PTR(this_end));
	nap(2);
	ck_assert_int_eq(task_start(sleep_and_watch, NULL, NULL), 0);
	nap(2);
	ck_assert_int_eq(slept, -ECANCELED);
	close_pair();
}

START_TEST(a_reset_that_came_before_cancels_it_at_once)
{
	on_loop(left_before, NULL);
}
END_TEST

/* --- Facts -------------------------------------------------------------- */

static void facts(void)
{
	struct tcp_addr local, peer, ours;
	int64_t now = deadline_in(0);

	open_pair(0);
	ck_assert_int_eq(tcp_conn_local(this_end, &local), 0);
	ck_assert_int_eq(tcp_conn_local(far_end, &peer), 0);
	ck_assert(addr_is_loopback(&local) && addr_is_loopback(&peer));
	ck_assert_uint_ne(local.port, peer.port);
	ours = *tcp_conn_peer(this_end);
	ck_assert_int_eq(ours.family, AF_UNSPEC); /* as it was made */
	ck_assert_int_ge(tcp_conn_started(this_end), now - 1000);
	ck_assert_int_le(tcp_conn_started(this_end), deadline_in(0));
	ck_assert_uint_eq(tcp_conn_worker(this_end), 0);
	close_pair();
}

START_TEST(a_connection_knows_its_facts)
{
	on_loop(facts, NULL);
}
END_TEST

static void no_byte(struct watch *w UNUSED)
{
}

static void know_listener(void)
{
	int some;
	struct tcp_server *server = (struct tcp_server *)&some;
	struct tcp_listener l = { .server = server };

	open_pair(0);
	ck_assert_ptr_null(tcp_conn_listener(this_end)); /* was dialled */
	ck_assert_ptr_null(tcp_conn_server(this_end));
	ck_assert_ptr_null(tcp_conn_user(this_end));
	this_end->listener = &l;
	ck_assert_ptr_eq(tcp_conn_listener(this_end), &l);
	ck_assert_ptr_eq(tcp_conn_server(this_end), server);
	ck_assert_ptr_null(tcp_conn_user(this_end)); /* it has no block */
	this_end->owner.listener = &l;
	ck_assert_int_eq(conn_await_first_byte(this_end, deadline_in(SOON_MS),
					       no_byte, NULL),
			 0);
	ck_assert_ptr_eq(tcp_conn_listener(this_end), &l);
	conn_end_silence(this_end);
	ck_assert_ptr_eq(tcp_conn_listener(this_end), &l);
	close_pair();
}

START_TEST(a_connection_knows_its_listener_silent_or_not)
{
	on_loop(know_listener, NULL);
}
END_TEST

static void bad_descriptor(void)
{
	struct tcp_addr nobody = { .family = AF_UNSPEC };
	struct tcp_conn *c;

	ck_assert_int_eq(conn_new(&c, 1000000, &nobody), -EBADF);
}

START_TEST(a_descriptor_that_cannot_be_watched_makes_no_connection)
{
	on_loop(bad_descriptor, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conn");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_read_takes_what_is_there);
	tcase_add_test(t, a_read_ends_with_its_deadline);
	tcase_add_test(t, a_write_ends_with_its_deadline);
	tcase_add_test(t,
		       a_write_to_a_peer_that_is_gone_fails_without_a_signal);
	tcase_add_test(t, a_reader_can_be_cancelled);
	tcase_add_test(t, a_shutdown_ends_one_direction_only);
	tcase_add_test(t, a_last_reply_survives_unread_bytes);
	tcase_add_test(t, lingering_is_bounded_by_bytes_and_time);
	tcase_add_test(t, a_close_can_be_made_a_reset);
	tcase_add_test(t, a_reset_cancels_the_task_that_watches_for_it);
	tcase_add_test(t, a_reset_that_came_before_cancels_it_at_once);
	tcase_add_test(t, a_connection_knows_its_facts);
	tcase_add_test(t, a_connection_knows_its_listener_silent_or_not);
	tcase_add_test(t,
		       a_descriptor_that_cannot_be_watched_makes_no_connection);
	suite_add_tcase(s, t);
	return run_suite(s);
}
