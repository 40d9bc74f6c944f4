/*
 * A task that never has to wait, since its peer is as fast as it is: others
 * have their turn all the same.
 */
#include "core/conn.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>

#define MIB (1u << 20)

/* Of 16 KiB beside its bytes; a MiB is a turn. */
#define CALLS_A_TURN 64

/* --- A stream that gives and takes whatever is asked for ---------------- */

static size_t most_at_once;

static ssize_t endless_read(struct tcp_conn *c UNUSED, void *to UNUSED,
			    size_t len)
{
	return (ssize_t)len;
}

static ssize_t endless_write(struct tcp_conn *c UNUSED, const void *from UNUSED,
			     size_t len)
{
	return (ssize_t)min_size(len, 65536);
}

static ssize_t endless_writev(struct tcp_conn *c UNUSED, struct iovec *iov,
			      int count UNUSED)
{
	return (ssize_t)iov->iov_len;
}

static ssize_t endless_sendfile(struct tcp_conn *c UNUSED, int fd UNUSED,
				off_t offset UNUSED, size_t len)
{
	most_at_once = max_size(most_at_once, len);
	return (ssize_t)len;
}

static const struct conn_ops endless_ops = {
	.read = endless_read,
	.write = endless_write,
	.writev = endless_writev,
	.sendfile = endless_sendfile,
};

static struct ends e;

static void open_endless(void)
{
	ends_open(&e, 0, false);
	e.here->ops = e.there->ops = &endless_ops;
	e.here->splice_out = e.there->splice_in = false;
	e.there->pending = true;
}

/* --- Others ------------------------------------------------------------- */

static unsigned turns;
static bool over;

static void count_turns(void *arg UNUSED)
{
	while (!over) {
		turns++;
		ck_assert_int_eq(task_yield(TCPSERVER_NEVER), 0);
	}
}

static void start_counting(void)
{
	turns = 0;
	over = false;
	ck_assert_int_eq(task_start(count_turns, NULL, NULL), 0);
}

static void expect_turns(unsigned count)
{
	over = true;
	ck_assert_uint_ge(turns, count - count / 10);
	ck_assert_uint_le(turns, count + count / 10);
	settle();
}

/* --- Calls -------------------------------------------------------------- */

static void read_much(void)
{
	enum { PIECES = 6400 };
	char piece[512];

	open_endless();
	start_counting();
	for (int i = 0; i < PIECES; i++)
		ck_assert_int_eq(tcp_conn_read(e.there, piece, sizeof(piece),
					       deadline_in(0)),
				 sizeof(piece));
	expect_turns(PIECES / CALLS_A_TURN);
	ends_close(&e);
}

START_TEST(who_reads_much_lets_others_run)
{
	on_loop(read_much, NULL);
}
END_TEST

static void write_little(void)
{
	enum { PIECES = 6400 };

	open_endless();
	start_counting();
	for (int i = 0; i < PIECES; i++)
		ck_assert_int_eq(
			tcp_conn_write_all(e.here, "little", 6, deadline_in(0)),
			0);
	expect_turns(PIECES / CALLS_A_TURN);
	ends_close(&e);
}

START_TEST(who_writes_often_lets_others_run)
{
	on_loop(write_little, NULL);
}
END_TEST

static void write_much(void)
{
	open_endless();
	start_counting();
	/* The stream takes 64 KiB a call, which count as 80. */
	ck_assert_int_eq(
		tcp_conn_write_all(e.here, NULL, 100 * MIB, deadline_in(0)), 0);
	expect_turns(125);
	ends_close(&e);
}

START_TEST(who_writes_much_lets_others_run)
{
	on_loop(write_much, NULL);
}
END_TEST

static void write_slices(void)
{
	static struct iovec iov[1000];

	for (size_t i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i].iov_len = 48u << 10;
	open_endless();
	start_counting();
	ck_assert_int_eq(tcp_conn_writev_all(e.here, iov, ARRAY_SIZE(iov),
					     deadline_in(0)),
			 0);
	expect_turns(1000 * 64 / 1024);
	ends_close(&e);
}

START_TEST(who_writes_many_slices_lets_others_run)
{
	on_loop(write_slices, NULL);
}
END_TEST

static void send_much(void)
{
	open_endless();
	start_counting();
	most_at_once = 0;
	ck_assert_int_eq(tcp_conn_sendfile(e.here, 0, 0, 100 * MIB,
					   deadline_in(SOON_MS)),
			 100 * MIB);
	ck_assert_uint_le(most_at_once, MIB); /* in the kernel nobody yields */
	expect_turns(100);
	ends_close(&e);
}

START_TEST(who_sends_a_long_file_lets_others_run)
{
	on_loop(send_much, NULL);
}
END_TEST

static void move_much(void)
{
	open_endless();
	start_counting();
	ck_assert_int_eq(tcp_conn_splice(e.here, e.there, 100 * MIB,
					 deadline_in(SOON_MS)),
			 100 * MIB);
	expect_turns(125);
	ends_close(&e);
}

START_TEST(who_moves_much_lets_others_run)
{
	on_loop(move_much, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void go_on_too_long(void)
{
	open_endless();
	ck_assert_int_eq(
		tcp_conn_splice(e.here, e.there, SIZE_MAX / 2, deadline_in(5)),
		-ETIMEDOUT);
	ck_assert_int_eq(
		tcp_conn_sendfile(e.here, 0, 0, SIZE_MAX / 2, deadline_in(5)),
		-ETIMEDOUT);
	ends_close(&e);
}

START_TEST(who_never_waits_ends_in_time)
{
	on_loop(go_on_too_long, NULL);
}
END_TEST

static ssize_t last;

static void read_for_ever(void *arg UNUSED)
{
	char piece[512];

	while ((last = tcp_conn_read(e.there, piece, sizeof(piece),
				     TCPSERVER_NEVER)) > 0)
		;
}

static void write_for_ever(void *arg UNUSED)
{
	last = tcp_conn_write_all(e.here, NULL, SIZE_MAX / 2, TCPSERVER_NEVER);
}

static void cancel(void (*fn)(void *arg))
{
	struct task *t;

	ck_assert_int_eq(task_start(fn, NULL, &t), 0);
	nap(2);
	task_cancel(t);
	nap(1);
	ck_assert_int_eq(last, -ECANCELED);
}

static void cancel_both(void)
{
	open_endless();
	cancel(read_for_ever);
	cancel(write_for_ever);
	ends_close(&e);
}

START_TEST(who_never_waits_can_be_cancelled)
{
	on_loop(cancel_both, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conn_turns");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_reads_much_lets_others_run);
	tcase_add_test(t, who_writes_often_lets_others_run);
	tcase_add_test(t, who_writes_much_lets_others_run);
	tcase_add_test(t, who_writes_many_slices_lets_others_run);
	tcase_add_test(t, who_sends_a_long_file_lets_others_run);
	tcase_add_test(t, who_moves_much_lets_others_run);
	tcase_add_test(t, who_never_waits_ends_in_time);
	tcase_add_test(t, who_never_waits_can_be_cancelled);
	suite_add_tcase(s, t);
	return run_suite(s);
}
