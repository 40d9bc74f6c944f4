/*
 * Rules: every kind of element against every kind of address, order, the walk
 * before a name is resolved against the walk after it.
 */
#include "daemon/proxy/rules.h"
#include "t/unit/rules_brief.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(the_last_word_is_deny)
{
	struct rules *r = COMPILE_CLIENTS({ .allow = true });
	struct tcp_addr c = brief_address("192.0.2.77");

	ck_assert_int_eq(brief_ask_for(r, "", "198.51.100.1"), 0);
	ck_assert_int_eq(brief_ask_early(r, "a"), 0);
	ck_assert(rules_client(r, &c, 1).allow);
	rules_free(r);
	r = COMPILE({ .allow = true });
	ck_assert(!rules_client(r, &c, 1).allow);
	ck_assert_int_eq(brief_ask_for(r, "", "198.51.100.1"), 1);
	rules_free(r);
	rules_free(NULL);
}
END_TEST

START_TEST(the_first_match_wins)
{
	struct rules *r = COMPILE({ .allow = false, .to = "10.1.0.0/16" },
				  { .allow = true, .to = "10.0.0.0/8" },
				  { .allow = false, .to = "10.2.0.0/16" },
				  { .allow = true });

	ck_assert_int_eq(brief_ask_for(r, "", "10.1.0.1"), -1);
	ck_assert_int_eq(brief_ask_for(r, "", "10.2.0.1"), 2);
	ck_assert_int_eq(brief_ask_for(r, "", "11.0.0.1"), 4);
	rules_free(r);
}
END_TEST

START_TEST(clients_are_matched_by_address_and_listener)
{
	struct rules *r = COMPILE_CLIENTS(
		{ .allow = false, .from = "10.9.0.0/16" },
		{ .allow = true, .from = "10.0.0.0/8 ::1" },
		{ .allow = true, .from = "any", .listener = 2 });
	static const struct {
		const char *client;
		uint16_t listener;
		int want;
	} rows[] = {
		{ "10.9.1.1", 1, -1 },
		{ "10.9.1.1", 2, -1 },
		{ "10.1.1.1", 1, 2 },
		{ "::1", 1, 2 },
		{ "::2", 1, 0 },
		{ "::2", 2, 3 },
		{ "127.0.0.1", 1, 0 },
		{ "127.0.0.1", 2, 3 },
		{ "::ffff:10.1.1.1", 1, 2 },
		{ "::ffff:10.9.1.1", 2, -1 },
		{ "64:ff9b::10.1.1.1", 1, 0 },
		{ "fe80::1", 2, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tcp_addr c = brief_address(rows[i].client);
		struct verdict v = rules_client(r, &c, rows[i].listener);

		ck_assert_msg((v.allow ? v.rule : -(int)v.rule) == rows[i].want,
			      "%s on %u", rows[i].client, rows[i].listener);
	}
	ck_assert(!rules_client(r, &(struct tcp_addr){ 0 }, 2).allow);
	rules_free(r);
}
END_TEST

START_TEST(ports_listeners_commands_and_clients_narrow_a_rule)
{
	struct rules *r = COMPILE({ .allow = true,
				    .from = "192.0.2.0/24",
				    .first = 80,
				    .last = 443,
				    .listener = 7,
				    .commands = COMMAND_BIT(COMMAND_CONNECT) });
	static const uint16_t ports[] = { 1, 79, 80, 443, 444, 65535 };
	struct rule_query q = brief_query("", "198.51.100.1");

	q.listener = 7;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		q.port = ports[i];
		ck_assert_int_eq(brief_ask(r, &q), i == 2 || i == 3);
	}
	q.port = 80;
	q.listener = 1;
	ck_assert_int_eq(brief_ask(r, &q), 0);
	q.listener = 7;
	q.command = COMMAND_NONE;
	ck_assert_int_eq(brief_ask(r, &q), 0);
	q.command = COMMAND_CONNECT;
	q.client = brief_address("192.0.3.1");
	ck_assert_int_eq(brief_ask(r, &q), 0);
	q.client = brief_address("::ffff:192.0.2.1");
	ck_assert_int_eq(brief_ask(r, &q), 1);
	q.client.family = AF_UNSPEC;
	ck_assert_int_eq(brief_ask(r, &q), 0);
	ck_assert(!rules_before_dns(r, &q).allow);
	rules_free(r);
}
END_TEST

START_TEST(everyone_is_a_client)
{
	struct rules *r = COMPILE({ .allow = true, .from = "any" });
	struct rule_query q = brief_query("", "198.51.100.1");

	q.client = brief_address("127.0.0.1");
	ck_assert_int_eq(brief_ask(r, &q), 1);
	q.client = brief_address("::1");
	ck_assert_int_eq(brief_ask(r, &q), 1);
	rules_free(r);
}
END_TEST

START_TEST(a_star_is_whoever_has_logged_in_and_a_dash_who_has_not)
{
	static const char *const star[] = { "*" }, *const ann[] = { "ann" };
	static const char *const dash[] = { "-" };
	struct rule_spec list[] = {
		{ .users = ann, .user_count = 1 },
		{ .allow = true, .users = star, .user_count = 1 },
		{ .users = dash, .user_count = 1 },
	};
	struct rule_query q = brief_query("", "198.51.100.1");
	struct rules *r;

	ck_assert_int_eq(rules_new(&r, NULL, 0, list, 3, NULL), 0);
	ck_assert_int_eq(brief_ask(r, &q), -3);
	ck_assert(!rules_may_allow(r, &q, false));
	ck_assert(rules_may_allow(r, &q, true));
	q.user = (struct span){ (const uint8_t *)"ann", 3 };
	ck_assert_int_eq(brief_ask(r, &q), -1);
	q.user = (struct span){ (const uint8_t *)"joe", 3 };
	ck_assert_int_eq(brief_ask(r, &q), 2);
	rules_free(r);
}
END_TEST

START_TEST(names_match_whole_labels_in_either_case)
{
	struct rules *r = COMPILE({ .allow = true, .to = "www.Example.org" },
				  { .allow = true, .to = ".eXample.com" },
				  { .allow = true, .to = ".net." });
	static const struct {
		const char *host;
		int want;
	} rows[] = {
		{ "www.example.org", 1 },
		{ "WWW.EXAMPLE.ORG.", 1 },
		{ "a.www.example.org", 0 },
		{ "example.org", 0 },
		{ "example.com", 2 },
		{ "a.EXAMPLE.com", 2 },
		{ "a.b.example.com.", 2 },
		{ "evilexample.com", 0 },
		{ "example.com.evil", 0 },
		{ "xample.com", 0 },
		{ "com", 0 },
		{ "", 0 },
		{ "a.net", 3 },
		{ "net", 3 },
		{ "anet", 0 },
		{ ".", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ck_assert_msg(brief_ask_for(r, rows[i].host, "198.51.100.1") ==
				      rows[i].want,
			      "%s", rows[i].host);
		ck_assert_int_eq(brief_ask_early(r, rows[i].host),
				 !!rows[i].want);
		ck_assert_int_eq(brief_ask_for(r, rows[i].host, "127.0.0.1"),
				 0);
	}
	rules_free(r);
}
END_TEST

START_TEST(an_address_needs_no_name_and_a_name_no_address)
{
	struct rules *r = COMPILE(
		{ .allow = false, .to = ".internal 10.0.0.0/8" },
		{ .allow = true, .to = ".example.com 192.0.2.0/24" });

	ck_assert_int_eq(brief_ask_for(r, "db.internal", "198.51.100.1"), -1);
	ck_assert_int_eq(brief_ask_for(r, "a.example.com", "10.0.0.1"), -1);
	ck_assert_int_eq(brief_ask_for(r, "a.example.com", "198.51.100.1"), 2);
	ck_assert_int_eq(brief_ask_for(r, "other", "192.0.2.5"), 2);
	ck_assert_int_eq(brief_ask_for(r, "other", "198.51.100.1"), 0);
	ck_assert_int_eq(brief_ask_for(r, "", "192.0.2.5"), 2);
	rules_free(r);
}
END_TEST

START_TEST(an_unknown_address_is_denied)
{
	struct rules *r = COMPILE({ .allow = true, .to = "any .a" });
	struct rule_query q = brief_query("a", NULL);

	ck_assert_int_eq(brief_ask(r, &q), 0);
	rules_free(r);
}
END_TEST

/* Elements of `to` that are put against each address below. */
static const char *const elements[] = {
	NULL,          "any",        "internet",  "private", "loopback",
	"linklocal",   "multicast",  "0.0.0.0/0", "::/0",    "64:ff9b::/96",
	"127.0.0.0/8", "10.0.0.0/8", ".a",
};

/*
 * The elements, by their place above, by which an allow rule takes the address
 * and those by which a deny rule does, asked for as the name "a".
 */
#define E(n)     (1u << (n))
#define ALWAYS   (E(0) | E(1) | E(12))
#define V4       E(7)
#define V6       E(8)
#define NAT64    E(9)
#define INTERNET E(2)
#define PRIVATE  E(3)
#define LOOPBACK E(4)
#define LINK     E(5)
#define MULTI    E(6)

static const struct {
	const char *addr;
	uint32_t allow, deny;
} matrix[] = {
	/* ordinary ones */
	{ "8.8.8.8", ALWAYS | INTERNET | V4, ALWAYS | INTERNET | V4 },
	{ "::ffff:8.8.8.8", ALWAYS | INTERNET | V4, ALWAYS | INTERNET | V4 },
	{ "10.0.0.1", ALWAYS | PRIVATE | V4 | E(11),
	  ALWAYS | PRIVATE | V4 | E(11) },
	{ "2606:4700::1", ALWAYS | INTERNET | V6, ALWAYS | INTERNET | V6 },
	{ "fd01::1", ALWAYS | PRIVATE | V6, ALWAYS | PRIVATE | V6 },
	/* an IPv4 address within an IPv6 one */
	{ "64:ff9b::8.8.8.8", ALWAYS | INTERNET | V6 | NAT64,
	  ALWAYS | INTERNET | V6 | NAT64 | V4 },
	{ "64:ff9b::10.0.0.1", ALWAYS | PRIVATE | V6 | NAT64,
	  ALWAYS | PRIVATE | V6 | NAT64 | V4 | E(11) },
	{ "2002:a00:1::1", ALWAYS | PRIVATE | V6,
	  ALWAYS | PRIVATE | V6 | V4 | E(11) },
	/* guarded ones */
	{ "127.0.0.1", LOOPBACK | V4 | E(10), ALWAYS | LOOPBACK | V4 | E(10) },
	{ "127.255.255.255", LOOPBACK | V4 | E(10),
	  ALWAYS | LOOPBACK | V4 | E(10) },
	{ "::1", LOOPBACK | V6, ALWAYS | LOOPBACK | V6 },
	{ "0.0.0.0", V4, ALWAYS | V4 },
	{ "0.1.2.3", V4, ALWAYS | V4 },
	{ "::", V6, ALWAYS | V6 },
	{ "169.254.169.254", LINK | V4, ALWAYS | LINK | V4 },
	{ "fe80::1", LINK | V6, ALWAYS | LINK | V6 },
	{ "224.0.0.1", MULTI | V4, ALWAYS | MULTI | V4 },
	{ "255.255.255.255", MULTI | V4, ALWAYS | MULTI | V4 },
	{ "ff02::1", MULTI | V6, ALWAYS | MULTI | V6 },
	{ "100.100.100.200", V4, ALWAYS | PRIVATE | V4 },
	{ "fd00:ec2::254", V6, ALWAYS | PRIVATE | V6 },
	/* guarded ones in disguise */
	{ "::ffff:127.0.0.1", LOOPBACK | V4 | E(10),
	  ALWAYS | LOOPBACK | V4 | E(10) },
	{ "::ffff:169.254.169.254", LINK | V4, ALWAYS | LINK | V4 },
	{ "::ffff:0.0.0.0", V4, ALWAYS | V4 },
	{ "64:ff9b::127.0.0.1", LOOPBACK | V4 | E(10),
	  ALWAYS | LOOPBACK | V4 | V6 | NAT64 | E(10) },
	{ "64:ff9b::169.254.169.254", LINK | V4,
	  ALWAYS | LINK | V4 | V6 | NAT64 },
	{ "64:ff9b::0.0.0.0", V4, ALWAYS | V4 | V6 | NAT64 },
	{ "2002:7f00:1::", LOOPBACK | V4 | E(10),
	  ALWAYS | LOOPBACK | V4 | V6 | E(10) },
	{ "::127.0.0.1", LOOPBACK | V4 | E(10),
	  ALWAYS | LOOPBACK | V4 | V6 | E(10) },
};

START_TEST(each_element_takes_what_it_should_of_each_address)
{
	for (size_t e = 0; e < ARRAY_SIZE(elements); e++) {
		struct rules *allow = COMPILE(
			{ .allow = true, .to = elements[e] });
		struct rules *deny = COMPILE(
			{ .allow = false, .to = elements[e] },
			{ .allow = true, .to = "any" },
			{ .allow = true, .to = "0.0.0.0/0 ::/0" });

		for (size_t a = 0; a < ARRAY_SIZE(matrix); a++) {
			ck_assert_msg(
				brief_ask_for(allow, "a", matrix[a].addr) ==
					!!(matrix[a].allow & E(e)),
				"allow %s to %s", elements[e], matrix[a].addr);
			ck_assert_msg(
				(brief_ask_for(deny, "a", matrix[a].addr) ==
				 -1) == !!(matrix[a].deny & E(e)),
				"deny %s to %s", elements[e], matrix[a].addr);
		}
		rules_free(allow);
		rules_free(deny);
	}
}
END_TEST

START_TEST(a_name_never_opens_a_guarded_address)
{
	struct rules *r = COMPILE(
		{ .allow = true, .to = ".a" },
		{ .allow = true, .to = "loopback", .first = 80, .last = 80 });
	struct rule_query q = brief_query("a", "127.0.0.1");

	ck_assert_int_eq(brief_ask(r, &q), 0);
	q.port = 80;
	ck_assert_int_eq(brief_ask(r, &q), 2);
	rules_free(r);
}
END_TEST

/*
 * A denial before DNS must be what every address would have met, at that rule
 * or before it.  (An unneeded question is only a loss of time.)
 */
START_TEST(no_address_passes_what_was_denied_early)
{
	static const char *const names[] = { "a", "b.a", "c" };
	unsigned denied = 0;

	srandom(1);
	for (int round = 0; round < 3000; round++) {
		struct brief list[5] = { 0 };
		struct rules *r;

		for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
			size_t e = (size_t)random() % ARRAY_SIZE(elements);

			list[i].allow = random() % 2;
			list[i].to = elements[e];
			if (random() % 3 == 0)
				list[i].first = list[i].last = 443;
			else if (random() % 3 == 0)
				list[i].first = list[i].last = 80;
		}
		r = rules_compile(list, ARRAY_SIZE(list), false);
		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			int early = brief_ask_early(r, names[n]);

			denied += early <= 0;
			for (size_t a = 0; a < ARRAY_SIZE(matrix); a++) {
				int late = brief_ask_for(r, names[n],
							 matrix[a].addr);

				ck_assert(early > 0 || late <= 0);
				ck_assert(early >= 0 || late >= early);
			}
		}
		rules_free(r);
	}
	ck_assert_uint_gt(denied, 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_last_word_is_deny);
	tcase_add_test(t, the_first_match_wins);
	tcase_add_test(t, clients_are_matched_by_address_and_listener);
	tcase_add_test(t, ports_listeners_commands_and_clients_narrow_a_rule);
	tcase_add_test(t, everyone_is_a_client);
	tcase_add_test(t,
		       a_star_is_whoever_has_logged_in_and_a_dash_who_has_not);
	tcase_add_test(t, names_match_whole_labels_in_either_case);
	tcase_add_test(t, an_address_needs_no_name_and_a_name_no_address);
	tcase_add_test(t, an_unknown_address_is_denied);
	tcase_add_test(t, each_element_takes_what_it_should_of_each_address);
	tcase_add_test(t, a_name_never_opens_a_guarded_address);
	tcase_add_test(t, no_address_passes_what_was_denied_early);
	suite_add_tcase(s, t);
	return run_suite(s);
}
