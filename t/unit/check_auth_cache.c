/*
 * Remembered logins: what makes two of them one, how long and how many are
 * kept, and threads that read what others write.
 */
#include "daemon/proxy/auth_cache.h"

#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define MS 1000

static struct auth_cache *cache;

static struct span text(const char *s)
{
	return (struct span){ (const uint8_t *)s, strlen(s) };
}

static struct auth_mark mark(const char *name, const char *password)
{
	return auth_cache_mark(cache, AUTH_PASSWORD, text(name), text(password),
			       text("hash"));
}

static void start(uint32_t entries)
{
	ck_assert_int_eq(auth_cache_new(&cache, entries, MS), 0);
}

static void teardown(void)
{
	auth_cache_free(TAKE_PTR(cache));
}

START_TEST(a_login_is_known_for_its_time)
{
	struct auth_mark m;

	start(1);
	m = mark("alice", "secret");
	ck_assert(!auth_cache_has(cache, &m, 0));
	auth_cache_add(cache, &m, 5);
	ck_assert(auth_cache_has(cache, &m, 5));
	ck_assert(auth_cache_has(cache, &m, 5 + MS - 1));
	ck_assert(!auth_cache_has(cache, &m, 5 + MS));
	auth_cache_add(cache, &m, 5 + MS);
	ck_assert(auth_cache_has(cache, &m, 5 + MS));
}
END_TEST

START_TEST(every_part_counts)
{
	struct auth_mark m, others[5];

	start(64);
	m = mark("alice", "secret");
	auth_cache_add(cache, &m, 0);
	others[0] = mark("alicf", "secret");
	others[1] = mark("alice", "secres");
	others[2] = mark("alices", "ecret");
	others[3] = auth_cache_mark(cache, AUTH_PAM, text("alice"),
				    text("secret"), text("hash"));
	others[4] = auth_cache_mark(cache, AUTH_PASSWORD, text("alice"),
				    text("secret"), text("hasi"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert(!auth_cache_has(cache, &others[i], 0));
	/* Half of a mark is none. */
	m.half[1] ^= 1;
	ck_assert(!auth_cache_has(cache, &m, 0));
}
END_TEST

START_TEST(another_cache_has_other_marks)
{
	struct auth_mark a, b;

	start(1);
	a = mark("alice", "secret");
	teardown();
	start(1);
	b = mark("alice", "secret");
	ck_assert(a.half[0] != b.half[0] && a.half[1] != b.half[1]);
}
END_TEST

START_TEST(there_are_no_more_than_have_room)
{
	struct auth_mark m[64];
	unsigned known = 0;
	char name[8];

	start(8);
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		(void)snprintf(name, sizeof(name), "u%u", i);
		m[i] = mark(name, "secret");
		auth_cache_add(cache, &m[i], i);
		ck_assert(auth_cache_has(cache, &m[i], i));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		known += auth_cache_has(cache, &m[i], 64);
	ck_assert_uint_eq(known, 8);
	/* Once more does not take another one's place. */
	auth_cache_add(cache, &m[63], 64);
	for (unsigned i = known = 0; i < ARRAY_SIZE(m); i++)
		known += auth_cache_has(cache, &m[i], 64);
	ck_assert_uint_eq(known, 8);
}
END_TEST

/* --- Several threads ---------------------------------------------------- */

#define THREADS 4
#define ROUNDS  20000

/* Half of the names are never right, and must never be taken for it. */
static void *work(void *arg)
{
	int64_t number = *(int *)arg;
	void *wrong = NULL;

	for (unsigned i = 0; i < ROUNDS; i++) {
		char name[16];
		struct auth_mark m;

		(void)snprintf(name, sizeof(name), "u%u", i * 31 % 256);
		m = mark(name, i % 2 ? "right" : "wrong");
		if (i % 2)
			auth_cache_add(cache, &m, number + i);
		else if (auth_cache_has(cache, &m, 0))
			wrong = arg;
	}
	return wrong;
}

START_TEST(threads_share_it)
{
	pthread_t thread[THREADS];
	int number[THREADS];

	start(64);
	for (int i = 0; i < THREADS; i++) {
		number[i] = i;
		ck_assert_int_eq(
			pthread_create(&thread[i], NULL, work, &number[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;

		ck_assert_int_eq(pthread_join(thread[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

START_TEST(none_is_harmless)
{
	auth_cache_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("auth_cache");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_login_is_known_for_its_time);
	tcase_add_test(t, every_part_counts);
	tcase_add_test(t, another_cache_has_other_marks);
	tcase_add_test(t, there_are_no_more_than_have_room);
	tcase_add_test(t, threads_share_it);
	tcase_add_test(t, none_is_harmless);
	suite_add_tcase(s, t);
	return run_suite(s);
}
