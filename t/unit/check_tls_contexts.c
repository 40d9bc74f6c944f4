/*
 * TLS contexts of listeners: who shares one, what makes another, and that what
 * cannot be used changes nothing.
 */
#include "daemon/tls_contexts.h"

#include "daemon/setup_tls.h"
#include "daemon/tls_keys.h"
#include "t/unit/conf_text.h"
#include "t/unit/suite.h"
#include "t/unit/tls_files.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLAIN, PLAIN_TOO, SOCKS, WEB, OTHER }; /* listeners */

static struct tcp_tls_certificate one, two;
static struct tls_contexts *contexts;
static struct conf *c;
static char why[512];

static void load(void)
{
	char text[4096];

	(void)snprintf(
		text, sizeof(text),
		"tls: ( { name = \"one\"; certificate = \"%s\"; key = \"%s\"; "
		"}, { name = \"two\"; certificate = \"%s\"; key = \"%s\"; "
		"} );\n"
		"listeners: (\n"
		"{ name = \"plain\"; address = \"127.0.0.1:1\"; },\n"
		"{ name = \"also\"; address = \"127.0.0.1:2\"; },\n"
		"{ name = \"socks\"; address = \"127.0.0.1:3\"; "
		"protocols = \"socks5\"; tls = \"one\"; },\n"
		"{ name = \"web\"; address = \"127.0.0.1:4\"; "
		"protocols = \"http\"; tls = \"one\"; },\n"
		"{ name = \"other\"; address = \"127.0.0.1:5\"; "
		"protocols = [ \"socks4\", \"http\" ]; tls = \"two\"; } "
		");\n" CONF_TEXT_CLIENTS CONF_TEXT_RULES,
		one.chain_file, one.key_file, two.chain_file, two.key_file);
	c = conf_text_load(text);
}

static void setup(void)
{
	one = TLS_FILES(.san = "DNS:one.test");
	two = TLS_FILES(.san = "DNS:two.test");
	load();
	ck_assert_int_eq(tls_contexts_new(&contexts, c, why, sizeof(why)), 0);
	ck_assert_ptr_nonnull(contexts);
}

static void teardown(void)
{
	tls_contexts_free(contexts);
	conf_free(c);
}

/* That of a listener, without the reference. */
static struct tcp_tls *of(size_t listener)
{
	struct tcp_tls *t = tls_contexts_get(contexts, &c->listeners[listener]);

	tcp_tls_unref(t);
	return t;
}

static void replace(const char *path, const char *by)
{
	ck_assert_int_eq(rename(by, path), 0);
}

static int refresh(void)
{
	why[0] = '\0';
	return tls_contexts_refresh(contexts, why, sizeof(why));
}

START_TEST(listeners_without_tls_have_none)
{
	ck_assert_ptr_null(of(PLAIN));
	ck_assert_ptr_null(of(PLAIN_TOO));
}
END_TEST

START_TEST(contexts_differ_by_entry_and_by_what_is_spoken)
{
	ck_assert_ptr_nonnull(of(SOCKS));
	ck_assert_ptr_nonnull(of(WEB));
	ck_assert_ptr_nonnull(of(OTHER));
	ck_assert_ptr_ne(of(SOCKS), of(WEB));
	ck_assert_ptr_ne(of(WEB), of(OTHER));
	ck_assert_int_eq(setup_alpn(&c->listeners[SOCKS]), SETUP_ALPN_NONE);
	ck_assert_int_ne(setup_alpn(&c->listeners[WEB]), SETUP_ALPN_NONE);
}
END_TEST

START_TEST(a_configuration_without_tls_costs_nothing)
{
	struct tls_contexts *t = contexts;
	uint8_t keys[TLS_KEYS_BYTES];

	c->listeners[SOCKS].tls = c->listeners[WEB].tls = 0;
	c->listeners[OTHER].tls = 0;
	ck_assert_int_eq(tls_contexts_new(&t, c, why, sizeof(why)), 0);
	ck_assert_ptr_null(t);
	ck_assert_ptr_null(tls_contexts_get(t, &c->listeners[WEB]));
	ck_assert_int_eq(tls_contexts_refresh(t, why, sizeof(why)), 0);
	ck_assert_int_eq(tls_contexts_turn_keys(t, 0), 0);
	ck_assert_int_eq(tls_contexts_keys_due(t), INT64_MAX);
	ck_assert_uint_eq(tls_contexts_tell_keys(t, keys), 0);
	ck_assert_int_eq(tls_contexts_take_keys(t, (struct span){ 0 }), 0);
	tls_contexts_free(t);
}
END_TEST

START_TEST(what_has_not_changed_is_not_read)
{
	struct tcp_tls *web = of(WEB);

	ck_assert_int_eq(refresh(), 0);
	ck_assert_ptr_eq(of(WEB), web);
}
END_TEST

START_TEST(what_has_changed_makes_all_contexts_of_its_entry_anew)
{
	struct tcp_tls *socks = of(SOCKS), *web = of(WEB), *other = of(OTHER);
	struct tcp_tls_certificate next = TLS_FILES(.san = "DNS:one.test");

	/* Their addresses must not come back. */
	tcp_tls_ref(socks);
	tcp_tls_ref(web);
	replace(one.chain_file, next.chain_file);
	replace(one.key_file, next.key_file);
	ck_assert_int_eq(refresh(), 1);
	ck_assert_ptr_ne(of(SOCKS), socks);
	ck_assert_ptr_ne(of(WEB), web);
	ck_assert_ptr_eq(of(OTHER), other);
	ck_assert_int_eq(refresh(), 0);
	tcp_tls_unref(socks);
	tcp_tls_unref(web);
}
END_TEST

START_TEST(what_cannot_be_used_changes_nothing_and_is_tried_again)
{
	struct tcp_tls *web = of(WEB), *other = of(OTHER);
	static const char rubbish[] = "rubbish";
	char *kept = strdup(one.chain_file);
	const char *bad = tls_files_write("bad.pem", rubbish, 7);
	const char *backup = tls_files_path("backup.pem");
	struct tcp_tls_certificate next = TLS_FILES(.san = "DNS:two.test");

	tcp_tls_ref(other);
	ck_assert_int_eq(rename(kept, backup), 0);
	replace(kept, bad);
	replace(two.chain_file, next.chain_file);
	replace(two.key_file, next.key_file);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_lt(refresh(), 0);
		ck_assert_ptr_nonnull(strstr(why, ": tls \"one\": "));
		ck_assert_ptr_nonnull(strstr(why, kept));
		ck_assert_ptr_eq(of(WEB), web);
		ck_assert_ptr_ne(of(OTHER), other); /* nothing to do with it */
	}
	replace(kept, backup);
	ck_assert_int_eq(refresh(), 1);
	ck_assert_int_eq(refresh(), 0);
	tcp_tls_unref(other);
	free(kept);
}
END_TEST

START_TEST(a_start_without_a_file_fails_with_its_name)
{
	struct tls_contexts *t = contexts;

	ck_assert_int_eq(unlink(two.key_file), 0);
	ck_assert_int_eq(tls_contexts_new(&t, c, why, sizeof(why)), -ENOENT);
	ck_assert_ptr_null(t);
	ck_assert_ptr_nonnull(strstr(why, ": tls \"two\": "));
	ck_assert_ptr_nonnull(strstr(why, two.key_file));
}
END_TEST

START_TEST(a_check_tries_what_no_listener_names_too)
{
	struct conf_errors errors = { 0 };

	c->listeners[OTHER].tls = 0;
	ck_assert_int_eq(setup_tls_check(c, &errors), 0);
	ck_assert_int_eq(unlink(two.chain_file), 0);
	ck_assert_int_eq(setup_tls_check(c, &errors), -EBADMSG);
	ck_assert_uint_eq(errors.errors, 1);
	ck_assert_ptr_nonnull(strstr(errors.list[0].text, "tls \"two\""));
	conf_errors_done(&errors);
}
END_TEST

START_TEST(keys_are_told_and_taken)
{
	struct tls_contexts *t;
	uint8_t ours[TLS_KEYS_BYTES], theirs[TLS_KEYS_BYTES];
	size_t len = tls_contexts_tell_keys(contexts, ours), n;

	ck_assert_int_eq(tls_contexts_new(&t, c, why, sizeof(why)), 0);
	n = tls_contexts_tell_keys(t, theirs);
	ck_assert_uint_eq(n, len);
	ck_assert_mem_ne(ours, theirs, len);
	ck_assert_int_eq(tls_contexts_take_keys(t, (struct span){ ours, len }),
			 0);
	ck_assert_int_eq(
		tls_contexts_take_keys(t, (struct span){ ours, len - 1 }),
		-EBADMSG);
	n = tls_contexts_tell_keys(t, theirs);
	ck_assert_uint_eq(n, len);
	ck_assert_mem_eq(ours, theirs, len);
	ck_assert_int_eq(
		tls_contexts_turn_keys(t, tls_contexts_keys_due(t) - 1), 0);
	ck_assert_int_eq(tls_contexts_turn_keys(t, tls_contexts_keys_due(t)),
			 1);
	ck_assert_uint_gt(tls_contexts_tell_keys(t, theirs), len);
	tls_contexts_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_contexts");
	TCase *t = tcase_create("contexts");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, listeners_without_tls_have_none);
	tcase_add_test(t, contexts_differ_by_entry_and_by_what_is_spoken);
	tcase_add_test(t, a_configuration_without_tls_costs_nothing);
	tcase_add_test(t, what_has_not_changed_is_not_read);
	tcase_add_test(t,
		       what_has_changed_makes_all_contexts_of_its_entry_anew);
	tcase_add_test(t,
		       what_cannot_be_used_changes_nothing_and_is_tried_again);
	tcase_add_test(t, a_start_without_a_file_fails_with_its_name);
	tcase_add_test(t, a_check_tries_what_no_listener_names_too);
	tcase_add_test(t, keys_are_told_and_taken);
	suite_add_tcase(s, t);
	return run_suite(s);
}
