/*
 * The ring of lines, by one thread and by two.
 */
#include "daemon/log_ring.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 4096

static bool push(struct log_ring *r, const char *text, size_t len)
{
	char *room = log_ring_reserve(r, max_size(len, 1));

	if (!room)
		return false;
	memcpy(room, text, len);
	log_ring_commit(
		r, &(struct log_ring_line){
			   .len = len, .level = 3, .stamp_ms = 1234567890123 });
	return true;
}

START_TEST(lines_come_out_as_they_went_in)
{
	struct log_ring *r = log_ring_new(BYTES);
	struct log_ring_line line;

	ck_assert_ptr_nonnull(r);
	ck_assert(!log_ring_peek(r, &line));
	ck_assert(push(r, "one", 3));
	ck_assert(push(r, "", 0));
	ck_assert(push(r, "three", 5));
	ck_assert(log_ring_peek(r, &line));
	ck_assert(log_ring_peek(r, &line));
	ck_assert_uint_eq(line.len, 3);
	ck_assert_mem_eq(line.text, "one", 3);
	ck_assert_uint_eq(line.level, 3);
	ck_assert_int_eq(line.stamp_ms, 1234567890123);
	log_ring_pop(r);
	ck_assert(log_ring_peek(r, &line));
	ck_assert_uint_eq(line.len, 0);
	log_ring_pop(r);
	ck_assert(log_ring_peek(r, &line));
	ck_assert_mem_eq(line.text, "three", 5);
	log_ring_pop(r);
	ck_assert(!log_ring_peek(r, &line));
	log_ring_free(r);
}
END_TEST

START_TEST(a_room_that_is_not_committed_is_given_again)
{
	struct log_ring *r = log_ring_new(BYTES);
	struct log_ring_line line;
	char *room = log_ring_reserve(r, 100);

	ck_assert_ptr_nonnull(room);
	ck_assert_ptr_eq(log_ring_reserve(r, 50), room);
	ck_assert(!log_ring_peek(r, &line));
	log_ring_free(r);
}
END_TEST

START_TEST(a_full_ring_refuses_and_recovers)
{
	struct log_ring *r = log_ring_new(BYTES);
	char text[200] = { 0 };
	struct log_ring_line line;
	size_t pushed = 0;

	while (push(r, text, sizeof(text)))
		pushed++;
	/* 16 bytes in front of each, and perhaps one unused end. */
	ck_assert_uint_ge(pushed, BYTES / 224 - 1);
	ck_assert_ptr_null(log_ring_reserve(r, sizeof(text)));
	ck_assert(log_ring_peek(r, &line));
	log_ring_pop(r);
	ck_assert(push(r, text, 100));
	for (size_t i = 0; i < pushed; i++) {
		ck_assert(log_ring_peek(r, &line));
		log_ring_pop(r);
	}
	ck_assert(!log_ring_peek(r, &line));
	log_ring_free(r);
}
END_TEST

START_TEST(every_length_wraps_around_whole)
{
	struct log_ring *r = log_ring_new(BYTES);
	char text[1024];
	struct log_ring_line line;

	for (size_t round = 0; round < 20; round++) {
		for (size_t len = 0; len <= sizeof(text); len += 1 + round) {
			memset(text, (int)(len % 251), len);
			ck_assert(push(r, text, len));
			ck_assert(log_ring_peek(r, &line));
			ck_assert_uint_eq(line.len, len);
			ck_assert(memcmp(line.text, text, len) == 0);
			log_ring_pop(r);
		}
	}
	log_ring_free(r);
}
END_TEST

#define LINES 200000

static void *write_lines(void *arg)
{
	struct log_ring *r = arg;
	unsigned int n = 0;

	while (n < LINES) {
		char *room = log_ring_reserve(r, 200);

		if (!room) {
			(void)sched_yield();
			continue;
		}
		/* Lengths from 4 to 200 with the number in front. */
		memset(room, (int)(n & 0x7f), 4 + n % 197);
		memcpy(room, &n, sizeof(n));
		log_ring_commit(r, &(struct log_ring_line){ .len = 4 + n % 197,
							    .level = n & 7,
							    .stamp_ms = n });
		n++;
	}
	return NULL;
}

START_TEST(two_threads_lose_and_change_nothing)
{
	struct log_ring *r = log_ring_new(BYTES);
	struct log_ring_line line;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, write_lines, r), 0);
	for (unsigned int n = 0; n < LINES;) {
		unsigned int got;

		if (!log_ring_peek(r, &line)) {
			(void)sched_yield();
			continue;
		}
		memcpy(&got, line.text, sizeof(got));
		if (got != n || line.len != 4 + n % 197 ||
		    line.level != (n & 7) || line.stamp_ms != n ||
		    (line.len > 4 &&
		     line.text[line.len - 1] != (int)(n & 0x7f)))
			ck_abort_msg("line %u came out as %u", n, got);
		log_ring_pop(r);
		n++;
	}
	(void)pthread_join(thread, NULL);
	ck_assert(!log_ring_peek(r, &line));
	log_ring_free(r);
}
END_TEST

START_TEST(a_ring_tells_when_more_than_half_is_unread)
{
	struct log_ring *r = log_ring_new(4096);
	struct log_ring_line line;

	ck_assert_ptr_nonnull(r);
	ck_assert(!log_ring_fills(r));
	for (int i = 0; i < 3; i++) {
		ck_assert(!log_ring_fills(r));
		ck_assert_ptr_nonnull(log_ring_reserve(r, 1000));
		log_ring_commit(r, &(struct log_ring_line){ .len = 1000 });
	}
	ck_assert(log_ring_fills(r));
	ck_assert(log_ring_peek(r, &line));
	log_ring_pop(r);
	ck_assert(!log_ring_fills(r));
	log_ring_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_ring");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_ring_tells_when_more_than_half_is_unread);
	tcase_add_test(t, lines_come_out_as_they_went_in);
	tcase_add_test(t, a_room_that_is_not_committed_is_given_again);
	tcase_add_test(t, a_full_ring_refuses_and_recovers);
	tcase_add_test(t, every_length_wraps_around_whole);
	tcase_add_test(t, two_threads_lose_and_change_nothing);
	suite_add_tcase(s, t);
	return run_suite(s);
}
