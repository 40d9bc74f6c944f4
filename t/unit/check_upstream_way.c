/*
 * Groups of parents without any network: whose turn it is, how long one that
 * failed is left alone, what sessions count.
 */
#include "daemon/proxy/upstream_way.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define PARENTS  4u
#define RETRY_MS 1000
#define SLACK_MS 1

static struct upstream_parent parents[PARENTS];
static struct upstream_group group;
static struct upstreams *all;
static struct group_state *state;
static unsigned told_failed, told_well;
static struct loop *loop; /* for the time, which stands still */

static void told(void *ctx, const struct upstream_news *n)
{
	(void)ctx;
	ck_assert_ptr_eq(n->group, &group);
	ck_assert_ptr_nonnull(n->said);
	if (n->why == OUTCOME_NONE)
		told_well++;
	else
		told_failed++;
}

static void make(enum upstream_policy policy)
{
	static const char *const hosts[PARENTS] = { "a.example", "b.example",
						    "c.example", "d.example" };
	struct upstream_options o = { .groups = &group,
				      .count = 1,
				      .told = told };

	for (unsigned i = 0; i < PARENTS; i++)
		parents[i] = (struct upstream_parent){
			.scheme = i == 3 ? UPSTREAM_HTTP : UPSTREAM_SOCKS5,
			.at = { .host = hosts[i], .port = 1080 },
			.user = "me",
			.password = "secret",
		};
	group = (struct upstream_group){ .name = "g",
					 .parents = parents,
					 .count = PARENTS,
					 .policy = policy,
					 .retry_ms = RETRY_MS };
	told_failed = told_well = 0;
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(upstreams_new(&all, &o), 0);
	state = upstream_group(all, 1);
	ck_assert_ptr_nonnull(state);
	ck_assert_ptr_null(upstream_group(all, 0));
	ck_assert_ptr_null(upstream_group(all, 2));
}

static void done(void)
{
	upstreams_free(all);
	loop_free(TAKE_PTR(loop));
}

static void order_of(uint8_t *order, const char *host)
{
	struct tcp_addr client;
	struct parent_target t = { .host = host, .port = 80 };
	unsigned seen = 0;

	ck_assert_int_eq(tcp_addr_parse(&client, "192.0.2.7:5000", -1), 0);
	upstream_order(state, &client, &t, order);
	for (unsigned i = 0; i < PARENTS; i++)
		seen |= 1u << order[i];
	ck_assert_uint_eq(seen, 15);
}

static void lose(unsigned parent, enum parent_health health)
{
	struct upstream_way w = { .hop = parent };

	upstream_failed(state, health, &w, OUTCOME_PARENT_FAILED);
}

START_TEST(nothing_is_made_of_no_groups)
{
	struct upstream_options o = { .count = 0 };
	struct upstreams *u;

	ck_assert_int_eq(upstreams_new(&u, &o), 0);
	ck_assert_ptr_null(u);
	ck_assert_ptr_null(upstream_group(u, 1));
	ck_assert(!upstream_is_remote(u, 1));
	upstreams_free(u);
}
END_TEST

START_TEST(only_http_parents_have_a_field_for_the_login)
{
	make(UPSTREAM_FAILOVER);
	ck_assert_uint_eq(state->parent[0].login.len, 0);
	ck_assert_uint_gt(state->parent[3].login.len, 0);
	done();
}
END_TEST

START_TEST(failover_keeps_the_order)
{
	uint8_t order[UPSTREAM_PARENTS_MAX];

	make(UPSTREAM_FAILOVER);
	for (int i = 0; i < 3; i++) {
		order_of(order, "x");
		ck_assert_mem_eq(order, "\0\1\2\3", 4);
	}
	done();
}
END_TEST

START_TEST(turns_go_round_those_that_are_well)
{
	uint8_t order[UPSTREAM_PARENTS_MAX];
	unsigned first[PARENTS] = { 0 };

	make(UPSTREAM_ROUND_ROBIN);
	for (int i = 0; i < 8; i++) {
		order_of(order, "x");
		first[order[0]]++;
	}
	for (unsigned i = 0; i < PARENTS; i++)
		ck_assert_uint_eq(first[i], 2);
	lose(1, PARENT_WELL);
	memset(first, 0, sizeof(first));
	for (int i = 0; i < 9; i++) {
		order_of(order, "x");
		first[order[0]]++;
	}
	ck_assert_uint_eq(first[1], 0);
	ck_assert_uint_eq(first[2], 3);
	done();
}
END_TEST

START_TEST(whoever_has_fewest_comes_first)
{
	uint8_t order[UPSTREAM_PARENTS_MAX];
	struct session s = { .upstream = 1, .hop = 3 | SESSION_HOP_HELD };

	make(UPSTREAM_LEAST_CONNECTIONS);
	for (unsigned i = 0; i < PARENTS; i++)
		atomic_store(&state->parent[i].active, 4 - i);
	order_of(order, "x");
	ck_assert_mem_eq(order, "\3\2\1\0", 4);
	/* Given back once. */
	for (int i = 0; i < 3; i++)
		upstream_leave(all, &s);
	ck_assert_uint_eq(atomic_load(&state->parent[2].active), 1);
	ck_assert_uint_eq(s.hop, 3);
	s.hop = 99 | SESSION_HOP_HELD;
	upstream_leave(all, &s);
	done();
}
END_TEST

START_TEST(hashes_move_only_what_they_must)
{
	uint8_t before[100], order[UPSTREAM_PARENTS_MAX];
	unsigned first[PARENTS] = { 0 };
	char host[16];

	make(UPSTREAM_HASH_TARGET);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(host, sizeof(host), "host%d", i);
		order_of(order, host);
		before[i] = order[0];
		first[order[0]]++;
	}
	for (unsigned i = 0; i < PARENTS; i++)
		ck_assert_uint_gt(first[i], 10);
	done();
	make(UPSTREAM_HASH_TARGET);
	group.count = PARENTS - 1; /* the last one is gone */
	for (int i = 0; i < 100; i++) {
		struct parent_target t = { .host = host };

		(void)snprintf(host, sizeof(host), "host%d", i);
		upstream_order(state, NULL, &t, order);
		if (before[i] != PARENTS - 1)
			ck_assert_uint_eq(order[0], before[i]);
	}
	group.count = PARENTS;
	done();
}
END_TEST

START_TEST(one_that_failed_is_left_alone_and_tried_by_one)
{
	int64_t now;

	make(UPSTREAM_FAILOVER);
	now = tcp_deadline(0);
	ck_assert_int_eq(upstream_health(state, 0, now), PARENT_WELL);
	/* Many see it; one counts. */
	for (int i = 0; i < 5; i++)
		lose(0, PARENT_WELL);
	ck_assert_uint_eq(told_failed, 1);
	ck_assert(!upstream_seems_well(state, 0));
	ck_assert_int_eq(upstream_health(state, 0, now + RETRY_MS - SLACK_MS),
			 PARENT_FAILING);
	now += RETRY_MS + SLACK_MS;
	ck_assert_int_eq(upstream_health(state, 0, now), PARENT_TRIED);
	ck_assert_int_eq(upstream_health(state, 0, now), PARENT_FAILING);
	upstream_is_well(state, 0);
	upstream_is_well(state, 0);
	ck_assert_uint_eq(told_well, 1);
	ck_assert_int_eq(upstream_health(state, 0, now), PARENT_WELL);
	done();
}
END_TEST

START_TEST(who_says_nothing_is_suspected_once_unless_others_heard_of_him)
{
	int64_t now;

	make(UPSTREAM_FAILOVER);
	now = tcp_deadline(0);
	ck_assert(upstream_suspect(state, 0, now));
	/* Somebody is at it; of others it says nothing. */
	ck_assert(!upstream_suspect(state, 0, now));
	ck_assert(upstream_suspect(state, 1, now));
	upstream_suspected(state, 0);
	ck_assert(upstream_suspect(state, 0, now));
	upstream_suspected(state, 0);
	upstream_heard(state, 0);
	ck_assert(!upstream_suspect(state, 0, now));
	ck_assert(upstream_suspect(state, 0, now + 1));
	done();
}
END_TEST

START_TEST(who_is_heard_is_well)
{
	make(UPSTREAM_FAILOVER);
	lose(0, PARENT_WELL);
	upstream_is_silent(state, 0);
	upstream_heard(state, 0);
	ck_assert(upstream_seems_well(state, 0));
	ck_assert(!upstream_owes_answer(state, 0));
	ck_assert_uint_eq(told_well, 1);
	done();
}
END_TEST

START_TEST(the_back_off_doubles_to_five_minutes)
{
	int64_t wait = RETRY_MS, now;

	make(UPSTREAM_FAILOVER);
	lose(0, PARENT_WELL);
	for (int i = 0; i < 20; i++) {
		lose(0, PARENT_TRIED);
		wait = min_i64(wait * 2, 300000);
		now = tcp_deadline(0);
		ck_assert_int_eq(
			upstream_health(state, 0, now + wait - SLACK_MS),
			PARENT_FAILING);
	}
	ck_assert_int_eq(wait, 300000);
	ck_assert_int_eq(upstream_health(state, 0, now + wait + SLACK_MS),
			 PARENT_TRIED);
	ck_assert_uint_eq(told_failed, 1);
	done();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("upstream_way");
	TCase *t = tcase_create("all");

	tcase_add_test(t, nothing_is_made_of_no_groups);
	tcase_add_test(t, only_http_parents_have_a_field_for_the_login);
	tcase_add_test(t, failover_keeps_the_order);
	tcase_add_test(t, turns_go_round_those_that_are_well);
	tcase_add_test(t, whoever_has_fewest_comes_first);
	tcase_add_test(t, hashes_move_only_what_they_must);
	tcase_add_test(t, one_that_failed_is_left_alone_and_tried_by_one);
	tcase_add_test(
		t,
		who_says_nothing_is_suspected_once_unless_others_heard_of_him);
	tcase_add_test(t, who_is_heard_is_well);
	tcase_add_test(t, the_back_off_doubles_to_five_minutes);
	suite_add_tcase(s, t);
	return run_suite(s);
}
