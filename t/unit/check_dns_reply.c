/*
 * What a DNS message says, whole, cut and broken.
 */
#include "core/dns_reply.h"
#include "t/unit/suite.h"

#include <ares.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint8_t message[512];
static size_t length;

static void put(const void *bytes, size_t len)
{
	ck_assert_uint_le(length + len, sizeof(message));
	memcpy(message + length, bytes, len);
	length += len;
}

static void put16(unsigned v)
{
	uint8_t b[2];

	put_be16(b, (uint16_t)v);
	put(b, 2);
}

static void put32(uint32_t v)
{
	put16(v >> 16);
	put16(v & 0xffff);
}

static void put_header(unsigned answers, unsigned authorities)
{
	length = 0;
	put16(1);
	put16(0x8183);
	put16(1);
	put16(answers);
	put16(authorities);
	put16(0);
	put("\1a\4test", 8); /* with the root's zero */
	put16(1);
	put16(1);
}

static void put_record(const char *name, size_t name_len, unsigned type,
		       uint32_t ttl, const void *rdata, size_t rdata_len)
{
	put(name, name_len);
	put16(type);
	put16(1);
	put32(ttl);
	put16((unsigned)rdata_len);
	put(rdata, rdata_len);
}

static void put_soa(uint32_t ttl, uint32_t minimum)
{
	uint8_t rdata[26] = "\2ns\xc0\x0c\xc0\x0c";

	memset(rdata + 7, 0, sizeof(rdata) - 7);
	put("\xc0\x0e", 2);
	put16(6);
	put16(1);
	put32(ttl);
	put16(27);
	put(rdata, 5);     /* ns.<pointer> */
	put(rdata + 5, 2); /* <pointer> */
	for (int i = 0; i < 4; i++)
		put32(0x01020304);
	put32(minimum);
}

/* The message in a copy that ends where it does, for the sanitizers. */
static int64_t ttl_of(size_t len)
{
	uint8_t *copy = malloc(len + 1);
	int64_t r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, message, len);
	r = dns_negative_ttl((struct span){ copy + 1, len });
	free(copy);
	return r;
}

START_TEST(a_negative_reply_holds_for_the_lesser_time)
{
	static const struct {
		uint32_t ttl, minimum;
		int64_t holds;
	} cases[] = {
		{ 3600, 300, 300 },
		{ 60, 300, 60 },
		{ 0, 300, 0 },
		{ 300, 0, 0 },
		{ INT32_MAX, INT32_MAX, INT32_MAX },
		{ 0x80000000, 300, 0 }, /* RFC 2181 §8 */
		{ 300, 0xffffffff, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_header(0, 1);
		put_soa(cases[i].ttl, cases[i].minimum);
		ck_assert_int_eq(ttl_of(length), cases[i].holds);
	}
}
END_TEST

START_TEST(other_records_are_passed_over)
{
	put_header(2, 2);
	put_record("\xc0\x0c", 2, 5, 7, "\xc0\x0e", 2);
	put_record("\3www\xc0\x0c", 6, 46, 7, "anything", 8);
	put_record("", 1, 2, 7, "\xc0\x0e", 2);
	put_soa(100, 50);
	ck_assert_int_eq(ttl_of(length), 50);
	put_header(0, 1);
	put_record("\xc0\x0c", 2, 2, 7, "\xc0\x0e", 2);
	ck_assert_int_eq(ttl_of(length), -ENOENT);
	put_header(0, 0);
	ck_assert_int_eq(ttl_of(length), -ENOENT);
}
END_TEST

START_TEST(every_cut_is_broken)
{
	put_header(1, 1);
	put_record("\xc0\x0c", 2, 5, 7, "\xc0\x0e", 2);
	put_soa(100, 50);
	for (size_t len = 0; len < length; len++)
		ck_assert_int_eq(ttl_of(len), -EBADMSG);
	ck_assert_int_eq(ttl_of(length), 50);
}
END_TEST

START_TEST(every_changed_byte_is_harmless)
{
	put_header(1, 1);
	put_record("\xc0\x0c", 2, 5, 7, "\xc0\x0e", 2);
	put_soa(100, 50);
	for (size_t i = 0; i < length; i++) {
		uint8_t was = message[i];

		for (int v = 0; v < 256; v++) {
			int64_t r;

			message[i] = (uint8_t)v;
			r = ttl_of(length);
			ck_assert(r == -EBADMSG || r == -ENOENT ||
				  (r >= 0 && r <= INT32_MAX));
		}
		message[i] = was;
	}
}
END_TEST

START_TEST(counts_that_lie_end_with_the_message)
{
	put_header(65535, 65535);
	message[4] = message[5] = 0xff;
	ck_assert_int_eq(ttl_of(length), -EBADMSG);
	put_header(0, 1);
	put_record("\xc0\x0c", 2, 6, 7, "", 0);
	ck_assert_int_eq(ttl_of(length), -EBADMSG);
	/* A record that claims more than there is. */
	put_header(0, 1);
	put_soa(100, 50);
	message[length - 28] = 200;
	ck_assert_int_eq(ttl_of(length), -EBADMSG);
}
END_TEST

START_TEST(statuses_become_errors)
{
	static const struct {
		int status, error;
	} cases[] = {
		{ ARES_ENODATA, -ENOENT },
		{ ARES_ENOTFOUND, -ENOENT },
		{ ARES_ETIMEOUT, -ETIMEDOUT },
		{ ARES_ESERVFAIL, -EIO },
		{ ARES_EREFUSED, -EIO },
		{ ARES_ENOTIMP, -EIO },
		{ ARES_EFORMERR, -EIO },
		{ ARES_ECONNREFUSED, -EIO },
		{ ARES_EBADRESP, -EIO },
		{ ARES_ENOMEM, -ENOMEM },
		{ ARES_EBADNAME, -EINVAL },
		{ ARES_EDESTRUCTION, -ECANCELED },
		{ ARES_ECANCELLED, -ECANCELED },
	};
	struct dns_reply r;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		dns_reply_read(&r, AF_INET, cases[i].status,
			       (struct span){ NULL, 0 });
		ck_assert_int_eq(r.error, cases[i].error);
		ck_assert_uint_eq(r.count, 0);
		ck_assert_int_eq(r.ttl_s, -1);
	}
}
END_TEST

START_TEST(addresses_come_with_the_least_ttl)
{
	struct dns_reply r;

	put_header(3, 0);
	put_record("\xc0\x0c", 2, 1, 300, "\x0a\0\0\1", 4);
	put_record("\xc0\x0c", 2, 1, 20, "\x0a\0\0\2", 4);
	put_record("\xc0\x0c", 2, 1, 100, "\x0a\0\0\3", 4);
	dns_reply_read(&r, AF_INET, ARES_SUCCESS,
		       (struct span){ message, length });
	ck_assert_int_eq(r.error, 0);
	ck_assert_uint_eq(r.count, 3);
	ck_assert_int_eq(r.ttl_s, 20);
	ck_assert_mem_eq(r.ip[1], "\x0a\0\0\2", 4);
}
END_TEST

START_TEST(a_reply_for_the_other_family_has_no_address)
{
	struct dns_reply r;

	put_header(1, 1);
	put_record("\xc0\x0c", 2, 1, 300, "\x0a\0\0\1", 4);
	put_soa(100, 50);
	dns_reply_read(&r, AF_INET6, ARES_SUCCESS,
		       (struct span){ message, length });
	ck_assert_int_eq(r.error, -ENOENT);
	ck_assert_uint_eq(r.count, 0);
	ck_assert_int_eq(r.ttl_s, 50);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dns_reply");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_negative_reply_holds_for_the_lesser_time);
	tcase_add_test(t, other_records_are_passed_over);
	tcase_add_test(t, every_cut_is_broken);
	tcase_add_test(t, every_changed_byte_is_harmless);
	tcase_add_test(t, counts_that_lie_end_with_the_message);
	tcase_add_test(t, statuses_become_errors);
	tcase_add_test(t, addresses_come_with_the_least_ttl);
	tcase_add_test(t, a_reply_for_the_other_family_has_no_address);
	suite_add_tcase(s, t);
	return run_suite(s);
}
