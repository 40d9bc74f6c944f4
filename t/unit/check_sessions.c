/*
 * Session records: who has which slot, and long names.
 */
#include "daemon/proxy/sessions.h"
#include "t/unit/session_records.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* --- Slots -------------------------------------------------------------- */

START_TEST(a_new_record_says_only_whose_it_is)
{
	struct session *s, expect = { 0 };

	records_make(3, 10);
	s = open_slot(2);
	expect.sequence = s->sequence;
	expect.state = SESSION_HANDSHAKE;
	expect.id = s->id;
	expect.worker = 2;
	expect.generation = GENERATION;
	ck_assert_mem_eq(s, &expect, sizeof(expect));
	ck_assert_uint_eq(s->sequence % 2, 0);
	ck_assert_uint_ne(s->id, 0);
	sessions_close(records, s);
}
END_TEST

START_TEST(a_used_slot_comes_back_empty_with_a_new_id)
{
	struct session *s, *again;
	uint64_t id;
	uint32_t sequence;

	records_make(1, 10);
	s = open_slot(0);
	session_begin(s);
	s->bytes_up = 77;
	s->user_len = 5;
	memset(s->user, 'u', 5);
	session_end(s);
	id = s->id;
	sequence = s->sequence;
	sessions_close(records, s);
	ck_assert_int_eq(s->state, SESSION_FREE);
	again = open_slot(0);
	ck_assert_ptr_eq(again, s);
	ck_assert_uint_ne(again->id, id);
	ck_assert_uint_eq(again->bytes_up, 0);
	ck_assert_int_eq(again->user[0], 0);
	/* A reader that looked before must see that it is another. */
	ck_assert_uint_gt(again->sequence, sequence);
	sessions_close(records, again);
}
END_TEST

START_TEST(each_worker_has_its_own_slots_and_ids)
{
	struct session *s[4][50];

	records_make(4, 50);
	for (unsigned w = 0; w < 4; w++)
		for (int i = 0; i < 50; i++)
			s[w][i] = open_slot(w);
	for (unsigned w = 0; w < 4; w++) {
		ck_assert_uint_eq(sessions_count(records, w), 50);
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
			sessions_close(records, s[w][i]);
		ck_assert_uint_eq(sessions_count(records, w), 0);
	}
}
END_TEST

START_TEST(when_all_slots_are_taken_there_is_none_until_one_is_free)
{
	struct session *s[1000];
	size_t count = 0;

	records_make(2, 100);
	while (count < ARRAY_SIZE(s) &&
	       (s[count] = sessions_open(records, 0)) != NULL)
		count++;
	/* All that were promised, and some for the tails of long names. */
	ck_assert_uint_ge(count, 100);
	ck_assert_uint_lt(count, ARRAY_SIZE(s));
	ck_assert_ptr_null(sessions_open(records, 0));
	ck_assert_uint_eq(sessions_count(records, 0), count);
	/* The other worker does not notice. */
	sessions_close(records, open_slot(1));
	sessions_close(records, s[7]);
	ck_assert_ptr_eq(sessions_open(records, 0), s[7]);
	ck_assert_ptr_null(sessions_open(records, 0));
	for (size_t i = 0; i < count; i++)
		sessions_close(records, s[i]);
	ck_assert_uint_eq(sessions_count(records, 0), 0);
}
END_TEST

START_TEST(too_many_are_refused)
{
	static const struct {
		unsigned workers;
		size_t per_worker;
	} cases[] = {
		{ 1024, UINT32_MAX }, { 2, SIZE_MAX / 1024 }, { 1, SIZE_MAX },
		{ 1, UINT32_MAX },    { 1024, 1u << 22 },     { 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned workers = cases[i].workers;
		size_t each = cases[i].per_worker;

		ck_assert_uint_eq(sessions_slots(workers, each), 0);
		ck_assert_int_eq(sessions_new(&records, workers, each, NULL, 1),
				 -ENOMEM);
	}
	sessions_free(NULL);
}
END_TEST

START_TEST(slots_that_were_never_used_are_zero)
{
	static const struct session zero;
	struct session *s[30];

	records_make_shared(3, 40);
	for (int i = 0; i < 30; i++)
		s[i] = open_slot(1);
	ck_assert(s[0] > slots && s[29] < slots + slot_count);
	for (int i = 0; i < 30; i++)
		sessions_close(records, s[i]);
	for (uint32_t i = 0; i < slot_count; i++) {
		bool used = &slots[i] >= s[0] && &slots[i] <= s[29];

		ck_assert_int_eq(memcmp(&slots[i], &zero, sizeof(zero)) != 0,
				 used);
	}
}
END_TEST

START_TEST(the_last_slot_of_all_is_within_the_array)
{
	struct session *s;
	size_t count = 0;

	records_make_shared(4, 7);
	for (unsigned w = 0; w < 4; w++)
		while ((s = sessions_open(records, w))) {
			ck_assert(s > slots && s < slots + slot_count);
			count++;
		}
	ck_assert_uint_eq(count, slot_count - 1);
}
END_TEST

/* --- Names -------------------------------------------------------------- */

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

START_TEST(a_name_of_any_length_is_kept)
{
	records_make(1, 10);
	for (size_t len = 0; len <= 255; len++) {
		struct session *s = open_slot(0);
		struct span tail;
		size_t here = min_size(len, SESSION_HOST_BYTES);
		size_t room = SESSION_HOST_BYTES + SESSION_USER_BYTES;

		set_host(s, len);
		ck_assert_uint_eq(s->host_len, here);
		ck_assert_mem_eq(s->host, name, here);
		tail = sessions_host_tail(records, s);
		/* What two slots cannot hold is cut. */
		room += SESSION_HOST_BYTES;
		ck_assert_uint_ge(here + tail.len, min_size(len, room));
		ck_assert_uint_le(here + tail.len, len);
		if (tail.len > 0)
			ck_assert_mem_eq(tail.at, name + here, tail.len);
		ck_assert(len > SESSION_HOST_BYTES || !s->more);
		sessions_close(records, s);
	}
	ck_assert_uint_eq(sessions_count(records, 0), 0);
}
END_TEST

START_TEST(a_second_slot_is_given_back_with_the_first)
{
	records_make(1, 4);
	for (int i = 0; i < 1000; i++) {
		struct session *s = open_slot(0);

		set_host(s, 100);
		ck_assert_uint_ne(s->more, SESSION_NONE);
		ck_assert_uint_eq(sessions_count(records, 0), 1);
		sessions_close(records, s);
	}
}
END_TEST

START_TEST(without_a_second_slot_a_name_is_cut)
{
	struct session *s[1000], *last = NULL;
	size_t count = 0;

	records_make(1, 10);
	while ((s[count] = sessions_open(records, 0)))
		last = s[count++];
	set_host(last, 100);
	ck_assert_uint_eq(last->host_len, SESSION_HOST_BYTES);
	ck_assert_uint_eq(last->more, SESSION_NONE);
	ck_assert_uint_eq(sessions_host_tail(records, last).len, 0);
	for (size_t i = 0; i < count; i++)
		sessions_close(records, s[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, records_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_new_record_says_only_whose_it_is);
	tcase_add_test(t, a_used_slot_comes_back_empty_with_a_new_id);
	tcase_add_test(t, each_worker_has_its_own_slots_and_ids);
	tcase_add_test(
		t, when_all_slots_are_taken_there_is_none_until_one_is_free);
	tcase_add_test(t, too_many_are_refused);
	tcase_add_test(t, slots_that_were_never_used_are_zero);
	tcase_add_test(t, the_last_slot_of_all_is_within_the_array);
	tcase_add_test(t, a_name_of_any_length_is_kept);
	tcase_add_test(t, a_second_slot_is_given_back_with_the_first);
	tcase_add_test(t, without_a_second_slot_a_name_is_cut);
	suite_add_tcase(s, t);
	return run_suite(s);
}
