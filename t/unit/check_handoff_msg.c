/*
 * Messages between master and generation: there and back, each truncation,
 * each bound and one more.
 */
#include "daemon/handoff_msg.h"
#include "t/unit/suite.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Where the numbers of the head stand. */
enum {
	AT_MAGIC = 0,
	AT_TYPE = 4,
	AT_START_MS = 16,
	AT_SHUTDOWN_MS = 24,
	AT_WATCHDOG_MS = 32,
	AT_TEXT_LEN = 40,
	AT_COOKIE_COUNT = 44,
	AT_RESERVED = 48,
	HEAD_BYTES = 64,
};

static uint8_t out[HANDOFF_BYTES_MAX];
static char text[HANDOFF_TEXT_MAX + 1];

static struct span text_of(size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	return (struct span){ (const uint8_t *)text, len };
}

static void set32(size_t at, uint32_t value)
{
	memcpy(out + at, &value, sizeof(value));
}

static void set64(size_t at, int64_t value)
{
	memcpy(out + at, &value, sizeof(value));
}

/* Decodes from memory that ends where the message ends. */
static int decode(size_t len)
{
	uint8_t *copy = malloc(len + 1);
	struct handoff_msg m;
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, out, len);
	r = handoff_decode(&m, (struct span){ copy, len });
	free(copy);
	return r;
}

static size_t encode(const struct handoff_msg *m)
{
	size_t len = handoff_encode(m, out);

	ck_assert_uint_le(len, sizeof(out));
	ck_assert_int_eq(decode(len), 0);
	return len;
}

static struct handoff_msg again(const struct handoff_msg *m)
{
	size_t len = encode(m);
	struct handoff_msg ret;

	ck_assert_int_eq(handoff_decode(&ret, (struct span){ out, len }), 0);
	return ret;
}

START_TEST(every_type_comes_back)
{
	for (int type = 0; type < 300; type++) {
		struct handoff_msg m = again(&(struct handoff_msg){
			.type = (enum handoff_type)type, .number = 7000000 });

		ck_assert_int_eq((int)m.type, type);
		ck_assert_uint_eq(m.number, 7000000);
		ck_assert_uint_eq(m.text.len, 0);
		ck_assert_uint_eq(m.cookie_count, 0);
	}
}
END_TEST

START_TEST(a_type_of_another_version_is_no_error)
{
	size_t len = encode(&(struct handoff_msg){ .type = HANDOFF_GO });
	struct handoff_msg m;

	set32(AT_TYPE, UINT32_MAX);
	memset(out + AT_RESERVED, 0xff, HEAD_BYTES - AT_RESERVED);
	ck_assert_int_eq(handoff_decode(&m, (struct span){ out, len }), 0);
	ck_assert_uint_eq((uint32_t)m.type, UINT32_MAX);
}
END_TEST

START_TEST(settings_come_back)
{
	struct handoff_msg m = again(&(struct handoff_msg){
		.type = HANDOFF_PREPARED,
		.settings = { .start_ms = 30000,
			      .shutdown_ms = HANDOFF_MS_MAX,
			      .watchdog_ms = 0,
			      .generations = 1000 } });

	ck_assert_int_eq(m.settings.start_ms, 30000);
	ck_assert_int_eq(m.settings.shutdown_ms, HANDOFF_MS_MAX);
	ck_assert_int_eq(m.settings.watchdog_ms, 0);
	ck_assert_uint_eq(m.settings.generations, 1000);
}
END_TEST

START_TEST(times_that_could_overflow_a_clock_are_refused)
{
	static const size_t at[] = { AT_START_MS, AT_SHUTDOWN_MS,
				     AT_WATCHDOG_MS };
	size_t len = encode(&(struct handoff_msg){ .type = HANDOFF_PREPARED });

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		set64(at[i], HANDOFF_MS_MAX);
		ck_assert_int_eq(decode(len), 0);
		set64(at[i], HANDOFF_MS_MAX + 1);
		ck_assert_int_eq(decode(len), -EBADMSG);
		set64(at[i], INT64_MAX);
		ck_assert_int_eq(decode(len), -EBADMSG);
		set64(at[i], -1);
		ck_assert_int_eq(decode(len), -EBADMSG);
		set64(at[i], 0);
		ck_assert_int_eq(decode(len), 0);
	}
}
END_TEST

START_TEST(text_of_any_length_comes_back)
{
	static const size_t lens[] = {
		0, 1, 63, 64, 65, 4096, HANDOFF_TEXT_MAX - 1, HANDOFF_TEXT_MAX
	};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct handoff_msg m = again(&(struct handoff_msg){
			.type = HANDOFF_FAILED, .text = text_of(lens[i]) });

		ck_assert_uint_eq(m.text.len, lens[i]);
		ck_assert_int_eq(memcmp(m.text.at, text, lens[i]), 0);
	}
}
END_TEST

START_TEST(cookies_come_back_beside_text)
{
	static uint64_t cookies[HANDOFF_COOKIES_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cookies); i++)
		cookies[i] = UINT64_MAX / 3 * (i + 1);
	/* Odd lengths of text: cookies are not aligned then. */
	for (size_t len = 0; len < 9; len++) {
		size_t count = ARRAY_SIZE(cookies) - len * 100;
		struct handoff_msg m = again(
			&(struct handoff_msg){ .type = HANDOFF_UNCLAIMED,
					       .text = text_of(len),
					       .cookies = cookies,
					       .cookie_count = count });

		ck_assert_uint_eq(m.cookie_count, count);
		ck_assert_uint_eq(m.text.len, len);
		for (size_t i = 0; i < count; i++)
			ck_assert_uint_eq(handoff_cookie(&m, i), cookies[i]);
	}
}
END_TEST

START_TEST(a_message_that_was_cut_or_is_longer_is_refused)
{
	uint64_t cookies[3] = { 1, 2, 3 };
	size_t len = encode(&(struct handoff_msg){ .type = HANDOFF_UNCLAIMED,
						   .text = text_of(11),
						   .cookies = cookies,
						   .cookie_count = 3 });

	ck_assert_uint_eq(len, HEAD_BYTES + 11 + sizeof(cookies));
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(decode(cut), -EBADMSG);
	ck_assert_int_eq(decode(len + 1), -EBADMSG);
	ck_assert_int_eq(decode(len + 8), -EBADMSG);
}
END_TEST

START_TEST(lengths_beyond_their_bounds_are_refused)
{
	size_t all = sizeof(out);

	(void)encode(&(struct handoff_msg){
		.type = HANDOFF_FAILED, .text = text_of(HANDOFF_TEXT_MAX) });
	set32(AT_TEXT_LEN, HANDOFF_TEXT_MAX + 1);
	ck_assert_int_eq(decode(all), -EBADMSG);
	set32(AT_TEXT_LEN, UINT32_MAX);
	ck_assert_int_eq(decode(all), -EBADMSG);
	/* The sum is right, each alone too, but together they are too much. */
	set32(AT_TEXT_LEN, HANDOFF_TEXT_MAX);
	set32(AT_COOKIE_COUNT, 1);
	ck_assert_int_eq(decode(all), -EBADMSG);
	set32(AT_TEXT_LEN, HANDOFF_TEXT_MAX - 8);
	ck_assert_int_eq(decode(all), 0);
	set32(AT_TEXT_LEN, HANDOFF_TEXT_MAX - 8 * HANDOFF_COOKIES_MAX);
	set32(AT_COOKIE_COUNT, HANDOFF_COOKIES_MAX);
	ck_assert_int_eq(decode(all), 0);
	set32(AT_TEXT_LEN, HANDOFF_TEXT_MAX - 8 * HANDOFF_COOKIES_MAX - 8);
	set32(AT_COOKIE_COUNT, HANDOFF_COOKIES_MAX + 1);
	ck_assert_int_eq(decode(all), -EBADMSG);
	/* Eight times this is a small number in 32 bits. */
	set32(AT_TEXT_LEN, 0);
	set32(AT_COOKIE_COUNT, (UINT32_MAX >> 3) + 2);
	ck_assert_int_eq(decode(HEAD_BYTES + 8), -EBADMSG);
}
END_TEST

START_TEST(other_magic_is_refused)
{
	size_t len = encode(&(struct handoff_msg){ .type = HANDOFF_GO });

	for (size_t i = 0; i < 4; i++) {
		out[AT_MAGIC + i] ^= 1;
		ck_assert_int_eq(decode(len), -EBADMSG);
		out[AT_MAGIC + i] ^= 1;
	}
	ck_assert_int_eq(decode(len), 0);
}
END_TEST

START_TEST(a_message_on_nothing_but_zeros_is_refused)
{
	memset(out, 0, sizeof(out));
	ck_assert_int_eq(decode(HEAD_BYTES), -EBADMSG);
	ck_assert_int_eq(decode(sizeof(out)), -EBADMSG);
}
END_TEST

START_TEST(too_long_a_text_is_our_own_mistake)
{
	(void)handoff_encode(
		&(struct handoff_msg){ .type = HANDOFF_FAILED,
				       .text = text_of(sizeof(text)) },
		out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handoff_msg");
	TCase *t = tcase_create("all");

	tcase_add_test(t, every_type_comes_back);
	tcase_add_test(t, a_type_of_another_version_is_no_error);
	tcase_add_test(t, settings_come_back);
	tcase_add_test(t, times_that_could_overflow_a_clock_are_refused);
	tcase_add_test(t, text_of_any_length_comes_back);
	tcase_add_test(t, cookies_come_back_beside_text);
	tcase_add_test(t, a_message_that_was_cut_or_is_longer_is_refused);
	tcase_add_test(t, lengths_beyond_their_bounds_are_refused);
	tcase_add_test(t, other_magic_is_refused);
	tcase_add_test(t, a_message_on_nothing_but_zeros_is_refused);
	tcase_add_test_raise_signal(t, too_long_a_text_is_our_own_mistake,
				    SIGABRT);
	suite_add_tcase(s, t);
	return run_suite(s);
}
