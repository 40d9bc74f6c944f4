/*
 * SipHash against the vectors of its authors' reference code.
 */
#include "core/siphash.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>

START_TEST(the_authors_vectors_come_out)
{
	/* Messages 00 01 02 ... under the key 00 01 ... 0f. */
	static const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },
		{ 2, 0x0d6c8009d9a94f5a },  { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 },  { 9, 0x9e0082df0ba9e4b0 },
		{ 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb },
		{ 63, 0x958a324ceb064572 },
	};
	const struct siphash_key key = { { 0x0706050403020100,
					   0x0f0e0d0c0b0a0908 } };
	uint8_t message[64];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		ck_assert_uint_eq(siphash(&key, message, vectors[i].len),
				  vectors[i].hash);
}
END_TEST

START_TEST(keys_differ_and_so_do_hashes)
{
	struct siphash_key a, b;

	ck_assert_int_eq(siphash_key_draw(&a), 0);
	ck_assert_int_eq(siphash_key_draw(&b), 0);
	ck_assert(a.k[0] != b.k[0] && a.k[1] != b.k[1]);
	ck_assert(siphash(&a, "name", 4) != siphash(&b, "name", 4));
	ck_assert(siphash(&a, "name", 4) == siphash(&a, "name", 4));
}
END_TEST

START_TEST(alignment_does_not_matter)
{
	const struct siphash_key key = { { 1, 2 } };
	char bytes[32];

	for (size_t at = 0; at < 8; at++) {
		for (size_t i = 0; i < 17; i++)
			bytes[at + i] = (char)('a' + i);
		ck_assert_uint_eq(siphash(&key, bytes + at, 17),
				  siphash(&key, "abcdefghijklmnopq", 17));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("siphash");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_authors_vectors_come_out);
	tcase_add_test(t, keys_differ_and_so_do_hashes);
	tcase_add_test(t, alignment_does_not_matter);
	suite_add_tcase(s, t);
	return run_suite(s);
}
