/*
 * Compiled rules against a plain walk over what they were made of: random
 * rules and questions out of small worlds, so that they often meet.
 */
#include "daemon/proxy/groups.h"
#include "daemon/proxy/match_list.h"
#include "daemon/proxy/rules.h"
#include "t/unit/rules_walk.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES_MAX    3000u
#define ELEMENTS_MAX 14u /* more than are compared one by one */
#define LISTS        3u
#define LIST_MAX     12u
#define PEOPLE_MAX   3u

static const char *const prefixes[] = {
	"0.0.0.0/0",    "10.0.0.0/8",       "10.1.0.0/16",   "10.1.2.0/24",
	"10.1.2.3",     "10.1.2.128/25",    "192.0.2.0/24",  "192.0.2.7",
	"127.0.0.0/8",  "127.0.0.1",        "8.8.8.8",       "8.0.0.0/6",
	"::/0",         "2001:db8::/32",    "2001:db8::1",   "2001:db8:1::/48",
	"64:ff9b::/96", "64:ff9b::a01:203", "2002:a01::/32", "::1",
	"fe80::/10",    "fd00::/8",
};
static const char *const addresses[] = {
	"10.1.2.3",         "10.1.2.4",
	"10.1.2.200",       "10.9.9.9",
	"192.0.2.7",        "192.0.2.8",
	"127.0.0.1",        "127.9.9.9",
	"8.8.8.8",          "9.9.9.9",
	"169.254.169.254",  "224.0.0.1",
	"0.0.0.0",          "2001:db8::1",
	"2001:db8:1::5",    "2001:db8:2::",
	"64:ff9b::a01:203", "64:ff9b::7f00:1",
	"2002:a01:203::1",  "::1",
	"fe80::1",          "fd00::1",
	"2606:4700::1",     "::ffff:10.1.2.3",
};
static const char *const names[] = {
	"a",      "b.a",       "C.b.A", "x.c.b.a", "b",    "test",
	"w.test", "ww.w.test", "ba",    "a.b",     "b.a.", "d.c.b.a",
};
static const char *const people[] = {
	"ann", "bob", "Ann", "eve", "joe", "sue"
};
static const char *const teams[] = { "staff", "ops", "nobody", "all" };
static const struct port_range ranges[] = {
	{ 1, 65535 }, { 80, 80 },      { 443, 443 }, { 1, 1023 },
	{ 80, 443 },  { 1024, 65535 }, { 0, 79 },    { 65535, 65535 },
};
static const uint16_t ports[] = { 1, 79, 80, 81, 443, 444, 1024, 65535 };

#define PICK(a) ((a)[(size_t)random() % ARRAY_SIZE(a)])

static bool chance(unsigned percent)
{
	return (unsigned)random() % 100 < percent;
}

/* As the file of groups below has it. */
static bool is_member(const char *group, struct span user)
{
	static const char members[][2][8] = {
		{ "staff", "ann" }, { "staff", "bob" }, { "ops", "bob" },
		{ "all", "ann" },   { "all", "bob" },   { "all", "Ann" },
		{ "all", "eve" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strcmp(members[i][0], group) == 0 &&
		    strlen(members[i][1]) == user.len &&
		    memcmp(members[i][1], user.at, user.len) == 0)
			return true;
	return false;
}

/* --- A world ------------------------------------------------------------ */

struct parts {
	struct rule_match from[ELEMENTS_MAX], to[ELEMENTS_MAX];
	struct port_range ports[3];
	uint16_t listeners[2];
	const char *users[PEOPLE_MAX], *groups[PEOPLE_MAX];
	struct rule_window when[2];
};

static struct parts parts[RULES_MAX];
static struct rule_spec specs[RULES_MAX];
static struct rule_match entries[LISTS][LIST_MAX];
static struct match_list *made[LISTS];
static struct walk_list lists[LISTS];

static struct rule_match draw_prefix(void)
{
	struct rule_match m = { .type = RULE_MATCH_PREFIX };

	ck_assert_int_eq(prefix_parse(&m.prefix, PICK(prefixes)), 0);
	return m;
}

static struct rule_match draw_name(void)
{
	struct rule_match m = { .type = chance(50) ? RULE_MATCH_NAME
						   : RULE_MATCH_SUFFIX,
				.name = PICK(names) };

	return m;
}

/* Of `from` there are lists with names in them, too: they say nothing. */
static struct rule_match draw_match(bool to, unsigned odd)
{
	struct rule_match m = { .type = RULE_MATCH_CLASS };

	if (chance(odd)) {
		m.type = RULE_MATCH_LIST;
		m.list = made[(size_t)random() % LISTS];
		return m;
	}
	if (chance(odd)) {
		m.class = (enum addr_class)((size_t)random() %
					    ADDR_CLASS_COUNT);
		return m;
	}
	return to && chance(60) ? draw_name() : draw_prefix();
}

/* The last one has names only. */
static void make_lists(void)
{
	for (size_t i = 0; i < LISTS; i++) {
		size_t count = (size_t)random() % LIST_MAX;

		for (size_t k = 0; k < count; k++)
			entries[i][k] = i == LISTS - 1 || chance(50)
						? draw_name()
						: draw_prefix();
		ck_assert_int_eq(match_list_new(&made[i], entries[i], count),
				 0);
		lists[i] = (struct walk_list){ made[i], entries[i], count };
	}
}

static size_t draw_count(size_t max, unsigned percent)
{
	if (!chance(percent))
		return 0;
	return 1 +
	       (chance(80) ? (size_t)random() % 2 : (size_t)random() % max) %
		       max;
}

/* How often a rule has what. */
struct taste {
	unsigned from, to, ports, users, odd;
};

/* A week of ten minutes, in which something is always near. */
static void draw_times(struct rule_spec *s, struct parts *p)
{
	s->when = p->when;
	s->when_count = draw_count(ARRAY_SIZE(p->when), 15);
	for (size_t k = 0; k < s->when_count; k++) {
		p->when[k].first = (uint16_t)(1 + random() % 10);
		p->when[k].last = (uint16_t)(p->when[k].first + random() % 5);
	}
}

static void draw_rule(size_t i, const struct taste *t, bool client)
{
	struct parts *p = &parts[i];
	struct rule_spec *s = &specs[i];

	*s = (struct rule_spec){ .allow = chance(50),
				 .from = p->from,
				 .from_count = draw_count(ELEMENTS_MAX,
							  t->from),
				 .listeners = p->listeners,
				 .listener_count = draw_count(2, 15) };
	draw_times(s, p);
	for (size_t k = 0; k < s->from_count; k++)
		p->from[k] = draw_match(false, t->odd);
	for (size_t k = 0; k < s->listener_count; k++)
		p->listeners[k] = (uint16_t)(1 + random() % 3);
	if (client)
		return;
	s->to = p->to;
	s->to_count = draw_count(ELEMENTS_MAX, t->to);
	s->ports = p->ports;
	s->port_count = draw_count(ARRAY_SIZE(p->ports), t->ports);
	s->users = p->users;
	s->user_count = draw_count(PEOPLE_MAX, t->users);
	s->groups = p->groups;
	s->group_count = draw_count(PEOPLE_MAX, t->users);
	s->commands = chance(20) ? (uint32_t)random() & 14 : 0;
	s->protocols = chance(20) ? (uint32_t)random() & 14 : 0;
	for (size_t k = 0; k < s->to_count; k++)
		p->to[k] = draw_match(true, t->odd);
	for (size_t k = 0; k < s->port_count; k++)
		p->ports[k] = PICK(ranges);
	for (size_t k = 0; k < s->user_count; k++)
		p->users[k] = chance(85)   ? PICK(people)
			      : chance(50) ? "*"
					   : "-";
	for (size_t k = 0; k < s->group_count; k++)
		p->groups[k] = PICK(teams);
}

static struct span as_span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static struct tcp_addr draw_address(void)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, PICK(addresses)), 0);
	return a;
}

static struct rule_query draw_query(void)
{
	struct rule_query q = {
		.client = draw_address(),
		.target = draw_address(),
		.protocol = (enum session_protocol)(1 + random() % 3),
		.command = (enum session_command)(1 + random() % 3),
		.port = PICK(ports),
		.listener = (uint16_t)(1 + random() % 3),
		.week_minute = (uint16_t)(1 + random() % 14),
	};

	if (chance(70))
		q.host = as_span(PICK(names));
	if (q.host.len && chance(20))
		q.full = as_span(PICK(names));
	if (chance(50))
		q.user = as_span(chance(90) ? PICK(people) : "zoe");
	return q;
}

/* --- Comparing ---------------------------------------------------------- */

static void same(struct verdict own, struct verdict plain, const char *what)
{
	ck_assert_msg(own.allow == plain.allow && own.rule == plain.rule,
		      "%s: %d by %u, a plain walk says %d by %u", what,
		      own.allow, own.rule, plain.allow, plain.rule);
}

static void compare_requests(const struct rules *r, const struct walk *w)
{
	struct rule_query q = draw_query();

	same(rules_request(r, &q), walk_request(w, &q), "request");
	same(rules_before_dns(r, &q), walk_before_dns(w, &q), "before DNS");
	same(rules_command(r, &q), walk_command(w, &q), "command");
	for (int login = 0; login < 2; login++)
		ck_assert(rules_may_allow(r, &q, login) ==
			  walk_may_allow(w, &q, login));
	if (chance(50))
		q.port = 0;
	if (chance(50))
		q.target.family = AF_UNSPEC;
	same(rules_before_peer(r, &q), walk_before_peer(w, &q), "before peer");
}

static void compare_clients(const struct rules *r, const struct walk *w)
{
	struct rule_query q = draw_query();

	same(rules_client_query(r, &q), walk_client(w, &q), "client");
}

static struct groups *load_groups(void)
{
	static const char text[] = "staff:x:1:ann,bob\nops:x:2:bob\n"
				   "all:x:3:ann,bob,Ann,eve\n";
	char path[] = "/tmp/check_rules_random.XXXXXX";
	struct users_fault fault;
	struct groups *g = NULL;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close_fd(&fd);
	ck_assert_int_eq(groups_load(&g, path, &fault), 0);
	(void)unlink(path);
	return g;
}

/* A world of so many rules, half of which are tried as client rules, too. */
static void compare(size_t count, unsigned questions, const struct taste *t,
		    const struct groups *g)
{
	struct walk w = { .lists = lists,
			  .list_count = LISTS,
			  .is_member = is_member };
	struct rules *r;

	make_lists();
	for (size_t i = 0; i < count; i++)
		draw_rule(i, t, i < count / 2);
	w.clients = specs;
	w.client_count = count / 2;
	w.requests = specs + count / 2;
	w.request_count = count - count / 2;
	ck_assert_int_eq(rules_new(&r, w.clients, w.client_count, w.requests,
				   w.request_count, g),
			 0);
	for (size_t i = 0; i < LISTS; i++)
		match_list_free(made[i]);
	for (unsigned i = 0; i < questions; i++) {
		compare_requests(r, &w);
		compare_clients(r, &w);
	}
	rules_free(r);
}

static const struct taste tastes[] = {
	{ 30, 70, 40, 30, 15 }, { 5, 95, 5, 5, 0 },    { 5, 95, 5, 5, 5 },
	{ 95, 10, 5, 5, 2 },    { 5, 5, 95, 5, 5 },    { 5, 30, 5, 95, 5 },
	{ 95, 95, 95, 95, 10 }, { 60, 60, 60, 60, 0 },
};

START_TEST(few_rules_say_what_a_plain_walk_says)
{
	struct groups *g = load_groups();

	srandom((unsigned)_i + 1);
	for (unsigned round = 0; round < 120; round++)
		compare(2 + (size_t)random() % 40, 100, &tastes[_i], g);
	groups_free(g);
}
END_TEST

START_TEST(many_rules_say_what_a_plain_walk_says)
{
	struct groups *g = load_groups();

	srandom((unsigned)_i + 1);
	compare(RULES_MAX, 300, &tastes[_i], g);
	groups_free(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules_random");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, few_rules_say_what_a_plain_walk_says, 0,
			    ARRAY_SIZE(tastes));
	tcase_add_loop_test(t, many_rules_say_what_a_plain_walk_says, 0,
			    ARRAY_SIZE(tastes));
	suite_add_tcase(s, t);
	return run_suite(s);
}
