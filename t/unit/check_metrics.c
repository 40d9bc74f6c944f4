/*
 * What generations have counted, added up by name, and what is left of the
 * dead.
 */
#include "daemon/metrics.h"

#include "daemon/proxy/rule_spec.h"
#include "daemon/proxy/tally.h"
#include "daemon/publish.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct conf *c;
static struct published p[2];
static struct conf_endpoint somewhere;
static struct metrics m;

static void make(unsigned i)
{
	ck_assert_int_eq(publish_init(&p[i], c, i + 1, 2, sessions_slots(2, 4)),
			 0);
}

static void setup(void)
{
	ck_assert_int_eq(conf_default(&c), 0);
	c->admin.http = (struct conf_endpoints){ &somewhere, 1 };
	c->admin.user_metrics = 2;
	make(0);
	make(1);
}

static void teardown(void)
{
	metrics_done(&m);
	metrics_done(&m);
	publish_done(&p[0]);
	publish_done(&p[1]);
	conf_free(c);
}

static void count(unsigned i, unsigned worker, const char *user, uint64_t bytes)
{
	struct session s = { .worker = (uint16_t)worker,
			     .listener = 1,
			     .protocol = PROTOCOL_SOCKS5,
			     .outcome = OUTCOME_CLOSED,
			     .bytes_up = bytes,
			     .bytes_down = 2 * bytes,
			     .started_ms = 1000,
			     .ended_ms = 1020,
			     .method = user ? AUTH_PASSWORD : AUTH_NONE };

	if (user) {
		s.user_len = (uint8_t)strlen(user);
		memcpy(s.user, user, s.user_len);
	}
	tally_end(&p[i].metrics.proxy, &s, true);
}

static void add(const struct segment *s, bool lives)
{
	metrics_done(&m);
	metrics_add(&m, s, lives);
	ck_assert_int_eq(metrics_settle(&m), 0);
}

static uint64_t sessions(unsigned outcome)
{
	ck_assert_uint_eq(m.listener_count, 1);
	ck_assert_str_eq(m.listeners[0].name, c->listeners[0].name);
	return m.listeners[0].n.sessions[PROTOCOL_SOCKS5][outcome];
}

START_TEST(sessions_of_all_workers_are_added_up)
{
	count(0, 0, NULL, 10);
	count(0, 1, NULL, 5);
	add(p[0].segment, true);
	ck_assert_uint_eq(sessions(OUTCOME_CLOSED), 2);
	ck_assert_uint_eq(m.listeners[0].n.bytes_up, 15);
	ck_assert_uint_eq(m.listeners[0].n.bytes_down, 30);
	ck_assert_uint_eq(m.listeners[0].n.took[HISTOGRAM_SESSION].sum_ms, 40);
	ck_assert_uint_eq(m.user_count, 0);
}
END_TEST

START_TEST(users_beyond_the_bound_are_others)
{
	static const char *const names[] = { "ann", "bob", "eve", "bob" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		count(0, i % 2, names[i], 1);
	add(p[0].segment, true);
	ck_assert_uint_eq(m.user_count, 2);
	ck_assert_uint_eq(m.users[0].name_len, 3);
	ck_assert_mem_eq(m.users[1].name, "bob", 3);
	ck_assert_uint_eq(m.users[1].sessions, 2);
	ck_assert_uint_eq(m.others.sessions, 1);
}
END_TEST

START_TEST(who_only_says_who_he_is_has_no_place)
{
	struct session s = { .listener = 1, .user_len = 3, .user = "abc" };

	tally_end(&p[0].metrics.proxy, &s, false);
	add(p[0].segment, true);
	ck_assert_uint_eq(m.user_count, 0);
	ck_assert_uint_eq(m.others.sessions, 0);
}
END_TEST

START_TEST(the_dead_stay_counted)
{
	struct segment *one = NULL, *both = NULL;

	count(0, 0, "ann", 10);
	count(1, 1, "ann", 7);
	p[0].metrics.names[1].hits = 3;
	p[0].metrics.usage[0].tls_handshakes = 2;
	p[0].metrics.usage[0].pipes = 9;
	ck_assert_int_eq(metrics_bury(&one, NULL, p[0].segment), 0);
	ck_assert_ptr_nonnull(one);
	ck_assert_int_eq(metrics_bury(&both, one, p[1].segment), 0);
	add(both, false);
	ck_assert_uint_eq(sessions(OUTCOME_CLOSED), 2);
	ck_assert_uint_eq(m.user_count, 1);
	ck_assert_uint_eq(m.users[0].bytes_up, 17);
	ck_assert_uint_eq(m.names.hits, 3);
	ck_assert_uint_eq(m.usage.tls_handshakes, 2);
	ck_assert_uint_eq(m.usage.pipes, 0);
	/* The first one is as it was, for whoever looks at it still. */
	add(one, false);
	ck_assert_uint_eq(sessions(OUTCOME_CLOSED), 1);
	segment_free(one);
	segment_free(both);
}
END_TEST

START_TEST(sessions_that_nobody_has_closed_are_lost)
{
	struct segment *after = NULL;
	struct sessions *table;
	struct session *one;

	ck_assert_int_eq(sessions_new(&table, 2, 4, p[0].sessions, 1), 0);
	one = sessions_open(table, 1);
	ck_assert_ptr_nonnull(one);
	one->protocol = PROTOCOL_SOCKS5;
	one->listener = 1;
	one->bytes_up = 4;
	ck_assert_int_eq(metrics_bury(&after, NULL, p[0].segment), 0);
	add(after, false);
	ck_assert_uint_eq(sessions(METRICS_LOST), 1);
	ck_assert_uint_eq(m.listeners[0].n.bytes_up, 4);
	sessions_close(table, one);
	sessions_free(table);
	segment_free(after);
}
END_TEST

START_TEST(without_such_tables_there_is_nothing)
{
	struct segment *after = NULL;
	struct published none;

	c->admin.http.count = 0;
	ck_assert_int_eq(publish_init(&none, c, 3, 1, 16), 0);
	ck_assert_ptr_null(none.metrics.proxy.listeners);
	ck_assert_int_eq(metrics_bury(&after, NULL, none.segment), 0);
	ck_assert_ptr_null(after);
	add(none.segment, true);
	ck_assert_uint_eq(m.listener_count, 0);
	publish_done(&none);
}
END_TEST

START_TEST(tables_that_make_no_sense_are_left_out)
{
	const struct segment_spec specs[] = {
		{ "listeners", sizeof(struct table_name), 3 },
		{ "by-listener", sizeof(struct listener_counts), 3 },
		{ "by-user", sizeof(struct user_counts), 3 },
		{ "by-parent", sizeof(struct parent_counts), 1 },
	};
	struct parent_counts *parent;
	struct table_name *names;
	struct user_counts *users;
	struct segment *s = NULL;
	uint32_t n;

	ck_assert_int_eq(segment_new(&s, specs, ARRAY_SIZE(specs)), 0);
	names = segment_table(s, "listeners", sizeof(*names), &n);
	memset(names, 'x', n * sizeof(*names));
	users = segment_table(s, "by-user", sizeof(*users), &n);
	for (uint32_t i = 0; i < n; i++)
		users[i] = (struct user_counts){ .taken = 2, .name_len = 999 };
	parent = segment_table(s, "by-parent", sizeof(*parent), &n);
	memset(parent, 'y', sizeof(*parent));
	add(s, true);
	ck_assert_uint_eq(m.listener_count, 0); /* 3 rows for 2 listeners */
	ck_assert_uint_eq(m.user_count, 0);
	ck_assert_uint_eq(m.parent_count, 1);
	ck_assert_uint_eq(strlen(m.parents[0].n.upstream), 63);
	segment_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sessions_of_all_workers_are_added_up);
	tcase_add_test(t, users_beyond_the_bound_are_others);
	tcase_add_test(t, who_only_says_who_he_is_has_no_place);
	tcase_add_test(t, the_dead_stay_counted);
	tcase_add_test(t, sessions_that_nobody_has_closed_are_lost);
	tcase_add_test(t, without_such_tables_there_is_nothing);
	tcase_add_test(t, tables_that_make_no_sense_are_left_out);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
