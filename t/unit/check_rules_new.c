/*
 * What rules are made of: specifications that make no sense, bounds, names.
 */
#include "daemon/proxy/rules.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int try_spec(struct rule_spec spec, bool client)
{
	struct rules *rules = NULL;
	int r = client ? rules_new(&rules, &spec, 1, NULL, 0, NULL)
		       : rules_new(&rules, NULL, 0, &spec, 1, NULL);

	ck_assert((r == 0) == (rules != NULL));
	rules_free(rules);
	return r;
}

static int try_match(struct rule_match m)
{
	return try_spec((struct rule_spec){ .to = &m, .to_count = 1 }, false);
}

START_TEST(nonsense_is_refused)
{
	static const char *const names[] = { "",    ".",     "..",
					     "a b", "*.a",   "a..b",
					     "..a", "127.1", "a/b" };
	const struct rule_match name = { .type = RULE_MATCH_NAME, .name = "a" };
	const struct port_range bad = { 2, 1 };
	const uint16_t zero = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(
			try_match((struct rule_match){ .type = RULE_MATCH_NAME,
						       .name = names[i] }),
			-EINVAL);
		ck_assert_int_eq(
			try_match((struct rule_match){
				.type = RULE_MATCH_SUFFIX, .name = names[i] }),
			-EINVAL);
	}
	ck_assert_int_eq(try_match((struct rule_match){ .type = 9 }), -EINVAL);
	ck_assert_int_eq(
		try_match((struct rule_match){ .type = RULE_MATCH_NAME }),
		-EINVAL);
	ck_assert_int_eq(try_match((struct rule_match){
				 .type = RULE_MATCH_CLASS, .class = 99 }),
			 -EINVAL);
	ck_assert_int_eq(
		try_match((struct rule_match){ .prefix = { .bits = 129 } }),
		-EINVAL);
	ck_assert_int_eq(try_match((struct rule_match){
				 .prefix = { .bits = 8, .v4 = true } }),
			 -EINVAL);
	ck_assert_int_eq(
		try_spec((struct rule_spec){ .from = &name, .from_count = 1 },
			 false),
		-EINVAL);
	ck_assert_int_eq(
		try_spec((struct rule_spec){ .to = &name, .to_count = 1 },
			 true),
		-EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .commands = 2 }, true),
			 -EINVAL);
	ck_assert_int_eq(
		try_spec((struct rule_spec){ .ports = &bad, .port_count = 1 },
			 false),
		-EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .listeners = &zero,
						      .listener_count = 1 },
				  true),
			 -EINVAL);
	ck_assert_int_eq(try_match(name), 0);
}
END_TEST

START_TEST(users_are_a_matter_of_clients)
{
	const char *const ids[] = { "alice", NULL };

	ck_assert_int_eq(try_spec((struct rule_spec){ .auth = 32 }, true),
			 -EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .auth = 1 }, false),
			 -EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .userids = ids,
						      .userid_count = 1 },
				  false),
			 -EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .userids = ids,
						      .userid_count = 2 },
				  true),
			 -EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .userids = ids,
						      .userid_count = 1,
						      .auth = 3 },
				  true),
			 0);
}
END_TEST

START_TEST(logins_are_a_matter_of_requests)
{
	const char *const names[] = { "alice", "", NULL };

	for (size_t n = 1; n < 4; n++) {
		struct rule_spec users = { .users = names, .user_count = n };
		struct rule_spec groups = { .groups = names, .group_count = n };
		int want = n == 1 ? 0 : -EINVAL;

		ck_assert_int_eq(try_spec(users, true), -EINVAL);
		ck_assert_int_eq(try_spec(groups, true), -EINVAL);
		ck_assert_int_eq(try_spec(users, false), want);
		ck_assert_int_eq(try_spec(groups, false), want);
	}
	ck_assert_int_eq(try_spec((struct rule_spec){ .protocols = 2 }, true),
			 -EINVAL);
	ck_assert_int_eq(try_spec((struct rule_spec){ .protocols = 2 }, false),
			 0);
	ck_assert_int_eq(
		try_match((struct rule_match){ .type = RULE_MATCH_LIST }),
		-EINVAL);
}
END_TEST

START_TEST(an_order_has_each_method_once)
{
	static const struct {
		uint32_t auth;
		uint8_t order[AUTH_METHODS], count;
		int want;
	} rows[] = {
		{ 3, { 1, 0 }, 2, 0 },        { 3, { 1 }, 1, 0 },
		{ 3, { 1, 1 }, 2, -EINVAL },  { 3, { 2 }, 1, -EINVAL },
		{ 15, { 3, 1, 2, 0 }, 4, 0 }, { 15, { 4 }, 1, -EINVAL },
		{ 15, { 200 }, 1, -EINVAL },  { 15, { 0 }, 5, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rule_spec s = { .auth = rows[i].auth,
				       .order_count = rows[i].count };

		memcpy(s.order, rows[i].order, sizeof(s.order));
		ck_assert_int_eq(try_spec(s, true), rows[i].want);
		ck_assert_int_eq(try_spec(s, false), -EINVAL);
	}
}
END_TEST

START_TEST(rules_are_counted_in_16_bits)
{
	struct rule_spec *specs = calloc(65536, sizeof(*specs));
	struct rules *rules = NULL;
	struct rule_query q = {
		.client = { .family = AF_INET },
		.target = { .family = AF_INET, .ip = { [12] = 8 } },
	};
	struct verdict v;

	ck_assert_ptr_nonnull(specs);
	ck_assert_int_eq(rules_new(&rules, NULL, 0, specs, 65536, NULL),
			 -E2BIG);
	specs[65534].allow = true;
	for (size_t i = 0; i < 65534; i++)
		specs[i].commands = 1u << 31;
	ck_assert_int_eq(rules_new(&rules, NULL, 0, specs, 65535, NULL), 0);
	v = rules_request(rules, &q);
	ck_assert(v.allow);
	ck_assert_uint_eq(v.rule, 65535);
	rules_free(rules);
	free(specs);
}
END_TEST

static bool may_be(const struct rules *r, uint16_t rule, const char *userid)
{
	return rules_client_userid(
		r, rule,
		(struct span){ (const uint8_t *)userid, strlen(userid) });
}

START_TEST(client_rules_say_how_a_client_says_who_it_is)
{
	const char *const ids[] = { "alice", "" };
	const struct rule_spec clients[] = {
		{ .allow = true },
		{ .auth = AUTH_BIT(AUTH_PASSWORD), .name = "staff" },
		{ .auth = AUTH_BIT(AUTH_NONE) | AUTH_BIT(AUTH_PASSWORD),
		  .userids = ids,
		  .userid_count = 2 },
		{ .userids = ids, .userid_count = 1 },
	};
	struct rules *r;

	ck_assert_int_eq(rules_new(&r, clients, 4, NULL, 0, NULL), 0);
	ck_assert_uint_eq(rules_client_auth(r, 1), 1);
	ck_assert_uint_eq(rules_client_auth(r, 2), 2);
	ck_assert_uint_eq(rules_client_auth(r, 3), 3);
	ck_assert(!rules_client_has_userids(r, 1) && may_be(r, 1, "anybody"));
	ck_assert(!rules_client_has_userids(r, 2) && may_be(r, 2, ""));
	ck_assert(rules_client_has_userids(r, 3) && may_be(r, 3, "alice"));
	ck_assert(may_be(r, 3, "") && !may_be(r, 3, "Alice"));
	ck_assert(!may_be(r, 3, "alic") && !may_be(r, 3, "alices"));
	ck_assert(may_be(r, 4, "alice") && !may_be(r, 4, ""));
	/* What no rule has said lets nobody pass. */
	for (uint16_t none = 0; none < 6; none += 5) {
		ck_assert_uint_eq(rules_client_auth(r, none), 2);
		ck_assert(rules_client_has_userids(r, none));
		ck_assert(!may_be(r, none, "alice") && !may_be(r, none, ""));
	}
	rules_free(r);
}
END_TEST

static void check_order(const struct rules *r, uint16_t rule, const char *want)
{
	static const char letters[] = "nwps";
	enum auth_method order[AUTH_METHODS];
	unsigned count = rules_client_order(r, rule, order);

	ck_assert_uint_eq(count, strlen(want));
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(letters[order[i]], want[i]);
}

START_TEST(methods_have_an_order)
{
	const struct rule_spec clients[] = {
		{ 0 },
		{ .auth = 15 },
		{ .auth = 3,
		  .order = { AUTH_PASSWORD, AUTH_NONE },
		  .order_count = 2 },
		{ .auth = 15,
		  .order = { AUTH_SYSTEM, AUTH_PAM },
		  .order_count = 2 },
	};
	struct rules *r;

	ck_assert_int_eq(rules_new(&r, clients, 4, NULL, 0, NULL), 0);
	check_order(r, 0, "w");
	check_order(r, 1, "n");
	check_order(r, 2, "nwps");
	check_order(r, 3, "wn");
	check_order(r, 4, "spnw");
	check_order(r, 5, "w");
	rules_free(r);
}
END_TEST

START_TEST(rules_have_names)
{
	const struct rule_spec clients[] = { { .name = "lan" } };
	const struct rule_spec requests[] = { { 0 }, { .name = "mail" } };
	struct rules *r;

	ck_assert_int_eq(rules_new(&r, clients, 1, requests, 2, NULL), 0);
	ck_assert_str_eq(rules_client_name(r, 1), "lan");
	ck_assert_str_eq(rules_client_name(r, 0), "");
	ck_assert_str_eq(rules_client_name(r, 2), "");
	ck_assert_str_eq(rules_request_name(r, 1), "");
	ck_assert_str_eq(rules_request_name(r, 2), "mail");
	ck_assert_str_eq(rules_request_name(r, 3), "");
	rules_free(r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules_new");
	TCase *t = tcase_create("all");

	tcase_add_test(t, nonsense_is_refused);
	tcase_add_test(t, users_are_a_matter_of_clients);
	tcase_add_test(t, rules_are_counted_in_16_bits);
	tcase_add_test(t, client_rules_say_how_a_client_says_who_it_is);
	tcase_add_test(t, logins_are_a_matter_of_requests);
	tcase_add_test(t, an_order_has_each_method_once);
	tcase_add_test(t, methods_have_an_order);
	tcase_add_test(t, rules_have_names);
	suite_add_tcase(s, t);
	return run_suite(s);
}
