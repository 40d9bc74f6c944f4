/*
 * Choosing of source addresses: each way to rotate.
 */
#include "daemon/proxy/outbound.h"

#include "t/unit/sources.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define CLIENTS 1000

/* --- The first ---------------------------------------------------------- */

START_TEST(without_sources_the_kernel_chooses)
{
	for (int rotate = 0; rotate <= OUTBOUND_PER_CLIENT; rotate++) {
		sources_make((enum outbound_rotate)rotate);
		choose();
		ROUTED4();
		ROUTED6();
		ck_assert(choice.ipv4 && choice.ipv6);
		ck_assert(!choice.dial.freebind);
	}
}
END_TEST

START_TEST(the_first_of_each_family_is_taken)
{
	sources_add("192.0.2.1");
	sources_add("2001:db8::1");
	sources_add("192.0.2.2");
	sources_add("2001:db8::2");
	sources_make(OUTBOUND_FIRST);
	for (int i = 0; i < 3; i++) {
		choose();
		IS4("192.0.2.1");
		IS6("2001:db8::1");
		ck_assert(choice.ipv4 && choice.ipv6);
	}
}
END_TEST

START_TEST(a_family_without_source_has_no_way)
{
	for (int rotate = 0; rotate <= OUTBOUND_PER_CLIENT; rotate++) {
		source_options.source_count = 0;
		sources_add("192.0.2.1");
		sources_make((enum outbound_rotate)rotate);
		choose();
		ck_assert(choice.ipv4 && !choice.ipv6);
		ROUTED6();
		source_options.source_count = 0;
		sources_add("2001:db8::1");
		sources_make((enum outbound_rotate)rotate);
		choose();
		ck_assert(!choice.ipv4 && choice.ipv6);
		ROUTED4();
	}
}
END_TEST

START_TEST(the_other_options_are_those_of_the_dial)
{
	source_options.dial.mark = 7;
	source_options.dial.device = "vpn0";
	source_options.dial.nodelay = true;
	/* These are none of theirs. */
	source_options.dial.source4 = address("192.0.2.9");
	source_options.dial.freebind = true;
	sources_add("2001:db8::1");
	sources_make(OUTBOUND_FIRST);
	choose();
	ck_assert_uint_eq(choice.dial.mark, 7);
	ck_assert_str_eq(choice.dial.device, "vpn0");
	ck_assert(choice.dial.nodelay);
	ck_assert(!choice.dial.freebind);
	ROUTED4();
	source_options.dial = (struct tcp_dial_options){ 0 };
}
END_TEST

/* --- In turn ------------------------------------------------------------ */

static unsigned index4(void)
{
	for (unsigned i = 0; i < source_options.source_count; i++)
		if (addr_equal(&sources[i].addr, &choice.dial.source4))
			return i;
	ck_abort_msg("none of the sources");
}

START_TEST(each_has_its_turn)
{
	unsigned before;

	sources_add("192.0.2.0");
	sources_add("192.0.2.1");
	sources_add("192.0.2.2");
	sources_make(OUTBOUND_PER_CONNECTION);
	choose();
	before = index4();
	for (int i = 0; i < 10; i++) {
		choose();
		ck_assert_uint_eq(index4(), (before + 1) % 3);
		before = index4();
	}
}
END_TEST

START_TEST(a_turn_that_is_not_used_is_not_over)
{
	struct tcp_addr four, six;

	sources_add("192.0.2.1");
	sources_add("192.0.2.2");
	sources_add("2001:db8::1");
	sources_add("2001:db8::2");
	sources_make(OUTBOUND_PER_CONNECTION);
	choose_for("10.0.0.1", AF_INET);
	four = choice.dial.source4;
	choose_for("10.0.0.1", AF_INET6);
	six = choice.dial.source6;
	for (int i = 1; i < 8; i++) {
		choose_for("10.0.0.1", AF_INET);
		ck_assert_int_eq(addr_equal(&four, &choice.dial.source4),
				 i % 2 == 0);
		choose_for("10.0.0.1", AF_INET6);
		ck_assert_int_eq(addr_equal(&six, &choice.dial.source6),
				 i % 2 == 0);
	}
}
END_TEST

START_TEST(a_thousand_sources_are_all_used)
{
	bool seen[1024] = { false };
	char text[32];

	for (unsigned i = 0; i < 1024; i++) {
		(void)snprintf(text, sizeof(text), "10.2.%u.%u", i / 256,
			       i % 256);
		sources_add(text);
	}
	sources_make(OUTBOUND_PER_CONNECTION);
	for (unsigned i = 0; i < 1024; i++) {
		choose();
		ck_assert(!seen[index4()]);
		seen[index4()] = true;
	}
}
END_TEST

/* --- By client ---------------------------------------------------------- */

static struct tcp_addr chosen[CLIENTS];

static void note_all(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		choose_for_number(i);
		chosen[i] = choice.dial.source4;
	}
}

/* How many have another source now. */
static unsigned moved(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		choose_for_number(i);
		count += !addr_equal(&chosen[i], &choice.dial.source4);
	}
	return count;
}

static void add_four(void)
{
	sources_add("192.0.2.0");
	sources_add("192.0.2.1");
	sources_add("192.0.2.2");
	sources_add("192.0.2.3");
}

START_TEST(a_client_keeps_its_source)
{
	unsigned count[4] = { 0 };

	add_four();
	sources_make(OUTBOUND_PER_CLIENT);
	note_all();
	ck_assert_uint_eq(moved(), 0);
	sources_make(OUTBOUND_PER_CLIENT); /* as another worker does */
	ck_assert_uint_eq(moved(), 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		choose_for_number(i);
		count[index4()]++;
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_gt(count[i], CLIENTS / 6);
		ck_assert_uint_lt(count[i], CLIENTS / 3);
	}
}
END_TEST

START_TEST(a_client_is_its_address_whatever_its_port)
{
	struct tcp_addr a = address("10.1.2.3"), first;

	add_four();
	sources_make(OUTBOUND_PER_CLIENT);
	outbound_choose(out, AF_INET, &a, &inbound, &choice);
	first = choice.dial.source4;
	for (uint16_t port = 1; port < 100; port++) {
		a.port = port;
		outbound_choose(out, AF_INET, &a, &inbound, &choice);
		ck_assert(addr_equal(&first, &choice.dial.source4));
	}
}
END_TEST

START_TEST(a_source_that_comes_moves_its_own_clients_only)
{
	unsigned count = 0;

	add_four();
	sources_make(OUTBOUND_PER_CLIENT);
	note_all();
	sources_add("192.0.2.4");
	sources_make(OUTBOUND_PER_CLIENT);
	for (unsigned i = 0; i < CLIENTS; i++) {
		choose_for_number(i);
		if (addr_equal(&chosen[i], &choice.dial.source4))
			continue;
		ck_assert_uint_eq(index4(), 4);
		count++;
	}
	ck_assert_uint_gt(count, CLIENTS / 8);
	ck_assert_uint_lt(count, CLIENTS / 3);
}
END_TEST

START_TEST(the_order_of_sources_means_nothing_to_clients)
{
	struct outbound_source swap;

	add_four();
	sources_make(OUTBOUND_PER_CLIENT);
	note_all();
	swap = sources[0];
	sources[0] = sources[3];
	sources[3] = swap;
	sources_make(OUTBOUND_PER_CLIENT);
	ck_assert_uint_eq(moved(), 0);
}
END_TEST

START_TEST(another_secret_makes_other_choices)
{
	add_four();
	sources_make(OUTBOUND_PER_CLIENT);
	note_all();
	source_options.secret.k[0]++;
	sources_make(OUTBOUND_PER_CLIENT);
	ck_assert_uint_gt(moved(), CLIENTS / 2);
}
END_TEST

START_TEST(the_secret_of_a_machine_stays_the_same)
{
	struct siphash_key a, b;
	FILE *f = fopen("/etc/machine-id", "re");
	char id[64] = "";

	ck_assert_int_eq(outbound_secret(&a), 0);
	ck_assert_int_eq(outbound_secret(&b), 0);
	ck_assert_uint_ne(a.k[0], a.k[1]);
	if (f && fgets(id, sizeof(id), f) && strlen(id) >= 32)
		ck_assert_mem_eq(&a, &b, sizeof(a));
	if (f)
		(void)fclose(f);
}
END_TEST

/* --- The one that the client came to ------------------------------------ */

START_TEST(the_source_is_the_inbound_address)
{
	sources_make(OUTBOUND_SAME_AS_INBOUND);
	inbound = address("192.0.2.7");
	inbound.port = 1080;
	choose();
	IS4("192.0.2.7");
	ck_assert(choice.ipv4 && !choice.ipv6);
	ROUTED6();
	inbound = address("2001:db8::7");
	inbound.port = 1080;
	choose();
	IS6("2001:db8::7");
	ck_assert(!choice.ipv4 && choice.ipv6);
	ROUTED4();
}
END_TEST

START_TEST(the_other_family_has_its_first_source)
{
	sources_add("192.0.2.1");
	sources_add("2001:db8::1");
	sources_add("2001:db8::2");
	sources_make(OUTBOUND_SAME_AS_INBOUND);
	inbound = address("192.0.2.7");
	choose();
	IS4("192.0.2.7");
	IS6("2001:db8::1");
	ck_assert(choice.ipv4 && choice.ipv6);
}
END_TEST

START_TEST(without_an_inbound_address_it_is_as_without_rotation)
{
	inbound = (struct tcp_addr){ .family = AF_UNIX };
	sources_make(OUTBOUND_SAME_AS_INBOUND);
	choose();
	ROUTED4();
	ROUTED6();
	ck_assert(choice.ipv4 && choice.ipv6);
	sources_add("192.0.2.1");
	sources_make(OUTBOUND_SAME_AS_INBOUND);
	choose();
	IS4("192.0.2.1");
	ck_assert(choice.ipv4 && !choice.ipv6);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbound");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, sources_drop);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, without_sources_the_kernel_chooses);
	tcase_add_test(t, the_first_of_each_family_is_taken);
	tcase_add_test(t, a_family_without_source_has_no_way);
	tcase_add_test(t, the_other_options_are_those_of_the_dial);
	tcase_add_test(t, each_has_its_turn);
	tcase_add_test(t, a_turn_that_is_not_used_is_not_over);
	tcase_add_test(t, a_thousand_sources_are_all_used);
	tcase_add_test(t, a_client_keeps_its_source);
	tcase_add_test(t, a_client_is_its_address_whatever_its_port);
	tcase_add_test(t, a_source_that_comes_moves_its_own_clients_only);
	tcase_add_test(t, the_order_of_sources_means_nothing_to_clients);
	tcase_add_test(t, another_secret_makes_other_choices);
	tcase_add_test(t, the_secret_of_a_machine_stays_the_same);
	tcase_add_test(t, the_source_is_the_inbound_address);
	tcase_add_test(t, the_other_family_has_its_first_source);
	tcase_add_test(t, without_an_inbound_address_it_is_as_without_rotation);
	suite_add_tcase(s, t);
	return run_suite(s);
}
