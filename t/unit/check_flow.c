/*
 * One direction, step by step: what a step moves, keeps, and says.
 */
#include "core/flow.h"

#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A direction with the far ends of both its connections. */
struct line {
	int in, out; /* written to and read from by the test */
	struct tcp_conn *from, *to;
	struct flow flow;
	int error;
};

#define SMALL 16384 /* socket buffers that fill up soon */

static void line_open(struct line *l, enum tcp_relay_mode mode, int buffer)
{
	int from[2], to[2];

	tcp_pair(from, 0);
	tcp_pair(to, buffer);
	*l = (struct line){
		.in = from[0],
		.out = to[1],
		.from = conn_of(from[1]),
		.to = conn_of(to[0]),
		.flow.mode = (uint8_t)mode,
		.flow.most = FLOW_UNBOUNDED,
		.flow.splicing = mode == TCPSERVER_RELAY_SPLICE,
	};
	settle();
}

static void line_close(struct line *l)
{
	flow_close(&l->flow);
	tcp_conn_close(l->from);
	tcp_conn_close(l->to);
	close_fd(&l->in);
	close_fd(&l->out);
}

/* Sends pattern(from) and on; the kernel must take all of it. */
static void put(struct line *l, size_t from, size_t len)
{
	while (len > 0) {
		ssize_t n = send(l->in, pattern(from), min_size(len, 65536), 0);

		ck_assert_int_gt(n, 0);
		from += (size_t)n;
		len -= (size_t)n;
	}
	settle();
}

/* Reads what is there, which must be pattern(from) and on; its length. */
static size_t take(struct line *l, size_t from)
{
	uint8_t *got = malloc(PATTERN_RUN);
	size_t all = 0;
	ssize_t n;

	while ((n = recv(l->out, got, PATTERN_RUN, 0)) > 0) {
		ck_assert_mem_eq(got, pattern(from + all), (size_t)n);
		all += (size_t)n;
	}
	free(got);
	settle();
	return all;
}

static enum flow_step step(struct line *l)
{
	return flow_step(&l->flow, l->from, l->to, &l->error);
}

static enum flow_step steps(struct line *l)
{
	enum flow_step s;

	do {
		s = step(l);
	} while (s == FLOW_AGAIN);
	return s;
}

/* Steps and reads until `len` bytes have arrived. */
static void carry(struct line *l, size_t from, size_t len)
{
	while (len > 0) {
		size_t n;

		ck_assert_int_eq(steps(l), FLOW_WAIT);
		n = take(l, from);
		if (n == 0)
			nap(1);
		from += n;
		len -= n;
	}
	ck_assert_int_eq(steps(l), FLOW_WAIT);
}

static enum tcp_relay_mode mode;

/* Runs a test once for each mode. */
static void add_for_modes(TCase *t, const TTest *test)
{
	tcase_add_loop_test(t, test, TCPSERVER_RELAY_ADAPTIVE,
			    TCPSERVER_RELAY_SPLICE + 1);
}

/* --- Moving ------------------------------------------------------------- */

static void move_little(void)
{
	struct line l;

	line_open(&l, mode, 0);
	ck_assert_int_eq(step(&l), FLOW_WAIT);
	put(&l, 0, 1000);
	ck_assert_int_eq(step(&l), FLOW_AGAIN);
	ck_assert_int_eq(step(&l), FLOW_WAIT);
	ck_assert_uint_eq(l.flow.bytes, 1000);
	ck_assert_uint_eq(take(&l, 0), 1000);
	ck_assert(!flow_stuck(&l.flow));
	line_close(&l);
}

START_TEST(a_step_moves_what_is_there)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(move_little, NULL);
}
END_TEST

static void keep_rest(void)
{
	struct line l;

	line_open(&l, mode, SMALL);
	put(&l, 0, 150000);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert(flow_stuck(&l.flow));
	ck_assert(!(l.to->watch.ready & EPOLLOUT));
	ck_assert_uint_lt(l.flow.bytes, 150000);
	if (mode == TCPSERVER_RELAY_SPLICE) {
		ck_assert(l.flow.piped);
		ck_assert_ptr_eq(pipes_oldest(&net_self()->pipes), l.flow.pipe);
		ck_assert_ptr_eq(l.flow.pipe->holder, &l.flow);
	} else {
		ck_assert(!l.flow.piped);
		ck_assert_uint_le(net_self()->buffers.used, NET_SCRATCH_BYTES);
	}
	carry(&l, 0, 150000);
	ck_assert(!flow_stuck(&l.flow));
	ck_assert_uint_eq(l.flow.bytes, 150000);
	line_close(&l);
}

START_TEST(what_the_receiver_does_not_take_is_kept_and_follows)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(keep_rest, NULL);
}
END_TEST

static void close_stuck(void)
{
	struct line l;

	line_open(&l, mode, SMALL);
	put(&l, 0, 150000);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert(flow_stuck(&l.flow));
	flow_close(&l.flow);
	ck_assert(!flow_stuck(&l.flow));
	ck_assert_uint_eq(net_self()->buffers.used, 0);
	ck_assert_ptr_null(pipes_oldest(&net_self()->pipes));
	ck_assert_int_eq(step(&l), FLOW_WAIT);
	line_close(&l);
}

START_TEST(closing_throws_away_what_is_stuck)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(close_stuck, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void end_after_data(void)
{
	struct line l;

	line_open(&l, mode, SMALL);
	put(&l, 0, 100000);
	ck_assert_int_eq(shutdown(l.in, SHUT_WR), 0);
	settle();
	/* Not before all is delivered. */
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	for (size_t got = 0; got < 100000;) {
		size_t n = take(&l, got);

		if (n == 0)
			nap(1);
		got += n;
		ck_assert_int_eq(steps(&l), l.flow.bytes < 100000
						    ? FLOW_WAIT
						    : FLOW_AT_END);
	}
	ck_assert_int_eq(step(&l), FLOW_AT_END);
	ck_assert_int_eq(l.flow.end, FLOW_ENDED);
	line_close(&l);
}

START_TEST(the_end_comes_after_the_last_byte)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(end_after_data, NULL);
}
END_TEST

static void end_with_data(void)
{
	struct line l;

	line_open(&l, mode, 0);
	/* Both in one event: no edge of its own tells of the end. */
	ck_assert_int_eq(send(l.in, pattern(0), 100, 0), 100);
	close_fd(&l.in);
	settle();
	ck_assert_int_eq(steps(&l), FLOW_AT_END);
	ck_assert_uint_eq(take(&l, 0), 100);
	line_close(&l);
}

START_TEST(an_end_that_comes_with_data_is_seen)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(end_with_data, NULL);
}
END_TEST

static void reset(int *fd)
{
	struct linger now = { .l_onoff = 1 };

	ck_assert_int_eq(
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close_fd(fd);
	settle();
}

static void reset_after_data(void)
{
	struct line l;

	line_open(&l, mode, 0);
	put(&l, 0, 1000);
	reset(&l.in);
	ck_assert_int_eq(steps(&l), FLOW_READ_FAILED);
	ck_assert_int_eq(l.error, ECONNRESET);
	ck_assert_uint_eq(take(&l, 0), 1000);
	line_close(&l);
}

START_TEST(a_reset_of_the_source_is_told_after_its_data)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(reset_after_data, NULL);
}
END_TEST

static void lose_receiver(void)
{
	struct line l;

	line_open(&l, mode, 0);
	reset(&l.out);
	put(&l, 0, 1000);
	ck_assert_int_eq(steps(&l), FLOW_WRITE_FAILED);
	ck_assert(l.error == EPIPE || l.error == ECONNRESET);
	line_close(&l);
}

START_TEST(a_receiver_that_is_gone_is_told)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(lose_receiver, NULL);
}
END_TEST

static void lose_receiver_stuck(void)
{
	struct line l;

	line_open(&l, mode, SMALL);
	put(&l, 0, 150000);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert(flow_stuck(&l.flow));
	reset(&l.out);
	ck_assert_int_eq(steps(&l), FLOW_WRITE_FAILED);
	line_close(&l);
}

START_TEST(a_receiver_that_goes_while_bytes_are_stuck_is_told)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(lose_receiver_stuck, NULL);
}
END_TEST

/* --- Waiting ------------------------------------------------------------ */

static void pause_a_while(void)
{
	struct line l;

	line_open(&l, mode, 0);
	put(&l, 0, 100);
	l.flow.paused_until = deadline_in(20);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert_uint_eq(l.flow.bytes, 0);
	nap(21);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert_uint_eq(l.flow.bytes, 100);
	ck_assert_int_eq(l.flow.paused_until, 0);
	line_close(&l);
}

START_TEST(a_paused_direction_is_not_read_before_its_time)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(pause_a_while, NULL);
}
END_TEST

static void copy_without_room(void)
{
	struct buffers *pool = &net_self()->buffers;
	struct buffer *hog = buffer_room(pool, NET_SCRATCH_BYTES);
	struct line l;

	line_open(&l, TCPSERVER_RELAY_COPY, 0);
	put(&l, 0, 100);
	ck_assert_int_eq(step(&l), FLOW_AGAIN);
	ck_assert(!flow_stuck(&l.flow));
	ck_assert_uint_eq(l.flow.bytes, 100);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	buffer_free(pool, hog);
	ck_assert_uint_eq(take(&l, 0), 100);
	line_close(&l);
}

START_TEST(without_room_bytes_stay_in_the_source_until_they_are_delivered)
{
	struct net_options o = { .buffer_bytes = 2 * NET_SCRATCH_BYTES - 1,
				 .pipes = 1 };

	on_loop(copy_without_room, &o);
}
END_TEST

/* --- Pipes -------------------------------------------------------------- */

static void splice_without_pipes(void)
{
	struct line l;

	line_open(&l, TCPSERVER_RELAY_SPLICE, SMALL);
	put(&l, 0, 150000);
	ck_assert_int_eq(steps(&l), FLOW_WAIT);
	ck_assert(flow_stuck(&l.flow) && !l.flow.piped);
	carry(&l, 0, 150000);
	line_close(&l);
}

START_TEST(without_any_pipe_bulk_is_copied)
{
	struct net_options o = { .buffer_bytes = 1 << 20, .pipes = 0 };

	on_loop(splice_without_pipes, &o);
}
END_TEST

static void reclaim(void)
{
	struct line a, b;

	line_open(&a, TCPSERVER_RELAY_SPLICE, SMALL);
	line_open(&b, TCPSERVER_RELAY_SPLICE, SMALL);
	put(&a, 0, 150000);
	ck_assert_int_eq(steps(&a), FLOW_WAIT);
	ck_assert(flow_stuck(&a.flow) && a.flow.piped);
	put(&b, 500, 150000);
	ck_assert_int_eq(steps(&b), FLOW_WAIT);
	/* The one that was stuck longer made room. */
	ck_assert(flow_stuck(&a.flow) && !a.flow.piped);
	ck_assert(flow_stuck(&b.flow) && b.flow.piped);
	ck_assert_uint_eq(net_self()->pipes.count, 1);
	carry(&a, 0, 150000);
	carry(&b, 500, 150000);
	line_close(&a);
	line_close(&b);
}

START_TEST(the_pipe_stuck_longest_is_emptied_into_a_buffer)
{
	struct net_options o = { .buffer_bytes = 1 << 20, .pipes = 1 };

	on_loop(reclaim, &o);
}
END_TEST

static void urgent_to_splice(void)
{
	struct line l;

	line_open(&l, mode, 0);
	put(&l, 0, 1000);
	ck_assert_int_eq(send(l.in, pattern(1000), 1, MSG_OOB), 1);
	put(&l, 1001, 1000);
	carry(&l, 0, 2001);
	line_close(&l);
}

START_TEST(an_urgent_byte_stays_in_its_place)
{
	mode = (enum tcp_relay_mode)_i;
	on_loop(urgent_to_splice, NULL);
}
END_TEST

/* --- Measuring ---------------------------------------------------------- */

START_TEST(bulk_is_what_carries_32_kib_a_turn_on_average)
{
	struct flow f = { .mode = TCPSERVER_RELAY_ADAPTIVE };

	flow_measure(&f, 65160); /* one burst is no bulk */
	ck_assert(!f.splicing);
	for (int i = 0; i < 4; i++)
		flow_measure(&f, 65160);
	ck_assert(f.splicing);
	for (int i = 0; i < 4; i++)
		flow_measure(&f, 20000); /* between the bounds: as it was */
	ck_assert(f.splicing);
	for (int i = 0; i < 12; i++)
		flow_measure(&f, 64);
	ck_assert(!f.splicing);
	for (int i = 0; i < 100; i++)
		flow_measure(&f, 30000);
	ck_assert(!f.splicing);
}
END_TEST

START_TEST(turns_without_bytes_do_not_count)
{
	struct flow f = { .mode = TCPSERVER_RELAY_ADAPTIVE };

	for (int i = 0; i < 8; i++)
		flow_measure(&f, 65536);
	for (int i = 0; i < 100; i++)
		flow_measure(&f, 0);
	ck_assert(f.splicing);
}
END_TEST

START_TEST(a_fixed_mode_stays_as_it_is)
{
	struct flow copying = { .mode = TCPSERVER_RELAY_COPY };
	struct flow splicing = { .mode = TCPSERVER_RELAY_SPLICE,
				 .splicing = true };

	for (int i = 0; i < 20; i++) {
		flow_measure(&copying, 1 << 20);
		flow_measure(&splicing, 1);
	}
	ck_assert(!copying.splicing && splicing.splicing);
}
END_TEST

static void add_tests(TCase *t)
{
	add_for_modes(t, a_step_moves_what_is_there);
	add_for_modes(t, what_the_receiver_does_not_take_is_kept_and_follows);
	add_for_modes(t, closing_throws_away_what_is_stuck);
	add_for_modes(t, the_end_comes_after_the_last_byte);
	add_for_modes(t, an_end_that_comes_with_data_is_seen);
	add_for_modes(t, a_reset_of_the_source_is_told_after_its_data);
	add_for_modes(t, a_receiver_that_is_gone_is_told);
	add_for_modes(t, a_receiver_that_goes_while_bytes_are_stuck_is_told);
	add_for_modes(t, a_paused_direction_is_not_read_before_its_time);
	tcase_add_test(
		t,
		without_room_bytes_stay_in_the_source_until_they_are_delivered);
	tcase_add_test(t, without_any_pipe_bulk_is_copied);
	tcase_add_test(t, the_pipe_stuck_longest_is_emptied_into_a_buffer);
	add_for_modes(t, an_urgent_byte_stays_in_its_place);
	tcase_add_test(t, bulk_is_what_carries_32_kib_a_turn_on_average);
	tcase_add_test(t, turns_without_bytes_do_not_count);
	tcase_add_test(t, a_fixed_mode_stays_as_it_is);
}

int main(void)
{
	Suite *s = suite_create("flow");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
