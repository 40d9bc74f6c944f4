/*
 * The steps of a session: what it is counted for, that all of it is given
 * back, and that other generations count.
 */
#include "daemon/proxy/limits.h"

#include "daemon/proxy/limits_steps.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SLOTS 16

static const uint32_t listener_bounds[] = { 0, 4 };
static struct rule_action client_actions[2], actions[3];
static struct limits_setup s;
static struct limits *l;
static struct tcp_addr client[3];

static void setup(void)
{
	memset(client_actions, 0, sizeof(client_actions));
	memset(actions, 0, sizeof(actions));
	s = (struct limits_setup){
		.options = {
			.client_prefix4 = 24,
			.client_prefix6 = 60,
			.listeners = listener_bounds,
			.listener_count = ARRAY_SIZE(listener_bounds),
		},
		.client_rules = { client_actions, ARRAY_SIZE(client_actions) },
		.rules = { actions, ARRAY_SIZE(actions) },
		.workers = 2,
		.slots = SLOTS,
	};
	ck_assert_int_eq(tcp_addr_parse(&client[0], "10.1.1.1", 1), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[1], "10.1.1.200", 2), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[2], "10.1.2.1", 3), 0);
}

static void teardown(void)
{
	limits_free(l);
	l = NULL;
}

static void start(void)
{
	ck_assert_int_eq(limits_new(&l, &s), 0);
	ck_assert_ptr_nonnull(l);
}

static enum outcome admit_by(unsigned number, uint16_t listener, uint16_t rule,
			     unsigned *ticket)
{
	struct limits_who who = { &client[number], listener, rule };

	return limits_admit(l, 0, &who, 1000, ticket);
}

static enum outcome admit(unsigned number)
{
	unsigned ticket;

	return admit_by(number, 1, 1, &ticket);
}

/* A session of client 0 in a slot. */
static enum outcome begin(uint32_t slot)
{
	struct limits_who who = { &client[0], 2, 1 };
	unsigned ticket;
	enum outcome o = limits_admit(l, 0, &who, 1000, &ticket);

	if (o == OUTCOME_NONE)
		limits_begin(l, slot, ticket);
	return o;
}

static void end(uint32_t slot)
{
	struct limits_who who = { &client[0], 2, 1 };

	limits_end(l, slot, &who);
}

static struct limits_session session(uint32_t slot, const char *user)
{
	return (struct limits_session){
		.slot = slot,
		.client = &client[0],
		.user = { (const uint8_t *)user, strlen(user) },
		.now_ms = 1000,
	};
}

static enum outcome user(uint32_t slot, const char *name)
{
	struct limits_session who = session(slot, name);

	return limits_user(l, &who);
}

static enum outcome rule(uint32_t slot, uint16_t number)
{
	struct limits_session who = session(slot, "");

	return limits_rule(l, &who, number);
}

START_TEST(without_bounds_there_are_no_limits)
{
	struct limits_who who = { &client[0], 1, 1 };
	unsigned ticket = 1;

	s.options.listener_count = 1;
	ck_assert_int_eq(limits_new(&l, &s), 0);
	ck_assert_ptr_null(l);
	ck_assert_int_eq(admit_by(0, 1, 1, &ticket), OUTCOME_NONE);
	ck_assert_uint_eq(ticket, 0);
	limits_leave(l, &who, 0);
	limits_begin(l, 1, 0);
	ck_assert_int_eq(user(1, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	end(1);
	ck_assert_int_eq(limits_set_others(l, NULL, 0), 0);
}
END_TEST

START_TEST(addresses_of_a_prefix_are_one_client)
{
	s.options.per_client = 2;
	start();
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(1), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_CLIENT);
	ck_assert_int_eq(admit(1), OUTCOME_LIMIT_CLIENT);
	ck_assert_int_eq(admit(2), OUTCOME_NONE);
}
END_TEST

START_TEST(networks_of_ipv6_are_one_client)
{
	s.options.per_client = 1;
	ck_assert_int_eq(tcp_addr_parse(&client[0], "2001:db8:0:10::1", 1), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[1], "2001:db8:0:1f::2", 1), 0);
	ck_assert_int_eq(tcp_addr_parse(&client[2], "2001:db8:0:20::1", 1), 0);
	start();
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(1), OUTCOME_LIMIT_CLIENT);
	ck_assert_int_eq(admit(2), OUTCOME_NONE);
}
END_TEST

START_TEST(who_has_no_address_is_no_client)
{
	s.options.per_client = 1;
	s.options.rate_per_client = (struct rate){ 1, 60000 };
	client[0] = (struct tcp_addr){ .family = AF_UNIX };
	start();
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(admit(0), OUTCOME_NONE);
}
END_TEST

START_TEST(who_leaves_makes_room)
{
	struct limits_who who = { &client[0], 1, 1 };
	unsigned ticket;

	s.options.per_client = 1;
	start();
	ck_assert_int_eq(admit_by(0, 1, 1, &ticket), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_CLIENT);
	limits_leave(l, &who, ticket);
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
}
END_TEST

START_TEST(a_session_gives_back_all_that_it_holds)
{
	s.options.per_client = s.options.per_user = 1;
	client_actions[0].sessions = client_actions[0].sessions_per_client = 1;
	actions[0].sessions = actions[0].sessions_per_client = 1;
	actions[0].sessions_per_user = 1;
	start();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(begin(5), OUTCOME_NONE);
		ck_assert_int_eq(user(5, "anna"), OUTCOME_NONE);
		ck_assert_int_eq(rule(5, 1), OUTCOME_NONE);
		ck_assert_int_eq(begin(6), OUTCOME_LIMIT_CLIENT);
		end(5);
		end(5);
	}
}
END_TEST

START_TEST(a_slot_forgets_who_had_it)
{
	actions[0].sessions_per_user = 1;
	start();
	ck_assert_int_eq(begin(5), OUTCOME_NONE);
	ck_assert_int_eq(user(5, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(5, 1), OUTCOME_NONE);
	end(5);
	/* Nobody has logged in: there is no bound for him. */
	ck_assert_int_eq(begin(5), OUTCOME_NONE);
	ck_assert_int_eq(rule(5, 1), OUTCOME_NONE);
	ck_assert_int_eq(begin(6), OUTCOME_NONE);
	ck_assert_int_eq(user(6, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(6, 1), OUTCOME_NONE);
	end(5);
	ck_assert_int_eq(begin(5), OUTCOME_NONE);
	ck_assert_int_eq(user(5, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(5, 1), OUTCOME_LIMIT_USER);
}
END_TEST

/* Each bound by itself lets two in, and says why not the third. */
static void expect_two(enum outcome why)
{
	start();
	for (uint32_t slot = 1; slot <= 3; slot++) {
		enum outcome o = begin(slot);

		if (o == OUTCOME_NONE)
			o = user(slot, "anna");
		if (o == OUTCOME_NONE)
			o = rule(slot, 1);
		ck_assert_int_eq(o, slot < 3 ? OUTCOME_NONE : why);
	}
	end(3);
	end(2);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	ck_assert_int_eq(user(2, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(2, 1), OUTCOME_NONE);
	teardown();
	setup();
}

START_TEST(the_next_request_keeps_what_was_admitted)
{
	struct limits_who who = { &client[0], 2, 1 };

	s.options.per_client = 1;
	s.options.per_user = 1;
	actions[0].sessions = 1;
	start();
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	ck_assert_int_eq(user(1, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	limits_next(l, 1, &who);
	ck_assert_int_eq(begin(2), OUTCOME_LIMIT_CLIENT);
	/* User and rule are free, for this slot and any other. */
	ck_assert_int_eq(user(1, "anna"), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	ck_assert_int_eq(user(3, "anna"), OUTCOME_LIMIT_USER);
	ck_assert_int_eq(rule(3, 1), OUTCOME_LIMIT_RULE);
	limits_end(l, 1, &who);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	limits_next(NULL, 1, &who);
}
END_TEST

START_TEST(each_bound_has_its_reason)
{
	client_actions[0].sessions = 2;
	expect_two(OUTCOME_LIMIT_RULE);
	client_actions[0].sessions_per_client = 2;
	expect_two(OUTCOME_LIMIT_CLIENT);
	s.options.per_user = 2;
	expect_two(OUTCOME_LIMIT_USER);
	actions[0].sessions = 2;
	expect_two(OUTCOME_LIMIT_RULE);
	actions[0].sessions_per_client = 2;
	expect_two(OUTCOME_LIMIT_CLIENT);
	actions[0].sessions_per_user = 2;
	expect_two(OUTCOME_LIMIT_USER);
}
END_TEST

START_TEST(a_listener_has_a_bound_over_all_clients)
{
	unsigned ticket;

	start();
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(admit_by(i % 3, 2, 1, &ticket), OUTCOME_NONE);
	ck_assert_int_eq(admit_by(1, 2, 1, &ticket), OUTCOME_LIMIT_LISTENER);
	ck_assert_uint_eq(ticket, 0);
	ck_assert_int_eq(admit_by(1, 1, 1, &ticket), OUTCOME_NONE);
}
END_TEST

START_TEST(what_was_counted_before_a_refusal_is_given_back)
{
	unsigned ticket;

	s.options.per_client = 2;
	client_actions[1].sessions = 1;
	start();
	ck_assert_int_eq(admit_by(2, 1, 2, &ticket), OUTCOME_NONE);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(admit_by(0, 1, 2, &ticket),
				 OUTCOME_LIMIT_RULE);
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_CLIENT);
}
END_TEST

START_TEST(a_session_counts_for_one_rule)
{
	actions[0].sessions = actions[1].sessions = 1;
	start();
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	ck_assert_int_eq(rule(2, 2), OUTCOME_NONE);
	/* Full: it keeps what it has. */
	ck_assert_int_eq(rule(1, 2), OUTCOME_LIMIT_RULE);
	ck_assert_int_eq(begin(3), OUTCOME_NONE);
	ck_assert_int_eq(rule(3, 1), OUTCOME_LIMIT_RULE);
	end(2);
	ck_assert_int_eq(rule(1, 2), OUTCOME_NONE);
	ck_assert_int_eq(rule(3, 1), OUTCOME_NONE);
	/* One that has no bound. */
	ck_assert_int_eq(rule(3, 3), OUTCOME_NONE);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	ck_assert_int_eq(rule(2, 1), OUTCOME_NONE);
}
END_TEST

START_TEST(rates_refuse_and_forget)
{
	struct limits_who who = { &client[0], 1, 1 };
	unsigned ticket;

	s.options.rate_per_client = (struct rate){ 2, 1000 };
	start();
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(1), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_RATE);
	ck_assert_int_eq(admit(2), OUTCOME_NONE);
	ck_assert_int_eq(limits_admit(l, 0, &who, 1500, &ticket), OUTCOME_NONE);
	ck_assert_int_eq(limits_admit(l, 0, &who, 1500, &ticket),
			 OUTCOME_LIMIT_RATE);
}
END_TEST

START_TEST(a_refusal_uses_up_no_rate)
{
	struct limits_session who = session(1, "");
	unsigned ticket;

	/* The broader rate refuses: the narrower one is not charged. */
	s.options.rate_per_client = (struct rate){ 3, 60000 };
	client_actions[1].rate = (struct rate){ 1, 60000 };
	client_actions[0].sessions = 1;
	actions[0].rate = actions[0].rate_per_client = (struct rate){ 1,
								      60000 };
	start();
	ck_assert_int_eq(admit_by(2, 1, 2, &ticket), OUTCOME_NONE);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(admit_by(0, 1, 2, &ticket),
				 OUTCOME_LIMIT_RATE);
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(admit(0), OUTCOME_LIMIT_RULE);
	end(1);
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	end(1);
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	ck_assert_int_eq(limits_rule(l, &who, 1), OUTCOME_NONE);
	end(1);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_RATE);
}
END_TEST

START_TEST(whom_another_rule_takes_uses_up_no_rate_of_the_first)
{
	actions[0].rate = (struct rate){ 1, 60000 };
	actions[1].rate = (struct rate){ 2, 60000 };
	start();
	/* Another address of the name wins the race. */
	for (uint32_t slot = 1; slot <= 2; slot++) {
		ck_assert_int_eq(begin(slot), OUTCOME_NONE);
		ck_assert_int_eq(rule(slot, 1), OUTCOME_NONE);
		ck_assert_int_eq(rule(slot, 2), OUTCOME_NONE);
		end(slot);
	}
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	ck_assert_int_eq(rule(2, 1), OUTCOME_LIMIT_RATE);
	ck_assert_int_eq(rule(2, 2), OUTCOME_LIMIT_RATE);
}
END_TEST

START_TEST(refusals_are_counted)
{
	struct limits_about about = { 0 };
	static struct limits_count counts[64] __attribute__((aligned(64)));
	static struct limits_rate rates[64] __attribute__((aligned(64)));

	s.memory = (struct limits_table){ .about = &about,
					  .counts = counts,
					  .rates = rates,
					  .count = 64,
					  .rate_count = 64 };
	s.options.per_client = 1;
	s.options.rate_per_client = (struct rate){ 1, 60000 };
	start();
	ck_assert_int_eq(admit(0), OUTCOME_NONE);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_CLIENT);
	ck_assert_uint_eq(about.refused[LIMITS_CLIENT], 1);
	limits_leave(l, &(struct limits_who){ &client[0], 1, 1 }, 1);
	ck_assert_int_eq(admit(0), OUTCOME_LIMIT_RATE);
	ck_assert_uint_eq(about.refused_rate[LIMITS_CLIENT], 1);
	/* None of those who come now finds a place. */
	for (int i = 0; i < 64; i++) {
		counts[i].word = 1;
		rates[i] = (struct limits_rate){ .key = 1,
						 .next_ns = INT64_MAX };
	}
	ck_assert_int_eq(admit(2), OUTCOME_NONE);
	ck_assert_int_eq(admit(2), OUTCOME_NONE);
	ck_assert_uint_eq(about.uncounted, 4);
}
END_TEST

/* --- Generations -------------------------------------------------------- */

/* Tables with nothing in them but what a test puts there. */
struct other {
	struct limits_about about;
	struct limits_count counts[64];
	struct limits_label labels[64];
	struct limits_rate rates[64];
} __attribute__((aligned(64)));

static struct other memory[2];

static struct limits_table table_of(struct other *o)
{
	return (struct limits_table){ .about = &o->about,
				      .counts = o->counts,
				      .labels = o->labels,
				      .rates = o->rates,
				      .count = 64,
				      .rate_count = 64 };
}

START_TEST(counts_and_rates_of_another_generation_hold)
{
	static const char *const rules[] = { "a", "b", "c" };
	static const char *const moved[] = { "x", "a", "c" };
	struct limits_who who = { &client[0], 2, 1 };
	struct limits_table all[2];
	struct limits *old;

	memset(memory, 0, sizeof(memory));
	s.memory = all[0] = table_of(&memory[0]);
	s.options.per_client = 3;
	s.options.rule_names = rules;
	s.options.rate_per_client = (struct rate){ 4, 60000 };
	actions[0].sessions = actions[1].sessions = 2;
	start();
	ck_assert_int_eq(begin(1), OUTCOME_NONE);
	ck_assert_int_eq(begin(2), OUTCOME_NONE);
	ck_assert_int_eq(rule(1, 1), OUTCOME_NONE);
	old = l;
	s.memory = table_of(&memory[1]);
	s.options.rule_names = moved;
	start();
	limits_use_key(l, &memory[0].about.key);
	ck_assert_int_eq(limits_set_others(l, all, 1), 0);
	ck_assert_int_eq(begin(3), OUTCOME_NONE);
	ck_assert_int_eq(begin(4), OUTCOME_LIMIT_CLIENT);
	ck_assert_int_eq(rule(3, 2), OUTCOME_NONE);
	limits_end(old, 2, &who);
	ck_assert_int_eq(begin(4), OUTCOME_NONE);
	/* "a" is full; what has the number that "a" had is not. */
	ck_assert_int_eq(rule(4, 2), OUTCOME_LIMIT_RULE);
	ck_assert_int_eq(rule(4, 1), OUTCOME_NONE);
	limits_end(old, 1, &who);
	ck_assert_int_eq(rule(4, 2), OUTCOME_NONE);
	end(3);
	ck_assert_int_eq(begin(3), OUTCOME_LIMIT_RATE);
	ck_assert_int_eq(limits_set_others(l, NULL, 0), 0);
	limits_free(old);
}
END_TEST

static atomic_bool stop;

static void *ask_all_the_time(void *arg)
{
	struct limits_who who = { &client[2], 1, 1 };
	unsigned worker = (unsigned)(uintptr_t)arg;

	while (!stop) {
		unsigned ticket;

		if (limits_admit(l, worker, &who, 1000, &ticket) ==
		    OUTCOME_NONE)
			limits_leave(l, &who, ticket);
	}
	return NULL;
}

START_TEST(a_generation_can_go_while_it_is_looked_at)
{
	pthread_t thread[2];

	s.options.per_client = 1000;
	start();
	for (uintptr_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL,
						ask_all_the_time, (void *)i),
				 0);
	for (int i = 0; i < 1000; i++) {
		struct other *gone = aligned_alloc(64, sizeof(*gone));
		struct limits_table t;

		ck_assert_ptr_nonnull(gone);
		memset(gone, 0, sizeof(*gone));
		t = table_of(gone);
		ck_assert_int_eq(limits_set_others(l, &t, 1), 0);
		ck_assert_int_eq(limits_set_others(l, NULL, 0), 0);
		free(gone);
	}
	stop = true;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *c = tcase_create("limits");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, without_bounds_there_are_no_limits);
	tcase_add_test(c, addresses_of_a_prefix_are_one_client);
	tcase_add_test(c, networks_of_ipv6_are_one_client);
	tcase_add_test(c, who_has_no_address_is_no_client);
	tcase_add_test(c, who_leaves_makes_room);
	tcase_add_test(c, a_session_gives_back_all_that_it_holds);
	tcase_add_test(c, the_next_request_keeps_what_was_admitted);
	tcase_add_test(c, a_slot_forgets_who_had_it);
	tcase_add_test(c, each_bound_has_its_reason);
	tcase_add_test(c, a_listener_has_a_bound_over_all_clients);
	tcase_add_test(c, what_was_counted_before_a_refusal_is_given_back);
	tcase_add_test(c, a_session_counts_for_one_rule);
	tcase_add_test(c, rates_refuse_and_forget);
	tcase_add_test(c, a_refusal_uses_up_no_rate);
	tcase_add_test(c, whom_another_rule_takes_uses_up_no_rate_of_the_first);
	tcase_add_test(c, refusals_are_counted);
	tcase_add_test(c, counts_and_rates_of_another_generation_hold);
	tcase_add_test(c, a_generation_can_go_while_it_is_looked_at);
	suite_add_tcase(suite, c);
	return run_suite(suite);
}
