/*
 * Access lines as danted writes them: those of danted 1.4.2 itself, as its
 * daemon has written them, and what has no place in them.
 */
#include "daemon/access.h"
#include "daemon/log.h"
#include "daemon/proxy/rule_spec.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *const listeners[] = { "lan" };
static struct tcp_addr addresses[1][2];

static const struct access_names names = {
	.listeners = listeners,
	.listener_count = 1,
	.addresses = (const struct tcp_addr (*)[2])addresses,
};

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, -1), 0);
	return a;
}

static struct session example(void)
{
	struct session s = {
		.protocol = PROTOCOL_SOCKS5,
		.command = COMMAND_CONNECT,
		.outcome = OUTCOME_CLOSED,
		.started_ms = 100000,
		.ended_ms = 107999,
		.bytes_up = 5,
		.bytes_down = 10,
		.listener = 1,
		.client_rule = 2,
		.rule = 3,
	};

	addresses[0][0] = address("127.0.0.1:21080");
	addresses[0][1] = address("[::]:21080");
	s.client = address("127.0.0.1:59639");
	s.target = address("127.0.0.1:59989");
	s.bound = address("127.0.0.1:43687");
	return s;
}

static const char *told(enum access_event event, const struct session *s)
{
	static char out[LOG_LINE_BYTES + 1];
	struct access_entry e = { .event = event,
				  .session = s,
				  .names = &names };
	size_t len = access_danted(&e, out, LOG_LINE_BYTES);

	out[len] = '\0';
	return out;
}

static void log_in(struct session *s, const char *user)
{
	s->method = AUTH_PASSWORD;
	s->user_len = (uint8_t)strlen(user);
	memcpy(s->user, user, s->user_len);
}

static void set_host(struct session *s, const char *host)
{
	s->host_len = (uint8_t)strlen(host);
	memcpy(s->host, host, s->host_len);
}

START_TEST(a_session_begins_and_ends)
{
	struct session s = example();

	ck_assert_str_eq(told(ACCESS_CONNECT, &s),
			 "info: pass(3): tcp/connect [: 127.0.0.1.59639 "
			 "127.0.0.1.21080 -> 127.0.0.1.43687 127.0.0.1.59989");
	ck_assert_str_eq(
		told(ACCESS_DISCONNECT, &s),
		"info: pass(3): tcp/connect ]: 10 -> 127.0.0.1.59639 "
		"127.0.0.1.21080 -> 5, 5 -> 127.0.0.1.43687 127.0.0.1.59989 "
		"-> 10: remote peer closed.  Session duration: 7s");
	s.command = COMMAND_BIND;
	ck_assert(strncmp(told(ACCESS_CONNECT, &s),
			  "info: pass(3): tcp/bind [: ", 26) == 0);
	s.command = COMMAND_UDP;
	ck_assert(strncmp(told(ACCESS_CONNECT, &s),
			  "info: pass(3): udp/udpassociate [: ", 34) == 0);
}
END_TEST

START_TEST(who_has_logged_in_stands_in_front)
{
	struct session s = example();

	log_in(&s, "alice");
	ck_assert_str_eq(told(ACCESS_CONNECT, &s),
			 "info: pass(3): tcp/connect [: "
			 "username%alice@127.0.0.1.59639 127.0.0.1.21080 -> "
			 "127.0.0.1.43687 127.0.0.1.59989");
	log_in(&s, "a b@c%\"\n");
	s.method = AUTH_PAM;
	ck_assert_ptr_nonnull(strstr(
		told(ACCESS_CONNECT, &s),
		": pam.username%a\\x20b\\x40c\\x25\\x22\\x0a@127.0.0.1."));
}
END_TEST

START_TEST(ipv6_has_dots_too)
{
	struct session s = example();

	s.client = address("[2001:db8::7]:1");
	s.target = address("[2001:db8::1]:443");
	s.bound = (struct tcp_addr){ .family = AF_UNSPEC };
	ck_assert_str_eq(told(ACCESS_CONNECT, &s),
			 "info: pass(3): tcp/connect [: 2001:db8::7.1 "
			 "::.21080 -> 0.0.0.0.0 2001:db8::1.443");
}
END_TEST

static void ck_reason(enum outcome o, int error, const char *why)
{
	struct session s = example();
	const char *line;
	size_t len;

	s.outcome = (uint8_t)o;
	s.error = (int16_t)error;
	line = told(ACCESS_DISCONNECT, &s);
	line = strstr(line, " -> 10: ");
	ck_assert_ptr_nonnull(line);
	len = strlen(why);
	ck_assert(strncmp(line + 8, why, len) == 0);
	ck_assert_str_eq(line + 8 + len, ".  Session duration: 7s");
}

START_TEST(ends_have_danteds_words)
{
	ck_reason(OUTCOME_CLIENT_RESET, ECONNRESET,
		  "local client error (Connection reset by peer)");
	ck_reason(OUTCOME_TARGET_RESET, EPIPE,
		  "remote peer error (Broken pipe)");
	ck_reason(OUTCOME_IDLE, 0, "i/o timeout");
	ck_reason(OUTCOME_HALF_CLOSED, 0, "tcp-fin-wait timeout");
	ck_reason(OUTCOME_EXPIRED, 0, "expired");
	ck_reason(OUTCOME_SHUTDOWN, 0, "shutdown");
	ck_reason(OUTCOME_KILLED, 0, "killed");
}
END_TEST

START_TEST(refusals_name_the_rule_by_number)
{
	struct session s = example();

	s.outcome = OUTCOME_DENIED;
	s.rule = 1;
	s.bound = (struct tcp_addr){ .family = AF_UNSPEC };
	s.target = address("127.0.0.1:22");
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(1): tcp/connect ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080 -> 0.0.0.0.0 127.0.0.1.22");
	s.rule = SESSION_NONE;
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(0): tcp/connect ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080 -> 0.0.0.0.0 127.0.0.1.22: no rules "
			 "matched; using default block rule");
	s.outcome = OUTCOME_LIMIT_RULE;
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(2): tcp/connect ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080 -> 0.0.0.0.0 127.0.0.1.22: "
			 "limit-rule");
	/* A client that may not even ask. */
	s.outcome = OUTCOME_DENIED;
	s.command = COMMAND_NONE;
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(2): tcp/accept ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080");
}
END_TEST

START_TEST(what_cannot_be_connected_says_why)
{
	struct session s = example();

	s.outcome = OUTCOME_REFUSED;
	s.error = ECONNREFUSED;
	s.bytes_up = s.bytes_down = 0;
	ck_assert_str_eq(
		told(ACCESS_ERROR, &s),
		"info: pass(3): tcp/connect ]: 0 -> 127.0.0.1.59639 "
		"127.0.0.1.21080 -> 0, 0 -> 127.0.0.1.43687 127.0.0.1.59989 "
		"-> 0: remote peer error (Connection refused).  Session "
		"duration: 7s");
	s.outcome = OUTCOME_CONNECT_TIMEOUT;
	ck_assert_ptr_nonnull(strstr(told(ACCESS_ERROR, &s),
				     ": connect timeout.  Session duration"));
	s.outcome = OUTCOME_HOST_UNREACHABLE;
	s.error = EHOSTUNREACH;
	s.target = address("203.0.113.5:80");
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(3): tcp/connect ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080 -> 127.0.0.1.43687 203.0.113.5.80: "
			 "connect(2) to 203.0.113.5.80 from 127.0.0.1.43687 "
			 "failed: No route to host");
	s.target = (struct tcp_addr){ .family = AF_UNSPEC, .port = 80 };
	s.rule = SESSION_NONE;
	s.outcome = OUTCOME_NAME_NOT_FOUND;
	set_host(&s, "no.such \"x");
	ck_assert_str_eq(told(ACCESS_ERROR, &s),
			 "info: block(2): tcp/connect ]: 127.0.0.1.59639 "
			 "127.0.0.1.21080: could not resolve hostname "
			 "\"no.such\\x20\\x22x\": name-not-found");
}
END_TEST

static void ck_handshake(enum outcome o, const char *why)
{
	static const char head[] =
		"info: block(2): tcp/accept ]: 127.0.0.1.59639 "
		"127.0.0.1.21080: error after reading 0 bytes in 7 seconds: ";
	struct session s = example();
	const char *line;

	s.command = COMMAND_NONE;
	s.rule = SESSION_NONE;
	s.outcome = (uint8_t)o;
	s.user_len = 3;
	memcpy(s.user, "b\"b", 3);
	line = told(ACCESS_ERROR, &s);
	ck_assert(strncmp(line, head, strlen(head)) == 0);
	ck_assert_str_eq(line + strlen(head), why);
}

START_TEST(handshakes_fail_in_the_words_that_filters_know)
{
	ck_handshake(OUTCOME_AUTH_FAILED, "system password authentication "
					  "failed for user \"b\\x22b\"");
	ck_handshake(OUTCOME_LOCKED_OUT, "system password authentication "
					 "failed for user \"b\\x22b\"");
	ck_handshake(OUTCOME_NO_METHOD, "client offered no acceptable "
					"authentication method");
	ck_handshake(OUTCOME_AUTH_REQUIRED, "client offered no acceptable "
					    "authentication method");
	ck_handshake(OUTCOME_HANDSHAKE, "negotiate timeout");
	ck_handshake(OUTCOME_CLIENT_LEFT, "eof from local client");
	ck_handshake(OUTCOME_BAD_PROTOCOL, "bad-protocol");
}
END_TEST

START_TEST(a_login_without_a_name_has_one)
{
	struct session s = example();

	s.command = COMMAND_NONE;
	s.outcome = OUTCOME_AUTH_FAILED;
	ck_assert_ptr_nonnull(
		strstr(told(ACCESS_ERROR, &s), "failed for user \"-\""));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("access_danted");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_session_begins_and_ends);
	tcase_add_test(t, who_has_logged_in_stands_in_front);
	tcase_add_test(t, ipv6_has_dots_too);
	tcase_add_test(t, ends_have_danteds_words);
	tcase_add_test(t, refusals_name_the_rule_by_number);
	tcase_add_test(t, what_cannot_be_connected_says_why);
	tcase_add_test(t, handshakes_fail_in_the_words_that_filters_know);
	tcase_add_test(t, a_login_without_a_name_has_one);
	suite_add_tcase(s, t);
	return run_suite(s);
}
