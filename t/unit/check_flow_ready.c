/*
 * One direction whose source's stream is not, or not always, its socket's: as
 * with TLS of the kernel, which cannot splice its control records.
 */
#include "core/flow.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static struct ends in, out;
static struct flow flow;
static int error;

static enum flow_step step(void)
{
	return flow_step(&flow, in.there, out.here, &error);
}

static void close_all(void)
{
	flow_close(&flow);
	ends_close(&in);
	ends_close(&out);
}

/* --- A source that refuses to be spliced -------------------------------- */

/* splice(2) from an eventfd says EINVAL. */
static unsigned reads;
static ssize_t answer; /* of a read */

static ssize_t read_memory(struct tcp_conn *c, void *to, size_t len)
{
	reads++;
	if (answer == -EAGAIN)
		c->watch.ready &= ~(uint32_t)EPOLLIN;
	if (answer <= 0)
		return answer;
	len = min_size(len, (size_t)answer);
	memcpy(to, pattern(0), len);
	return (ssize_t)len;
}

static const struct conn_ops memory_ops = { .read = read_memory };

static void open_refusing(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	ck_assert_int_ge(fd, 0);
	in = (struct ends){ .there = conn_of(fd) };
	in.there->ops = &memory_ops;
	ends_open(&out, 0, false);
	settle();
	ck_assert(in.there->splice_in && conn_can_read(in.there));
	flow = (struct flow){ .splicing = true,
			      .mode = TCPSERVER_RELAY_SPLICE,
			      .most = FLOW_UNBOUNDED };
	reads = 0;
}

static void refuse(void)
{
	open_refusing();
	answer = 1000;
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(step(), FLOW_AGAIN);
		ck_assert_uint_eq(reads, i);
		conn_expect(out.there, 0, 1000);
	}
	ck_assert_uint_eq(flow.bytes, 3000);
	ck_assert(flow.splicing); /* the next one may be spliced */
	ck_assert_uint_eq(net_self()->pipes.count, 1);
	close_all();
}

START_TEST(what_cannot_be_spliced_is_read)
{
	on_loop(refuse, NULL);
}
END_TEST

static void take_record(void)
{
	open_refusing();
	answer = -EAGAIN; /* it was no data */
	ck_assert_int_eq(step(), FLOW_WAIT);
	ck_assert_int_eq(step(), FLOW_WAIT);
	ck_assert_uint_eq(reads, 1);
	ck_assert(!flow_stuck(&flow));
	close_all();
}

START_TEST(a_record_without_data_is_taken_and_the_next_waited_for)
{
	on_loop(take_record, NULL);
}
END_TEST

static void hear_end(void)
{
	open_refusing();
	answer = 0;
	ck_assert_int_eq(step(), FLOW_AGAIN);
	ck_assert_int_eq(step(), FLOW_AT_END);
	ck_assert_int_eq(flow.end, FLOW_ENDED);
	close_all();
}

START_TEST(a_record_that_says_the_end_is_the_end)
{
	on_loop(hear_end, NULL);
}
END_TEST

static void hear_alert(void)
{
	open_refusing();
	answer = -EPROTO;
	ck_assert_int_eq(step(), FLOW_READ_FAILED);
	ck_assert_int_eq(error, EPROTO);
	close_all();
}

START_TEST(what_is_really_wrong_the_read_tells)
{
	on_loop(hear_alert, NULL);
}
END_TEST

/* --- Bytes in user space before those in the socket --------------------- */

static ssize_t read_pending(struct tcp_conn *c, void *to, size_t len)
{
	if (!c->pending)
		return conn_plain_ops.read(c, to, len);
	len = min_size(len, 100);
	memcpy(to, pattern(0), len);
	c->pending = false;
	return (ssize_t)len;
}

static void keep_order(void)
{
	struct conn_ops ops = conn_plain_ops;

	ends_open(&in, 0, false);
	ends_open(&out, 0, false);
	ops.read = read_pending;
	in.there->ops = &ops;
	in.there->pending = true;
	flow = (struct flow){ .splicing = true,
			      .mode = TCPSERVER_RELAY_SPLICE,
			      .most = FLOW_UNBOUNDED };
	conn_send(in.here, 100, 5000);
	settle();
	ck_assert_int_eq(step(), FLOW_AGAIN);
	ck_assert_uint_eq(flow.bytes, 100);
	ck_assert_uint_eq(net_self()->pipes.count, 0);
	ck_assert_int_eq(step(), FLOW_AGAIN);
	ck_assert_uint_eq(net_self()->pipes.count, 1);
	ck_assert_int_eq(step(), FLOW_WAIT);
	conn_expect(out.there, 0, 5100);
	close_all();
}

START_TEST(what_is_pending_goes_before_what_is_spliced)
{
	on_loop(keep_order, NULL);
}
END_TEST

/* Toys are never spliced, whatever the mode. */
static void copy_toys(void)
{
	ends_open(&in, 0, true);
	ends_open(&out, 0, true);
	flow = (struct flow){ .splicing = true,
			      .mode = TCPSERVER_RELAY_SPLICE,
			      .most = FLOW_UNBOUNDED };
	conn_send(in.here, 0, 40000);
	settle();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(step(), FLOW_AGAIN);
	ck_assert_int_eq(step(), FLOW_WAIT);
	ck_assert_uint_eq(flow.bytes, 40000);
	ck_assert_uint_eq(net_self()->pipes.count, 0);
	conn_expect(out.there, 0, 40000);
	close_all();
}

START_TEST(streams_that_are_not_the_sockets_are_copied)
{
	on_loop(copy_toys, NULL);
}
END_TEST

/* --- A bound ------------------------------------------------------------ */

static enum tcp_relay_mode mode;

static void take_at_most(void)
{
	ends_open(&in, 0, false);
	ends_open(&out, 0, false);
	flow = (struct flow){ .splicing = mode == TCPSERVER_RELAY_SPLICE,
			      .mode = (uint8_t)mode };
	conn_send(in.here, 0, 3000);
	settle();
	for (uint32_t most = 1; most <= 1000; most += 999) {
		flow.most = most;
		flow.bytes = 0;
		ck_assert_int_eq(step(), FLOW_AGAIN);
		ck_assert_uint_eq(flow.bytes, most);
	}
	conn_expect(out.there, 0, 1001);
	conn_expect(in.there, 1001, 1999);
	close_all();
}

START_TEST(a_step_takes_no_more_than_it_may)
{
	/* The last time there is no room to keep anything. */
	struct net_options none = { .buffer_bytes = 1000, .pipes = 1 };

	mode = _i == 3 ? TCPSERVER_RELAY_COPY : (enum tcp_relay_mode)_i;
	on_loop(take_at_most, _i == 3 ? &none : NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("flow_ready");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_cannot_be_spliced_is_read);
	tcase_add_test(t,
		       a_record_without_data_is_taken_and_the_next_waited_for);
	tcase_add_test(t, a_record_that_says_the_end_is_the_end);
	tcase_add_test(t, what_is_really_wrong_the_read_tells);
	tcase_add_test(t, what_is_pending_goes_before_what_is_spliced);
	tcase_add_test(t, streams_that_are_not_the_sockets_are_copied);
	tcase_add_loop_test(t, a_step_takes_no_more_than_it_may, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
