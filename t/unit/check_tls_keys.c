/*
 * Keys of tickets: when they change, how long the old ones stay, and what is
 * taken from another process.
 */
#include "daemon/tls_keys.h"

#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

#define HOUR INT64_C(3600000)

static bool same_key(const struct tcp_tls_ticket_key *a,
		     const struct tcp_tls_ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

START_TEST(the_first_is_made_at_once)
{
	struct tls_keys k = { 0 };

	ck_assert_int_le(tls_keys_due(&k), 0);
	ck_assert_int_eq(tls_keys_turn(&k, 5), 1);
	ck_assert_uint_eq(k.count, 1);
	ck_assert_int_eq(k.made_ms[0], 5);
	ck_assert_int_eq(tls_keys_due(&k), 5 + 12 * HOUR);
	ck_assert_int_eq(tls_keys_turn(&k, 5), 0);
}
END_TEST

START_TEST(after_twelve_hours_there_is_another_and_the_old_decrypts)
{
	struct tls_keys k = { 0 }, before;

	ck_assert_int_eq(tls_keys_turn(&k, 0), 1);
	before = k;
	ck_assert_int_eq(tls_keys_turn(&k, 12 * HOUR - 1), 0);
	ck_assert(same_key(&k.key[0], &before.key[0]));
	ck_assert_int_eq(tls_keys_turn(&k, 12 * HOUR), 1);
	ck_assert_uint_eq(k.count, 2);
	ck_assert(!same_key(&k.key[0], &before.key[0]));
	ck_assert(same_key(&k.key[1], &before.key[0]));
	before = k;
	ck_assert_int_eq(tls_keys_turn(&k, 24 * HOUR), 1);
	ck_assert_uint_eq(k.count, 2);
	ck_assert(same_key(&k.key[1], &before.key[0]));
}
END_TEST

START_TEST(what_is_a_day_old_is_dropped)
{
	struct tls_keys k = { 0 };

	ck_assert_int_eq(tls_keys_turn(&k, 0), 1);
	ck_assert_int_eq(tls_keys_turn(&k, 24 * HOUR), 1);
	ck_assert_uint_eq(k.count, 1);
}
END_TEST

/* As after a start of the machine, were there anything left of before. */
START_TEST(what_is_of_the_future_is_dropped)
{
	struct tls_keys k = { 0 };

	ck_assert_int_eq(tls_keys_turn(&k, 5 * HOUR), 1);
	ck_assert_int_eq(tls_keys_turn(&k, HOUR), 1);
	ck_assert_uint_eq(k.count, 1);
	ck_assert_int_eq(k.made_ms[0], HOUR);
}
END_TEST

START_TEST(what_is_written_can_be_read)
{
	struct tls_keys k = { 0 }, got = { 0 };
	uint8_t out[TLS_KEYS_BYTES];

	for (size_t count = 1; count <= TLS_KEYS_MAX; count++) {
		size_t len;

		ck_assert_int_eq(tls_keys_turn(&k, (int64_t)count * 12 * HOUR),
				 1);
		len = tls_keys_encode(&k, out);
		ck_assert_int_eq(
			tls_keys_decode(&got, (struct span){ out, len }), 0);
		ck_assert_uint_eq(got.count, count);
		for (size_t i = 0; i < count; i++) {
			ck_assert_int_eq(got.made_ms[i], k.made_ms[i]);
			ck_assert(same_key(&got.key[i], &k.key[i]));
		}
	}
	ck_assert_uint_eq(tls_keys_encode(&k, out), sizeof(out));
}
END_TEST

static void refused(const void *bytes, size_t len)
{
	struct tls_keys k = { .count = 1, .made_ms = { 7 } };

	ck_assert_int_eq(tls_keys_decode(&k, (struct span){ bytes, len }),
			 -EBADMSG);
	ck_assert_uint_eq(k.count, 1);
	ck_assert_int_eq(k.made_ms[0], 7);
}

START_TEST(what_else_comes_changes_nothing)
{
	struct tls_keys k = { 0 };
	uint8_t out[TLS_KEYS_BYTES + 1] = { 0 };
	int64_t far = INT64_MAX;
	size_t len;

	ck_assert_int_eq(tls_keys_turn(&k, 0), 1);
	ck_assert_int_eq(tls_keys_turn(&k, 12 * HOUR), 1);
	len = tls_keys_encode(&k, out);
	for (size_t i = 0; i <= len + 1; i++)
		if (i != len)
			refused(out, i);
	for (size_t i = 0; i < 8; i++) { /* magic and count */
		out[i] ^= 0x40;
		refused(out, len);
		out[i] ^= 0x40;
	}
	out[4] = 0;
	refused(out, 8);
	out[4] = 2;
	memcpy(out + 8, &far, sizeof(far));
	refused(out, len);
	k.key[1] = k.key[0]; /* two of one name */
	refused(out, tls_keys_encode(&k, out));
}
END_TEST

START_TEST(a_wiped_one_is_empty)
{
	struct tls_keys k = { 0 };
	static const struct tls_keys none;

	ck_assert_int_eq(tls_keys_turn(&k, 0), 1);
	tls_keys_wipe(&k);
	ck_assert_mem_eq(&k, &none, sizeof(k));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_keys");
	TCase *t = tcase_create("keys");

	tcase_add_test(t, the_first_is_made_at_once);
	tcase_add_test(
		t, after_twelve_hours_there_is_another_and_the_old_decrypts);
	tcase_add_test(t, what_is_a_day_old_is_dropped);
	tcase_add_test(t, what_is_of_the_future_is_dropped);
	tcase_add_test(t, what_is_written_can_be_read);
	tcase_add_test(t, what_else_comes_changes_nothing);
	tcase_add_test(t, a_wiped_one_is_empty);
	suite_add_tcase(s, t);
	return run_suite(s);
}
