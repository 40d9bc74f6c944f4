/*
 * Rules: every kind of element against every kind of address, order, the walk
 * before a name is resolved against the walk after it.
 */
#include "daemon/proxy/rules.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX 4

/* A rule in short: each text is a list of words that a space separates. */
struct brief {
	bool allow;
	const char *to, *from;
	uint16_t first, last; /* ports; 0: all */
	uint16_t listener;    /* 0: all */
	uint32_t commands;
};

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

/* Reads words into m and their text, which must live as long, into copy. */
static size_t make_matches(struct rule_match *m, char *copy, size_t size,
			   const char *words)
{
	size_t count = 0;
	char *state, *word;

	(void)snprintf(copy, size, "%s", words ? words : "");
	for (word = strtok_r(copy, " ", &state); word;
	     word = strtok_r(NULL, " ", &state), m++, count++) {
		ck_assert_uint_lt(count, ELEMENTS_MAX);
		if (addr_class_parse(&m->class, word) == 0)
			m->type = RULE_MATCH_CLASS;
		else if (prefix_parse(&m->prefix, word) == 0)
			m->type = RULE_MATCH_PREFIX;
		else
			*m = (struct rule_match){
				.type = *word == '.' ? RULE_MATCH_SUFFIX
						     : RULE_MATCH_NAME,
				.name = word
			};
	}
	return count;
}

/* Compiles the list as client rules or as request rules. */
static struct rules *compile(const struct brief *list, size_t count,
			     bool client)
{
	struct rule_spec specs[8] = { 0 };
	struct rule_match from[8][ELEMENTS_MAX], to[8][ELEMENTS_MAX];
	struct port_range ports[8];
	char text[2][8][128];
	struct rules *rules = NULL;

	ck_assert_uint_le(count, 8);
	for (size_t i = 0; i < count; i++) {
		struct rule_spec *s = &specs[i];

		ports[i] = (struct port_range){ list[i].first, list[i].last };
		*s = (struct rule_spec){
			.allow = list[i].allow,
			.commands = list[i].commands,
			.from = from[i],
			.to = to[i],
			.ports = &ports[i],
			.listeners = &list[i].listener,
			.port_count = list[i].first != 0,
			.listener_count = list[i].listener != 0,
			.from_count = make_matches(from[i], text[0][i],
						   sizeof(text[0][i]),
						   list[i].from),
			.to_count = make_matches(to[i], text[1][i],
						 sizeof(text[1][i]),
						 list[i].to),
		};
	}
	ck_assert_int_eq(client ? rules_new(&rules, specs, count, NULL, 0)
				: rules_new(&rules, NULL, 0, specs, count),
			 0);
	/* What was compiled must not need what it was made of. */
	memset(from, 0xa5, sizeof(from));
	memset(to, 0xa5, sizeof(to));
	memset(ports, 0xa5, sizeof(ports));
	memset(text, 0xa5, sizeof(text));
	return rules;
}

#define COMPILE(...)                                                           \
	compile((const struct brief[]){ __VA_ARGS__ },                         \
		ARRAY_SIZE(((const struct brief[]){ __VA_ARGS__ })), false)

#define COMPILE_CLIENTS(...)                                                   \
	compile((const struct brief[]){ __VA_ARGS__ },                         \
		ARRAY_SIZE(((const struct brief[]){ __VA_ARGS__ })), true)

static struct rule_query query(const char *host, const char *target)
{
	struct rule_query q = {
		.client = address("192.0.2.77"),
		.host = { (const uint8_t *)host, strlen(host) },
		.command = COMMAND_CONNECT,
		.port = 443,
		.listener = 1,
	};

	if (target)
		q.target = address(target);
	return q;
}

/* The number of the rule that decided; negative: it denied. 0: the default. */
static int ask(const struct rules *rules, const struct rule_query *q)
{
	struct verdict v = rules_request(rules, q);

	ck_assert(v.rule || !v.allow);
	return v.allow ? v.rule : -(int)v.rule;
}

static int ask_for(const struct rules *rules, const char *host,
		   const char *target)
{
	struct rule_query q = query(host, target);

	return ask(rules, &q);
}

/* 1: perhaps; else as ask(). */
static int ask_early(const struct rules *rules, const char *host)
{
	struct rule_query q = query(host, NULL);
	struct verdict v = rules_before_dns(rules, &q);

	ck_assert(!v.allow || !v.rule);
	return v.allow ? 1 : -(int)v.rule;
}

START_TEST(the_last_word_is_deny)
{
	struct rules *r = COMPILE_CLIENTS({ .allow = true });
	struct tcp_addr c = address("192.0.2.77");

	ck_assert_int_eq(ask_for(r, "", "198.51.100.1"), 0);
	ck_assert_int_eq(ask_early(r, "a"), 0);
	ck_assert(rules_client(r, &c, 1).allow);
	rules_free(r);
	r = COMPILE({ .allow = true });
	ck_assert(!rules_client(r, &c, 1).allow);
	ck_assert_int_eq(ask_for(r, "", "198.51.100.1"), 1);
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

	ck_assert_int_eq(ask_for(r, "", "10.1.0.1"), -1);
	ck_assert_int_eq(ask_for(r, "", "10.2.0.1"), 2);
	ck_assert_int_eq(ask_for(r, "", "11.0.0.1"), 4);
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
		struct tcp_addr c = address(rows[i].client);
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
	struct rule_query q = query("", "198.51.100.1");

	q.listener = 7;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		q.port = ports[i];
		ck_assert_int_eq(ask(r, &q), i == 2 || i == 3);
	}
	q.port = 80;
	q.listener = 1;
	ck_assert_int_eq(ask(r, &q), 0);
	q.listener = 7;
	q.command = COMMAND_NONE;
	ck_assert_int_eq(ask(r, &q), 0);
	q.command = COMMAND_CONNECT;
	q.client = address("192.0.3.1");
	ck_assert_int_eq(ask(r, &q), 0);
	q.client = address("::ffff:192.0.2.1");
	ck_assert_int_eq(ask(r, &q), 1);
	q.client.family = AF_UNSPEC;
	ck_assert_int_eq(ask(r, &q), 0);
	ck_assert(!rules_before_dns(r, &q).allow);
	rules_free(r);
}
END_TEST

START_TEST(everyone_is_a_client)
{
	struct rules *r = COMPILE({ .allow = true, .from = "any" });
	struct rule_query q = query("", "198.51.100.1");

	q.client = address("127.0.0.1");
	ck_assert_int_eq(ask(r, &q), 1);
	q.client = address("::1");
	ck_assert_int_eq(ask(r, &q), 1);
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
		ck_assert_msg(ask_for(r, rows[i].host, "198.51.100.1") ==
				      rows[i].want,
			      "%s", rows[i].host);
		ck_assert_int_eq(ask_early(r, rows[i].host), !!rows[i].want);
		ck_assert_int_eq(ask_for(r, rows[i].host, "127.0.0.1"), 0);
	}
	rules_free(r);
}
END_TEST

START_TEST(an_address_needs_no_name_and_a_name_no_address)
{
	struct rules *r = COMPILE(
		{ .allow = false, .to = ".internal 10.0.0.0/8" },
		{ .allow = true, .to = ".example.com 192.0.2.0/24" });

	ck_assert_int_eq(ask_for(r, "db.internal", "198.51.100.1"), -1);
	ck_assert_int_eq(ask_for(r, "a.example.com", "10.0.0.1"), -1);
	ck_assert_int_eq(ask_for(r, "a.example.com", "198.51.100.1"), 2);
	ck_assert_int_eq(ask_for(r, "other", "192.0.2.5"), 2);
	ck_assert_int_eq(ask_for(r, "other", "198.51.100.1"), 0);
	ck_assert_int_eq(ask_for(r, "", "192.0.2.5"), 2);
	rules_free(r);
}
END_TEST

START_TEST(an_unknown_address_is_denied)
{
	struct rules *r = COMPILE({ .allow = true, .to = "any .a" });
	struct rule_query q = query("a", NULL);

	ck_assert_int_eq(ask(r, &q), 0);
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
			ck_assert_msg(ask_for(allow, "a", matrix[a].addr) ==
					      !!(matrix[a].allow & E(e)),
				      "allow %s to %s", elements[e],
				      matrix[a].addr);
			ck_assert_msg((ask_for(deny, "a", matrix[a].addr) ==
				       -1) == !!(matrix[a].deny & E(e)),
				      "deny %s to %s", elements[e],
				      matrix[a].addr);
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
	struct rule_query q = query("a", "127.0.0.1");

	ck_assert_int_eq(ask(r, &q), 0);
	q.port = 80;
	ck_assert_int_eq(ask(r, &q), 2);
	rules_free(r);
}
END_TEST

START_TEST(names_are_denied_before_they_are_asked_for)
{
	struct rules *r;

	r = COMPILE({ .allow = false, .to = ".internal" }, { .allow = true });
	ck_assert_int_eq(ask_early(r, "db.internal"), -1);
	ck_assert_int_eq(ask_early(r, "example.com"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .first = 25, .last = 25 },
		    { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .first = 443, .last = 443 },
		    { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), -1);
	rules_free(r);
	r = COMPILE({ .allow = false, .from = "192.0.2.77" },
		    { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), -1);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = "any" }, { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), -1);
	rules_free(r);
	/* No rule could allow it. */
	r = COMPILE({ .allow = true, .to = ".example.com" });
	ck_assert_int_eq(ask_early(r, "a"), 0);
	rules_free(r);
}
END_TEST

START_TEST(what_hangs_on_the_address_is_asked_for)
{
	struct rules *r;

	/* A deny by address leaves it open, one by name behind it does not. */
	r = COMPILE({ .allow = false, .to = "10.0.0.0/8" }, { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), 1);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = "10.0.0.0/8" },
		    { .allow = false, .to = ".a" }, { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), -2);
	rules_free(r);
	/* An allow that may come first. */
	r = COMPILE({ .allow = true, .to = "10.0.0.0/8" },
		    { .allow = false, .to = ".a" });
	ck_assert_int_eq(ask_early(r, "a"), 1);
	ck_assert_int_eq(ask_for(r, "a", "10.0.0.1"), 1);
	ck_assert_int_eq(ask_for(r, "a", "11.0.0.1"), -2);
	rules_free(r);
	/* An allow by name does not take what is guarded. */
	r = COMPILE({ .allow = true, .to = ".a" }, { .allow = false });
	ck_assert_int_eq(ask_early(r, "a"), 1);
	ck_assert_int_eq(ask_for(r, "a", "127.0.0.1"), -2);
	rules_free(r);
	r = COMPILE({ .allow = false, .to = ".a 10.0.0.0/8" },
		    { .allow = true });
	ck_assert_int_eq(ask_early(r, "a"), -1);
	ck_assert_int_eq(ask_early(r, "b"), 1);
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
		r = compile(list, ARRAY_SIZE(list), false);
		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			int early = ask_early(r, names[n]);

			denied += early <= 0;
			for (size_t a = 0; a < ARRAY_SIZE(matrix); a++) {
				int late = ask_for(r, names[n], matrix[a].addr);

				ck_assert(early > 0 || late <= 0);
				ck_assert(early >= 0 || late >= early);
			}
		}
		rules_free(r);
	}
	ck_assert_uint_gt(denied, 100);
}
END_TEST

/* 1: perhaps; the peer of a BIND, whose port nobody knows yet. */
static int ask_before(const struct rules *rules, const char *target)
{
	struct rule_query q = query("", target);
	struct verdict v;

	q.command = COMMAND_BIND;
	q.port = 0;
	v = rules_before_peer(rules, &q);
	ck_assert(!v.allow || !v.rule);
	/* And what comes then cannot be allowed where it was denied. */
	for (uint32_t port = 1; target && !v.allow && port < 65536; port++) {
		q.port = (uint16_t)port;
		ck_assert(!rules_request(rules, &q).allow);
	}
	return v.allow ? 1 : -(int)v.rule;
}

START_TEST(a_peer_is_denied_before_he_comes_where_no_port_would_do)
{
	struct rules *r = COMPILE(
		{ .allow = false, .to = "10.1.0.0/16" },
		{ .allow = false, .to = "10.2.0.0/16", .first = 1, .last = 99 },
		{ .allow = true, .to = "10.0.0.0/8", .first = 20, .last = 20 },
		{ .allow = false, .commands = COMMAND_BIT(COMMAND_BIND) },
		{ .allow = true });

	ck_assert_int_eq(ask_before(r, NULL), 1);
	ck_assert_int_eq(ask_before(r, "10.1.0.1"), -1);
	ck_assert_int_eq(ask_before(r, "10.2.0.1"), 1);
	ck_assert_int_eq(ask_before(r, "10.3.0.1"), 1);
	ck_assert_int_eq(ask_before(r, "11.0.0.1"), -4);
	ck_assert_int_eq(ask_before(r, "127.0.0.1"), -4);
	rules_free(r);
	r = COMPILE({ .allow = true });
	ck_assert_int_eq(ask_before(r, "127.0.0.1"), 0);
	ck_assert_int_eq(ask_before(r, "64:ff9b::7f00:1"), 0);
	ck_assert_int_eq(ask_before(r, "192.0.2.1"), 1);
	rules_free(r);
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
	tcase_add_test(t, names_match_whole_labels_in_either_case);
	tcase_add_test(t, an_address_needs_no_name_and_a_name_no_address);
	tcase_add_test(t, an_unknown_address_is_denied);
	tcase_add_test(t, each_element_takes_what_it_should_of_each_address);
	tcase_add_test(t, a_name_never_opens_a_guarded_address);
	tcase_add_test(t, names_are_denied_before_they_are_asked_for);
	tcase_add_test(t, what_hangs_on_the_address_is_asked_for);
	tcase_add_test(t, no_address_passes_what_was_denied_early);
	tcase_add_test(t,
		       a_peer_is_denied_before_he_comes_where_no_port_would_do);
	suite_add_tcase(s, t);
	return run_suite(s);
}
