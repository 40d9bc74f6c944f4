/*
 * Session records as readers see them: beside the writer, after its death,
 * and when it was broken into.
 */
#include "daemon/proxy/sessions.h"
#include "t/unit/session_records.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

static char name[256];

static void set_host(struct session *s, size_t len)
{
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = (char)('a' + i % 26);
	session_begin(s);
	sessions_set_host(records, s,
			  (struct span){ .at = (uint8_t *)name, .len = len });
	session_end(s);
}

START_TEST(a_record_that_is_being_written_cannot_be_read)
{
	struct session *s, copy;

	records_make(1, 10);
	s = open_slot(0);
	ck_assert(session_read(s, &copy));
	ck_assert_mem_eq(&copy, s, sizeof(copy));
	session_begin(s);
	ck_assert(!session_read(s, &copy));
	session_end(s);
	ck_assert(session_read(s, &copy));
	sessions_close(records, s);
}
END_TEST

START_TEST(a_count_that_begins_anew_is_not_that_of_an_unused_slot)
{
	struct session *s, copy;

	records_make(1, 10);
	s = open_slot(0);
	s->sequence = UINT32_MAX - 3;
	for (int i = 0; i < 4; i++) {
		session_begin(s);
		ck_assert_uint_eq(s->sequence % 2, 1);
		session_end(s);
		ck_assert_uint_eq(s->sequence % 2, 0);
		ck_assert_uint_ne(s->sequence, 0);
		ck_assert(session_read(s, &copy));
	}
	ck_assert_uint_lt(s->sequence, 10);
}
END_TEST

static unsigned walk(unsigned workers, bool dead)
{
	struct session_walk w;
	struct session copy;
	unsigned count = 0;

	session_walk_init(&w, slots, slot_count, workers, dead);
	while (session_walk_next(&w, &copy)) {
		ck_assert_uint_le(copy.host_len, sizeof(copy.host));
		ck_assert_uint_le(copy.user_len, sizeof(copy.user));
		ck_assert_uint_lt(copy.more, slot_count);
		count++;
	}
	ck_assert(!session_walk_next(&w, &copy));
	return count;
}

START_TEST(a_walk_finds_each_record_once)
{
	struct session *s[4][25];

	records_make_shared(4, 25);
	ck_assert_uint_eq(walk(4, false), 0);
	for (unsigned w = 0; w < 4; w++)
		for (unsigned i = 0; i < 25; i++) {
			s[w][i] = open_slot(w);
			set_host(s[w][i], i * 4);
			ck_assert_uint_eq(walk(4, false), w * 25 + i + 1);
		}
	ck_assert_uint_eq(walk(4, true), 100);
	for (unsigned w = 0; w < 4; w++)
		for (unsigned i = 0; i < 25; i += 2)
			sessions_close(records, s[w][i]);
	ck_assert_uint_eq(walk(4, false), 48);
}
END_TEST

START_TEST(a_walk_leaves_unused_memory_alone)
{
	/* What is not zero behind an unused slot is never looked at. */
	records_make_shared(2, 100);
	(void)open_slot(1);
	slots[5].sequence = 2;
	slots[5].state = SESSION_RELAY;
	ck_assert_uint_eq(walk(2, false), 1);
	slots[slot_count - 1] = slots[5];
	ck_assert_uint_eq(walk(2, false), 1);
}
END_TEST

START_TEST(a_walk_without_slots_or_workers_ends)
{
	records_make_shared(2, 10);
	(void)open_slot(0);
	slot_count = 1;
	ck_assert_uint_eq(walk(2, false), 0);
	slot_count = 0;
	ck_assert_uint_eq(walk(2, false), 0);
	slot_count = 2;
	ck_assert_uint_eq(walk(0, false), 1);
	ck_assert_uint_eq(walk(1000, false), 1);
	ck_assert_uint_eq(walk(UINT32_MAX, false), 1);
}
END_TEST

START_TEST(a_record_that_the_dead_were_writing_is_found)
{
	struct session *s;

	records_make_shared(1, 10);
	(void)open_slot(0);
	s = open_slot(0);
	(void)open_slot(0);
	session_begin(s);
	s->bytes_up = 5;
	ck_assert_uint_eq(walk(1, false), 2);
	ck_assert_uint_eq(walk(1, true), 3);
}
END_TEST

START_TEST(a_writer_that_never_ends_a_change_does_not_hold_a_walk_up)
{
	records_make_shared(1, 20000);
	for (uint32_t i = 1; i < slot_count; i++) {
		slots[i].sequence = 1;
		slots[i].state = SESSION_RELAY;
	}
	ck_assert_uint_eq(walk(1, false), 0);
	ck_assert_uint_eq(walk(1, true), slot_count - 1);
}
END_TEST

/* Numbers from a simple generator; any bytes will do. */
static void fill(void *at, size_t len, uint32_t *seed)
{
	uint8_t *p = at;

	for (size_t i = 0; i < len; i++) {
		*seed = *seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(*seed >> 24);
	}
}

START_TEST(records_of_arbitrary_bytes_do_no_harm)
{
	uint32_t seed = 1;

	records_make_shared(2, 100);
	for (int round = 0; round < 40; round++) {
		struct session_walk w;
		struct session copy;

		fill(slots, slot_count * sizeof(*slots), &seed);
		/* Some whose state and families are good. */
		for (uint32_t i = 0; i < slot_count; i++) {
			slots[i].state %= SESSION_MORE + 2;
			slots[i].more %= slot_count + 2;
			if (i % 7)
				slots[i].sequence &= UINT32_MAX - 1;
			slots[i].id %= 2;
		}
		session_walk_init(&w, slots, slot_count, 2, round % 2);
		while (session_walk_next(&w, &copy)) {
			char host[SESSION_NAME_BYTES],
				text[TCPSERVER_ADDR_STRLEN];
			size_t len = session_host(&copy, slots, slot_count,
						  host, sizeof(host));

			ck_assert_uint_lt(len, sizeof(host));
			ck_assert_int_eq(host[len], 0);
			(void)tcp_addr_format(&copy.client, text, sizeof(text));
			(void)tcp_addr_format(&copy.target, text, sizeof(text));
		}
	}
}
END_TEST

START_TEST(a_reader_gets_the_whole_name)
{
	char out[SESSION_NAME_BYTES];

	records_make_shared(1, 10);
	for (size_t len = 0; len <= 255; len++) {
		struct session *s = open_slot(0), copy;

		set_host(s, len);
		ck_assert(session_read(s, &copy));
		ck_assert_uint_eq(session_host(&copy, slots, slot_count, out,
					       sizeof(out)),
				  len);
		ck_assert_int_eq(memcmp(out, name, len), 0);
		ck_assert_int_eq(out[len], 0);
		/* Or what there is room for. */
		for (size_t size = 1; size <= 256; size += 15) {
			size_t fit = min_size(len, size - 1);

			memset(out, '!', sizeof(out));
			ck_assert_uint_eq(session_host(&copy, slots, slot_count,
						       out, size),
					  fit);
			ck_assert_int_eq(out[fit], 0);
			ck_assert_int_eq(out[size], '!');
		}
		ck_assert_uint_eq(
			session_host(&copy, slots, slot_count, out, 0), 0);
		sessions_close(records, s);
	}
}
END_TEST

START_TEST(a_tail_that_is_anothers_by_now_is_left_out)
{
	char out[SESSION_NAME_BYTES];
	struct session *s, *other, copy;

	records_make_shared(1, 10);
	s = open_slot(0);
	set_host(s, 200);
	ck_assert(session_read(s, &copy));
	sessions_close(records, s);
	ck_assert_uint_eq(
		session_host(&copy, slots, slot_count, out, sizeof(out)),
		SESSION_HOST_BYTES);
	/* Another session, then another's tail, in that very slot. */
	s = open_slot(0);
	other = open_slot(0);
	ck_assert(s == &slots[copy.more] || other == &slots[copy.more]);
	ck_assert_uint_eq(
		session_host(&copy, slots, slot_count, out, sizeof(out)),
		SESSION_HOST_BYTES);
	sessions_close(records, s == &slots[copy.more] ? s : other);
	set_host(s == &slots[copy.more] ? other : s, 200);
	ck_assert_int_eq(slots[copy.more].state, SESSION_MORE);
	ck_assert_uint_eq(
		session_host(&copy, slots, slot_count, out, sizeof(out)),
		SESSION_HOST_BYTES);
}
END_TEST

#ifndef HAVE_TSAN /* which cannot know that a torn copy is thrown away */

static atomic_bool done;

static void *read_along(void *arg)
{
	const struct session *s = arg;
	uintptr_t reads = 0;

	while (!atomic_load(&done)) {
		struct session copy;

		if (!session_read(s, &copy))
			continue;
		reads++;
		if (copy.bytes_down != copy.bytes_up * 3 ||
		    copy.host[0] != (char)copy.bytes_up ||
		    copy.host[SESSION_HOST_BYTES - 1] != (char)copy.bytes_up)
			return NULL; /* torn */
	}
	return (void *)(reads + 1);
}

START_TEST(a_reader_beside_the_writer_never_sees_half_a_change)
{
	struct session *s;
	pthread_t reader;
	void *reads;

	records_make(1, 10);
	s = open_slot(0);
	ck_assert_int_eq(pthread_create(&reader, NULL, read_along, s), 0);
	for (uint64_t i = 0; i < 300000; i++) {
		session_begin(s);
		s->bytes_up = i;
		memset(s->host, (int)i, sizeof(s->host));
		s->bytes_down = i * 3;
		session_end(s);
	}
	atomic_store(&done, true);
	ck_assert_int_eq(pthread_join(reader, &reads), 0);
	ck_assert_msg(reads != NULL, "a reader saw half a change");
	sessions_close(records, s);
}
END_TEST

#endif

int main(void)
{
	Suite *s = suite_create("sessions_read");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, records_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_record_that_is_being_written_cannot_be_read);
	tcase_add_test(t,
		       a_count_that_begins_anew_is_not_that_of_an_unused_slot);
	tcase_add_test(t, a_walk_finds_each_record_once);
	tcase_add_test(t, a_walk_leaves_unused_memory_alone);
	tcase_add_test(t, a_walk_without_slots_or_workers_ends);
	tcase_add_test(t, a_record_that_the_dead_were_writing_is_found);
	tcase_add_test(
		t, a_writer_that_never_ends_a_change_does_not_hold_a_walk_up);
	tcase_add_test(t, records_of_arbitrary_bytes_do_no_harm);
	tcase_add_test(t, a_reader_gets_the_whole_name);
	tcase_add_test(t, a_tail_that_is_anothers_by_now_is_left_out);
#ifndef HAVE_TSAN
	tcase_add_test(t, a_reader_beside_the_writer_never_sees_half_a_change);
#endif
	suite_add_tcase(s, t);
	return run_suite(s);
}
