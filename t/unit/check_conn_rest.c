/*
 * Connections between two turns of their handler: without a task or with one,
 * until a byte comes, for too long, or while the server stops.
 */
#include "core/arrival.h"

#include "core/task.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <stdatomic.h>

static int64_t rest_ms;
static atomic_int turns, unhandled_by;
static atomic_int rested;

/* Answers a byte, then rests. */
static void handle_turn(struct tcp_conn *c, void *ctx UNUSED)
{
	uint8_t byte[16]; /* a read that is filled leaves it open */

	atomic_fetch_add(&turns, 1);
	if (tcp_conn_read(c, byte, sizeof(byte), tcp_deadline(SOON_MS)) != 1)
		return;
	ck_assert_int_eq(tcp_conn_write_all(c, byte, 1, tcp_deadline(SOON_MS)),
			 0);
	atomic_store(&rested, conn_rest(c, tcp_deadline(rest_ms)));
}

/* The same within the task. */
static void handle_here(struct tcp_conn *c, void *ctx UNUSED)
{
	uint8_t byte[16];
	ssize_t n;

	while ((n = conn_rest_here(c, byte, sizeof(byte),
				   tcp_deadline(rest_ms))) > 0)
		ck_assert_int_eq(tcp_conn_write_all(c, byte, (size_t)n,
						    tcp_deadline(SOON_MS)),
				 0);
	atomic_store(&unhandled_by, (int)n);
}

static void tell(struct tcp_conn *c UNUSED, int r, void *ctx UNUSED)
{
	atomic_store(&unhandled_by, r);
}

static int start(tcp_handler *handler, int64_t ms)
{
	static const struct tcp_server_options so = { .workers = 1 };
	static const struct tcp_listen_options lo = { .unhandled = tell };
	struct tcp_addr at;

	rest_ms = ms;
	at = served_start(&so, &lo, handler, NULL);
	return tcp_connected(&at);
}

START_TEST(a_byte_starts_the_handler_anew)
{
	int fd = start(handle_turn, SOON_MS);

	for (int i = 1; i <= 5; i++) {
		ask(fd);
		served_until(tasks, 0);
		served_until(active, 1);
		ck_assert_int_eq(atomic_load(&turns), i);
		ck_assert_int_eq(atomic_load(&rested), 0);
	}
	close_fd(&fd);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&turns), 6); /* it saw the end */
	served_stop();
}
END_TEST

START_TEST(silence_has_an_end)
{
	int fd = start(handle_turn, 50);

	ask(fd);
	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&unhandled_by), -ETIMEDOUT);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_server_that_stops_accepting_ends_the_rest)
{
	int fd = start(handle_turn, SOON_MS);

	ask(fd);
	served_until(tasks, 0);
	tcp_server_stop_accepting(served);
	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&unhandled_by), -ESHUTDOWN);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(nobody_rests_who_came_before_that)
{
	int fd = start(handle_turn, SOON_MS);

	/* Silence after accept(2) is no rest: it may still ask. */
	served_until(active, 1);
	tcp_server_stop_accepting(served);
	ask(fd);
	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&rested), -ESHUTDOWN);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_task_may_wait_for_the_same)
{
	int fd = start(handle_here, SOON_MS);

	for (int i = 0; i < 3; i++)
		ask(fd);
	tcp_server_stop_accepting(served);
	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&unhandled_by), -ESHUTDOWN);
	close_fd(&fd);
	served_stop();
	fd = start(handle_here, 50);
	ask(fd);
	ck_assert_int_eq(ended_how(fd), 0);
	served_until(active, 0);
	ck_assert_int_eq(atomic_load(&unhandled_by), -ETIMEDOUT);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(a_shutdown_cuts_those_that_rest)
{
	int fd = start(handle_turn, SOON_MS);

	ask(fd);
	served_until(tasks, 0);
	served_stop();
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conn_rest");
	TCase *tc = tcase_create("conn_rest");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_byte_starts_the_handler_anew);
	tcase_add_test(tc, silence_has_an_end);
	tcase_add_test(tc, a_server_that_stops_accepting_ends_the_rest);
	tcase_add_test(tc, nobody_rests_who_came_before_that);
	tcase_add_test(tc, a_task_may_wait_for_the_same);
	tcase_add_test(tc, a_shutdown_cuts_those_that_rest);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
