/*
 * Clients that log in: who may try, who is locked out, for how long, and what
 * is left of all that.
 */
#include "daemon/proxy/auth_clients.h"

#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>

#define LOCK_MS    1000
#define LOCK_AFTER 3
#define MAX        64
#define SUSPECTS   2

static struct auth_clients *clients;
static struct auth_place place[MAX + 1];

static void setup(void)
{
	const struct auth_clients_options o = { .max = MAX,
						.suspects_max = SUSPECTS,
						.lock_after = LOCK_AFTER,
						.lock_ms = LOCK_MS,
						.prefix4 = 24,
						.prefix6 = 56 };

	ck_assert_int_eq(auth_clients_new(&clients, &o), 0);
}

static void teardown(void)
{
	auth_clients_free(TAKE_PTR(clients));
}

static struct tcp_addr addr(const char *s)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, s), 0);
	return a;
}

static int enter(unsigned i, const char *who, int64_t now)
{
	struct tcp_addr a = addr(who);

	return auth_clients_enter(clients, &place[i], &a, now);
}

static bool locked(const char *who, int64_t now)
{
	struct tcp_addr a = addr(who);

	return auth_clients_locked(clients, &a, now);
}

/* One login from begin to end. */
static void try(const char *who, bool right, int64_t now)
{
	ck_assert_int_eq(enter(MAX, who, now), 0);
	auth_clients_settle(clients, &place[MAX], !right, now);
	auth_clients_leave(clients, &place[MAX]);
}

static void lock(const char *who, int64_t now)
{
	for (int i = 0; i < LOCK_AFTER; i++) {
		ck_assert(!locked(who, now));
		try(who, false, now);
	}
	ck_assert(locked(who, now));
}

START_TEST(who_fails_too_often_is_locked_out_for_a_time)
{
	lock("192.0.2.1", 0);
	ck_assert_int_eq(enter(0, "192.0.2.1", LOCK_MS - 1), -EUSERS);
	ck_assert(locked("192.0.2.1", LOCK_MS - 1));
	ck_assert(!locked("192.0.2.1", LOCK_MS));
	/* Afterwards it begins anew. */
	lock("192.0.2.1", LOCK_MS);
}
END_TEST

START_TEST(a_prefix_is_one_client)
{
	lock("192.0.2.1", 0);
	ck_assert(locked("192.0.2.200", 0));
	ck_assert(locked("::ffff:192.0.2.7", 0));
	ck_assert(!locked("192.0.3.1", 0));
	ck_assert(!locked("2001:db8::1", 0));
	lock("2001:db8::1", 0);
	ck_assert(locked("2001:db8:0:ff::9", 0));
	ck_assert(!locked("2001:db8:0:100::1", 0));
}
END_TEST

START_TEST(failures_count_for_a_time)
{
	try("192.0.2.1", false, 0);
	try("192.0.2.1", false, LOCK_MS / 2);
	/* The first one is over, and with it all of its time. */
	try("192.0.2.1", false, LOCK_MS);
	try("192.0.2.1", false, LOCK_MS + 1);
	ck_assert(!locked("192.0.2.1", LOCK_MS + 1));
	try("192.0.2.1", false, LOCK_MS + 2);
	ck_assert(locked("192.0.2.1", LOCK_MS + 2));
}
END_TEST

/* Or who has an account could guess at others' for ever. */
START_TEST(being_right_takes_back_no_failure)
{
	try("192.0.2.1", false, 0);
	try("192.0.2.1", false, 0);
	try("192.0.2.1", true, 0);
	try("192.0.2.1", false, 0);
	ck_assert(locked("192.0.2.1", 0));
}
END_TEST

START_TEST(whoever_waits_is_locked_out_too)
{
	ck_assert_int_eq(enter(0, "192.0.2.1", 0), 0);
	ck_assert(!auth_place_is_locked(&place[0], 0));
	lock("192.0.2.1", 0);
	ck_assert(auth_place_is_locked(&place[0], 0));
	ck_assert(!auth_place_is_locked(&place[0], LOCK_MS));
	auth_clients_leave(clients, &place[0]);
}
END_TEST

START_TEST(places_are_shared)
{
	unsigned n = 0;

	/* Half of them for one. */
	while (n < MAX && enter(n, "192.0.2.1", 0) == 0)
		n++;
	ck_assert_uint_eq(n, MAX / 2);
	/* From then on an eighth for each. */
	for (int i = 0; i < MAX / 8; i++)
		ck_assert_int_eq(enter(n++, "198.51.100.1", 0), 0);
	ck_assert_int_eq(enter(n, "198.51.100.1", 0), -EAGAIN);
	while (n < MAX) {
		char who[32];

		(void)snprintf(who, sizeof(who), "203.0.%u.1", n);
		ck_assert_int_eq(enter(n++, who, 0), 0);
	}
	ck_assert_int_eq(enter(n, "203.0.113.1", 0), -EAGAIN);
	/* Who has his verdict makes room for others, not for himself. */
	auth_clients_settle(clients, &place[0], false, 0);
	ck_assert_int_eq(enter(n, "192.0.2.1", 0), -EAGAIN);
	ck_assert_int_eq(enter(n, "203.0.113.1", 0), 0);
	for (unsigned i = 0; i <= n; i++)
		auth_clients_leave(clients, &place[i]);
	ck_assert_int_eq(enter(0, "192.0.2.1", 0), 0);
}
END_TEST

START_TEST(who_has_failed_lately_shares_few)
{
	for (unsigned i = 0; i < SUSPECTS + 1; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "203.0.%u.1", i);
		try(who, false, 0);
		ck_assert_int_eq(enter(i, who, 0), i < SUSPECTS ? 0 : -EAGAIN);
	}
	/* Not who has not, and not after a while. */
	ck_assert_int_eq(enter(SUSPECTS, "192.0.2.1", 0), 0);
	ck_assert_int_eq(enter(SUSPECTS + 1, "203.0.2.1", LOCK_MS), 0);
	auth_clients_settle(clients, &place[0], true, 0);
	ck_assert_int_eq(enter(SUSPECTS + 2, "203.0.2.1", LOCK_MS), 0);
}
END_TEST

START_TEST(those_without_an_address_are_not_told_apart)
{
	struct tcp_addr nowhere = { .family = AF_UNIX };
	unsigned n = 0;

	for (int i = 0; i < 2 * LOCK_AFTER; i++) {
		ck_assert_int_eq(
			auth_clients_enter(clients, &place[0], &nowhere, 0), 0);
		auth_clients_settle(clients, &place[0], true, 0);
		auth_clients_leave(clients, &place[0]);
	}
	ck_assert(!auth_clients_locked(clients, &nowhere, 0));
	while (n <= MAX &&
	       auth_clients_enter(clients, &place[n], &nowhere, 0) == 0)
		n++;
	ck_assert_uint_eq(n, MAX);
}
END_TEST

/* More clients than there are entries: those that failed most are kept. */
START_TEST(a_full_table_goes_on)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < 256; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "10.0.%u.1", i);
		lock(who, 0);
	}
	for (unsigned i = 0; i < 100000; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "%u.%u.%u.1", 11 + (i >> 16),
			       i >> 8 & 255, i & 255);
		try(who, false, 0);
	}
	for (unsigned i = 0; i < 256; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "10.0.%u.1", i);
		kept += locked(who, 0);
	}
	ck_assert_uint_eq(kept, 256);
}
END_TEST

static void *work(void *arg)
{
	struct auth_place p;

	for (unsigned i = 0; i < 20000; i++) {
		struct tcp_addr a;

		addr_set(&a, AF_INET, (uint8_t[]){ 10, 0, (uint8_t)i, 1 }, 0);
		(void)auth_clients_locked(clients, &a, i);
		if (auth_clients_enter(clients, &p, &a, i) < 0)
			continue;
		(void)auth_place_is_locked(&p, i);
		auth_clients_settle(clients, &p, i % 3 == 0, i);
		auth_clients_leave(clients, &p);
	}
	return arg;
}

START_TEST(threads_share_it)
{
	pthread_t thread[4];

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, NULL),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	/* All places are free again. */
	for (unsigned i = 0; i < MAX; i++) {
		char who[32];

		(void)snprintf(who, sizeof(who), "12.0.%u.1", i);
		ck_assert_int_eq(enter(i, who, 0), 0);
	}
}
END_TEST

START_TEST(none_is_harmless)
{
	auth_clients_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("auth_clients");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_fails_too_often_is_locked_out_for_a_time);
	tcase_add_test(t, a_prefix_is_one_client);
	tcase_add_test(t, failures_count_for_a_time);
	tcase_add_test(t, being_right_takes_back_no_failure);
	tcase_add_test(t, whoever_waits_is_locked_out_too);
	tcase_add_test(t, places_are_shared);
	tcase_add_test(t, who_has_failed_lately_shares_few);
	tcase_add_test(t, those_without_an_address_are_not_told_apart);
	tcase_add_test(t, a_full_table_goes_on);
	tcase_add_test(t, threads_share_it);
	tcase_add_test(t, none_is_harmless);
	suite_add_tcase(s, t);
	return run_suite(s);
}
