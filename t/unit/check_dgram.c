/*
 * Datagram sockets: batches, segments of one piece, what is dropped, what
 * comes in which order.
 */
#include "core/dgram.h"

#include "t/unit/bound.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <netinet/udp.h>
#include <string.h>

/* --- A system that refuses ---------------------------------------------- */

static struct {
	int pieces; /* errno for messages of several segments */
	int every;  /* errno for the n-th message */
	int n;
	int seen, longest; /* messages so far; most segments of one */
} system_says;

static int refusal(const struct mmsghdr *m)
{
	int segments = (int)m->msg_hdr.msg_iovlen;

	if (segments > system_says.longest)
		system_says.longest = segments;
	if (segments > 1 && system_says.pieces)
		return system_says.pieces;
	if (system_says.every && ++system_says.seen == system_says.n)
		return system_says.every;
	return 0;
}

/* In the place of libc's: one after the other, until one is refused. */
int sendmmsg(int fd, struct mmsghdr *m, unsigned count, int flags)
{
	for (unsigned i = 0; i < count; i++) {
		int error = refusal(&m[i]);
		ssize_t n = -1;

		if (error)
			errno = error;
		else
			n = sendmsg(fd, &m[i].msg_hdr, flags);
		/* It is told of by the next call only. */
		if (n < 0 && i > 0)
			system_says.seen--;
		if (n < 0)
			return i ? (int)i : -1;
		m[i].msg_len = (unsigned)n;
	}
	return (int)count;
}

/* --- Two sockets -------------------------------------------------------- */

static struct dgram a, b;
static struct dgram_batch *batch;
static union dgram_name to_b;
static unsigned notified;

static void notify(struct watch *w UNUSED)
{
	notified++;
}

static void open_both(const char *at)
{
	struct tcp_addr addr = addr_at(at);

	system_says.pieces = system_says.every = 0;
	system_says.seen = system_says.longest = 0;
	notified = 0;
	ck_assert_int_eq(dgram_batch_new(&batch), 0);
	ck_assert_int_eq(dgram_open(&a, addr.family), 0);
	ck_assert_int_eq(dgram_open(&b, addr.family), 0);
	ck_assert_int_eq(dgram_bind(&a, &addr), 0);
	ck_assert_int_eq(dgram_bind(&b, &addr), 0);
	ck_assert_int_ne(a.local.port, 0);
	ck_assert_int_eq(dgram_watch(&b, notify), 0);
	dgram_name_set(&to_b, &b.local);
}

static void close_both(void)
{
	dgram_close(&a);
	dgram_close(&b);
	dgram_close(&b);
	ck_assert(!dgram_is_open(&b));
	dgram_batch_free(batch);
}

/* Has `count` datagrams of these lengths in the batch, each of its number. */
static void fill(const size_t *len, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint8_t *at = dgram_batch_at(batch, i).at;

		memset(at, (int)i + 1, len[i]);
		dgram_batch_put(batch, at, len[i], &to_b);
	}
	ck_assert_uint_eq(dgram_batch_queued(batch), count);
}

static void expect_sent(unsigned count, size_t bytes)
{
	struct dgram_sent sent = dgram_flush(&a, batch);

	ck_assert_uint_eq(sent.count, count);
	ck_assert_uint_eq(sent.bytes, bytes);
	ck_assert_uint_eq(dgram_batch_queued(batch), 0);
}

/* Next comes the datagram of that number and length. */
static void expect(unsigned i, unsigned number, size_t len)
{
	struct dgram_in in = dgram_batch_at(batch, i);
	union dgram_name from;

	dgram_name_set(&from, &a.local);
	ck_assert(dgram_name_equal(&from, in.from));
	ck_assert_uint_eq(in.len, len);
	for (size_t k = 0; k < len; k++)
		ck_assert_uint_eq(in.at[k], number);
}

static void round_trip(const size_t *len, unsigned count)
{
	size_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += len[i];
	fill(len, count);
	expect_sent(count, sum);
	ck_assert_uint_eq(dgram_receive(&b, batch), count);
	for (unsigned i = 0; i < count; i++)
		expect(i, i + 1, len[i]);
}

/* --- Tests -------------------------------------------------------------- */

static const size_t sizes[] = { 5, 5, 5, 3, 3, 5, 0, 0, 4, 4, 9, 9, 2, 1, 1 };

static void sizes_that_differ(void)
{
	open_both("127.0.0.1:0");
	round_trip(sizes, ARRAY_SIZE(sizes));
	close_both();
	open_both("[::1]:0");
	round_trip(sizes, ARRAY_SIZE(sizes));
	close_both();
}

START_TEST(each_datagram_comes_as_it_was_sent_and_in_order)
{
	on_loop(sizes_that_differ, NULL);
}
END_TEST

static size_t same[DGRAM_BATCH];

static void of_one_size(size_t size)
{
	for (unsigned i = 0; i < DGRAM_BATCH; i++)
		same[i] = size;
}

static void one_piece(void)
{
	open_both("127.0.0.1:0");
	dgram_set_buffers(&b, 256 << 10);
	of_one_size(1200);
	round_trip(same, DGRAM_BATCH);
	ck_assert_int_eq(system_says.longest, DGRAM_BATCH);
	/* No more than a datagram is long. */
	of_one_size(4000);
	round_trip(same, DGRAM_BATCH);
	ck_assert_int_eq(system_says.longest, DGRAM_BATCH);
	close_both();
}

START_TEST(many_of_one_size_are_one_piece)
{
	on_loop(one_piece, NULL);
}
END_TEST

static void fallback(int error, bool for_good)
{
	open_both("127.0.0.1:0");
	system_says.pieces = error;
	of_one_size(1200);
	round_trip(same, 10);
	round_trip(same, 10);
	system_says.pieces = 0;
	system_says.longest = 0;
	of_one_size(1000);
	round_trip(same, 10);
	ck_assert_int_eq(system_says.longest, for_good ? 1 : 10);
	close_both();
}

static void fallbacks(void)
{
	fallback(EINVAL, false);
	fallback(EMSGSIZE, false);
	fallback(EIO, true);
	fallback(EOPNOTSUPP, true);
}

START_TEST(what_cannot_be_cut_goes_one_by_one)
{
	on_loop(fallbacks, NULL);
}
END_TEST

static void one_refused(void)
{
	static const size_t len[] = { 1, 2, 3, 4, 5 };

	for (int error = EPERM; error; error = error == EPERM ? ENOBUFS : 0) {
		open_both("127.0.0.1:0");
		system_says.every = error;
		system_says.n = 3;
		fill(len, 5);
		expect_sent(4, 12);
		ck_assert_uint_eq(dgram_receive(&b, batch), 4);
		expect(0, 1, 1);
		expect(1, 2, 2);
		expect(2, 4, 4);
		expect(3, 5, 5);
		close_both();
	}
}

START_TEST(one_that_is_refused_stops_no_other)
{
	on_loop(one_refused, NULL);
}
END_TEST

static void no_room(void)
{
	static const size_t len[] = { 1, 2, 3, 4, 5 };

	open_both("127.0.0.1:0");
	system_says.every = EAGAIN;
	system_says.n = 3;
	fill(len, 5);
	expect_sent(2, 3);
	ck_assert_uint_eq(dgram_receive(&b, batch), 2);
	close_both();
}

START_TEST(without_room_the_rest_is_dropped)
{
	on_loop(no_room, NULL);
}
END_TEST

static void too_long(void)
{
	static const size_t len[] = { 65507, 65508, 10 };

	open_both("127.0.0.1:0");
	dgram_set_buffers(&b, 256 << 10);
	fill(len, 3);
	expect_sent(2, 65517);
	ck_assert_uint_eq(dgram_receive(&b, batch), 2);
	expect(0, 1, 65507);
	expect(1, 3, 10);
	close_both();
}

START_TEST(the_longest_datagram_passes_and_a_longer_one_is_dropped)
{
	on_loop(too_long, NULL);
}
END_TEST

static void headroom(void)
{
	static const size_t len[] = { 100 };

	open_both("127.0.0.1:0");
	fill(len, 1);
	expect_sent(1, 100);
	ck_assert_uint_eq(dgram_receive(&b, batch), 1);
	for (unsigned i = 0; i < DGRAM_BATCH; i++) {
		struct dgram_in in = dgram_batch_at(batch, i);

		memset(in.at - DGRAM_HEADROOM, 7, DGRAM_HEADROOM);
	}
	expect(0, 1, 100);
	close_both();
}

START_TEST(there_is_room_before_each_slot)
{
	on_loop(headroom, NULL);
}
END_TEST

static void send_one_by_one(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(dgram_send(&a, "x", 1, &to_b), 0);
}

static void edges(void)
{
	unsigned before;

	open_both("127.0.0.1:0");
	send_one_by_one(DGRAM_BATCH + 1);
	while (!notified)
		settle();
	ck_assert(b.watch.ready & EPOLLIN);
	ck_assert_uint_eq(dgram_receive(&b, batch), DGRAM_BATCH);
	ck_assert(b.watch.ready & EPOLLIN);
	ck_assert_uint_eq(dgram_receive(&b, batch), 1);
	if (b.watch.ready & EPOLLIN)
		ck_assert_uint_eq(dgram_receive(&b, batch), 0);
	ck_assert(!(b.watch.ready & EPOLLIN));
	before = notified;
	send_one_by_one(1);
	while (notified == before)
		settle();
	ck_assert_uint_eq(dgram_receive(&b, batch), 1);
	close_both();
}

START_TEST(a_batch_is_bounded_and_tells_whether_there_is_more)
{
	on_loop(edges, NULL);
}
END_TEST

static void refused_port(void)
{
	struct tcp_addr nobody;
	union dgram_name to;

	open_both("127.0.0.1:0");
	nobody = b.local;
	dgram_close(&b);
	dgram_name_set(&to, &nobody);
	/* The ICMP error of one is none of another's. */
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(dgram_send(&a, "x", 1, &to), 0);
	ck_assert_uint_eq(dgram_receive(&a, batch), 0);
	close_both();
}

START_TEST(a_port_that_nobody_has_is_no_error)
{
	on_loop(refused_port, NULL);
}
END_TEST

static void failures(void)
{
	struct tcp_addr elsewhere = addr_at("192.0.2.1:0");
	struct tcp_addr six = addr_at("[::1]:0");
	struct dgram d = DGRAM_CLOSED;
	union dgram_name name;
	unsigned before = fds_open();

	dgram_close(&d);
	ck_assert_int_eq(dgram_open(&d, AF_MAX), -EAFNOSUPPORT);
	ck_assert(!dgram_is_open(&d));
	ck_assert_int_eq(dgram_open(&d, AF_INET), 0);
	ck_assert_int_eq(dgram_bind(&d, &elsewhere), -EADDRNOTAVAIL);
	dgram_name_set(&name, &six);
	ck_assert_int_lt(dgram_send(&d, "x", 1, &name), 0);
	dgram_close(&d);
	ck_assert_uint_eq(fds_open(), before);
}

START_TEST(failures_are_told_and_leave_nothing)
{
	on_loop(failures, NULL);
}
END_TEST

START_TEST(names_of_sockets_are_compared_by_what_counts)
{
	struct tcp_addr addr[] = {
		addr_at("10.0.0.1:80"),      addr_at("10.0.0.1:81"),
		addr_at("10.0.0.2:80"),      addr_at("[2001:db8::1]:80"),
		addr_at("[2001:db8::1]:81"), addr_at("[fe80::1]:80"),
		addr_at("[fe80::1]:80")
	};
	union dgram_name name[ARRAY_SIZE(addr)];

	addr[6].scope = 2;
	for (size_t i = 0; i < ARRAY_SIZE(addr); i++)
		dgram_name_set(&name[i], &addr[i]);
	for (size_t i = 0; i < ARRAY_SIZE(addr); i++) {
		struct tcp_addr back;

		dgram_name_get(&name[i], &back);
		ck_assert(addr_equal(&back, &addr[i]));
		for (size_t k = 0; k < ARRAY_SIZE(addr); k++)
			ck_assert_int_eq(dgram_name_equal(&name[i], &name[k]),
					 i == k);
	}
	ck_assert_uint_eq(dgram_name_len(&name[0]), sizeof(struct sockaddr_in));
	ck_assert_uint_eq(dgram_name_len(&name[3]),
			  sizeof(struct sockaddr_in6));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dgram");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_datagram_comes_as_it_was_sent_and_in_order);
	tcase_add_test(t, many_of_one_size_are_one_piece);
	tcase_add_test(t, what_cannot_be_cut_goes_one_by_one);
	tcase_add_test(t, one_that_is_refused_stops_no_other);
	tcase_add_test(t, without_room_the_rest_is_dropped);
	tcase_add_test(t,
		       the_longest_datagram_passes_and_a_longer_one_is_dropped);
	tcase_add_test(t, there_is_room_before_each_slot);
	tcase_add_test(t, a_batch_is_bounded_and_tells_whether_there_is_more);
	tcase_add_test(t, a_port_that_nobody_has_is_no_error);
	tcase_add_test(t, failures_are_told_and_leave_nothing);
	tcase_add_test(t, names_of_sockets_are_compared_by_what_counts);
	suite_add_tcase(s, t);
	return run_suite(s);
}
