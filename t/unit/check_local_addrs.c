/*
 * The table of this machine's addresses; changes are made in a network
 * namespace of the test's own, where it may make one.
 */
#include "core/local_addrs.h"

#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct local_addrs *table;
static unsigned changes;

static void teardown(void)
{
	local_addrs_free(table);
	table = NULL;
}

static void read_once(void)
{
	ck_assert_int_eq(local_addrs_new(&table, NULL), 0);
}

static bool has(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, text), 0);
	return local_addrs_has(table, &a);
}

START_TEST(the_loopback_interface_has_its_address)
{
	struct tcp_addr a, all[8];
	int count;

	read_once();
	ck_assert_int_eq(local_addrs_of(table, "lo", AF_INET, &a), 0);
	ck_assert(addr_is_loopback(&a));
	ck_assert_int_eq(a.family, AF_INET);
	ck_assert_uint_eq(a.port, 0);
	count = local_addrs_all(table, "lo", all, ARRAY_SIZE(all));
	ck_assert_int_ge(count, 1);
	ck_assert(addr_equal(&all[0], &a));
	/* The count does not depend on the room for them. */
	memset(all, 0, sizeof(all));
	ck_assert_int_eq(local_addrs_all(table, "lo", all, 0), count);
	ck_assert_int_eq(all[0].family, AF_UNSPEC);
}
END_TEST

START_TEST(this_machine_answers_on_loopback_and_any)
{
	read_once();
	ck_assert(has("127.0.0.1"));
	ck_assert(has("127.1.2.3"));
	ck_assert(has("::1"));
	ck_assert(has("0.0.0.0"));
	ck_assert(has("::"));
	ck_assert(!has("203.0.113.77"));
	ck_assert(!has("2001:db8::77"));
}
END_TEST

START_TEST(an_interface_that_does_not_exist_is_an_error)
{
	struct tcp_addr a;

	read_once();
	ck_assert_int_eq(local_addrs_of(table, "no-such-if", AF_INET, &a),
			 -ENODEV);
	ck_assert_int_eq(local_addrs_all(table, "no-such-if", &a, 1), -ENODEV);
	ck_assert_int_eq(local_addrs_of(table, "", AF_INET, &a), -ENODEV);
}
END_TEST

START_TEST(freeing_no_table_is_harmless)
{
	local_addrs_free(NULL);
}
END_TEST

/* --- Changes ------------------------------------------------------------ */

static void note_change(void *ctx)
{
	ck_assert_ptr_eq(ctx, &changes);
	changes++;
}

static void until(const char *text, bool expect)
{
	for (int i = 0; i < 2000 && has(text) != expect; i++)
		nap(5);
	ck_assert_msg(has(text) == expect, "%s", text);
}

static void ip(const char *arguments)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "ip %s", arguments);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void change_and_look(void)
{
	struct tcp_addr a, all[4];

	ck_assert_int_eq(local_addrs_new(&table, loop_self()), 0);
	local_addrs_on_change(table, note_change, &changes);
	ck_assert_int_eq(local_addrs_of(table, "lo", AF_INET, &a),
			 -EADDRNOTAVAIL);
	ck_assert(!has("192.0.2.1"));
	ip("link set lo up");
	ip("address del 127.0.0.1/8 dev lo");
	ip("address add 192.0.2.1/24 dev lo scope link");
	until("192.0.2.1", true);
	ck_assert_uint_ge(changes, 1);
	/* A global address is preferred, though it came later. */
	ip("address add 198.51.100.1/24 dev lo");
	until("198.51.100.1", true);
	ck_assert_int_eq(local_addrs_of(table, "lo", AF_INET, &a), 0);
	ck_assert_int_eq(addr_parse_ip(&all[0], "198.51.100.1"), 0);
	ck_assert(addr_equal(&a, &all[0]));
	ck_assert_int_eq(local_addrs_of(table, "lo", AF_INET6, &a), 0);
	ck_assert(addr_is_loopback(&a));
	ck_assert_int_eq(local_addrs_all(table, "lo", all, 4), 3);
	ip("address del 192.0.2.1/24 dev lo");
	until("192.0.2.1", false);
	ck_assert_int_eq(local_addrs_all(table, "lo", all, 4), 2);
	teardown();
}

START_TEST(changes_are_followed)
{
	if (unshare(CLONE_NEWNET) < 0)
		return; /* not allowed here */
	on_loop(change_and_look, NULL);
}
END_TEST

static void follow_and_free(void)
{
	ck_assert_int_eq(local_addrs_new(&table, loop_self()), 0);
	ip("link set lo up");
	nap(1);
	teardown(); /* while it waits to read anew */
	nap(60);
}

START_TEST(a_table_can_be_freed_while_it_waits_to_read_anew)
{
	if (unshare(CLONE_NEWNET) < 0)
		return;
	on_loop(follow_and_free, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local_addrs");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_loopback_interface_has_its_address);
	tcase_add_test(t, this_machine_answers_on_loopback_and_any);
	tcase_add_test(t, an_interface_that_does_not_exist_is_an_error);
	tcase_add_test(t, freeing_no_table_is_harmless);
	tcase_add_test(t, changes_are_followed);
	tcase_add_test(t, a_table_can_be_freed_while_it_waits_to_read_anew);
	suite_add_tcase(s, t);
	return run_suite(s);
}
