/*
 * Sources of interfaces whose addresses change, in a network namespace of the
 * test's own, where it may make one.
 */
#include "daemon/proxy/outbound.h"

#include "t/unit/on_loop.h"
#include "t/unit/sources.h"
#include "t/unit/suite.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>

/* --- Interfaces --------------------------------------------------------- */

static struct local_addrs *table;

static void ip(const char *arguments)
{
	char command[160];

	(void)snprintf(command, sizeof(command), "ip %s", arguments);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void changed(void *ctx UNUSED)
{
	outbound_refresh(out);
}

/* Follows the interfaces on this loop. */
static void follow(enum outbound_rotate rotate)
{
	source_options.rotate = rotate;
	ck_assert_int_eq(local_addrs_new(&table, loop_self()), 0);
	ck_assert_int_eq(outbound_new(&out, &source_options, table), 0);
	local_addrs_on_change(table, changed, NULL);
}

static void unfollow(void)
{
	sources_drop();
	local_addrs_free(table);
}

/* Bits of the last bytes of the IPv4 sources that five choices bring. */
static unsigned seen4(void)
{
	unsigned bits = 0;

	for (int i = 0; i < 5; i++) {
		choose();
		if (choice.ipv4)
			bits |= 1u << choice.dial.source4.ip[15];
	}
	return bits;
}

static void until4(unsigned bits)
{
	for (int i = 0; i < 2000 && seen4() != bits; i++)
		nap(5);
	ck_assert_uint_eq(seen4(), bits);
}

static void follow_changes(void)
{
	ip("link set lo up");
	ip("address del 127.0.0.1/8 dev lo");
	sources_add("lo");
	follow(OUTBOUND_PER_CONNECTION);
	choose();
	ck_assert(!choice.ipv4); /* ::1 is of the host's scope */
	ip("address add 192.0.2.1/32 dev lo scope link");
	until4(1u << 1);
	/* What is global is better. */
	ip("address add 192.0.2.2/32 dev lo");
	until4(1u << 2);
	ip("address add 192.0.2.3/32 dev lo");
	until4(1u << 2 | 1u << 3);
	ip("address add 192.0.2.4/32 dev lo preferred_lft 0");
	ip("address del 192.0.2.2/32 dev lo");
	until4(1u << 3);
	ip("address del 192.0.2.3/32 dev lo");
	until4(1u << 4); /* deprecated, but there is no better one */
	ip("address del 192.0.2.4/32 dev lo");
	until4(1u << 1);
	ip("address del 192.0.2.1/32 dev lo");
	until4(0);
	ck_assert(!choice.ipv4);
	unfollow();
}

START_TEST(an_interfaces_addresses_are_followed)
{
	if (unshare(CLONE_NEWNET) < 0)
		return; /* not allowed here */
	on_loop(follow_changes, NULL);
}
END_TEST

static void follow_two(void)
{
	ip("link set lo up");
	ip("address add 192.0.2.1/32 dev lo");
	ip("address add 192.0.2.2/32 dev lo");
	sources_add("no-such-if");
	sources_add("192.0.2.3");
	sources_add("lo");
	follow(OUTBOUND_PER_CONNECTION);
	/* 127.0.0.1 is there, too, and of the scope of a host. */
	until4(1u << 1 | 1u << 2);
	ip("address add 192.0.2.3/32 dev lo");
	until4(1u << 1 | 1u << 2 | 1u << 3);
	unfollow();
}

START_TEST(interfaces_and_addresses_that_are_there_take_turns)
{
	if (unshare(CLONE_NEWNET) < 0)
		return;
	on_loop(follow_two, NULL);
}
END_TEST

static void tentative(void)
{
	if (system("ip link add wan0 type veth peer name far0 2>/dev/null"))
		return; /* this kernel has none */
	sources_add("wan0");
	ip("link set far0 up");
	ip("link set wan0 up");
	ip("address add 2001:db8::5/64 dev wan0");
	follow(OUTBOUND_FIRST);
	choose();
	/* A link-local one at most: the new one is still being tried. */
	ck_assert(!source_is(&choice.dial.source6, "2001:db8::5"));
	for (int i = 0;
	     i < 2000 && !source_is(&choice.dial.source6, "2001:db8::5"); i++) {
		nap(5);
		choose();
	}
	IS6("2001:db8::5");
	unfollow();
}

START_TEST(an_address_that_is_being_tried_is_waited_for)
{
	if (unshare(CLONE_NEWNET) < 0)
		return;
	on_loop(tentative, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbound_interface");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, sources_drop);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_interfaces_addresses_are_followed);
	tcase_add_test(t, interfaces_and_addresses_that_are_there_take_turns);
	tcase_add_test(t, an_address_that_is_being_tried_is_waited_for);
	suite_add_tcase(s, t);
	return run_suite(s);
}
