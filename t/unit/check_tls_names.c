/*
 * Which certificates are shown for which name.
 */
#include "core/tls_names.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct tls_names *names;

static void setup(void)
{
	ck_assert_int_eq(tls_names_new(&names), 0);
}

static void teardown(void)
{
	tls_names_free(names);
}

static void add_bytes(const char *name, size_t len, int cert,
		      enum tls_kind kind)
{
	ck_assert_int_eq(tls_names_add(names, name, len, cert, kind), 0);
}

static void add(const char *name, int cert, enum tls_kind kind)
{
	add_bytes(name, strlen(name), cert, kind);
}

static void done(enum tls_kind kind)
{
	ck_assert_int_eq(tls_names_done_adding(names, kind), 0);
}

static size_t set_count(void)
{
	const struct tls_set *sets;

	return tls_names_sets(names, &sets);
}

/* The certificate of a kind that a set has. */
static int cert_in(int set, enum tls_kind kind)
{
	const struct tls_set *sets;

	ck_assert_uint_lt((size_t)set, tls_names_sets(names, &sets));
	return sets[set].cert[kind];
}

/* The RSA certificate for a name, -ENOENT: the name is not known. */
static int rsa_of(const char *name)
{
	int set = tls_names_find(names, name);

	return set < 0 ? set : cert_in(set, TLS_KIND_RSA);
}

static int ec_of(const char *name)
{
	int set = tls_names_find(names, name);

	return set < 0 ? set : cert_in(set, TLS_KIND_EC);
}

/* --- Finding ------------------------------------------------------------ */

START_TEST(a_name_finds_its_certificate)
{
	add("a.test", 0, TLS_KIND_RSA);
	add("b.test", 1, TLS_KIND_RSA);
	add("a.b.test", 2, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("a.test"), 0);
	ck_assert_int_eq(rsa_of("b.test"), 1);
	ck_assert_int_eq(rsa_of("a.b.test"), 2);
	ck_assert_int_eq(rsa_of("c.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("test"), -ENOENT);
	ck_assert_int_eq(rsa_of(NULL), -ENOENT);
}
END_TEST

START_TEST(case_and_a_final_dot_are_of_no_account)
{
	add("WWW.Example.Test.", 0, TLS_KIND_RSA);
	add("*.Wild.Test", 1, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("www.example.test"), 0);
	ck_assert_int_eq(rsa_of("wwW.examPLE.test."), 0);
	ck_assert_int_eq(rsa_of("X.wILD.test."), 1);
}
END_TEST

START_TEST(a_wildcard_stands_for_one_label)
{
	add("*.a.test", 0, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("x.a.test"), 0);
	ck_assert_int_eq(rsa_of("xn--nxasmq6b.a.test"), 0);
	ck_assert_int_eq(rsa_of("a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("x.y.a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("xa.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("*.a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of(".a.test"), -ENOENT);
}
END_TEST

START_TEST(the_very_name_comes_before_a_wildcard)
{
	add("*.a.test", 0, TLS_KIND_RSA);
	add("x.a.test", 1, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("x.a.test"), 1);
	ck_assert_int_eq(rsa_of("y.a.test"), 0);
}
END_TEST

START_TEST(parts_of_labels_are_no_wildcards)
{
	add("f*.a.test", 0, TLS_KIND_RSA);
	add("*f.a.test", 0, TLS_KIND_RSA);
	add("x.*.test", 0, TLS_KIND_RSA);
	add("*.*.test", 0, TLS_KIND_RSA);
	add("*", 0, TLS_KIND_RSA);
	add("*.", 0, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("foo.a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("xf.a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("x.y.test"), -ENOENT);
	ck_assert_int_eq(rsa_of("x"), -ENOENT);
	ck_assert_uint_eq(set_count(), 1);
}
END_TEST

START_TEST(what_is_no_name_is_left_out)
{
	char long_name[300];

	memset(long_name, 'a', sizeof(long_name));
	add_bytes("a.test\0.evil.test", 17, 0, TLS_KIND_RSA);
	add_bytes("", 0, 0, TLS_KIND_RSA);
	add_bytes("a b", 3, 0, TLS_KIND_RSA);
	add_bytes("\xc3\xa4.test", 7, 0, TLS_KIND_RSA);
	add_bytes(long_name, sizeof(long_name), 0, TLS_KIND_RSA);
	add("a..test", 0, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("a.test"), -ENOENT);
	ck_assert_int_eq(rsa_of(""), -ENOENT);
	ck_assert_int_eq(rsa_of("a b"), -ENOENT);
	ck_assert_uint_eq(set_count(), 1);
	ck_assert_int_eq(cert_in(0, TLS_KIND_RSA), 0);
}
END_TEST

/* Labels of 63 characters, three of them and one that fills up to `len`. */
static void make_long(char *out, size_t len)
{
	memset(out, 'a', len);
	out[63] = out[127] = out[191] = '.';
	out[len] = '\0';
}

START_TEST(names_may_have_253_characters)
{
	char name[300];

	make_long(name, 253);
	add(name, 0, TLS_KIND_RSA);
	memcpy(name, "*.", 2);
	memset(name + 2, 'b', 61);
	add(name, 1, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	make_long(name, 253);
	ck_assert_int_eq(rsa_of(name), 0);
	name[0] = 'c';
	ck_assert_int_eq(rsa_of(name), -ENOENT);
	memset(name + 2, 'b', 61);
	name[1] = '.';
	ck_assert_int_eq(rsa_of(name), 1);
	make_long(name, 254);
	ck_assert_int_eq(rsa_of(name), -ENOENT);
}
END_TEST

/* --- Sets --------------------------------------------------------------- */

START_TEST(kinds_of_keys_stand_side_by_side)
{
	int set;

	add("a.test", 0, TLS_KIND_RSA);
	add("a.test", 1, TLS_KIND_EC);
	add("a.test", 2, TLS_KIND_ED25519);
	done(TLS_KIND_RSA);
	set = tls_names_find(names, "a.test");
	ck_assert_int_eq(cert_in(set, TLS_KIND_RSA), 0);
	ck_assert_int_eq(cert_in(set, TLS_KIND_EC), 1);
	ck_assert_int_eq(cert_in(set, TLS_KIND_ED25519), 2);
	ck_assert_int_eq(cert_in(set, TLS_KIND_ED448), -1);
	ck_assert_uint_eq(set_count(), 1);
}
END_TEST

START_TEST(the_first_of_a_kind_counts)
{
	add("a.test", 2, TLS_KIND_RSA);
	add("a.test", 1, TLS_KIND_RSA);
	add("a.test", 3, TLS_KIND_RSA);
	add("b.test", 0, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("a.test"), 1);
}
END_TEST

START_TEST(equal_sets_are_made_once)
{
	char name[32];

	add("a.test", 0, TLS_KIND_RSA);
	add("*.a.test", 0, TLS_KIND_RSA);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%d.b.test", i);
		add(name, 1, TLS_KIND_RSA);
		if (i % 2)
			add(name, 2, TLS_KIND_EC);
	}
	done(TLS_KIND_RSA);
	ck_assert_uint_eq(set_count(), 3);
	ck_assert_int_eq(tls_names_find(names, "a.test"), 0);
	ck_assert_int_eq(tls_names_find(names, "x.a.test"), 0);
	ck_assert_int_eq(tls_names_find(names, "n2.b.test"),
			 tls_names_find(names, "n98.b.test"));
	ck_assert_int_eq(ec_of("n2.b.test"), -1);
	ck_assert_int_eq(ec_of("n3.b.test"), 2);
}
END_TEST

START_TEST(strangers_get_the_first_certificate_and_its_fellows)
{
	add("a.test", 0, TLS_KIND_EC);
	add("www.a.test", 0, TLS_KIND_EC);
	add("www.a.test", 2, TLS_KIND_RSA);
	add("www.a.test", 3, TLS_KIND_RSA);
	add("b.test", 1, TLS_KIND_ED25519);
	done(TLS_KIND_EC);
	ck_assert_int_eq(cert_in(0, TLS_KIND_EC), 0);
	ck_assert_int_eq(cert_in(0, TLS_KIND_RSA), 2);
	ck_assert_int_eq(cert_in(0, TLS_KIND_ED25519), -1);
	ck_assert_int_eq(rsa_of("a.test"), -1);
	ck_assert_uint_eq(set_count(), 3);
}
END_TEST

START_TEST(a_certificate_without_names_is_for_strangers)
{
	done(TLS_KIND_ED448);
	ck_assert_uint_eq(set_count(), 1);
	ck_assert_int_eq(cert_in(0, TLS_KIND_ED448), 0);
	ck_assert_int_eq(cert_in(0, TLS_KIND_RSA), -1);
	ck_assert_int_eq(tls_names_find(names, "a.test"), -ENOENT);
}
END_TEST

START_TEST(names_have_a_bound)
{
	char name[32];

	for (int i = 0; i < TLS_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%d.test", i);
		add(name, 0, TLS_KIND_RSA);
	}
	ck_assert_int_eq(tls_names_add(names, "a.test", 6, 0, TLS_KIND_RSA),
			 -E2BIG);
	add("not a name", 0, TLS_KIND_RSA);
	done(TLS_KIND_RSA);
	ck_assert_int_eq(rsa_of("n0.test"), 0);
	ck_assert_int_eq(rsa_of("n65535.test"), 0);
	ck_assert_uint_eq(set_count(), 1);
}
END_TEST

START_TEST(a_table_that_was_not_finished_can_be_freed)
{
	add("a.test", 0, TLS_KIND_RSA);
	tls_names_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_names");
	TCase *t = tcase_create("names");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_name_finds_its_certificate);
	tcase_add_test(t, case_and_a_final_dot_are_of_no_account);
	tcase_add_test(t, a_wildcard_stands_for_one_label);
	tcase_add_test(t, the_very_name_comes_before_a_wildcard);
	tcase_add_test(t, parts_of_labels_are_no_wildcards);
	tcase_add_test(t, what_is_no_name_is_left_out);
	tcase_add_test(t, names_may_have_253_characters);
	tcase_add_test(t, kinds_of_keys_stand_side_by_side);
	tcase_add_test(t, the_first_of_a_kind_counts);
	tcase_add_test(t, equal_sets_are_made_once);
	tcase_add_test(t, strangers_get_the_first_certificate_and_its_fellows);
	tcase_add_test(t, a_certificate_without_names_is_for_strangers);
	tcase_add_test(t, names_have_a_bound);
	tcase_add_test(t, a_table_that_was_not_finished_can_be_freed);
	suite_add_tcase(s, t);
	return run_suite(s);
}
