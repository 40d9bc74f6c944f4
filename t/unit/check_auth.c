/*
 * Verification of passwords: who is let in, what it costs, and what happens
 * when there is more to do than can be done.
 */
#include "daemon/proxy/auth.h"

#include "daemon/proxy/policy.h"
#include "daemon/proxy/users.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOON_MS 60000

/* A hash that takes a millisecond, and one that takes some hundred. */
#define QUICK "$5$rounds=1000$salt$"
#define SLOW  "$6$rounds=400000$salt$"

static char path[64];
static struct policy *policy;
static struct auth *auth;
static struct tcp_addr client;

static void put_user(FILE *f, const char *name, const char *password,
		     const char *setting)
{
	struct crypt_data *d = calloc(1, sizeof(*d));
	const char *hash;

	ck_assert_ptr_nonnull(d);
	hash = crypt_rn(password, setting, d, sizeof(*d));
	ck_assert_ptr_nonnull(hash);
	(void)fprintf(f, "%s:%s\n", name, hash);
	free(d);
}

static void start_as(const struct auth_options *o, void (*put)(FILE *f))
{
	struct users_fault fault;
	struct users *users;
	struct rules *rules;
	FILE *f;
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/spliced-auth-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	ck_assert_ptr_nonnull(f);
	put(f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(users_load(&users, path, &fault), 0);
	(void)unlink(path);
	ck_assert_int_eq(rules_new(&rules, NULL, 0, NULL, 0, NULL), 0);
	ck_assert_int_eq(policy_new(&policy, rules, users), 0);
	ck_assert_int_eq(auth_new(&auth, o), 0);
}

static void start(void (*put)(FILE *f))
{
	struct auth_options o = { .threads = 1 };

	start_as(&o, put);
}

static void teardown(void)
{
	auth_free(auth);
	policy_unref(policy);
}

static struct login_claim claim_of(const char *name, const char *password,
				   size_t len)
{
	return (struct login_claim){
		.policy = policy,
		.client = &client,
		.name = { (const uint8_t *)name, strlen(name) },
		.password = { (const uint8_t *)password, len },
		.kinds = { AUTH_NONE, AUTH_PASSWORD },
		.kind_count = 2,
	};
}

static int try_bytes(const char *name, const char *password, size_t len,
		     int64_t ms)
{
	const struct login_claim claim = claim_of(name, password, len);
	struct login *l = login_new(auth, &claim);
	enum auth_method method = AUTH_NONE;
	int r;

	ck_assert_ptr_nonnull(l);
	r = login_verify(auth, l, &method, tcp_deadline(ms));
	ck_assert_int_eq(method, r == 0 ? AUTH_PASSWORD : AUTH_NONE);
	return r;
}

static int try_login(const char *name, const char *password)
{
	return try_bytes(name, password, strlen(password), SOON_MS);
}

/* --- Who is let in ------------------------------------------------------ */

#define LONGEST 255
static char longest[LONGEST + 2];

static void put_all_kinds(FILE *f)
{
	memset(longest, 'p', LONGEST);
	put_user(f, "md5", "secret", "$1$salt$");
	put_user(f, "sha256", "secret", QUICK);
	put_user(f, "sha512", "secret", "$6$rounds=1000$salt$");
	put_user(f, "bcrypt", "secret", "$2b$04$abcdefghijklmnopqrstuu");
	put_user(f, "yescrypt", "secret", "$y$j75$salt$");
	put_user(f, "long", longest, QUICK);
	put_user(f, "empty", "", QUICK);
	put_user(f, "utf8", "p\xc3\xa4ss", QUICK);
}

static void verify_all_kinds(void)
{
	static const char *const names[] = { "md5", "sha256", "sha512",
					     "bcrypt", "yescrypt" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(try_login(names[i], "secret"), 0);
		ck_assert_int_eq(try_login(names[i], "Secret"), -EACCES);
		ck_assert_int_eq(try_login(names[i], "secret1"), -EACCES);
		ck_assert_int_eq(try_login(names[i], "secre"), -EACCES);
		ck_assert_int_eq(try_login(names[i], ""), -EACCES);
	}
	ck_assert_int_eq(try_login("nobody", "secret"), -EACCES);
	ck_assert_int_eq(try_login("", ""), -EACCES);
	ck_assert_int_eq(try_login("empty", ""), 0);
	ck_assert_int_eq(try_login("utf8", "p\xc3\xa4ss"), 0);
}

START_TEST(each_kind_of_hash_is_verified)
{
	start(put_all_kinds);
	on_loop(verify_all_kinds, NULL);
}
END_TEST

static void verify_lengths(void)
{
	ck_assert_int_eq(try_login("long", longest), 0);
	ck_assert_int_eq(try_bytes("long", longest, LONGEST - 1, SOON_MS),
			 -EACCES);
	longest[LONGEST] = 'p';
	ck_assert_int_eq(try_bytes("long", longest, LONGEST + 1, SOON_MS),
			 -EACCES);
}

START_TEST(all_of_a_long_password_counts)
{
	start(put_all_kinds);
	on_loop(verify_lengths, NULL);
}
END_TEST

static void verify_nul(void)
{
	ck_assert_int_eq(try_bytes("md5", "secret", 7, SOON_MS), -EACCES);
	ck_assert_int_eq(try_bytes("md5", "secret\0x", 8, SOON_MS), -EACCES);
	ck_assert_int_eq(try_bytes("empty", "", 1, SOON_MS), -EACCES);
}

START_TEST(a_password_does_not_end_at_a_nul)
{
	start(put_all_kinds);
	on_loop(verify_nul, NULL);
}
END_TEST

static void put_none(FILE *f UNUSED)
{
}

static void verify_none(void)
{
	ck_assert_int_eq(try_login("nobody", "secret"), -EACCES);
}

START_TEST(where_there_are_no_users_nobody_is_let_in)
{
	start(put_none);
	on_loop(verify_none, NULL);
}
END_TEST

/* --- What it costs ------------------------------------------------------ */

static void put_slow(FILE *f)
{
	put_user(f, "slow", "secret", SLOW);
}

static int64_t cpu_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t cost(const char *name, const char *password, size_t len)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t since = cpu_us();

		ck_assert_int_eq(try_bytes(name, password, len, SOON_MS),
				 -EACCES);
		best = min_i64(best, cpu_us() - since);
	}
	return best;
}

static void compare_costs(void)
{
	int64_t wrong = cost("slow", "wrong", 5);
	int64_t costs[] = { cost("nobody", "wrong", 5), cost("", "", 0),
			    cost("slow", "secret\0", 7),
			    cost("slow", longest, sizeof(longest)) };

	for (size_t i = 0; i < ARRAY_SIZE(costs); i++) {
		ck_assert_int_gt(costs[i], wrong / 2);
		ck_assert_int_lt(costs[i], wrong * 2);
	}
}

START_TEST(a_wrong_name_costs_as_much_as_a_wrong_password)
{
	start(put_slow);
	on_loop(compare_costs, NULL);
}
END_TEST

/* --- Too much to do ----------------------------------------------------- */

static void give_up(void)
{
	ck_assert_int_eq(try_bytes("slow", "secret", 6, 1), -ETIMEDOUT);
	/* One that is done meanwhile is not in the way of the next. */
	ck_assert_int_eq(try_login("slow", "secret"), 0);
}

START_TEST(a_deadline_is_kept)
{
	start(put_slow);
	on_loop(give_up, NULL);
}
END_TEST

static int results[AUTH_QUEUE + 8];
static struct task *tasks[ARRAY_SIZE(results)];

static void try_in_crowd(void *at)
{
	*(int *)at = try_bytes("slow", "secret", 6, SOON_MS);
}

static unsigned count_of(int r)
{
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(results); i++)
		n += results[i] == r;
	return n;
}

static void crowd(void)
{
	unsigned done;

	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		results[i] = 1;
		ck_assert_int_eq(
			task_start(try_in_crowd, &results[i], &tasks[i]), 0);
	}
	settle();
	/* One may be at work beside those that wait, and each that was done
	 * meanwhile left room for another. */
	done = count_of(0);
	ck_assert_uint_gt(count_of(-EAGAIN), 0);
	ck_assert_uint_ge(count_of(-EAGAIN) + done, 7);
	ck_assert_uint_le(count_of(-EAGAIN), 8);
	ck_assert_uint_eq(count_of(-EAGAIN) + count_of(1) + done,
			  ARRAY_SIZE(results));
	/* All of them are let go, and leave nothing. */
	for (size_t i = 0; i < ARRAY_SIZE(results); i++)
		if (results[i] == 1)
			task_cancel(tasks[i]);
	while (task_count() > 1)
		settle();
	ck_assert_uint_eq(count_of(-EAGAIN) + count_of(-ECANCELED) +
				  count_of(0),
			  ARRAY_SIZE(results));
}

START_TEST(more_than_can_wait_are_refused)
{
	start(put_slow);
	on_loop(crowd, NULL);
}
END_TEST

/* --- What is remembered ------------------------------------------------- */

static int recall(const char *name, const char *password)
{
	const struct login_claim claim = claim_of(name, password,
						  strlen(password));
	enum auth_method method = AUTH_NONE;
	int r = auth_recall(auth, &claim, &method);

	ck_assert_int_eq(method, r == 0 ? AUTH_PASSWORD : AUTH_NONE);
	return r;
}

static void remember(void)
{
	ck_assert_int_eq(recall("slow", "secret"), -ENOENT);
	ck_assert_int_eq(try_login("slow", "wrong"), -EACCES);
	ck_assert_int_eq(recall("slow", "wrong"), -ENOENT);
	ck_assert_int_eq(try_login("slow", "secret"), 0);
	ck_assert_int_eq(recall("slow", "secret"), 0);
	ck_assert_int_eq(recall("slow", "Secret"), -ENOENT);
	ck_assert_int_eq(recall("slow", "secret1"), -ENOENT);
	ck_assert_int_eq(recall("slo", "wsecret"), -ENOENT);
	ck_assert_int_eq(recall("nobody", "secret"), -ENOENT);
}

START_TEST(who_was_right_is_remembered)
{
	struct auth_options o = { .threads = 1,
				  .cache_ms = SOON_MS,
				  .cache_entries = 16 };

	start_as(&o, put_slow);
	on_loop(remember, NULL);
}
END_TEST

static void forget(void)
{
	ck_assert_int_eq(try_login("slow", "secret"), 0);
	ck_assert_int_eq(recall("slow", "secret"), -ENOENT);
}

START_TEST(nothing_is_remembered_without_a_cache)
{
	start(put_slow);
	on_loop(forget, NULL);
}
END_TEST

/* --- Who guesses -------------------------------------------------------- */

#define LOCK_AFTER 3

static void guess(void)
{
	addr_set(&client, AF_INET, (const uint8_t[]){ 192, 0, 2, 1 }, 0);
	ck_assert_int_eq(try_login("sha256", "secret"), 0);
	for (int i = 0; i < LOCK_AFTER; i++) {
		ck_assert_int_eq(recall("sha256", "secret"), 0);
		ck_assert_int_eq(try_login("sha256", "wrong"), -EACCES);
	}
	/* Not even whoever is remembered. */
	ck_assert_int_eq(recall("sha256", "secret"), -EUSERS);
	ck_assert_int_eq(try_login("sha256", "secret"), -EUSERS);
	addr_set(&client, AF_INET, (const uint8_t[]){ 192, 0, 2, 2 }, 0);
	ck_assert_int_eq(recall("sha256", "secret"), 0);
	ck_assert_int_eq(try_login("sha256", "secret"), 0);
}

START_TEST(who_fails_too_often_is_locked_out)
{
	struct auth_options o = { .threads = 1,
				  .cache_ms = SOON_MS,
				  .cache_entries = 16,
				  .lock_after = LOCK_AFTER,
				  .lock_ms = SOON_MS };

	start_as(&o, put_all_kinds);
	on_loop(guess, NULL);
}
END_TEST

static void delay(void)
{
	int64_t since = tcp_deadline(0);

	ck_assert_int_eq(try_login("sha256", "wrong"), -EACCES);
	ck_assert_int_ge(tcp_deadline(0) - since, 200);
}

START_TEST(failures_are_told_late)
{
	struct auth_options o = { .threads = 1, .failure_delay_ms = 200 };

	start_as(&o, put_all_kinds);
	on_loop(delay, NULL);
}
END_TEST

static int64_t elapsed(const char *password, int wanted)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 3; i++) {
		int64_t since = tcp_deadline(0);

		ck_assert_int_eq(try_login("slow", password), wanted);
		best = min_i64(best, tcp_deadline(0) - since);
	}
	return best;
}

static void delay_all(void)
{
	int64_t hash = elapsed("secret", 0);

	ck_assert_int_gt(hash, 20);
	ck_assert_int_lt(elapsed("wrong", -EACCES),
			 max_i64(600, hash) + hash / 2);
}

START_TEST(the_time_of_a_failure_does_not_tell_what_was_hashed)
{
	struct auth_options o = { .threads = 1, .failure_delay_ms = 600 };

	start_as(&o, put_slow);
	on_loop(delay_all, NULL);
}
END_TEST

static void delay_in_time(void)
{
	ck_assert_int_eq(try_bytes("sha256", "wrong", 5, 200), -EACCES);
}

START_TEST(but_while_there_is_time)
{
	struct auth_options o = { .threads = 1, .failure_delay_ms = 600000 };

	start_as(&o, put_all_kinds);
	on_loop(delay_in_time, NULL);
}
END_TEST

START_TEST(none_is_harmless)
{
	auth_free(NULL);
	login_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("auth");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_kind_of_hash_is_verified);
	tcase_add_test(t, all_of_a_long_password_counts);
	tcase_add_test(t, a_password_does_not_end_at_a_nul);
	tcase_add_test(t, where_there_are_no_users_nobody_is_let_in);
	tcase_add_test(t, a_wrong_name_costs_as_much_as_a_wrong_password);
	tcase_add_test(t, a_deadline_is_kept);
	tcase_add_test(t, more_than_can_wait_are_refused);
	tcase_add_test(t, who_was_right_is_remembered);
	tcase_add_test(t, nothing_is_remembered_without_a_cache);
	tcase_add_test(t, who_fails_too_often_is_locked_out);
	tcase_add_test(t, failures_are_told_late);
	tcase_add_test(t, the_time_of_a_failure_does_not_tell_what_was_hashed);
	tcase_add_test(t, but_while_there_is_time);
	tcase_add_test(t, none_is_harmless);
	suite_add_tcase(s, t);
	return run_suite(s);
}
