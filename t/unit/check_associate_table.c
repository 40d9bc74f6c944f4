/*
 * The table of contacts: what it remembers, what it forgets first, and that it
 * stays within its bounds.
 */
#include "daemon/proxy/associate_table.h"

#include "t/unit/suite.h"

#include <string.h>

static struct siphash_key key = { { 1, 2 } };
static struct budget budget;
static struct contacts table;

static void setup(void)
{
	budget = (struct budget){ .max = 1 << 20 };
	contacts_init(&table, &budget, &key);
}

static void teardown(void)
{
	contacts_done(&table);
	ck_assert_uint_eq(budget.used, 0);
	contacts_done(&table);
}

static struct tcp_addr host(uint32_t n, uint16_t port)
{
	uint8_t ip[4] = { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			  (uint8_t)n };
	struct tcp_addr a;

	addr_set(&a, AF_INET, ip, port);
	return a;
}

static void mark(uint32_t n)
{
	struct tcp_addr a = host(n, 80);

	ck_assert_int_eq(contacts_mark(&table, &a), 0);
}

static bool has(uint32_t n, uint16_t port)
{
	struct tcp_addr a = host(n, port);

	return contacts_has(&table, &a);
}

static void note(uint32_t n, uint16_t port, bool allowed)
{
	struct tcp_addr a = host(n, port);

	contacts_note(&table, &a, allowed);
}

static int verdict(uint32_t n, uint16_t port)
{
	struct tcp_addr a = host(n, port);

	return contacts_verdict(&table, &a);
}

START_TEST(nobody_is_known_at_first_and_nothing_is_held)
{
	ck_assert(!has(1, 80));
	ck_assert_int_eq(verdict(1, 80), -ENOENT);
	ck_assert_uint_eq(budget.used, 0);
}
END_TEST

START_TEST(whom_something_was_sent_to_may_reply_from_any_port)
{
	mark(1);
	ck_assert(has(1, 80));
	ck_assert(has(1, 81));
	ck_assert(!has(2, 80));
}
END_TEST

START_TEST(a_verdict_is_one_of_a_port_and_allows_no_reply)
{
	note(1, 80, true);
	note(1, 25, false);
	ck_assert_int_eq(verdict(1, 80), 1);
	ck_assert_int_eq(verdict(1, 25), 0);
	ck_assert_int_eq(verdict(1, 81), -ENOENT);
	ck_assert_int_eq(verdict(2, 80), -ENOENT);
	ck_assert(!has(1, 80));
	note(1, 80, false);
	ck_assert_int_eq(verdict(1, 80), 0);
}
END_TEST

START_TEST(verdicts_are_forgotten_and_contacts_are_not)
{
	mark(1);
	note(1, 80, true);
	note(2, 80, false);
	contacts_forget_verdicts(&table);
	ck_assert_int_eq(verdict(1, 80), -ENOENT);
	ck_assert_int_eq(verdict(2, 80), -ENOENT);
	ck_assert(has(1, 53) && !has(2, 80));
	note(1, 80, false);
	ck_assert_int_eq(verdict(1, 80), 0);
}
END_TEST

START_TEST(all_ports_of_a_host_take_one_entry)
{
	for (uint32_t port = 1; port < 65536; port++)
		note(1, (uint16_t)port, port % 3 == 0);
	ck_assert_uint_eq(table.count, 1);
	for (uint32_t port = 65531; port < 65536; port++)
		ck_assert_int_eq(verdict(1, (uint16_t)port), port % 3 == 0);
	ck_assert_int_eq(verdict(1, 65530), -ENOENT);
}
END_TEST

START_TEST(ipv4_and_ipv6_do_not_meet)
{
	static const uint8_t ip[16] = { [12] = 10, [15] = 1 };
	struct tcp_addr a;

	addr_set(&a, AF_INET6, ip, 80);
	mark(1);
	ck_assert(!contacts_has(&table, &a));
}
END_TEST

START_TEST(it_grows_to_its_bound_and_then_forgets_the_oldest)
{
	for (uint32_t i = 0; i < CONTACTS_MAX; i++) {
		mark(i);
		ck_assert(has(0, 80));
	}
	ck_assert_uint_eq(table.size, CONTACTS_MAX);
	ck_assert_uint_eq(table.lost, 0);
	for (uint32_t i = 0; i < 3 * CONTACTS_MAX; i++) {
		mark(CONTACTS_MAX + i);
		ck_assert(!has(i, 80));
		ck_assert(has(i + 1, 80));
		ck_assert(has(CONTACTS_MAX + i, 80));
		ck_assert_uint_eq(table.lost, i + 1);
	}
	ck_assert_uint_eq(table.size, CONTACTS_MAX);
	ck_assert_uint_le(budget.used, 48 << 10);
}
END_TEST

START_TEST(without_memory_it_stays_small)
{
	mark(0);
	budget.max = budget.used;
	for (uint32_t i = 1; i < 100; i++) {
		mark(i);
		ck_assert(has(i, 80));
	}
	ck_assert_uint_eq(table.size, 16);
	ck_assert(has(84, 80));
	ck_assert(!has(83, 80));
	/* It grows as soon as there is some, at its next beginning. */
	budget.max = 1 << 20;
	for (uint32_t i = 100; i < 200; i++)
		mark(i);
	ck_assert_uint_gt(table.size, 16);
	ck_assert(has(199, 80));
	ck_assert(has(150, 80));
}
END_TEST

START_TEST(without_any_memory_nobody_is_remembered)
{
	struct tcp_addr a = host(1, 80);

	budget.max = 0;
	ck_assert_int_eq(contacts_mark(&table, &a), -ENOMEM);
	contacts_note(&table, &a, true);
	ck_assert(!has(1, 80));
	ck_assert_int_eq(verdict(1, 80), -ENOENT);
}
END_TEST

START_TEST(budgets_are_exact)
{
	struct budget b = { .max = 10 };

	ck_assert(budget_take(&b, 4));
	ck_assert(!budget_take(&b, 7));
	ck_assert(!budget_take(&b, SIZE_MAX));
	ck_assert(budget_take(&b, 6));
	ck_assert(!budget_take(&b, 1));
	ck_assert(budget_take(&b, 0));
	budget_give(&b, 10);
	ck_assert_uint_eq(b.used, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("associate_table");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nobody_is_known_at_first_and_nothing_is_held);
	tcase_add_test(t, whom_something_was_sent_to_may_reply_from_any_port);
	tcase_add_test(t, a_verdict_is_one_of_a_port_and_allows_no_reply);
	tcase_add_test(t, verdicts_are_forgotten_and_contacts_are_not);
	tcase_add_test(t, all_ports_of_a_host_take_one_entry);
	tcase_add_test(t, ipv4_and_ipv6_do_not_meet);
	tcase_add_test(t, it_grows_to_its_bound_and_then_forgets_the_oldest);
	tcase_add_test(t, without_memory_it_stays_small);
	tcase_add_test(t, without_any_memory_nobody_is_remembered);
	tcase_add_test(t, budgets_are_exact);
	suite_add_tcase(s, t);
	return run_suite(s);
}
