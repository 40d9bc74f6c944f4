/*
 * BIND: who is let in, where we listen, and what is told.
 */
#include "daemon/proxy/proxy_internal.h"

#include "core/passive.h"
#include "core/sock.h"
#include "t/unit/bind_one.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdio.h>

static void expected_one(void)
{
	bind_succeed("127.0.0.5:0", "127.0.0.5");
}

START_TEST(who_is_expected_is_let_in)
{
	on_loop(expected_one, NULL);
}
END_TEST

/* From where it is told by the routes, or by the client's connection. */
static struct tcp_addr outside_of(const char *far, const char *otherwise)
{
	static const struct tcp_dial_options none;
	struct tcp_addr to = bind_addr(far), a;

	return passive_address(&a, &to, &none) == 0 ? a : bind_addr(otherwise);
}

static void allow_all(void)
{
	static struct rule_match all[2] = { { .type = RULE_MATCH_PREFIX },
					    { .type = RULE_MATCH_PREFIX } };

	ck_assert_int_eq(prefix_parse(&all[0].prefix, "0.0.0.0/0"), 0);
	ck_assert_int_eq(prefix_parse(&all[1].prefix, "::/0"), 0);
	bind_spec[bind_spec_count++] = (struct rule_spec){ .allow = true,
							   .to = all,
							   .to_count = 2 };
}

static void anybody(void)
{
	struct tcp_addr a = outside_of("198.41.0.4:0", "127.0.0.1:0");

	allow_all();
	bind_succeed("0.0.0.0:0", NULL);
	ck_assert(addr_same_ip(&bind_told.bound, &a));
}

START_TEST(where_none_is_named_anybody_is_let_in)
{
	on_loop(anybody, NULL);
}
END_TEST

static void any_ipv6_for_ipv4(void)
{
	struct tcp_addr a = outside_of("[2001:503:ba3e::2:30]:0",
				       "127.0.0.1:0");

	allow_all();
	bind_succeed("[::]:0", NULL);
	ck_assert(addr_same_ip(&bind_told.bound, &a));
}

START_TEST(without_a_route_the_address_that_the_client_came_to_is_taken)
{
	on_loop(any_ipv6_for_ipv4, NULL);
}
END_TEST

static void over_ipv6(void)
{
	int fd = sock_stream(AF_INET6);
	struct tcp_addr one = bind_addr("[::1]:0");
	bool can = fd >= 0 && sock_bind_source(fd, &one) == 0;

	close_fd(&fd);
	if (can)
		bind_succeed("[::1]:0", "::1");
}

START_TEST(an_ipv6_client_of_an_ipv4_connection_is_let_in)
{
	on_loop(over_ipv6, NULL);
}
END_TEST

static void by_name(void)
{
	bind_options.outbound.prefer = AF_INET;
	bind_succeed("localhost", "127.0.0.1");
	ck_assert_int_eq(bind_told.bound.family, AF_INET);
}

START_TEST(one_that_is_named_is_looked_up)
{
	on_loop(by_name, NULL);
}
END_TEST

static void by_name_for_socks4(void)
{
	bind_protocol.number = PROTOCOL_SOCKS4;
	bind_succeed("localhost", "127.0.0.1");
	ck_assert_int_eq(bind_told.bound.family, AF_INET);
}

START_TEST(a_name_is_an_ipv4_address_to_socks4)
{
	on_loop(by_name_for_socks4, NULL);
}
END_TEST

static void speak_early(void)
{
	bind_come();
	ck_assert_int_eq(send(bind_client, "early", 5, MSG_NOSIGNAL), 5);
}

static void early(void)
{
	char bytes[6] = "";

	bind_from = "127.0.0.1";
	bind_told.then = speak_early;
	bind_begin("127.0.0.1:0");
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_NONE);
	bind_expect_let_in();
	ck_assert_int_eq(
		tcp_conn_read(bind_rq->client, bytes, 5, deadline_in(SOON_MS)),
		5);
	ck_assert_str_eq(bytes, "early");
	bind_end();
	close_fd(&bind_peer);
}

START_TEST(what_a_client_sends_early_is_kept)
{
	on_loop(early, NULL);
}
END_TEST

/* --- Where it listens --------------------------------------------------- */

static void from_source(void)
{
	bind_set_source("127.0.0.66:0");
	bind_succeed("127.0.0.5:0", "127.0.0.5");
	ck_assert(addr_same_ip(&bind_told.bound,
			       &bind_options.outbound.sources->addr));
	bind_succeed("0.0.0.0:0", "127.0.0.5");
	ck_assert(addr_same_ip(&bind_told.bound,
			       &bind_options.outbound.sources->addr));
}

START_TEST(it_listens_on_the_source_address)
{
	on_loop(from_source, NULL);
}
END_TEST

static void one_that_fails(const char *dst, enum outcome expect)
{
	bind_begin(dst);
	ck_assert_int_eq(request_bind(bind_rq), expect);
	ck_assert_uint_eq(bind_told.grants, 0);
	ck_assert(!bind_rq->granted);
	ck_assert_ptr_null(bind_rq->server);
	bind_end();
}

static void no_way(void)
{
	bind_set_source("127.0.0.66:0");
	one_that_fails("[::1]:0", OUTCOME_NO_SOURCE);
	/* An address that is not ours, any more. */
	bind_set_source("192.0.2.66:0");
	one_that_fails("127.0.0.1:0", OUTCOME_NO_RESOURCES);
	bind_set_source("[2001:db8::1]:0");
	bind_protocol.number = PROTOCOL_SOCKS4;
	one_that_fails("0.0.0.0:0", OUTCOME_NO_SOURCE);
}

START_TEST(without_a_source_of_the_family_it_is_refused)
{
	on_loop(no_way, NULL);
}
END_TEST

static void outside(void)
{
	struct tcp_addr listens;

	bind_options.outbound.bind_address4 = bind_addr("203.0.113.9:0");
	bind_from = "127.0.0.5";
	bind_told.then = bind_come;
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_NONE);
	bind_expect_let_in();
	listens = bind_rq->session->bound;
	ck_assert(addr_is_loopback(&listens));
	ck_assert(addr_same_ip(&bind_told.bound,
			       &bind_options.outbound.bind_address4));
	ck_assert_uint_eq(bind_told.bound.port, listens.port);
	bind_end();
	close_fd(&bind_peer);
}

START_TEST(what_stands_behind_nat_tells_the_address_outside)
{
	on_loop(outside, NULL);
}
END_TEST

static void wish_in_vain(void)
{
	struct tcp_addr wished = tcp_refusing();
	char dst[40];

	bind_set_source("127.0.0.1:0");
	(void)snprintf(dst, sizeof(dst), "0.0.0.0:%u", wished.port);
	bind_succeed(dst, "127.0.0.5");
	ck_assert_uint_ne(bind_told.bound.port, wished.port);
	bind_succeed("0.0.0.0:1023", "127.0.0.5");
	ck_assert_uint_ne(bind_told.bound.port, 1023);
}

START_TEST(without_a_range_no_port_may_be_wished_for)
{
	on_loop(wish_in_vain, NULL);
}
END_TEST

/* Two ports that follow each other, both held by the descriptors. */
static struct port_range two_ports(int fd[2])
{
	for (;;) {
		struct sockaddr_storage ss;
		struct tcp_addr a;
		socklen_t len;

		fd[0] = tcp_listening(&a, 1);
		fd[1] = sock_stream(AF_INET);
		a.port++;
		len = tcp_addr_to_sockaddr(&a, &ss);
		if (a.port && bind(fd[1], (struct sockaddr *)&ss, len) == 0 &&
		    listen(fd[1], 1) == 0)
			return (struct port_range){ (uint16_t)(a.port - 1),
						    a.port };
		close_fd(&fd[0]);
		close_fd(&fd[1]);
	}
}

static void range(void)
{
	struct port_range *two = &bind_options.outbound.bind_ports;
	char dst[40];
	int fd[2];

	bind_set_source("127.0.0.1:0");
	*two = two_ports(fd);
	one_that_fails("127.0.0.5:0", OUTCOME_NO_RESOURCES);
	/* Whichever it begins with. */
	for (int i = 0; i < 8; i++) {
		struct tcp_addr a;
		int k = i % 2;
		int free_fd;

		close_fd(&fd[k]);
		bind_succeed("127.0.0.5:0", "127.0.0.5");
		ck_assert_uint_eq(bind_told.bound.port,
				  k ? two->last : two->first);
		a = bind_addr("127.0.0.1:0");
		a.port = bind_told.bound.port;
		free_fd = sock_stream(AF_INET);
		ck_assert_int_eq(sock_set(free_fd, SOL_SOCKET, SO_REUSEADDR, 1),
				 0);
		ck_assert_int_eq(sock_bind_source(free_fd, &a), 0);
		ck_assert_int_eq(listen(free_fd, 1), 0);
		fd[k] = free_fd;
	}
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	for (int i = 0; i < 8; i++) {
		uint16_t wish = i % 2 ? two->last : two->first;

		(void)snprintf(dst, sizeof(dst), "0.0.0.0:%u", wish);
		bind_succeed(dst, "127.0.0.5");
		ck_assert_uint_eq(bind_told.bound.port, wish);
	}
	/* Of one who is named it is the port that he comes from. */
	(void)snprintf(dst, sizeof(dst), "127.0.0.5:%u", two->first - 1u);
	bind_succeed(dst, "127.0.0.5");
}

START_TEST(ports_are_those_of_the_range)
{
	on_loop(range, NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, who_is_expected_is_let_in);
	tcase_add_test(t, where_none_is_named_anybody_is_let_in);
	tcase_add_test(
		t,
		without_a_route_the_address_that_the_client_came_to_is_taken);
	tcase_add_test(t, an_ipv6_client_of_an_ipv4_connection_is_let_in);
	tcase_add_test(t, one_that_is_named_is_looked_up);
	tcase_add_test(t, a_name_is_an_ipv4_address_to_socks4);
	tcase_add_test(t, what_a_client_sends_early_is_kept);
	tcase_add_test(t, it_listens_on_the_source_address);
	tcase_add_test(t, without_a_source_of_the_family_it_is_refused);
	tcase_add_test(t, what_stands_behind_nat_tells_the_address_outside);
	tcase_add_test(t, without_a_range_no_port_may_be_wished_for);
	tcase_add_test(t, ports_are_those_of_the_range);
}

int main(void)
{
	Suite *s = suite_create("bind");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, bind_setup, NULL);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
