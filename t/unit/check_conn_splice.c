/*
 * Moving bytes from one connection to another: exactly so many, whatever the
 * kinds of both, the room, and how either ends.
 */
#include "core/conn.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>
#include <sys/socket.h>

#define SMALL 16384 /* socket buffers that fill up soon */

/* The bytes go in.here -> in.there => out.here -> out.there. */
static struct ends in, out;
static struct reader reader;
static bool toy_in, toy_out;
static struct net_options options;

static void open_both(int buffer)
{
	ends_open(&in, 0, toy_in);
	ends_open(&out, buffer, toy_out);
}

static void close_both(void)
{
	ends_close(&in);
	ends_close(&out);
}

/* Every mix of plain and toy: a loop test of four. */
#define MIXES 4

static void run(int mix, void (*body)(void))
{
	toy_in = mix & 1;
	toy_out = mix & 2;
	options = (struct net_options){ .buffer_bytes = 1 << 20, .pipes = 2 };
	on_loop(body, &options);
}

static ssize_t move(size_t len)
{
	return tcp_conn_splice(out.here, in.there, len, deadline_in(SOON_MS));
}

/* Sends pattern(at) and on beside the body. */
struct source {
	size_t at, len;
	bool end, done;
};

static void run_source(void *arg)
{
	struct source *s = arg;

	conn_send(in.here, s->at, s->len);
	if (s->end)
		ck_assert_int_eq(
			tcp_conn_shutdown(in.here, deadline_in(SOON_MS)), 0);
	s->done = true;
}

static void source_start(struct source *s)
{
	ck_assert_int_eq(task_start(run_source, s, NULL), 0);
}

/* --- Lengths ------------------------------------------------------------ */

static const size_t lengths[] = { 1, 1000, 32767, 32768, 65536, 65537, 300000 };
static size_t length;

/* What comes behind is left where it is. */
static void move_exactly(void)
{
	struct source s = { .len = length + 100 };
	uint8_t more;

	open_both(0);
	source_start(&s);
	reader_start(&reader, out.there, 0, length);
	ck_assert_int_eq(move(length), (ssize_t)length);
	reader_finish(&reader);
	ck_assert_int_eq(tcp_conn_read(out.there, &more, 1, deadline_in(1)),
			 -ETIMEDOUT);
	conn_expect(in.there, length, 100);
	ck_assert(s.done);
	close_both();
}

START_TEST(exactly_so_many_bytes_are_moved)
{
	length = lengths[_i / MIXES];
	run(_i % MIXES, move_exactly);
}
END_TEST

static void move_none(void)
{
	open_both(0);
	ck_assert_int_eq(move(0), 0);
	close_both();
}

START_TEST(no_bytes_are_none)
{
	run(_i, move_none);
}
END_TEST

static void move_to_the_end(void)
{
	struct source s = { .len = 200000, .end = true };

	open_both(0);
	source_start(&s);
	reader_start(&reader, out.there, 0, 200000);
	ck_assert_int_eq(move(SIZE_MAX), 200000);
	reader_finish(&reader);
	ck_assert_int_eq(move(10), 0); /* and so for ever */
	/* The end is not passed on. */
	conn_send(out.here, 5, 10);
	conn_expect(out.there, 5, 10);
	close_both();
}

START_TEST(where_the_source_ends_fewer_are_moved)
{
	run(_i, move_to_the_end);
}
END_TEST

static void move_to_slow_reader(void)
{
	struct source s = { .len = 2000000 };

	open_both(SMALL);
	source_start(&s);
	reader_start(&reader, out.there, 0, 2000000);
	ck_assert_int_eq(move(2000000), 2000000);
	reader_finish(&reader);
	close_both();
}

START_TEST(a_slow_reader_gets_all)
{
	run(_i, move_to_slow_reader);
}
END_TEST

START_TEST(without_pipes_all_is_copied)
{
	toy_in = toy_out = false;
	options = (struct net_options){ .buffer_bytes = 1 << 20 };
	on_loop(move_to_slow_reader, &options);
}
END_TEST

START_TEST(without_any_room_bytes_stay_in_the_source)
{
	toy_in = _i & 1;
	toy_out = _i & 2;
	options = (struct net_options){ .buffer_bytes = 1000 };
	on_loop(move_to_slow_reader, &options);
}
END_TEST

/* --- By splice(2) or not ------------------------------------------------ */

static void move_bulk(void)
{
	struct source s = { .len = 1000000 };

	open_both(0);
	source_start(&s);
	reader_start(&reader, out.there, 0, 1000000);
	ck_assert_int_eq(move(1000000), 1000000);
	reader_finish(&reader);
	ck_assert_uint_eq(net_self()->pipes.count, !toy_in && !toy_out);
	close_both();
}

START_TEST(bulk_between_plain_ones_goes_through_a_pipe)
{
	run(_i, move_bulk);
}
END_TEST

/* --- Deadlines and failures --------------------------------------------- */

static void wait_for_source(void)
{
	open_both(0);
	ck_assert_int_eq(
		tcp_conn_splice(out.here, in.there, 10, deadline_in(10)),
		-ETIMEDOUT);
	conn_send(in.here, 0, 10); /* both are as they were */
	ck_assert_int_eq(move(10), 10);
	conn_expect(out.there, 0, 10);
	close_both();
}

START_TEST(a_silent_source_is_waited_for_until_the_deadline)
{
	run(_i, wait_for_source);
}
END_TEST

static int late_result;

static void move_for_ever(void *arg UNUSED)
{
	late_result = (int)tcp_conn_splice(out.here, in.there, SIZE_MAX,
					   TCPSERVER_NEVER);
}

static struct task *start_moving(void)
{
	struct task *t;

	late_result = 1;
	ck_assert_int_eq(task_start(move_for_ever, NULL, &t), 0);
	nap(2);
	return t;
}

static void expect_late(int r)
{
	int64_t until = deadline_in(SOON_MS);

	while (late_result == 1 && deadline_in(0) < until)
		nap(1);
	ck_assert_int_eq(late_result, r);
}

static void cancel(void)
{
	struct task *t;

	open_both(0);
	t = start_moving();
	ck_assert_int_eq(late_result, 1);
	task_cancel(t);
	expect_late(-ECANCELED);
	conn_send(in.here, 0, 10); /* nobody is woken for it any more */
	nap(1);
	close_both();
}

START_TEST(it_can_be_cancelled)
{
	run(_i, cancel);
}
END_TEST

static void look_into_pipe(void)
{
	struct pipes *pipes = &net_self()->pipes;
	struct task *t;

	open_both(SMALL);
	conn_send(in.here, 0, 150000);
	t = start_moving();
	nap(5);
	ck_assert(!toy_in && !toy_out ? pipes_oldest(pipes) != NULL
				      : net_self()->buffers.used > 0);
	task_cancel(t);
	expect_late(-ECANCELED);
	/* It did not go back with bytes in it. */
	ck_assert_uint_eq(pipes->count, 0);
	close_both();
}

START_TEST(nothing_that_was_left_in_a_pipe_reaches_others)
{
	run(_i, look_into_pipe);
}
END_TEST

static void lose_source(void)
{
	open_both(0);
	conn_send(in.here, 0, 1000);
	(void)start_moving();
	conn_expect(out.there, 0, 1000); /* what came before is delivered */
	end_reset(&in.here);
	expect_late(-ECONNRESET);
	close_both();
}

START_TEST(a_source_that_fails_is_told)
{
	run(_i, lose_source);
}
END_TEST

static void lose_receiver(void)
{
	ssize_t r;

	open_both(0);
	end_reset(&out.there);
	conn_send(in.here, 0, 50000);
	r = move(50000);
	ck_assert(r == -ECONNRESET || r == -EPIPE);
	close_both();
}

START_TEST(a_receiver_that_fails_is_told)
{
	run(_i, lose_receiver);
}
END_TEST

static void lose_receiver_meanwhile(void)
{
	open_both(0);
	(void)start_moving();
	end_reset(&out.there);
	expect_late(-ECONNRESET);
	close_both();
}

START_TEST(a_receiver_that_fails_is_noticed_while_the_source_is_silent)
{
	run(_i, lose_receiver_meanwhile);
}
END_TEST

/* A UNIX socket knows no reset: it hangs up. */
static void hang_up(void)
{
	int fd[2];

	ends_open(&in, 0, false);
	ck_assert_int_eq(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				    0, fd),
			 0);
	out = (struct ends){ conn_of(fd[0]), conn_of(fd[1]) };
	conn_send(in.here, 0, 100000);
	ck_assert_int_eq(move(100000), 100000);
	conn_expect(out.there, 0, 100000);
	(void)start_moving();
	tcp_conn_close(TAKE_PTR(out.there));
	expect_late(-EPIPE);
	close_both();
}

START_TEST(a_receiver_that_hangs_up_is_noticed)
{
	run(0, hang_up);
}
END_TEST

/* An error that somebody took before is none. */
static void false_alarm(void)
{
	open_both(0);
	(void)start_moving();
	out.here->watch.ready |= EPOLLERR;
	out.here->watch.notify(&out.here->watch);
	nap(2);
	ck_assert_int_eq(late_result, 1);
	conn_send(in.here, 0, 10);
	conn_expect(out.there, 0, 10);
	ck_assert_int_eq(tcp_conn_shutdown(in.here, TCPSERVER_NEVER), 0);
	expect_late(10);
	close_both();
}

START_TEST(an_alarm_without_an_error_is_slept_over)
{
	run(_i, false_alarm);
}
END_TEST

/* --- One connection, urgent bytes ------------------------------- */

static void echo(void *arg UNUSED)
{
	late_result = (int)tcp_conn_splice(in.there, in.there, SIZE_MAX,
					   deadline_in(SOON_MS));
}

static void echo_all(void)
{
	late_result = 1;
	ends_open(&in, SMALL, toy_in);
	ck_assert_int_eq(task_start(echo, NULL, NULL), 0);
	for (size_t at = 0; at < 500000; at += 5000) {
		conn_send(in.here, at, 5000);
		conn_expect(in.here, at, 5000);
	}
	ck_assert_int_eq(tcp_conn_shutdown(in.here, TCPSERVER_NEVER), 0);
	expect_late(500000);
	ends_close(&in);
}

START_TEST(a_connection_can_be_moved_to_itself)
{
	run(_i, echo_all);
}
END_TEST

static void move_urgent(void)
{
	open_both(0);
	conn_send(in.here, 0, 40000);
	ck_assert_int_eq(send(tcp_conn_fd(in.here), pattern(40000), 1, MSG_OOB),
			 1);
	conn_send(in.here, 40001, 39999);
	reader_start(&reader, out.there, 0, 80000);
	ck_assert_int_eq(move(80000), 80000);
	reader_finish(&reader);
	close_both();
}

START_TEST(an_urgent_byte_stays_in_its_place)
{
	run(0, move_urgent);
}
END_TEST

static void add_lengths(TCase *t)
{
	tcase_add_loop_test(t, exactly_so_many_bytes_are_moved, 0,
			    MIXES * (int)ARRAY_SIZE(lengths));
	tcase_add_loop_test(t, no_bytes_are_none, 0, MIXES);
	tcase_add_loop_test(t, where_the_source_ends_fewer_are_moved, 0, MIXES);
	tcase_add_loop_test(t, a_slow_reader_gets_all, 0, MIXES);
	tcase_add_test(t, without_pipes_all_is_copied);
	tcase_add_loop_test(t, without_any_room_bytes_stay_in_the_source, 0,
			    MIXES);
	tcase_add_loop_test(t, nothing_that_was_left_in_a_pipe_reaches_others,
			    0, MIXES);
	tcase_add_loop_test(t, bulk_between_plain_ones_goes_through_a_pipe, 0,
			    MIXES);
}

static void add_failures(TCase *t)
{
	tcase_add_loop_test(t, a_silent_source_is_waited_for_until_the_deadline,
			    0, MIXES);
	tcase_add_loop_test(t, it_can_be_cancelled, 0, MIXES);
	tcase_add_loop_test(t, a_source_that_fails_is_told, 0, MIXES);
	tcase_add_loop_test(t, a_receiver_that_fails_is_told, 0, MIXES);
	tcase_add_loop_test(
		t, a_receiver_that_fails_is_noticed_while_the_source_is_silent,
		0, MIXES);
	tcase_add_test(t, a_receiver_that_hangs_up_is_noticed);
	tcase_add_loop_test(t, an_alarm_without_an_error_is_slept_over, 0,
			    MIXES);
	tcase_add_loop_test(t, a_connection_can_be_moved_to_itself, 0, 2);
	tcase_add_test(t, an_urgent_byte_stays_in_its_place);
}

int main(void)
{
	Suite *s = suite_create("conn_splice");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, block_sigpipe, NULL);
	tcase_set_timeout(t, 60);
	add_lengths(t);
	add_failures(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
