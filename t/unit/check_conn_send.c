/*
 * Slices: what arrives, whatever their sizes, the room, and the kind of
 * stream.
 */
#include "core/conn.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>

#define SMALL 16384 /* socket buffers that fill up soon */

static struct ends e;
static struct reader reader;
static bool toys; /* not plain, no sendmsg(2) */

/* Runs a body over plain connections and over toys: a loop test of two. */
static void run(int which, void (*body)(void))
{
	toys = which == 1;
	on_loop(body, NULL);
}

#define SLICES 1024

static struct iovec slices[SLICES + 1];

/* `count` slices of pattern(0) and on; the sizes go round. */
static size_t cut_slices(int count, const size_t *sizes, size_t n_sizes)
{
	size_t at = 0;

	for (int i = 0; i < count; i++) {
		size_t len = sizes[(size_t)i % n_sizes];

		/* The cast is writev()'s: nobody writes there. */
		slices[i].iov_base = len ? (void *)(uintptr_t)pattern(at)
					 : NULL;
		slices[i].iov_len = len;
		at += len;
	}
	return at;
}

static int write_slices(int count)
{
	return tcp_conn_writev_all(e.here, slices, count, deadline_in(SOON_MS));
}

static void write_few(void)
{
	static const size_t sizes[] = { 3, 0, 1, 1000, 0 };
	size_t len = cut_slices(10, sizes, ARRAY_SIZE(sizes));

	ends_open(&e, 0, toys);
	ck_assert_int_eq(write_slices(10), 0);
	conn_expect(e.there, 0, len);
	if (toys)
		ck_assert_uint_eq(toy_of(e.here)->records, 1);
	ends_close(&e);
}

START_TEST(slices_arrive_in_their_order)
{
	run(_i, write_few);
}
END_TEST

static void write_none(void)
{
	static const size_t nothing[] = { 0 };

	ends_open(&e, 0, toys);
	ck_assert_int_eq(write_slices(0), 0);
	(void)cut_slices(5, nothing, 1);
	ck_assert_int_eq(write_slices(5), 0);
	conn_send(e.here, 0, 1);
	conn_expect(e.there, 0, 1);
	ends_close(&e);
}

START_TEST(none_and_empty_ones_are_harmless)
{
	run(_i, write_none);
}
END_TEST

static void write_most(void)
{
	static const size_t sizes[] = { 100 };
	size_t len = cut_slices(SLICES, sizes, 1);

	ends_open(&e, 0, toys);
	reader_start(&reader, e.there, 0, len);
	ck_assert_int_eq(write_slices(SLICES), 0);
	reader_finish(&reader);
	if (toys)
		ck_assert_uint_eq(toy_of(e.here)->records,
				  (len + TOY_RECORD - 1) / TOY_RECORD);
	ck_assert_int_eq(write_slices(SLICES + 1), -EINVAL);
	ck_assert_int_eq(write_slices(-1), -EINVAL);
	ends_close(&e);
}

START_TEST(there_may_be_1024_slices)
{
	run(_i, write_most);
}
END_TEST

/* Around a record's size, and such as split anywhere in a full socket. */
static const size_t odd[][3] = {
	{ TOY_RECORD - 1, 1, 1 }, { TOY_RECORD, 1, TOY_RECORD },
	{ TOY_RECORD + 1, 5, 0 }, { 1, TOY_RECORD, 2 },
	{ 40000, 3, 65536 },      { 1, 2, 3 },
};

static size_t which_sizes;

static void write_to_slow_reader(void)
{
	size_t len = cut_slices(60, odd[which_sizes], 3);

	ends_open(&e, SMALL, toys);
	reader_start(&reader, e.there, 0, len);
	ck_assert_int_eq(write_slices(60), 0);
	reader_finish(&reader);
	ends_close(&e);
}

START_TEST(slices_of_any_size_reach_a_slow_reader)
{
	which_sizes = (size_t)_i / 2;
	run(_i % 2, write_to_slow_reader);
}
END_TEST

static void write_in_vain(void)
{
	static const size_t sizes[] = { 60000 };

	ends_open(&e, SMALL, toys);
	(void)cut_slices(SLICES, sizes, 1);
	ck_assert_int_eq(
		tcp_conn_writev_all(e.here, slices, SLICES, deadline_in(10)),
		-ETIMEDOUT);
	ends_close(&e);
}

START_TEST(slices_wait_for_room_until_their_deadline)
{
	run(_i, write_in_vain);
}
END_TEST

static int late_result;

static void write_for_ever(void *arg UNUSED)
{
	late_result = tcp_conn_writev_all(e.here, slices, SLICES,
					  TCPSERVER_NEVER);
}

static void cancel_writer(void)
{
	static const size_t sizes[] = { 60000 };
	struct task *t;

	ends_open(&e, SMALL, toys);
	(void)cut_slices(SLICES, sizes, 1);
	ck_assert_int_eq(task_start(write_for_ever, NULL, &t), 0);
	nap(5);
	task_cancel(t);
	nap(1);
	ck_assert_int_eq(late_result, -ECANCELED);
	ends_close(&e);
}

START_TEST(a_writer_of_slices_can_be_cancelled)
{
	run(_i, cancel_writer);
}
END_TEST

static void write_to_nobody(void)
{
	static const size_t sizes[] = { 10 };
	int r;

	ends_open(&e, 0, toys);
	end_reset(&e.there);
	(void)cut_slices(2, sizes, 1);
	r = write_slices(2);
	ck_assert(r == -ECONNRESET || r == -EPIPE);
	ends_close(&e);
}

START_TEST(slices_for_a_peer_that_is_gone_fail_without_a_signal)
{
	run(_i, write_to_nobody);
}
END_TEST

static void add_slices(TCase *t)
{
	tcase_add_loop_test(t, slices_arrive_in_their_order, 0, 2);
	tcase_add_loop_test(t, none_and_empty_ones_are_harmless, 0, 2);
	tcase_add_loop_test(t, there_may_be_1024_slices, 0, 2);
	tcase_add_loop_test(t, slices_of_any_size_reach_a_slow_reader, 0,
			    2 * (int)ARRAY_SIZE(odd));
	tcase_add_loop_test(t, slices_wait_for_room_until_their_deadline, 0, 2);
	tcase_add_loop_test(t, a_writer_of_slices_can_be_cancelled, 0, 2);
	tcase_add_loop_test(
		t, slices_for_a_peer_that_is_gone_fail_without_a_signal, 0, 2);
}

int main(void)
{
	Suite *s = suite_create("conn_send");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, block_sigpipe, NULL);
	tcase_set_timeout(t, 60);
	add_slices(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
