/*
 * The proxy in a server of its own: what a session leaves in the memory that
 * the proxy was given, while it lives and when it has ended.
 */
#include "daemon/proxy/proxy_listener.h"

#include "daemon/proxy/guess.h"
#include "daemon/proxy/sessions.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#define WORKERS    2u
#define SESSIONS   50u
#define GENERATION 9u
#define SOON_MS    10000

static struct rules *rules;
static struct policy *policy;
static struct proxy *proxy;
static struct proxy_listener listener;
static struct session *slots;
static struct proxy_counts *counts;
static struct tcp_addr server;
static int target = -1; /* listens */
static uint16_t target_port;

static void make_rules(bool let_in)
{
	struct rule_match loopback = { .type = RULE_MATCH_CLASS };
	struct rule_spec client = { .allow = let_in };
	struct rule_spec request = { .allow = true,
				     .to = &loopback,
				     .to_count = 1 };

	ck_assert_int_eq(addr_class_parse(&loopback.class, "loopback"), 0);
	ck_assert_int_eq(rules_new(&rules, &client, 1, &request, 1, NULL), 0);
}

static void make_target(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(target, 0);
	ck_assert_int_eq(bind(target, (struct sockaddr *)&sin, sizeof(sin)), 0);
	ck_assert_int_eq(listen(target, 10), 0);
	ck_assert_int_eq(getsockname(target, (struct sockaddr *)&sin, &len), 0);
	target_port = ntohs(sin.sin_port);
}

static void start(bool let_in, bool own_memory)
{
	struct proxy_options o = { .workers = WORKERS,
				   .max_sessions = SESSIONS,
				   .generation = GENERATION,
				   .names = { .max_pending = 10 },
				   .timeouts = { .handshake_ms = SOON_MS,
						 .name_ms = SOON_MS,
						 .connect_ms = SOON_MS } };
	struct tcp_server_options so = { .workers = WORKERS,
					 .worker_start = proxy_worker_start,
					 .worker_stop = proxy_worker_stop };
	const struct tcp_listen_options lo = { .admit = proxy_admit,
					       .unhandled = proxy_unhandled,
					       .first_byte_ms = SOON_MS };
	uint32_t n = sessions_slots(WORKERS, SESSIONS);

	make_rules(let_in);
	make_target();
	slots = calloc(n, sizeof(*slots));
	counts = aligned_alloc(64, WORKERS * sizeof(*counts));
	ck_assert(slots && counts);
	memset(counts, 0, WORKERS * sizeof(*counts));
	if (!own_memory) {
		o.slots = slots;
		o.counts = counts;
	}
	ck_assert_int_eq(policy_new(&policy, rules, NULL), 0);
	o.policy = policy;
	ck_assert_int_eq(proxy_new(&proxy, &o), 0);
	listener = (struct proxy_listener){
		.proxy = proxy,
		.number = 1,
		.protocols = PROTOCOL_BIT(PROTOCOL_SOCKS5) |
			     PROTOCOL_BIT(PROTOCOL_HTTP),
	};
	so.ctx = proxy;
	server = served_start(&so, &lo, proxy_serve, &listener);
}

static void teardown(void)
{
	served_stop();
	proxy_free(proxy);
	policy_unref(policy);
	free(slots);
	free(counts);
	close_fd(&target);
	proxy = NULL;
	rules = NULL;
	slots = NULL;
	counts = NULL;
}

/* --- As a client -------------------------------------------------------- */

static int connect_client(void)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(&server, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static void say(int fd, const void *bytes, size_t len)
{
	ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void hear(int fd, size_t len)
{
	char bytes[256];

	ck_assert_int_eq(recv(fd, bytes, len, MSG_WAITALL), (ssize_t)len);
}

/* By SOCKS5 to the target; its end of the tunnel. */
static int tunnel(int fd)
{
	uint8_t ask_for[10] = { 5, 1, 0, 1, 127, 0, 0, 1 };
	int far;

	put_be16(ask_for + 8, target_port);
	say(fd, "\5\1", 3);
	hear(fd, 2);
	say(fd, ask_for, sizeof(ask_for));
	hear(fd, 10);
	far = accept4(target, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(far, 0);
	return far;
}

/* --- As a reader -------------------------------------------------------- */

static uint64_t sum(const uint64_t *of_first)
{
	size_t at = (size_t)((const char *)of_first - (const char *)counts);
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += __atomic_load_n(
			(const uint64_t *)((const char *)&counts[i] + at),
			__ATOMIC_ACQUIRE);
	return n;
}

static void wait_for_ends(uint64_t sessions)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; i < SOON_MS && sum(&counts->sessions) < sessions; i++)
		(void)nanosleep(&ms, NULL);
	ck_assert_uint_eq(sum(&counts->sessions), sessions);
}

/* How many records there are, and the last of them. */
static unsigned records(struct session *ret)
{
	struct session_walk w;
	unsigned count = 0;

	session_walk_init(&w, slots, sessions_slots(WORKERS, SESSIONS), WORKERS,
			  false);
	while (session_walk_next(&w, ret))
		count++;
	return count;
}

#ifndef HAVE_TSAN /* which does not understand sequence counts */

START_TEST(a_tunnel_can_be_seen)
{
	int fd, far;
	struct session s;

	start(true, false);
	fd = connect_client();
	far = tunnel(fd);
	say(fd, "12345", 5);
	hear(far, 5);
	ck_assert_uint_eq(records(&s), 1);
	ck_assert_int_eq(s.state, SESSION_RELAY);
	ck_assert_uint_eq(s.generation, GENERATION);
	ck_assert_int_eq(s.protocol, PROTOCOL_SOCKS5);
	ck_assert_uint_eq(s.target.port, target_port);
	ck_assert_uint_eq(s.listener, 1);
	ck_assert_uint_eq(s.rule, 1);
	close_fd(&fd);
	close_fd(&far);
	served_until(active, 0);
	ck_assert_uint_eq(records(&s), 0);
}
END_TEST

#endif

START_TEST(a_tunnel_counts_when_it_ends)
{
	int fd, far;

	start(true, false);
	fd = connect_client();
	far = tunnel(fd);
	say(fd, "12345", 5);
	hear(far, 5);
	say(far, "1234567", 7);
	hear(fd, 7);
	ck_assert_uint_eq(sum(&counts->sessions), 0);
	close_fd(&fd);
	close_fd(&far);
	wait_for_ends(1);
	served_until(active, 0);
	ck_assert_uint_eq(sum(&counts->bytes_up), 5);
	ck_assert_uint_eq(sum(&counts->bytes_down), 7);
	ck_assert_uint_eq(sum(&counts->protocols[PROTOCOL_SOCKS5]), 1);
	ck_assert_uint_eq(sum(&counts->outcomes[OUTCOME_CLOSED]), 1);
}
END_TEST

START_TEST(a_request_that_is_refused_counts)
{
	static const char head[] = "CONNECT 10.0.0.1:80 HTTP/1.1\r\n"
				   "Host: 10.0.0.1:80\r\n\r\n";

	start(true, false);
	for (int i = 0; i < 10; i++) {
		int fd = connect_client();

		say(fd, head, strlen(head));
		hear(fd, 12);
		close_fd(&fd);
	}
	wait_for_ends(10);
	ck_assert_uint_eq(sum(&counts->protocols[PROTOCOL_HTTP]), 10);
	ck_assert_uint_eq(sum(&counts->outcomes[OUTCOME_DENIED]), 10);
	ck_assert_uint_eq(sum(&counts->bytes_up), 0);
}
END_TEST

START_TEST(a_client_that_is_not_let_in_counts)
{
	char byte;
	int fd;

	start(false, false);
	fd = connect_client();
	wait_for_ends(1);
	ck_assert_uint_eq(sum(&counts->protocols[PROTOCOL_NONE]), 1);
	ck_assert_uint_eq(sum(&counts->outcomes[OUTCOME_DENIED]), 1);
	ck_assert_int_le(recv(fd, &byte, 1, 0), 0);
	close_fd(&fd);
}
END_TEST

START_TEST(sessions_that_are_cut_count)
{
	struct session s;
	int fd, far;

	start(true, false);
	fd = connect_client();
	far = tunnel(fd);
	say(fd, "abc", 3);
	hear(far, 3);
	(void)tcp_server_shutdown(served, 0);
	ck_assert_uint_eq(sum(&counts->sessions), 1);
	ck_assert_uint_eq(sum(&counts->bytes_up), 3);
	ck_assert_uint_eq(sum(&counts->outcomes[OUTCOME_SHUTDOWN]), 1);
	ck_assert_uint_eq(records(&s), 0);
	close_fd(&fd);
	close_fd(&far);
}
END_TEST

/* 0, or the reply code of a SOCKS5 request. */
static int asked_again(void)
{
	uint8_t reply[10], ask_for[10] = { 5, 1, 0, 1, 127, 0, 0, 1 };
	int fd = connect_client();

	put_be16(ask_for + 8, target_port);
	say(fd, "\5\1", 3);
	hear(fd, 2);
	say(fd, ask_for, sizeof(ask_for));
	ck_assert_int_eq(recv(fd, reply, 10, MSG_WAITALL), 10);
	close_fd(&fd);
	return reply[1];
}

START_TEST(a_policy_can_be_replaced)
{
	const struct rule_spec client = { .allow = true };
	struct policy *old, *next;
	uint64_t number;
	int fd, far;

	start(true, false);
	fd = connect_client();
	far = tunnel(fd);
	old = policy;
	number = policy_number(old);
	ck_assert(policy_is_shared(old));
	ck_assert_int_eq(rules_new(&rules, &client, 1, NULL, 0, NULL), 0);
	ck_assert_int_eq(policy_new(&next, rules, NULL), 0);
	ck_assert_uint_ne(policy_number(next), number);
	/* Nobody has logged in: nobody is gone. */
	ck_assert_uint_eq(proxy_set_policy(proxy, next, true), 0);
	ck_assert(!policy_is_shared(old));
	ck_assert(policy_is_shared(next));
	policy_unref(old);
	policy = next;
	ck_assert_int_eq(asked_again(), SOCKS5_REP_NOT_ALLOWED);
	say(fd, "abc", 3);
	hear(far, 3);
	close_fd(&fd);
	close_fd(&far);
	wait_for_ends(2);
	ck_assert_uint_eq(sum(&counts->outcomes[OUTCOME_CLOSED]), 1);
}
END_TEST

START_TEST(memory_of_its_own_will_do)
{
	struct session s;
	int fd, far;

	start(true, true);
	fd = connect_client();
	far = tunnel(fd);
	say(fd, "abc", 3);
	hear(far, 3);
	close_fd(&fd);
	close_fd(&far);
	served_until(active, 0);
	ck_assert_uint_eq(records(&s), 0);
	ck_assert_uint_eq(sum(&counts->sessions), 0);
}
END_TEST

START_TEST(too_many_sessions_are_refused)
{
	const struct proxy_options o = { .workers = WORKERS,
					 .max_sessions = SIZE_MAX };

	ck_assert_int_eq(proxy_new(&proxy, &o), -ENOMEM);
	ck_assert_ptr_null(proxy);
	proxy_free(NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proxy");
	TCase *t = tcase_create("served");
	TCase *alone = tcase_create("alone");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
#ifndef HAVE_TSAN
	tcase_add_test(t, a_tunnel_can_be_seen);
#endif
	tcase_add_test(t, a_tunnel_counts_when_it_ends);
	tcase_add_test(t, a_request_that_is_refused_counts);
	tcase_add_test(t, a_client_that_is_not_let_in_counts);
	tcase_add_test(t, sessions_that_are_cut_count);
	tcase_add_test(t, a_policy_can_be_replaced);
	tcase_add_test(t, memory_of_its_own_will_do);
	suite_add_tcase(s, t);
	tcase_add_test(alone, too_many_sessions_are_refused);
	suite_add_tcase(s, alone);
	return run_suite(s);
}
