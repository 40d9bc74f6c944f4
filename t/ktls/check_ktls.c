/*
 * Bytes through TLS that the kernel encrypts: exact, and past user space.
 */
#include "core/tls_conn.h"
#include "t/ktls/ktls.h"
#include "t/unit/pump.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* --- Data --------------------------------------------------------------- */

static void from_tls(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	pump(k.theirs, k.plain, KTLS_MUCH, 0);
	if (k.receives)
		ck_assert_uint_ge(ktls_taken(k.fd), KTLS_MUCH - KTLS_SOME);
	else
		ck_assert_uint_eq(ktls_taken(k.fd), 0);
	ktls_end(&k);
}

START_TEST(eight_mebibytes_pass_from_tls_to_plain)
{
	ktls_run(_i, from_tls);
}
END_TEST

static void to_tls(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	pump(k.plain, k.theirs, KTLS_MUCH, 0);
	ck_assert_uint_eq(ktls_given(k.fd), KTLS_MUCH); /* spliced, all of it */
	ktls_end(&k);
}

START_TEST(eight_mebibytes_pass_from_plain_to_tls)
{
	ktls_run(_i, to_tls);
}
END_TEST

static void both_ways(void)
{
	struct ktls k;

	ktls_open(&k, 0);
	pump(k.plain, k.theirs, KTLS_MUCH, KTLS_MUCH);
	ck_assert_uint_eq(ktls_given(k.fd), KTLS_MUCH);
	ktls_end(&k);
}

START_TEST(eight_mebibytes_pass_both_ways_at_once)
{
	ktls_run(_i, both_ways);
}
END_TEST

static void small_sockets(void)
{
	struct ktls k;

	ktls_open(&k, 32768);
	pump(k.plain, k.theirs, KTLS_SOME, KTLS_SOME);
	ktls_end(&k);
}

START_TEST(small_sockets_make_it_slow_not_wrong)
{
	ktls_run(_i, small_sockets);
}
END_TEST

static void slow_reader(void)
{
	struct sender s = { .len = KTLS_SOME };
	struct ktls k;

	ktls_open(&k, 65536);
	s.to = k.plain;
	sender_start_tls(&s);
	for (size_t at = 0; at < KTLS_SOME; at += 65536) {
		nap(3);
		conn_expect(k.theirs, at, 65536);
	}
	sender_finish(&s);
	s = (struct sender){ .to = k.theirs, .len = KTLS_SOME };
	sender_start_tls(&s);
	for (size_t at = 0; at < KTLS_SOME; at += 65536) {
		nap(3);
		conn_expect(k.plain, at, 65536);
	}
	sender_finish(&s);
	ktls_end(&k);
}

START_TEST(slow_readers_get_all)
{
	ktls_run(_i, slow_reader);
}
END_TEST

/* --- Without a relay ---------------------------------------------------- */

static void files(void)
{
	const char *path = tls_files_write("file", pattern(0), PATTERN_RUN);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ktls k;

	ck_assert_int_ge(fd, 0);
	ktls_secure(&k, 0);
	for (size_t at = 100; at < 60000; at += 10000) {
		ck_assert_int_eq(tcp_conn_sendfile(k.ours, fd, (off_t)at, 5000,
						   deadline_in(SOON_MS)),
				 5000);
		conn_expect(k.theirs, at, 5000);
	}
	ck_assert_uint_eq(ktls_given(k.fd), 30000); /* by sendfile(2) */
	close_fd(&fd);
	ktls_close(&k);
}

START_TEST(files_are_sent_by_the_kernel)
{
	ktls_run(_i, files);
}
END_TEST

static void spliced(void)
{
	struct sender s = { .len = KTLS_SOME };
	struct ktls k;

	ktls_secure(&k, 0);
	s.to = k.plain;
	sender_start_tls(&s);
	ck_assert_int_eq(tcp_conn_splice(k.ours, k.other, KTLS_SOME,
					 deadline_in(SOON_MS)),
			 KTLS_SOME);
	conn_expect(k.theirs, 0, KTLS_SOME);
	sender_finish(&s);
	ck_assert_uint_eq(ktls_given(k.fd), KTLS_SOME);
	ktls_close(&k);
}

START_TEST(handlers_can_splice_to_tls)
{
	ktls_run(_i, spliced);
}
END_TEST

static void no_room_for_end(void)
{
	size_t sent = 0;
	struct ktls k;
	ssize_t n;

	ktls_secure(&k, 16384);
	for (int idle = 0; idle < 5; idle++) {
		while ((n = conn_write_now(k.ours, pattern(sent), 1000)) > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		ck_assert_int_eq(n, -EAGAIN);
		nap(20);
	}
	ck_assert_int_eq(tcp_conn_shutdown(k.ours, deadline_in(10)),
			 -ETIMEDOUT);
	conn_expect(k.theirs, 0, sent);
	ktls_shut(k.ours);
	conn_expect_end(k.theirs);
	ktls_close(&k);
}

START_TEST(an_end_may_have_to_wait_for_room)
{
	ktls_run(_i, no_room_for_end);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ktls");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	ktls_add(t, eight_mebibytes_pass_from_tls_to_plain);
	ktls_add(t, eight_mebibytes_pass_from_plain_to_tls);
	ktls_add(t, eight_mebibytes_pass_both_ways_at_once);
	ktls_add(t, small_sockets_make_it_slow_not_wrong);
	ktls_add(t, slow_readers_get_all);
	ktls_add(t, files_are_sent_by_the_kernel);
	ktls_add(t, handlers_can_splice_to_tls);
	ktls_add(t, an_end_may_have_to_wait_for_room);
	suite_add_tcase(s, t);
	return run_suite(s);
}
