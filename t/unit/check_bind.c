/*
 * BIND: a request as a protocol leaves it, a proxy of one worker on this
 * thread's loop, and what is told, let in and refused.
 */
#include "daemon/proxy/proxy_internal.h"

#include "core/conn.h"
#include "core/passive.h"
#include "core/sock.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct proxy_options options;
static struct outbound_source sources[2];
static struct proxy *proxy;
static struct proxy_listener listener = { .number = 1 };
static struct rule_spec spec[3];
static struct rules *rules;
static size_t spec_count;
static struct rule_match anywhere[2];
static struct request *rq;
static int client; /* its end of the control connection */

/* --- A protocol that does as it is told --------------------------------- */

static struct {
	struct tcp_addr bound; /* what the last grant told */
	unsigned grants;
	int result;
	void (*then)(void); /* after the first reply */
} told;

static int grant(struct request *r)
{
	told.bound = r->bound;
	told.grants++;
	if (told.result == 0 && told.then)
		told.then();
	return told.result;
}

static struct proxy_protocol protocol = { .number = PROTOCOL_SOCKS5,
					  .grant = grant };

/* --- The proxy ---------------------------------------------------------- */

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

/* Allows all, loopback too; what a test wants goes before. */
static void make_rules(void)
{
	anywhere[0] = (struct rule_match){ .type = RULE_MATCH_CLASS };
	anywhere[1] = anywhere[0];
	ck_assert_int_eq(addr_class_parse(&anywhere[0].class, "any"), 0);
	ck_assert_int_eq(addr_class_parse(&anywhere[1].class, "loopback"), 0);
	spec[spec_count++] = (struct rule_spec){ .allow = true,
						 .to = anywhere,
						 .to_count = 2 };
	ck_assert_int_eq(rules_new(&rules, NULL, 0, spec, spec_count), 0);
}

static void setup(void)
{
	options = (struct proxy_options){
		.workers = 1,
		.max_sessions = 4,
		.names = { .max_pending = 4 },
		.timeouts = { .handshake_ms = SOON_MS,
			      .name_ms = SOON_MS,
			      .bind_ms = SOON_MS },
	};
}

static void begin(const char *dst)
{
	int pair[2];

	told.grants = 0;
	make_rules();
	options.rules = rules;
	ck_assert_int_eq(proxy_new(&proxy, &options), 0);
	ck_assert_int_eq(proxy_worker_start(proxy, 0), 0);
	listener.proxy = proxy;
	tcp_pair(pair, 0);
	client = pair[0];
	rq = calloc(1, sizeof(*rq));
	ck_assert_ptr_nonnull(rq);
	rq->client = conn_of(pair[1]);
	rq->here = proxy_here();
	rq->listener = &listener;
	rq->protocol = &protocol;
	rq->session = sessions_open(proxy->sessions, 0);
	rq->command = COMMAND_BIND;
	ck_assert_int_eq(sock_local(pair[0], &rq->client->peer), 0);
	if (strchr(dst, ':')) {
		rq->target = address(dst);
		rq->port = rq->target.port;
	} else {
		(void)snprintf(rq->host, sizeof(rq->host), "%s", dst);
	}
}

static void end(void)
{
	if (rq->server)
		tcp_conn_close(rq->server);
	tcp_conn_close(rq->client);
	sessions_close(proxy->sessions, rq->session);
	free(rq);
	close_fd(&client);
	proxy_worker_stop(proxy, 0);
	proxy_free(proxy);
	rules_free(rules);
	spec_count = 0;
}

/* --- Somebody comes ----------------------------------------------------- */

static int peer = -1;
static const char *from; /* the address that he comes from */

/* NULL: from whatever address leads there. */
static int come_from(const char *ip)
{
	int fd = sock_stream(rq->session->bound.family);
	struct tcp_addr source;
	int r;

	ck_assert_int_ge(fd, 0);
	if (ip) {
		source = address(ip);
		ck_assert_int_eq(sock_bind_source(fd, &source), 0);
	}
	r = sock_connect(fd, &rq->session->bound);
	ck_assert(r == 0 || r == -EINPROGRESS);
	return fd;
}

static void come(void)
{
	if (told.grants == 1)
		peer = come_from(from);
}

static void expect_bound(const struct tcp_addr *a)
{
	ck_assert(addr_equal(&told.bound, a));
}

static void expect_let_in(void)
{
	struct tcp_addr a;

	ck_assert_uint_eq(told.grants, 1);
	ck_assert(rq->granted);
	ck_assert_ptr_nonnull(rq->server);
	ck_assert_int_eq(sock_local(peer, &a), 0);
	/* What the second reply is to tell. */
	ck_assert(addr_equal(&rq->bound, &a));
	ck_assert(addr_equal(&rq->session->target, &a));
	ck_assert_int_eq(tcp_conn_local(rq->server, &a), 0);
	ck_assert(addr_equal(&rq->session->bound, &a));
	ck_assert_int_eq(send(peer, pattern(0), 100, MSG_NOSIGNAL), 100);
	conn_expect(rq->server, 0, 100);
}

/* All of one in which somebody is let in. */
static void succeed(const char *dst, const char *whom)
{
	struct tcp_addr listens;

	from = whom;
	told.then = come;
	begin(dst);
	ck_assert_int_eq(request_bind(rq), OUTCOME_NONE);
	expect_let_in();
	listens = rq->session->bound;
	expect_bound(&listens);
	end();
	close_fd(&peer);
}

static void expected_one(void)
{
	succeed("127.0.0.5:0", "127.0.0.5");
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
	struct tcp_addr to = address(far), a;

	return passive_address(&a, &to, &none) == 0 ? a : address(otherwise);
}

static void allow_all(void)
{
	static struct rule_match all[2] = { { .type = RULE_MATCH_PREFIX },
					    { .type = RULE_MATCH_PREFIX } };

	ck_assert_int_eq(prefix_parse(&all[0].prefix, "0.0.0.0/0"), 0);
	ck_assert_int_eq(prefix_parse(&all[1].prefix, "::/0"), 0);
	spec[spec_count++] = (struct rule_spec){ .allow = true,
						 .to = all,
						 .to_count = 2 };
}

static void anybody(void)
{
	struct tcp_addr a = outside_of("198.41.0.4:0", "127.0.0.1:0");

	allow_all();
	succeed("0.0.0.0:0", NULL);
	ck_assert(addr_same_ip(&told.bound, &a));
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
	succeed("[::]:0", NULL);
	ck_assert(addr_same_ip(&told.bound, &a));
}

START_TEST(without_a_route_the_address_that_the_client_came_to_is_taken)
{
	on_loop(any_ipv6_for_ipv4, NULL);
}
END_TEST

static void over_ipv6(void)
{
	int fd = sock_stream(AF_INET6);
	struct tcp_addr one = address("[::1]:0");
	bool can = fd >= 0 && sock_bind_source(fd, &one) == 0;

	close_fd(&fd);
	if (can)
		succeed("[::1]:0", "::1");
}

START_TEST(an_ipv6_client_of_an_ipv4_connection_is_let_in)
{
	on_loop(over_ipv6, NULL);
}
END_TEST

static void by_name(void)
{
	options.outbound.prefer = AF_INET;
	succeed("localhost", "127.0.0.1");
	ck_assert_int_eq(told.bound.family, AF_INET);
}

START_TEST(one_that_is_named_is_looked_up)
{
	on_loop(by_name, NULL);
}
END_TEST

static void by_name_for_socks4(void)
{
	protocol.number = PROTOCOL_SOCKS4;
	succeed("localhost", "127.0.0.1");
	ck_assert_int_eq(told.bound.family, AF_INET);
}

START_TEST(a_name_is_an_ipv4_address_to_socks4)
{
	on_loop(by_name_for_socks4, NULL);
}
END_TEST

static void speak_early(void)
{
	come();
	ck_assert_int_eq(send(client, "early", 5, MSG_NOSIGNAL), 5);
}

static void early(void)
{
	char bytes[6] = "";

	from = "127.0.0.1";
	told.then = speak_early;
	begin("127.0.0.1:0");
	ck_assert_int_eq(request_bind(rq), OUTCOME_NONE);
	expect_let_in();
	ck_assert_int_eq(
		tcp_conn_read(rq->client, bytes, 5, deadline_in(SOON_MS)), 5);
	ck_assert_str_eq(bytes, "early");
	end();
	close_fd(&peer);
}

START_TEST(what_a_client_sends_early_is_kept)
{
	on_loop(early, NULL);
}
END_TEST

/* --- Where it listens --------------------------------------------------- */

static void set_source(const char *text)
{
	sources[0].addr = address(text);
	options.outbound.sources = sources;
	options.outbound.source_count = 1;
}

static void from_source(void)
{
	set_source("127.0.0.66:0");
	succeed("127.0.0.5:0", "127.0.0.5");
	ck_assert(addr_same_ip(&told.bound, &sources[0].addr));
	succeed("0.0.0.0:0", "127.0.0.5");
	ck_assert(addr_same_ip(&told.bound, &sources[0].addr));
}

START_TEST(it_listens_on_the_source_address)
{
	on_loop(from_source, NULL);
}
END_TEST

static void one_that_fails(const char *dst, enum outcome expect)
{
	begin(dst);
	ck_assert_int_eq(request_bind(rq), expect);
	ck_assert_uint_eq(told.grants, 0);
	ck_assert(!rq->granted);
	ck_assert_ptr_null(rq->server);
	end();
}

static void no_way(void)
{
	set_source("127.0.0.66:0");
	one_that_fails("[::1]:0", OUTCOME_NO_SOURCE);
	/* An address that is not ours, any more. */
	set_source("192.0.2.66:0");
	one_that_fails("127.0.0.1:0", OUTCOME_NO_RESOURCES);
	set_source("[2001:db8::1]:0");
	protocol.number = PROTOCOL_SOCKS4;
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

	options.outbound.bind_address4 = address("203.0.113.9:0");
	from = "127.0.0.5";
	told.then = come;
	begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(rq), OUTCOME_NONE);
	expect_let_in();
	listens = rq->session->bound;
	ck_assert(addr_is_loopback(&listens));
	ck_assert(addr_same_ip(&told.bound, &options.outbound.bind_address4));
	ck_assert_uint_eq(told.bound.port, listens.port);
	end();
	close_fd(&peer);
}

START_TEST(what_stands_behind_nat_tells_the_address_outside)
{
	on_loop(outside, NULL);
}
END_TEST

static void wish_port(void)
{
	struct tcp_addr wished = tcp_refusing();
	struct tcp_addr held;
	int fd = tcp_listening(&held, 1);
	char dst[40];

	set_source("127.0.0.1:0");
	(void)snprintf(dst, sizeof(dst), "0.0.0.0:%u", wished.port);
	succeed(dst, "127.0.0.5");
	ck_assert_uint_eq(told.bound.port, wished.port);
	/* Of one who is named it is the port that he comes from. */
	(void)snprintf(dst, sizeof(dst), "127.0.0.5:%u", wished.port);
	succeed(dst, "127.0.0.5");
	ck_assert_uint_ne(told.bound.port, wished.port);
	(void)snprintf(dst, sizeof(dst), "0.0.0.0:%u", held.port);
	succeed(dst, "127.0.0.5");
	ck_assert_uint_ne(told.bound.port, held.port);
	succeed("0.0.0.0:1023", "127.0.0.5");
	ck_assert_uint_ne(told.bound.port, 1023);
	close_fd(&fd);
}

START_TEST(a_port_may_be_wished_for)
{
	on_loop(wish_port, NULL);
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
	struct port_range *two = &options.outbound.bind_ports;
	char dst[40];
	int fd[2];

	set_source("127.0.0.1:0");
	*two = two_ports(fd);
	one_that_fails("127.0.0.5:0", OUTCOME_NO_RESOURCES);
	/* Whichever it begins with. */
	for (int i = 0; i < 8; i++) {
		struct tcp_addr a;
		int k = i % 2;
		int free_fd;

		close_fd(&fd[k]);
		succeed("127.0.0.5:0", "127.0.0.5");
		ck_assert_uint_eq(told.bound.port, k ? two->last : two->first);
		a = address("127.0.0.1:0");
		a.port = told.bound.port;
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
		succeed(dst, "127.0.0.5");
		ck_assert_uint_eq(told.bound.port, wish);
	}
}

START_TEST(ports_are_those_of_the_range)
{
	on_loop(range, NULL);
}
END_TEST

/* --- Who is not let in -------------------------------------------------- */

static void expect_reset(int fd)
{
	char byte;

	await(fd, POLLIN);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

static int strangers[100];
static int stranger_count;

static void come_with_strangers(void)
{
	for (int i = 0; i < stranger_count; i++) {
		strangers[i] = come_from("127.0.0.99");
		settle(); /* the queue is short */
	}
	come();
}

static void strangers_come(void *arg UNUSED)
{
	come_with_strangers();
}

static void start_strangers(void)
{
	ck_assert_int_eq(task_start(strangers_come, NULL, NULL), 0);
}

static void after_strangers(int count, enum outcome expect)
{
	stranger_count = count;
	from = "127.0.0.5";
	told.then = start_strangers;
	begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(rq), expect);
	while (task_count() > 1)
		nap(1);
	for (int i = 0; i < count && i < 65; i++) {
		expect_reset(strangers[i]);
		close_fd(&strangers[i]);
	}
	if (expect == OUTCOME_NONE)
		expect_let_in();
	ck_assert(rq->granted);
	end();
	close_fd(&peer);
}

static void some_strangers(void)
{
	after_strangers(64, OUTCOME_NONE);
}

START_TEST(strangers_are_reset_and_the_one_expected_let_in)
{
	on_loop(some_strangers, NULL);
}
END_TEST

static void too_many(void)
{
	after_strangers(65, OUTCOME_DENIED);
}

START_TEST(more_than_64_strangers_end_it)
{
	on_loop(too_many, NULL);
}
END_TEST

static struct port_range only_his;
static struct rule_match loopback;

/* The port of the peer counts, which is known when he comes only. */
static void by_port(void)
{
	only_his = (struct port_range){ 1, 1 };
	spec[spec_count++] = (struct rule_spec){
		.allow = true, .commands = COMMAND_BIT(COMMAND_CONNECT)
	};
	spec[spec_count++] = (struct rule_spec){
		.allow = false,
		.ports = &only_his,
		.port_count = 1,
	};
	succeed("127.0.0.5:1", "127.0.0.5");
}

START_TEST(ports_of_rules_are_those_of_the_peer)
{
	on_loop(by_port, NULL);
}
END_TEST

static void deny_ports(void)
{
	only_his = (struct port_range){ 2, 65535 };
	spec[spec_count++] = (struct rule_spec){
		.allow = false,
		.ports = &only_his,
		.port_count = 1,
	};
	options.timeouts.bind_ms = 100;
	from = "127.0.0.5";
	told.then = come;
	begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(rq), OUTCOME_ACCEPT_TIMEOUT);
	ck_assert(rq->granted);
	ck_assert_ptr_null(rq->server);
	ck_assert_uint_eq(rq->rule, 1);
	expect_reset(peer);
	end();
	close_fd(&peer);
}

START_TEST(one_whom_a_rule_denies_is_a_stranger)
{
	on_loop(deny_ports, NULL);
}
END_TEST

static void denied(struct rule_spec first, const char *dst)
{
	spec[spec_count++] = first;
	begin(dst);
	ck_assert_int_eq(request_bind(rq), OUTCOME_DENIED);
	ck_assert_uint_eq(told.grants, 0);
	ck_assert_uint_eq(rq->rule, 1);
	end();
}

static void denied_early(void)
{
	static const struct rule_match name = { .type = RULE_MATCH_NAME,
						.name = "localhost" };

	loopback = (struct rule_match){ .type = RULE_MATCH_CLASS };
	ck_assert_int_eq(addr_class_parse(&loopback.class, "loopback"), 0);
	denied((struct rule_spec){ .commands = COMMAND_BIT(COMMAND_BIND) },
	       "127.0.0.5:0");
	denied((struct rule_spec){ .to = &loopback, .to_count = 1 },
	       "127.0.0.5:0");
	denied((struct rule_spec){ .to = &name, .to_count = 1 }, "localhost");
	denied((struct rule_spec){ .to = &loopback, .to_count = 1 },
	       "localhost");
}

START_TEST(what_no_peer_could_be_allowed_is_refused_at_once)
{
	on_loop(denied_early, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void in_vain(enum outcome expect)
{
	begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(rq), expect);
	ck_assert_ptr_null(rq->server);
	end();
}

static void nobody(void)
{
	options.timeouts.bind_ms = 10;
	in_vain(OUTCOME_ACCEPT_TIMEOUT);
	ck_assert_uint_eq(told.grants, 1);
}

START_TEST(nobody_in_time_is_a_timeout)
{
	on_loop(nobody, NULL);
}
END_TEST

static void too_old(void)
{
	options.timeouts.session_ms = 10;
	in_vain(OUTCOME_EXPIRED);
}

START_TEST(a_session_gets_no_older_than_it_may)
{
	on_loop(too_old, NULL);
}
END_TEST

static void no_bound(void)
{
	options.timeouts.session_ms = SOON_MS;
	succeed("127.0.0.5:0", "127.0.0.5");
}

START_TEST(one_that_is_young_goes_on)
{
	on_loop(no_bound, NULL);
}
END_TEST

static void client_ends(void)
{
	ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
}

static void left(void)
{
	told.then = client_ends;
	in_vain(OUTCOME_CLIENT_LEFT);
}

START_TEST(a_client_that_ends_ends_it)
{
	on_loop(left, NULL);
}
END_TEST

static void client_resets(void)
{
	sock_set_reset(client);
	close_fd(&client);
}

static void reset(void)
{
	told.then = client_resets;
	begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(rq), OUTCOME_CLIENT_LEFT);
	ck_assert_int_eq(rq->error, -ECONNRESET);
	end();
}

START_TEST(a_client_that_is_reset_ends_it)
{
	on_loop(reset, NULL);
}
END_TEST

static void no_reply(void)
{
	told.result = -EPIPE;
	in_vain(OUTCOME_CLIENT_LEFT);
	told.result = -ECANCELED;
	in_vain(OUTCOME_SHUTDOWN);
}

START_TEST(a_first_reply_that_cannot_be_told_ends_it)
{
	on_loop(no_reply, NULL);
}
END_TEST

static struct task *waiting;

static void bind_alone(void *arg UNUSED)
{
	ck_assert_int_eq(request_bind(rq), OUTCOME_SHUTDOWN);
	waiting = NULL;
}

static void cancel(void)
{
	begin("127.0.0.5:0");
	ck_assert_int_eq(task_start(bind_alone, NULL, &waiting), 0);
	nap(5);
	ck_assert_uint_eq(told.grants, 1);
	task_cancel(waiting);
	nap(1);
	ck_assert_ptr_null(waiting);
	end();
}

START_TEST(the_end_of_the_server_ends_it)
{
	on_loop(cancel, NULL);
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
	tcase_add_test(t, a_port_may_be_wished_for);
	tcase_add_test(t, ports_are_those_of_the_range);
	tcase_add_test(t, strangers_are_reset_and_the_one_expected_let_in);
	tcase_add_test(t, more_than_64_strangers_end_it);
	tcase_add_test(t, ports_of_rules_are_those_of_the_peer);
	tcase_add_test(t, one_whom_a_rule_denies_is_a_stranger);
	tcase_add_test(t, what_no_peer_could_be_allowed_is_refused_at_once);
	tcase_add_test(t, nobody_in_time_is_a_timeout);
	tcase_add_test(t, a_session_gets_no_older_than_it_may);
	tcase_add_test(t, one_that_is_young_goes_on);
	tcase_add_test(t, a_client_that_ends_ends_it);
	tcase_add_test(t, a_client_that_is_reset_ends_it);
	tcase_add_test(t, a_first_reply_that_cannot_be_told_ends_it);
	tcase_add_test(t, the_end_of_the_server_ends_it);
}

int main(void)
{
	Suite *s = suite_create("bind");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
