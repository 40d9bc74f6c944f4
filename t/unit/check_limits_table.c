/*
 * The tables of counts and rates: bounds, places, readers, and threads.
 */
#include "daemon/proxy/limits_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define COUNT  64u /* eight buckets */
#define SECOND INT64_C(1000000000)

static struct limits_about about;
static struct limits_count counts[COUNT] __attribute__((aligned(64)));
static struct limits_label labels[COUNT];
static struct limits_rate rates[COUNT] __attribute__((aligned(64)));
static struct limits_table t;

static const struct limits_name nobody = { .kind = LIMITS_LISTENER };

static void setup(void)
{
	memset(&about, 0, sizeof(about));
	memset(counts, 0, sizeof(counts));
	memset(labels, 0, sizeof(labels));
	memset(rates, 0, sizeof(rates));
	t = (struct limits_table){ .about = &about,
				   .counts = counts,
				   .labels = labels,
				   .rates = rates,
				   .count = COUNT,
				   .rate_count = COUNT };
}

/* Keys as a keyed hash makes them. */
static uint64_t key_of(uint64_t n)
{
	static const struct siphash_key key = { { 1, 2 } };

	return siphash(&key, &n, sizeof(n));
}

static int take(uint64_t key, uint32_t bound)
{
	return limits_table_take(&t, key, bound, 0, &nobody);
}

static unsigned words_in_use(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < COUNT; i++)
		n += counts[i].word != 0;
	return n;
}

/* --- Counts ------------------------------------------------------------- */

START_TEST(a_bound_is_kept_and_what_is_given_can_be_taken)
{
	uint64_t key = key_of(7);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(take(key, 3), 0);
	ck_assert_int_eq(take(key, 3), -EDQUOT);
	ck_assert_uint_eq(limits_table_count(&t, key), 3);
	ck_assert_int_eq(take(key, 4), 0);
	limits_table_give(&t, key);
	limits_table_give(&t, key);
	ck_assert_int_eq(take(key, 3), 0);
	ck_assert_uint_eq(words_in_use(), 1);
	for (int i = 0; i < 3; i++)
		limits_table_give(&t, key);
	ck_assert_uint_eq(words_in_use(), 0);
}
END_TEST

START_TEST(counts_of_others_are_added)
{
	uint64_t key = key_of(7);

	ck_assert_int_eq(limits_table_take(&t, key, 5, 4, &nobody), 0);
	ck_assert_int_eq(limits_table_take(&t, key, 5, 4, &nobody), -EDQUOT);
	ck_assert_int_eq(limits_table_take(&t, key, 5, UINT64_MAX - 9, &nobody),
			 -EDQUOT);
	ck_assert_uint_eq(limits_table_count(&t, key), 1);
}
END_TEST

START_TEST(two_words_of_a_key_are_summed)
{
	uint64_t key = key_of(7);
	unsigned at = 0;

	ck_assert_int_eq(take(key, 3), 0);
	while (counts[at].word == 0)
		at++;
	/* As two threads make them that insert it at once. */
	counts[at ^ 1].word = counts[at].word;
	ck_assert_uint_eq(limits_table_count(&t, key), 2);
	ck_assert_int_eq(take(key, 3), 0);
	ck_assert_int_eq(take(key, 3), -EDQUOT);
	for (int i = 0; i < 3; i++)
		limits_table_give(&t, key);
	ck_assert_uint_eq(words_in_use(), 0);
}
END_TEST

START_TEST(a_full_table_says_so_and_serves_whom_it_knows)
{
	unsigned in = 0, out = 0;
	uint64_t known = key_of(0);

	for (uint64_t n = 0; n < 1000; n++) {
		int r = take(key_of(n), 1);

		ck_assert(r == 0 || r == -ENOSPC);
		*(r == 0 ? &in : &out) += 1;
	}
	ck_assert_uint_eq(in, COUNT);
	ck_assert_uint_eq(out, 1000 - COUNT);
	ck_assert_int_eq(take(known, 1), -EDQUOT);
	ck_assert_int_eq(take(known, 2), 0);
	limits_table_give(&t, known);
	limits_table_give(&t, known);
	ck_assert_uint_eq(words_in_use(), COUNT - 1);
}
END_TEST

START_TEST(most_of_a_table_can_be_used)
{
	unsigned lost = 0;

	for (uint64_t n = 0; n < COUNT / 2; n++)
		lost += take(key_of(n), 1) == -ENOSPC;
	ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_count_that_cannot_grow_is_none)
{
	uint64_t key = key_of(7);

	ck_assert_int_eq(take(key, 3), 0);
	for (unsigned i = 0; i < COUNT; i++)
		if (counts[i].word)
			counts[i].word |= 0xffffff;
	ck_assert_int_eq(take(key, UINT32_MAX), -ENOSPC);
	ck_assert_uint_eq(limits_table_count(&t, key), 0xffffff);
}
END_TEST

START_TEST(a_table_of_nothing_counts_nothing)
{
	struct limits_table none = { 0 };

	ck_assert_uint_eq(limits_table_count(&none, 1), 0);
	ck_assert_int_eq(limits_rate_next(&none, 1), 0);
}
END_TEST

/* --- Readers ------------------------------------------------------------ */

START_TEST(a_label_says_whom_a_count_is_about)
{
	const char *user = "a-user-with-a-name-that-is-longer-than-a-label-is";
	struct limits_name name = {
		.kind = LIMITS_RULE_USER,
		.number = 9,
		.text = { (const uint8_t *)user, strlen(user) },
	};
	uint64_t key = key_of(7);
	struct limits_label l;
	unsigned seen = 0;

	ck_assert_int_eq(limits_table_take(&t, key, 5, 0, &name), 0);
	ck_assert_int_eq(limits_table_take(&t, key, 5, 0, &nobody), 0);
	for (uint32_t i = 0; i < COUNT; i++) {
		if (limits_table_read(&t, i, &l) == 0)
			continue;
		seen++;
		ck_assert_uint_eq(limits_table_read(&t, i, &l), 2);
		ck_assert_uint_eq(l.key, key);
		ck_assert_uint_eq(l.kind, LIMITS_RULE_USER);
		ck_assert_uint_eq(l.bound, 5);
		ck_assert_uint_eq(l.number, 9);
		ck_assert_uint_eq(l.len, LIMITS_LABEL_BYTES);
		ck_assert_mem_eq(l.text, user, l.len);
	}
	ck_assert_uint_eq(seen, 1);
}
END_TEST

START_TEST(a_label_that_makes_no_sense_is_not_believed)
{
	uint64_t key = key_of(7);
	struct limits_label l;
	uint32_t at = 0;

	ck_assert_int_eq(take(key, 5), 0);
	while (counts[at].word == 0)
		at++;
	labels[at].len = 255;
	labels[at].bits = 255;
	ck_assert_uint_eq(limits_table_read(&t, at, &l), 1);
	ck_assert_uint_eq(l.len, LIMITS_LABEL_BYTES);
	ck_assert_uint_eq(l.bits, 128);
	labels[at].kind = LIMITS_KINDS;
	ck_assert_uint_eq(limits_table_read(&t, at, &l), 0);
	labels[at].kind = LIMITS_CLIENT;
	labels[at].key = 0; /* it is being written */
	ck_assert_uint_eq(limits_table_read(&t, at, &l), 0);
	/* One that belongs elsewhere. */
	at = (at + 8) % COUNT;
	for (; labels[at].key || counts[at].word;)
		at = (at + 8) % COUNT;
	labels[at].key = key;
	counts[at].word = (key & ~UINT64_C(0xffffff)) | 1;
	(void)limits_table_read(&t, at, &l);
}
END_TEST

/* --- Rates -------------------------------------------------------------- */

static int come(uint64_t key, const struct rate *r, int64_t now)
{
	return limits_rate_take(&t, key, r, now, 0);
}

START_TEST(a_rate_lets_its_count_in_at_once_and_again_as_time_goes)
{
	struct rate r = { .count = 4, .ms = 1000 };
	uint64_t key = key_of(1);
	int64_t now = 5 * SECOND;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(come(key, &r, now), 0);
	ck_assert_int_eq(come(key, &r, now), -EDQUOT);
	ck_assert_int_eq(come(key, &r, now + SECOND / 4 - 1), -EDQUOT);
	ck_assert_int_eq(come(key, &r, now + SECOND / 4), 0);
	ck_assert_int_eq(come(key, &r, now + SECOND / 4), -EDQUOT);
	now += 10 * SECOND;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(come(key, &r, now), 0);
	ck_assert_int_eq(come(key, &r, now), -EDQUOT);
}
END_TEST

START_TEST(over_time_as_many_come_as_the_rate_says)
{
	static const struct rate all[] = {
		{ 1, 1000 }, { 3, 1000 }, { 1000, 1000 }, { 7, 60000 }
	};

	for (size_t n = 0; n < ARRAY_SIZE(all); n++) {
		uint64_t key = key_of(n);
		int64_t start = SECOND, end = start + 120 * SECOND;
		uint64_t in = 0, all_time = all[n].count;

		for (int64_t now = start; now < end; now += SECOND / 1000)
			in += come(key, &all[n], now) == 0;
		all_time += UINT64_C(120000) * all[n].count / all[n].ms;
		ck_assert_uint_le(in, all_time);
		ck_assert_uint_ge(in, all_time - all_time / 100 - 1);
	}
}
END_TEST

START_TEST(who_did_not_come_after_all_has_used_up_nothing)
{
	struct rate r = { .count = 1, .ms = 60000 };
	uint64_t key = key_of(1);

	ck_assert_int_eq(come(key, &r, SECOND), 0);
	limits_rate_give(&t, key, &r);
	ck_assert_int_eq(come(key, &r, SECOND), 0);
	ck_assert_int_eq(come(key, &r, SECOND), -EDQUOT);
	limits_rate_give(&t, key_of(2), &r);
}
END_TEST

START_TEST(what_another_generation_let_in_counts)
{
	struct rate r = { .count = 2, .ms = 2000 };
	uint64_t key = key_of(1);
	int64_t now = 9 * SECOND;

	ck_assert_int_eq(limits_rate_take(&t, key, &r, now, now + 2 * SECOND),
			 -EDQUOT);
	ck_assert_int_eq(limits_rate_next(&t, key), now + 2 * SECOND);
	ck_assert_int_eq(limits_rate_take(&t, key, &r, now + SECOND, 0), 0);
}
END_TEST

START_TEST(rates_that_are_over_make_room)
{
	struct rate r = { .count = 1, .ms = 1000 };
	unsigned in = 0;

	for (uint64_t n = 0; n < 1000; n++)
		in += come(key_of(n), &r, SECOND) == 0;
	ck_assert_uint_eq(in, COUNT);
	ck_assert_int_eq(come(key_of(5000), &r, SECOND), -ENOSPC);
	ck_assert_int_eq(come(key_of(5000), &r, 2 * SECOND), 0);
	ck_assert_int_eq(come(key_of(5000), &r, 2 * SECOND), -EDQUOT);
}
END_TEST

/* --- Threads ------------------------------------------------------------ */

#define THREADS 4
#define ROUNDS  20000
#define KEYS    40u /* so that buckets are full now and then */
#define BOUND   3

static atomic_uint held[KEYS];
static atomic_uint over, uncounted;

static void *take_and_give(void *arg)
{
	uint64_t random = (uintptr_t)arg * 7919 + 1;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned n;

		random = random * UINT64_C(6364136223846793005) + 1;
		n = (unsigned)(random >> 33) % KEYS;
		switch (take(key_of(n), BOUND)) {
		case 0:
			if (atomic_fetch_add(&held[n], 1) >= BOUND)
				atomic_fetch_add(&over, 1);
			atomic_fetch_sub(&held[n], 1);
			limits_table_give(&t, key_of(n));
			break;
		case -ENOSPC:
			atomic_fetch_add(&uncounted, 1);
			break;
		default:
			break;
		}
	}
	return NULL;
}

static void run(void *(*fn)(void *))
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&thread[i], NULL, fn, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
}

START_TEST(threads_keep_bounds_and_leave_nothing)
{
	run(take_and_give);
	ck_assert_uint_eq(over, 0);
	ck_assert_uint_eq(words_in_use(), 0);
}
END_TEST

static atomic_uint inside, most, came;

/* All want the same, and hold it for a moment. */
static void *crowd(void *arg UNUSED)
{
	for (int i = 0; i < ROUNDS; i++) {
		unsigned now;

		if (take(key_of(1), 2) != 0)
			continue;
		now = atomic_fetch_add(&inside, 1) + 1;
		if (now > atomic_load(&most))
			atomic_store(&most, now);
		atomic_fetch_add(&came, 1);
		atomic_fetch_sub(&inside, 1);
		limits_table_give(&t, key_of(1));
	}
	return NULL;
}

START_TEST(a_crowd_never_exceeds_its_bound)
{
	run(crowd);
	ck_assert_uint_le(most, 2);
	ck_assert_uint_gt(came, 0);
	ck_assert_uint_eq(words_in_use(), 0);
}
END_TEST

static atomic_uint let_in;

static void *rush(void *arg UNUSED)
{
	static const struct rate r = { .count = 1000, .ms = 60000 };

	for (int i = 0; i < ROUNDS; i++)
		if (come(key_of(1), &r, SECOND) == 0)
			atomic_fetch_add(&let_in, 1);
	return NULL;
}

START_TEST(threads_share_a_rate)
{
	run(rush);
	ck_assert_uint_eq(let_in, 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limits_table");
	TCase *c = tcase_create("table");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, a_bound_is_kept_and_what_is_given_can_be_taken);
	tcase_add_test(c, counts_of_others_are_added);
	tcase_add_test(c, two_words_of_a_key_are_summed);
	tcase_add_test(c, a_full_table_says_so_and_serves_whom_it_knows);
	tcase_add_test(c, most_of_a_table_can_be_used);
	tcase_add_test(c, a_count_that_cannot_grow_is_none);
	tcase_add_test(c, a_table_of_nothing_counts_nothing);
	tcase_add_test(c, a_label_says_whom_a_count_is_about);
	tcase_add_test(c, a_label_that_makes_no_sense_is_not_believed);
	tcase_add_test(c,
		       a_rate_lets_its_count_in_at_once_and_again_as_time_goes);
	tcase_add_test(c, over_time_as_many_come_as_the_rate_says);
	tcase_add_test(c, who_did_not_come_after_all_has_used_up_nothing);
	tcase_add_test(c, what_another_generation_let_in_counts);
	tcase_add_test(c, rates_that_are_over_make_room);
	tcase_add_test(c, threads_keep_bounds_and_leave_nothing);
	tcase_add_test(c, a_crowd_never_exceeds_its_bound);
	tcase_add_test(c, threads_share_a_rate);
	suite_add_tcase(s, c);
	return run_suite(s);
}
