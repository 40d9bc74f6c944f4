/*
 * One task for each end: a connection can have one that waits.
 */
#include "t/unit/pump.h"

#include "core/conn.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <string.h>

struct end {
	struct tcp_conn *c;
	size_t from, len;         /* to send: pattern(from) and on */
	size_t peer_from, expect; /* to get */
	size_t sent, got;
	bool done;
};

static bool send_some(struct end *e)
{
	ssize_t n;

	if (e->sent == e->len)
		return false;
	n = conn_write_now(e->c, pattern(e->from + e->sent),
			   min_size(e->len - e->sent, PATTERN_RUN));
	ck_assert_msg(n > 0 || n == -EAGAIN, "%zd after %zu sent", n, e->sent);
	e->sent += (size_t)max_i64(n, 0);
	return n > 0;
}

static bool get_some(struct end *e)
{
	/* Shared by all tasks: nothing suspends between read and compare. */
	static uint8_t got[PATTERN_RUN];
	ssize_t n;

	if (e->got == e->expect || !conn_can_read(e->c))
		return false;
	n = conn_read_now(e->c, got, min_size(e->expect - e->got, sizeof(got)));
	if (n == -EAGAIN)
		return false;
	ck_assert_msg(n > 0, "%zd after %zu got", n, e->got);
	ck_assert_msg(memcmp(got, pattern(e->peer_from + e->got), (size_t)n) ==
			      0,
		      "wrong bytes after %zu", e->got);
	e->got += (size_t)n;
	return true;
}

static uint32_t awaited(const struct end *e)
{
	uint32_t bits = 0;

	if (e->got < e->expect)
		bits |= conn_read_bits(e->c);
	if (e->sent < e->len)
		bits |= conn_write_bits(e->c);
	return bits;
}

static void run_end(void *arg)
{
	struct end *e = arg;

	while (e->sent < e->len || e->got < e->expect) {
		bool moved = send_some(e);

		if (get_some(e))
			moved = true;
		if (moved)
			ck_assert_int_eq(task_yield(TIMER_NEVER), 0);
		else
			ck_assert_int_eq(conn_wait(e->c, awaited(e),
						   deadline_in(SOON_MS)),
					 0);
	}
	e->done = true;
}

void pump(struct tcp_conn *a, struct tcp_conn *b, size_t there, size_t back)
{
	struct end end[2] = {
		{ .c = a,
		  .from = 3,
		  .len = there,
		  .peer_from = 7,
		  .expect = back },
		{ .c = b,
		  .from = 7,
		  .len = back,
		  .peer_from = 3,
		  .expect = there },
	};

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(task_start(run_end, &end[i], NULL), 0);
	while (!end[0].done || !end[1].done)
		nap(1);
}
