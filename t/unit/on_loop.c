/*
 * A body's loop: made before it, taken apart after it.
 */
#include "t/unit/on_loop.h"

#include "core/conn.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <string.h>

static struct {
	struct loop *loop;
	struct net net;
	struct mail start;
	void (*body)(void);
	size_t tasks_left;
} here;

static void run_body(void *arg UNUSED)
{
	here.body();
	loop_stop(here.loop);
}

static void start_body(struct mail *m UNUSED)
{
	ck_assert_int_eq(task_start(run_body, NULL, NULL), 0);
}

static void check_nothing_left(void)
{
	ck_assert_uint_eq(task_count(), 0);
	ck_assert_uint_eq(here.net.conn_count, 0);
	ck_assert_msg(list_empty(&here.net.relays), "a relay is left");
	ck_assert_uint_eq(here.net.buffers.used, 0);
	ck_assert_msg(list_empty(&here.net.pipes.stuck), "a pipe is left");
	ck_assert_uint_eq(count_get(&here.net.counts->relays), 0);
	ck_assert_uint_eq(count_get(&here.net.counts->active), 0);
	ck_assert_uint_eq(count_get(&here.net.counts->handshakes), 0);
}

void on_loop(void (*body)(void), const struct net_options *o)
{
	struct net_options usual = { .buffer_bytes = 16u << 20, .pipes = 64 };

	here.body = body;
	here.start.run = start_body;
	ck_assert_int_eq(loop_new(&here.loop), 0);
	ck_assert_int_eq(net_init(&here.net, here.loop, o ? o : &usual), 0);
	loop_post(here.loop, &here.start);
	loop_run(here.loop);
	check_nothing_left();
	net_done(&here.net);
	loop_free(here.loop);
}

void settle(void)
{
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
}

void nap(int64_t ms)
{
	ck_assert_int_eq(task_sleep(deadline_in(ms)), 0);
}

struct tcp_conn *conn_of(int fd)
{
	struct tcp_addr nobody = { .family = AF_UNSPEC };
	struct tcp_conn *c;

	ck_assert_int_eq(conn_new(&c, fd, &nobody), 0);
	return c;
}

void conn_send(struct tcp_conn *c, size_t from, size_t len)
{
	while (len > 0) {
		size_t n = min_size(len, PATTERN_RUN);

		ck_assert_int_eq(tcp_conn_write_all(c, pattern(from), n,
						    deadline_in(SOON_MS)),
				 0);
		from += n;
		len -= n;
	}
}

void conn_expect(struct tcp_conn *c, size_t from, size_t len)
{
	/* Shared by all tasks: nothing suspends between read and compare. */
	static uint8_t got[PATTERN_RUN];

	while (len > 0) {
		ssize_t n = tcp_conn_read(c, got, min_size(len, sizeof(got)),
					  deadline_in(SOON_MS));

		ck_assert_msg(n > 0, "%zd with %zu bytes to come", n, len);
		ck_assert_msg(memcmp(got, pattern(from), (size_t)n) == 0,
			      "wrong bytes after %zu", from);
		from += (size_t)n;
		len -= (size_t)n;
	}
}

void conn_expect_end(struct tcp_conn *c)
{
	uint8_t byte;

	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(SOON_MS)), 0);
}

void conn_expect_reset(struct tcp_conn *c)
{
	uint8_t byte;

	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(SOON_MS)),
			 -ECONNRESET);
}
