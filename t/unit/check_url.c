/*
 * Hosts with ports, and the URLs of parents: what they say, what is refused,
 * and that no reason repeats a password.
 */
#include "conf/url.h"

#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static void target(const char *text, int port, const char *expected)
{
	char why[CONF_WHY_BYTES] = "", host[CONF_HOST_BYTES], out[300];
	struct conf_target t;

	ck_assert_msg(conf_target_parse(&t, host, text, port, why) == 0, "%s",
		      why);
	ck_assert_ptr_eq(t.host, host);
	ck_assert_str_eq(conf_target_format(&t, out, sizeof(out)), expected);
	if (t.addr.family != AF_UNSPEC)
		ck_assert_uint_eq(t.addr.port, t.port);
}

static void target_refused(const char *text, int port, const char *part)
{
	char why[CONF_WHY_BYTES] = "", host[CONF_HOST_BYTES];
	struct conf_target t;
	int r = conf_target_parse(&t, host, text, port, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
}

START_TEST(targets_are_hosts_with_ports)
{
	target("192.0.2.1:80", -1, "192.0.2.1:80");
	target("[2001:DB8::1]:65535", -1, "[2001:db8::1]:65535");
	target("[::ffff:192.0.2.1]:1", -1, "192.0.2.1:1");
	target("Example.COM:1", -1, "example.com:1");
	target("example.com.:1", -1, "example.com:1");
	target("private:443", -1, "private:443");
	target("any", 9, "any:9");
	target("a_b-c", 9, "a_b-c:9");
	target("192.0.2.1", 9, "192.0.2.1:9");
	target("[::1]", 9, "[::1]:9");
	target("127.0.0.1:7", -1, "127.0.0.1:7");
}
END_TEST

START_TEST(what_is_no_target_is_refused)
{
	char text[400];

	target_refused("example.com", -1, "has no port");
	target_refused("[::1]", -1, "has no port");
	target_refused("example.com:", -1, "not 1 to 65535");
	target_refused("example.com:0", -1, "not 1 to 65535");
	target_refused("example.com:65536", -1, "not 1 to 65535");
	target_refused("example.com:http", -1, "not 1 to 65535");
	target_refused("2001:db8::1:80", -1, "stands in brackets");
	target_refused("[192.0.2:80", -1, "is no HOST:PORT");
	target_refused("[::1]x:80", -1, "is no HOST:PORT");
	target_refused("[::1]80", -1, "is no HOST:PORT");
	target_refused("[example.com]:80", -1, "is no host");
	target_refused(":80", -1, "names no host");
	target_refused("", 80, "names no host");
	target_refused("0.0.0.0:80", -1, "no address to connect to");
	target_refused("[::]:80", -1, "no address to connect to");
	target_refused("127.1:80", -1, "is no host");
	target_refused("0x7f000001:80", -1, "is no host");
	target_refused("10.0.0.0/8:80", -1, "is no host");
	target_refused(".example.com:80", -1, "is no host");
	target_refused("*.example.com:80", -1, "is no host");
	target_refused("a..b:80", -1, "is no host");
	target_refused("a b:80", -1, "is no host");
	target_refused("@a:80", -1, "is no host");
	memset(text, 'a', sizeof(text));
	(void)snprintf(text + 63, sizeof(text) - 63, ":80");
	target(text, -1, text);
	text[63] = 'a';
	(void)snprintf(text + 64, sizeof(text) - 64, ":80");
	target_refused(text, -1, "is no host");
	memset(text, 'a', sizeof(text));
	for (int i = 50; i < 250; i += 50)
		text[i] = '.';
	(void)snprintf(text + 253, sizeof(text) - 253, ":80");
	target(text, -1, text);
	(void)snprintf(text + 253, sizeof(text) - 253, "a:80");
	target_refused(text, -1, "is no host");
	(void)snprintf(text + 253, sizeof(text) - 253, "aaa:80");
	target_refused(text, -1, "names no host");
}
END_TEST

static struct conf_url url(const char *text, struct conf_url_room *room,
			   const char *expected)
{
	char why[CONF_WHY_BYTES] = "", out[400];
	struct conf_url u;

	ck_assert_msg(conf_url_parse(&u, room, text, why) == 0, "%s: %s", text,
		      why);
	ck_assert_str_eq(conf_url_format(&u, out, sizeof(out)), expected);
	return u;
}

static void url_refused(const char *text, const char *part)
{
	char why[CONF_WHY_BYTES] = "";
	struct conf_url_room room;
	struct conf_url u;
	int r = conf_url_parse(&u, &room, text, why);

	ck_assert_msg(r == -EINVAL && strstr(why, part), "'%s': %d %s", text, r,
		      why);
	ck_assert_msg(!strstr(why, "secret"), "'%s': %s", text, why);
}

START_TEST(schemes_say_what_a_parent_speaks)
{
	struct conf_url_room room;
	struct conf_url u;

	u = url("socks5://192.0.2.1", &room, "socks5://192.0.2.1:1080");
	ck_assert_int_eq(u.scheme, CONF_SCHEME_SOCKS5);
	ck_assert(!u.remote && !u.user && !u.password);
	u = url("SOCKS5H://a.example:1/", &room, "socks5h://a.example:1");
	ck_assert_int_eq(u.scheme, CONF_SCHEME_SOCKS5);
	ck_assert(u.remote);
	u = url("socks4://[::1]", &room, "socks4://[::1]:1080");
	ck_assert_int_eq(u.scheme, CONF_SCHEME_SOCKS4);
	ck_assert(!u.remote);
	u = url("socks4a://a", &room, "socks4a://a:1080");
	ck_assert(u.remote);
	u = url("http://a:3128", &room, "http://a:3128");
	ck_assert_int_eq(u.scheme, CONF_SCHEME_HTTP);
	u = url("https://a", &room, "https://a:443");
	ck_assert_int_eq(u.scheme, CONF_SCHEME_HTTPS);
	ck_assert_uint_eq(u.target.port, 443);
}
END_TEST

START_TEST(credentials_are_read_and_hidden)
{
	struct conf_url_room room;
	struct conf_url u;

	u = url("socks5://me:secret@a:1", &room, "socks5://***:***@a:1");
	ck_assert_str_eq(u.user, "me");
	ck_assert_str_eq(u.password, "secret");
	u = url("http://m%65%40x:s%3Ae%2fc%25%C3%a4@a:1", &room,
		"http://***:***@a:1");
	ck_assert_str_eq(u.user, "me@x");
	ck_assert_str_eq(u.password, "s:e/c%\xc3\xa4");
	/* Not written as it should be, but it can only mean this. */
	u = url("http://me@x:a@b:c/d@a:1", &room, "http://***:***@a:1");
	ck_assert_str_eq(u.user, "me@x");
	ck_assert_str_eq(u.password, "a@b:c/d");
	u = url("http://me:@a:1", &room, "http://***:***@a:1");
	ck_assert_str_eq(u.password, "");
	u = url("socks4://joe@a", &room, "socks4://***@a:1080");
	ck_assert_str_eq(u.user, "joe");
	u = url("socks4a://joe:@a", &room, "socks4a://***@a:1080");
	ck_assert_str_eq(u.user, "joe");
}
END_TEST

START_TEST(what_is_no_url_is_refused)
{
	url_refused("", "this is no URL");
	url_refused("192.0.2.1:1080", "this is no URL");
	url_refused("me:secret://a", "this is no URL");
	url_refused("me@a://b", "this is no URL");
	url_refused("me:secret@192.0.2.1:1080", "this is no URL");
	url_refused("socks5:/me:secret@a", "this is no URL");
	url_refused("socks6://me:secret@a", "'socks6' is no parent's scheme");
	url_refused("://me:secret@a", "'' is no parent's scheme");
	url_refused("socks5s://me:secret@a", "is no parent's scheme");
	url_refused("http://me:secret@a", "'a' has no port");
	url_refused("http://a", "'a' has no port");
	url_refused("socks5://me:secret@", "names no host");
	url_refused("socks5://", "names no host");
	url_refused("socks5://me:secret@a b", "is no host");
	url_refused("socks5://a:1/x", "a path stands behind");
	url_refused("socks5://me:secret@a:1//", "a path stands behind");
	url_refused("socks5://a:1?x", "no host and port");
	/* The '@' was forgotten. */
	url_refused("socks5://me:secret", "this names no host and port");
	url_refused("http://me:secret", "this names no host and port");
}
END_TEST

START_TEST(credentials_that_cannot_be_sent_are_refused)
{
	char text[1100], many[300];

	url_refused("socks5://me@a", "no password");
	url_refused("http://me@a:1", "no password");
	url_refused("socks5://:secret@a", "the user is empty");
	url_refused("socks5://@a", "the user is empty");
	url_refused("socks5://me:@a", "the password is empty");
	url_refused("socks4://me:secret@a", "socks4 has no passwords");
	url_refused("http://m%3ae:secret@a:1", "with a ':'");
	url_refused("http://me:secret%0d%0a@a:1", "control characters");
	url_refused("http://me:secret%00@a:1", "control characters");
	url_refused("http://me:secret%7f@a:1", "control characters");
	url_refused("http://me:secret%@a:1", "'%' without two");
	url_refused("http://me:secret%4@a:1", "'%' without two");
	url_refused("http://me:secret%4g@a:1", "'%' without two");
	memset(many, 'x', sizeof(many));
	for (int more = 0; more < 2; more++) {
		struct conf_url_room room;

		(void)snprintf(text, sizeof(text), "socks5://%.*s:%.*s@a",
			       255 + more, many, 255, many);
		if (more)
			url_refused(text, "more than 255 bytes");
		else
			url(text, &room, "socks5://***:***@a:1080");
	}
	(void)snprintf(text, sizeof(text), "socks5://x:%.*s@a", 256, many);
	url_refused(text, "more than 255 bytes");
}
END_TEST

static int credentials(enum conf_scheme scheme, const char *text,
		       struct conf_url *u, struct conf_url_room *room,
		       char *why)
{
	*u = (struct conf_url){ .scheme = scheme };
	return conf_credentials_parse(
		u, room, (struct span){ (const uint8_t *)text, strlen(text) },
		why);
}

START_TEST(a_files_credentials_stand_as_they_are)
{
	char why[CONF_WHY_BYTES];
	struct conf_url_room room;
	struct conf_url u;

	ck_assert_int_eq(
		credentials(CONF_SCHEME_HTTP, "me:s:%40 x", &u, &room, why), 0);
	ck_assert_str_eq(u.user, "me");
	ck_assert_str_eq(u.password, "s:%40 x");
	ck_assert_int_eq(credentials(CONF_SCHEME_SOCKS5, "", &u, &room, why),
			 -EINVAL);
	ck_assert_int_eq(
		credentials(CONF_SCHEME_SOCKS5, "secret", &u, &room, why),
		-EINVAL);
	ck_assert_ptr_null(strstr(why, "secret"));
	ck_assert_int_eq(credentials(CONF_SCHEME_SOCKS4, "joe", &u, &room, why),
			 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("url");
	TCase *t = tcase_create("url");

	tcase_add_test(t, targets_are_hosts_with_ports);
	tcase_add_test(t, what_is_no_target_is_refused);
	tcase_add_test(t, schemes_say_what_a_parent_speaks);
	tcase_add_test(t, credentials_are_read_and_hidden);
	tcase_add_test(t, what_is_no_url_is_refused);
	tcase_add_test(t, credentials_that_cannot_be_sent_are_refused);
	tcase_add_test(t, a_files_credentials_stand_as_they_are);
	suite_add_tcase(s, t);
	return run_suite(s);
}
