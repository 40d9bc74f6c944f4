/*
 * Choosing of source addresses: each way to rotate, prefixes, and interfaces
 * whose addresses change, in a network namespace of the test's own.
 */
#include "daemon/proxy/outbound.h"

#include "t/unit/on_loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define CLIENTS 1000

static struct outbound_source sources[1200];
static struct outbound_options options = { .sources = sources,
					   .secret = { { 1, 2 } } };
static struct outbound *out;
static struct outbound_choice choice;
static struct tcp_addr inbound;

static void teardown(void)
{
	outbound_free(out);
	out = NULL;
}

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(addr_parse_ip(&a, text), 0);
	return a;
}

/* "IP", "IP/BITS" or an interface. */
static void add_source(const char *text)
{
	struct outbound_source *s = &sources[options.source_count++];
	unsigned bits = 0;
	char ip[64];

	*s = (struct outbound_source){ 0 };
	(void)sscanf(text, "%63[^/]/%u", ip, &bits);
	s->prefix_bits = (uint8_t)bits;
	if (addr_parse_ip(&s->addr, ip) < 0)
		s->interface = text;
}

static void make(enum outbound_rotate rotate)
{
	options.rotate = rotate;
	teardown();
	ck_assert_int_eq(outbound_new(&out, &options, NULL), 0);
}

static void choose_for(const char *client, sa_family_t family)
{
	struct tcp_addr a = address(client);

	a.port = 40000;
	outbound_choose(out, family, &a, &inbound, &choice);
}

static void choose(void)
{
	choose_for("10.0.0.1", AF_UNSPEC);
}

static bool is(const struct tcp_addr *a, const char *text)
{
	struct tcp_addr b = address(text);

	return addr_equal(a, &b);
}

#define IS4(text) ck_assert_msg(is(&choice.dial.source4, text), "%s", text)
#define IS6(text) ck_assert_msg(is(&choice.dial.source6, text), "%s", text)
#define ROUTED4() ck_assert_int_eq(choice.dial.source4.family, AF_UNSPEC)
#define ROUTED6() ck_assert_int_eq(choice.dial.source6.family, AF_UNSPEC)

/* --- The first ---------------------------------------------------------- */

START_TEST(without_sources_the_kernel_chooses)
{
	for (int rotate = 0; rotate <= OUTBOUND_PER_CLIENT; rotate++) {
		make((enum outbound_rotate)rotate);
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
	add_source("192.0.2.1");
	add_source("2001:db8::1");
	add_source("192.0.2.2");
	add_source("2001:db8::2");
	make(OUTBOUND_FIRST);
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
		options.source_count = 0;
		add_source("192.0.2.1");
		make((enum outbound_rotate)rotate);
		choose();
		ck_assert(choice.ipv4 && !choice.ipv6);
		ROUTED6();
		options.source_count = 0;
		add_source("2001:db8::1");
		make((enum outbound_rotate)rotate);
		choose();
		ck_assert(!choice.ipv4 && choice.ipv6);
		ROUTED4();
	}
}
END_TEST

START_TEST(the_other_options_are_those_of_the_dial)
{
	options.dial.mark = 7;
	options.dial.device = "vpn0";
	options.dial.nodelay = true;
	/* These are none of theirs. */
	options.dial.source4 = address("192.0.2.9");
	options.dial.freebind = true;
	add_source("2001:db8::1");
	make(OUTBOUND_FIRST);
	choose();
	ck_assert_uint_eq(choice.dial.mark, 7);
	ck_assert_str_eq(choice.dial.device, "vpn0");
	ck_assert(choice.dial.nodelay);
	ck_assert(!choice.dial.freebind);
	ROUTED4();
	options.dial = (struct tcp_dial_options){ 0 };
}
END_TEST

/* --- In turn ------------------------------------------------------------ */

static unsigned index4(void)
{
	for (unsigned i = 0; i < options.source_count; i++)
		if (addr_equal(&sources[i].addr, &choice.dial.source4))
			return i;
	ck_abort_msg("none of the sources");
}

START_TEST(each_has_its_turn)
{
	unsigned before;

	add_source("192.0.2.0");
	add_source("192.0.2.1");
	add_source("192.0.2.2");
	make(OUTBOUND_PER_CONNECTION);
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

	add_source("192.0.2.1");
	add_source("192.0.2.2");
	add_source("2001:db8::1");
	add_source("2001:db8::2");
	make(OUTBOUND_PER_CONNECTION);
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

/* --- By client ---------------------------------------------------------- */

static void choose_for_number(unsigned n)
{
	char client[32];

	(void)snprintf(client, sizeof(client), "10.1.%u.%u", n / 250, n % 250);
	choose_for(client, AF_UNSPEC);
}

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
	add_source("192.0.2.0");
	add_source("192.0.2.1");
	add_source("192.0.2.2");
	add_source("192.0.2.3");
}

START_TEST(a_client_keeps_its_source)
{
	unsigned count[4] = { 0 };

	add_four();
	make(OUTBOUND_PER_CLIENT);
	note_all();
	ck_assert_uint_eq(moved(), 0);
	make(OUTBOUND_PER_CLIENT); /* as another worker does */
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
	make(OUTBOUND_PER_CLIENT);
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
	make(OUTBOUND_PER_CLIENT);
	note_all();
	add_source("192.0.2.4");
	make(OUTBOUND_PER_CLIENT);
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
	make(OUTBOUND_PER_CLIENT);
	note_all();
	swap = sources[0];
	sources[0] = sources[3];
	sources[3] = swap;
	make(OUTBOUND_PER_CLIENT);
	ck_assert_uint_eq(moved(), 0);
}
END_TEST

START_TEST(another_secret_makes_other_choices)
{
	add_four();
	make(OUTBOUND_PER_CLIENT);
	note_all();
	options.secret.k[0]++;
	make(OUTBOUND_PER_CLIENT);
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
	make(OUTBOUND_SAME_AS_INBOUND);
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
	add_source("192.0.2.1");
	add_source("2001:db8::1");
	add_source("2001:db8::2");
	make(OUTBOUND_SAME_AS_INBOUND);
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
	make(OUTBOUND_SAME_AS_INBOUND);
	choose();
	ROUTED4();
	ROUTED6();
	ck_assert(choice.ipv4 && choice.ipv6);
	add_source("192.0.2.1");
	make(OUTBOUND_SAME_AS_INBOUND);
	choose();
	IS4("192.0.2.1");
	ck_assert(choice.ipv4 && !choice.ipv6);
}
END_TEST

/* --- Prefixes ----------------------------------------------------------- */

static const struct {
	const char *text, *mask; /* of the network part */
} prefixes[] = {
	{ "8000::/1", "8000::" },
	{ "2001:db8::/32", "ffff:ffff::" },
	{ "2001:db8:1:2::/64", "ffff:ffff:ffff:ffff::" },
	{ "2001:db8:1:2:8000::/65", "ffff:ffff:ffff:ffff:8000::" },
	{ "2001:db8::1:fffe:0/113", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:8000" },
	{ "2001:db8::1:ff00/120", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00" },
};

/* Whether the source lies within; notes in host[] which bits were ever 1. */
static void check_within(const struct outbound_source *s, const char *mask,
			 uint8_t host[16])
{
	struct tcp_addr m = address(mask);
	const struct tcp_addr *a = &choice.dial.source6;

	ck_assert(choice.ipv6);
	ck_assert(choice.dial.freebind);
	ck_assert_int_eq(a->family, AF_INET6);
	ck_assert_uint_eq(a->port, 0);
	for (int i = 0; i < 16; i++) {
		ck_assert_uint_eq(a->ip[i] & m.ip[i], s->addr.ip[i]);
		host[i] |= a->ip[i] & (uint8_t)~m.ip[i];
	}
}

START_TEST(a_prefix_gives_all_its_addresses)
{
	struct tcp_addr m = address(prefixes[_i].mask);
	uint8_t host[16] = { 0 };

	add_source(prefixes[_i].text);
	for (int rotate = 0; rotate <= OUTBOUND_PER_CLIENT; rotate++) {
		memset(host, 0, sizeof(host));
		make((enum outbound_rotate)rotate);
		for (unsigned n = 0; n < 200; n++) {
			choose_for_number(n);
			check_within(&sources[0], prefixes[_i].mask, host);
			ck_assert(!choice.ipv4);
		}
		for (int i = 0; i < 16; i++)
			ck_assert_uint_eq(host[i], (uint8_t)~m.ip[i]);
	}
}
END_TEST

START_TEST(a_prefix_of_no_host_bits_is_an_address_of_nobodys)
{
	add_source("2001:db8::8/128");
	make(OUTBOUND_FIRST);
	choose();
	IS6("2001:db8::8");
	ck_assert(choice.dial.freebind);
}
END_TEST

START_TEST(the_routers_address_of_a_prefix_is_not_taken)
{
	unsigned first = 0;

	add_source("2001:db8::8/126");
	make(OUTBOUND_FIRST);
	for (int i = 0; i < 200; i++) {
		choose();
		ck_assert(!is(&choice.dial.source6, "2001:db8::8"));
	}
	/* A link between two has none, RFC 6164. */
	options.source_count = 0;
	add_source("2001:db8::8/127");
	make(OUTBOUND_FIRST);
	for (int i = 0; i < 200; i++) {
		choose();
		first += is(&choice.dial.source6, "2001:db8::8");
	}
	ck_assert_uint_gt(first, 50);
	ck_assert_uint_lt(first, 150);
}
END_TEST

START_TEST(host_parts_are_new_for_each_connection)
{
	struct tcp_addr before;

	add_source("2001:db8::/64");
	make(OUTBOUND_PER_CONNECTION);
	choose();
	for (int i = 0; i < 100; i++) {
		before = choice.dial.source6;
		choose();
		ck_assert(!addr_equal(&before, &choice.dial.source6));
	}
}
END_TEST

START_TEST(a_client_has_a_host_part_of_its_own)
{
	struct tcp_addr before;

	add_source("2001:db8::/64");
	make(OUTBOUND_PER_CLIENT);
	choose_for("10.0.0.1", AF_INET6);
	before = choice.dial.source6;
	for (int i = 0; i < 10; i++) {
		choose_for("10.0.0.2", AF_INET6);
		ck_assert(!addr_equal(&before, &choice.dial.source6));
		make(OUTBOUND_PER_CLIENT);
		choose_for("10.0.0.1", AF_INET6);
		ck_assert(addr_equal(&before, &choice.dial.source6));
	}
}
END_TEST

START_TEST(only_what_comes_from_a_prefix_is_bound_freely)
{
	int free = 0;

	add_source("2001:db8::/64");
	add_source("2001:db8:1::1");
	make(OUTBOUND_PER_CONNECTION);
	for (int i = 0; i < 10; i++) {
		choose();
		ck_assert_int_eq(choice.dial.freebind,
				 !is(&choice.dial.source6, "2001:db8:1::1"));
		free += choice.dial.freebind;
	}
	ck_assert_int_eq(free, 5);
}
END_TEST

START_TEST(a_thousand_sources_are_all_used)
{
	bool seen[1024] = { false };
	char text[32];

	for (unsigned i = 0; i < 1024; i++) {
		(void)snprintf(text, sizeof(text), "10.2.%u.%u", i / 256,
			       i % 256);
		add_source(text);
	}
	make(OUTBOUND_PER_CONNECTION);
	for (unsigned i = 0; i < 1024; i++) {
		choose();
		ck_assert(!seen[index4()]);
		seen[index4()] = true;
	}
}
END_TEST

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
	options.rotate = rotate;
	ck_assert_int_eq(local_addrs_new(&table, loop_self()), 0);
	ck_assert_int_eq(outbound_new(&out, &options, table), 0);
	local_addrs_on_change(table, changed, NULL);
}

static void unfollow(void)
{
	teardown();
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
	add_source("lo");
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
	add_source("no-such-if");
	add_source("192.0.2.3");
	add_source("lo");
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
	add_source("wan0");
	ip("link set far0 up");
	ip("link set wan0 up");
	ip("address add 2001:db8::5/64 dev wan0");
	follow(OUTBOUND_FIRST);
	choose();
	/* A link-local one at most: the new one is still being tried. */
	ck_assert(!is(&choice.dial.source6, "2001:db8::5"));
	for (int i = 0; i < 2000 && !is(&choice.dial.source6, "2001:db8::5");
	     i++) {
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

static void add_tests(TCase *t)
{
	tcase_add_test(t, without_sources_the_kernel_chooses);
	tcase_add_test(t, the_first_of_each_family_is_taken);
	tcase_add_test(t, a_family_without_source_has_no_way);
	tcase_add_test(t, the_other_options_are_those_of_the_dial);
	tcase_add_test(t, each_has_its_turn);
	tcase_add_test(t, a_turn_that_is_not_used_is_not_over);
	tcase_add_test(t, a_client_keeps_its_source);
	tcase_add_test(t, a_client_is_its_address_whatever_its_port);
	tcase_add_test(t, a_source_that_comes_moves_its_own_clients_only);
	tcase_add_test(t, the_order_of_sources_means_nothing_to_clients);
	tcase_add_test(t, another_secret_makes_other_choices);
	tcase_add_test(t, the_secret_of_a_machine_stays_the_same);
	tcase_add_test(t, the_source_is_the_inbound_address);
	tcase_add_test(t, the_other_family_has_its_first_source);
	tcase_add_test(t, without_an_inbound_address_it_is_as_without_rotation);
	tcase_add_loop_test(t, a_prefix_gives_all_its_addresses, 0,
			    (int)ARRAY_SIZE(prefixes));
	tcase_add_test(t, a_prefix_of_no_host_bits_is_an_address_of_nobodys);
	tcase_add_test(t, the_routers_address_of_a_prefix_is_not_taken);
	tcase_add_test(t, host_parts_are_new_for_each_connection);
	tcase_add_test(t, a_client_has_a_host_part_of_its_own);
	tcase_add_test(t, only_what_comes_from_a_prefix_is_bound_freely);
	tcase_add_test(t, a_thousand_sources_are_all_used);
	tcase_add_test(t, an_interfaces_addresses_are_followed);
	tcase_add_test(t, interfaces_and_addresses_that_are_there_take_turns);
	tcase_add_test(t, an_address_that_is_being_tried_is_waited_for);
}

int main(void)
{
	Suite *s = suite_create("outbound");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
