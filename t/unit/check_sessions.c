/*
 * Session records: slots, long names, and readers beside the writer.
 */
#include "daemon/proxy/sessions.h"
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

static struct sessions *all;

static void make(unsigned workers, size_t per_worker)
{
	ck_assert_int_eq(sessions_new(&all, workers, per_worker), 0);
}

static void teardown(void)
{
	sessions_free(all);
	all = NULL;
}

static struct session *open_slot(unsigned worker)
{
	struct session *s = sessions_open(all, worker);

	ck_assert_ptr_nonnull(s);
	return s;
}

/* --- Slots -------------------------------------------------------------- */

START_TEST(a_new_record_is_empty_but_for_its_id_and_worker)
{
	struct session *s, expect = { 0 };

	make(3, 10);
	s = open_slot(2);
	expect.sequence = s->sequence;
	expect.state = SESSION_HANDSHAKE;
	expect.id = s->id;
	expect.worker = 2;
	ck_assert_mem_eq(s, &expect, sizeof(expect));
	ck_assert_uint_eq(s->sequence % 2, 0);
	ck_assert_uint_ne(s->id, 0);
	sessions_close(all, s);
}
END_TEST

START_TEST(a_used_slot_comes_back_empty_with_a_new_id)
{
	struct session *s, *again;
	uint64_t id;
	uint32_t sequence;

	make(1, 10);
	s = open_slot(0);
	session_begin(s);
	s->bytes_up = 77;
	s->user_len = 5;
	memset(s->user, 'u', 5);
	session_end(s);
	id = s->id;
	sequence = s->sequence;
	sessions_close(all, s);
	ck_assert_int_eq(s->state, SESSION_FREE);
	again = open_slot(0);
	ck_assert_ptr_eq(again, s);
	ck_assert_uint_ne(again->id, id);
	ck_assert_uint_eq(again->bytes_up, 0);
	ck_assert_int_eq(again->user[0], 0);
	/* A reader that looked before must see that it is another. */
	ck_assert_uint_gt(again->sequence, sequence);
	sessions_close(all, again);
}
END_TEST

START_TEST(each_worker_has_its_own_slots_and_ids)
{
	struct session *s[4][50];

	make(4, 50);
	for (unsigned w = 0; w < 4; w++)
		for (int i = 0; i < 50; i++)
			s[w][i] = open_slot(w);
	for (unsigned w = 0; w < 4; w++) {
		ck_assert_uint_eq(sessions_count(all, w), 50);
		for (int i = 0; i < 50; i++) {
			ck_assert_uint_eq(s[w][i]->worker, w);
			for (unsigned v = 0; v < w; v++) {
				ck_assert_ptr_ne(s[w][i], s[v][i]);
				ck_assert_uint_ne(s[w][i]->id, s[v][i]->id);
			}
		}
	}
	for (unsigned w = 0; w < 4; w++) {
		for (int i = 0; i < 50; i++)
			sessions_close(all, s[w][i]);
		ck_assert_uint_eq(sessions_count(all, w), 0);
	}
}
END_TEST

START_TEST(when_all_slots_are_taken_there_is_none_until_one_is_free)
{
	struct session *s[1000];
	size_t count = 0;

	make(2, 100);
	while (count < ARRAY_SIZE(s) &&
	       (s[count] = sessions_open(all, 0)) != NULL)
		count++;
	/* All that were promised, and some for the tails of long names. */
	ck_assert_uint_ge(count, 100);
	ck_assert_uint_lt(count, ARRAY_SIZE(s));
	ck_assert_ptr_null(sessions_open(all, 0));
	ck_assert_uint_eq(sessions_count(all, 0), count);
	/* The other worker does not notice. */
	sessions_close(all, open_slot(1));
	sessions_close(all, s[7]);
	ck_assert_ptr_eq(sessions_open(all, 0), s[7]);
	ck_assert_ptr_null(sessions_open(all, 0));
	for (size_t i = 0; i < count; i++)
		sessions_close(all, s[i]);
	ck_assert_uint_eq(sessions_count(all, 0), 0);
}
END_TEST

START_TEST(too_many_are_refused)
{
	ck_assert_int_eq(sessions_new(&all, 1024, UINT32_MAX), -ENOMEM);
	ck_assert_int_eq(sessions_new(&all, 2, SIZE_MAX / 1024), -ENOMEM);
	sessions_free(NULL);
}
END_TEST

/* --- Names -------------------------------------------------------------- */

static char name[256];

static void set_host(struct session *s, size_t len)
{
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = (char)('a' + i % 26);
	session_begin(s);
	sessions_set_host(all, s,
			  (struct span){ .at = (uint8_t *)name, .len = len });
	session_end(s);
}

START_TEST(a_name_of_any_length_is_kept)
{
	make(1, 10);
	for (size_t len = 0; len <= 255; len++) {
		struct session *s = open_slot(0);
		struct span tail;
		size_t here = min_size(len, SESSION_HOST_BYTES);
		size_t room = SESSION_HOST_BYTES + SESSION_USER_BYTES;

		set_host(s, len);
		ck_assert_uint_eq(s->host_len, here);
		ck_assert_mem_eq(s->host, name, here);
		tail = sessions_host_tail(all, s);
		/* What two slots cannot hold is cut. */
		room += SESSION_HOST_BYTES;
		ck_assert_uint_ge(here + tail.len, min_size(len, room));
		ck_assert_uint_le(here + tail.len, len);
		if (tail.len > 0)
			ck_assert_mem_eq(tail.at, name + here, tail.len);
		ck_assert(len > SESSION_HOST_BYTES || !s->more);
		sessions_close(all, s);
	}
	ck_assert_uint_eq(sessions_count(all, 0), 0);
}
END_TEST

START_TEST(a_second_slot_is_given_back_with_the_first)
{
	make(1, 4);
	for (int i = 0; i < 1000; i++) {
		struct session *s = open_slot(0);

		set_host(s, 100);
		ck_assert_uint_ne(s->more, SESSION_NONE);
		ck_assert_uint_eq(sessions_count(all, 0), 1);
		sessions_close(all, s);
	}
}
END_TEST

START_TEST(without_a_second_slot_a_name_is_cut)
{
	struct session *s[1000], *last = NULL;
	size_t count = 0;

	make(1, 10);
	while ((s[count] = sessions_open(all, 0)))
		last = s[count++];
	set_host(last, 100);
	ck_assert_uint_eq(last->host_len, SESSION_HOST_BYTES);
	ck_assert_uint_eq(last->more, SESSION_NONE);
	ck_assert_uint_eq(sessions_host_tail(all, last).len, 0);
	for (size_t i = 0; i < count; i++)
		sessions_close(all, s[i]);
}
END_TEST

/* --- Readers ------------------------------------------------------------ */

START_TEST(a_record_that_is_being_written_cannot_be_read)
{
	struct session *s, copy;

	make(1, 10);
	s = open_slot(0);
	ck_assert(session_read(s, &copy));
	ck_assert_mem_eq(&copy, s, sizeof(copy));
	session_begin(s);
	ck_assert(!session_read(s, &copy));
	session_end(s);
	ck_assert(session_read(s, &copy));
	sessions_close(all, s);
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

	make(1, 10);
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
	sessions_close(all, s);
}
END_TEST

#endif

int main(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_new_record_is_empty_but_for_its_id_and_worker);
	tcase_add_test(t, a_used_slot_comes_back_empty_with_a_new_id);
	tcase_add_test(t, each_worker_has_its_own_slots_and_ids);
	tcase_add_test(
		t, when_all_slots_are_taken_there_is_none_until_one_is_free);
	tcase_add_test(t, too_many_are_refused);
	tcase_add_test(t, a_name_of_any_length_is_kept);
	tcase_add_test(t, a_second_slot_is_given_back_with_the_first);
	tcase_add_test(t, without_a_second_slot_a_name_is_cut);
	tcase_add_test(t, a_record_that_is_being_written_cannot_be_read);
#ifndef HAVE_TSAN
	tcase_add_test(t, a_reader_beside_the_writer_never_sees_half_a_change);
#endif
	suite_add_tcase(s, t);
	return run_suite(s);
}
