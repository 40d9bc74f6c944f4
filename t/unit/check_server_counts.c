/*
 * What others may read of a server while it runs, and after it.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>

static const struct tcp_listen_options plain;

static uint64_t count_of(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

START_TEST(counts_are_kept_where_they_are_wanted)
{
	static struct tcp_worker_counts counts[2];
	struct tcp_server_options o = { .workers = 2, .counts = counts };
	struct tcp_addr a = served_start(&o, &plain, handle_echo, NULL);
	struct tcp_server_stats s;
	int fd[40];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		ask(fd[i]);
	ck_assert_uint_eq(count_of(&counts[0].active) +
				  count_of(&counts[1].active),
			  ARRAY_SIZE(fd));
	for (size_t i = 0; i < 2; i++) {
		uint64_t active = count_of(&counts[i].active);

		ck_assert_uint_gt(active, 0);
		ck_assert_uint_eq(count_of(&counts[i].accepted), active);
		ck_assert_uint_eq(count_of(&counts[i].handshakes), active);
		ck_assert_uint_eq(count_of(&counts[i].tasks), active);
		ck_assert_uint_eq(count_of(&counts[i].relays), 0);
		ck_assert_int_eq(counts[i].tick_ms, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_until(active, 0);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.accepted, ARRAY_SIZE(fd));
	served_stop();
	/* They outlive the server. */
	ck_assert_uint_eq(counts[0].accepted + counts[1].accepted,
			  ARRAY_SIZE(fd));
	ck_assert_uint_eq(counts[0].active + counts[1].active, 0);
}
END_TEST

static int64_t tick_of(const struct tcp_worker_counts *c)
{
	return __atomic_load_n(&c->tick_ms, __ATOMIC_RELAXED);
}

/* Waits until a worker's tick is later than that; the tick then. */
static int64_t ticked(const struct tcp_worker_counts *c, int64_t after)
{
	for (int i = 0; i < SOON_MS && tick_of(c) <= after; i++)
		(void)usleep(1000);
	ck_assert_int_gt(tick_of(c), after);
	return tick_of(c);
}

START_TEST(loops_tell_that_they_turn_though_nothing_happens)
{
	static struct tcp_worker_counts counts[2];
	struct tcp_server_options o = { .workers = 2,
					.counts = counts,
					.tick_ms = 10 };

	(void)served_start(&o, &plain, handle_echo, NULL);
	for (size_t i = 0; i < 2; i++) {
		int64_t first = ticked(&counts[i], 0);
		int64_t second = ticked(&counts[i], first);

		ck_assert_int_ge(second - first, 10);
		(void)ticked(&counts[i], second);
	}
	served_stop();
}
END_TEST

static void handle_until_told(struct tcp_conn *c, void *ctx)
{
	atomic_bool *told = ctx;

	while (!atomic_load(told))
		(void)usleep(1000);
	handle_once(c, NULL);
}

START_TEST(a_loop_that_hangs_does_not_tick)
{
	static struct tcp_worker_counts counts[1];
	static atomic_bool told;
	struct tcp_server_options o = { .workers = 1,
					.counts = counts,
					.tick_ms = 5 };
	struct tcp_addr a = served_start(&o, &plain, handle_until_told, &told);
	int fd = tcp_connected(&a);
	int64_t last;

	served_until(tasks, 1);
	last = tick_of(counts);
	(void)usleep(50000);
	ck_assert_int_eq(tick_of(counts), last);
	atomic_store(&told, true);
	(void)ticked(counts, last);
	ask(fd);
	close_fd(&fd);
	served_stop();
}
END_TEST

static struct tcp_worker_usage usage[1];
static atomic_bool hanging;

/* By its byte: hangs until it is told, or looks at what was noted. */
static void handle_hang_or_look(struct tcp_conn *c, void *ctx)
{
	atomic_bool *told = ctx;
	uint64_t ms = 0;
	char byte;

	if (tcp_conn_read(c, &byte, 1, TCPSERVER_NEVER) != 1)
		return;
	while (byte == 'h' && !atomic_load(told)) {
		atomic_store(&hanging, true);
		(void)usleep(1000);
	}
	ms = count_of(&usage->accept_ms);
	(void)!tcp_conn_write_all(c, &ms, sizeof(ms), TCPSERVER_NEVER);
}

static uint64_t answer(int fd)
{
	uint64_t ms;

	ck_assert_int_eq(recv(fd, &ms, sizeof(ms), MSG_WAITALL), sizeof(ms));
	close_fd(&fd);
	return ms;
}

START_TEST(how_long_a_client_waited_in_the_queue_is_noted)
{
	static struct tcp_worker_counts counts[1];
	static atomic_bool told;
	struct tcp_server_options o = {
		.workers = 1, .counts = counts, .usage = usage, .tick_ms = 100
	};
	struct tcp_addr a = served_start(&o, &plain, handle_hang_or_look,
					 &told);
	int hangs = tcp_connected(&a), waits;

	served_until(active, 1);
	/* From a tick on the next client is asked. */
	(void)ticked(counts, tick_of(counts));
	ck_assert_int_eq(send(hangs, "h", 1, 0), 1);
	for (int i = 0; i < SOON_MS && !atomic_load(&hanging); i++)
		(void)usleep(1000);
	ck_assert(atomic_load(&hanging));
	waits = tcp_connected(&a);
	ck_assert_int_eq(send(waits, "l", 1, 0), 1);
	(void)usleep(60000);
	atomic_store(&told, true);
	(void)answer(hangs);
	/* The kernel counts by its own clock of 4 to 10 ms. */
	ck_assert_uint_ge(answer(waits), 40);
	/* Nobody came for longer than a tick. */
	for (int i = 0; i < SOON_MS && count_of(&usage->accept_ms); i++)
		(void)usleep(1000);
	ck_assert_uint_eq(count_of(&usage->accept_ms), 0);
	served_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_counts");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, counts_are_kept_where_they_are_wanted);
	tcase_add_test(t, loops_tell_that_they_turn_though_nothing_happens);
	tcase_add_test(t, a_loop_that_hangs_does_not_tick);
	tcase_add_test(t, how_long_a_client_waited_in_the_queue_is_noted);
	suite_add_tcase(s, t);
	return run_suite(s);
}
