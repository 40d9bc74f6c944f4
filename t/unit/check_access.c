/*
 * The access line in logfmt and JSON: a whole one, what is left out, hostile
 * names, tight sizes.
 */
#include "daemon/access.h"

#include "daemon/log.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const listeners[] = { "lan", "public side" };
static const char *const client_rules[] = { "office" };
static const char *const rules[] = {
	"mail",
	"web",
	"",
	"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1",
};

static const struct access_names names = {
	.listeners = listeners,
	.listener_count = ARRAY_SIZE(listeners),
	.client_rules = client_rules,
	.client_rule_count = ARRAY_SIZE(client_rules),
	.rules = rules,
	.rule_count = ARRAY_SIZE(rules),
};

static struct tcp_addr address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, -1), 0);
	return a;
}

static void set_host(struct session *s, const char *host)
{
	s->host_len = (uint8_t)strlen(host);
	memcpy(s->host, host, min_size(s->host_len, SESSION_HOST_BYTES));
}

static struct session example(void)
{
	struct session s = {
		.protocol = PROTOCOL_SOCKS5,
		.command = COMMAND_CONNECT,
		.outcome = OUTCOME_CLOSED,
		.started_ms = 100000,
		.ended_ms = 101234,
		.bytes_up = 123,
		.bytes_down = 456,
		.listener = 1,
		.client_rule = 1,
		.rule = 2,
	};

	s.client = address("127.0.0.1:5555");
	s.target = address("192.0.2.1:80");
	s.bound = address("192.0.2.9:4444");
	set_host(&s, "example.org");
	s.user_len = 5;
	memcpy(s.user, "alice", 5);
	return s;
}

static char out[LOG_LINE_BYTES + 1];

static const char *
told(size_t (*as)(const struct access_entry *e, char *out, size_t size),
     enum access_event event, const struct session *s, const char *tail)
{
	struct access_entry e = {
		.event = event,
		.session = s,
		.host_tail = { (const uint8_t *)tail, strlen(tail) },
		.names = &names,
	};
	size_t len = as(&e, out, LOG_LINE_BYTES);

	ck_assert_uint_le(len, LOG_LINE_BYTES);
	out[len] = '\0';
	return out;
}

static const char *line_of(const struct session *s, const char *tail)
{
	return told(access_logfmt, ACCESS_DISCONNECT, s, tail);
}

START_TEST(a_session_is_told_in_one_line)
{
	struct session s = example();

	ck_assert_str_eq(
		line_of(&s, ""),
		"access event=disconnect client=127.0.0.1:5555 listener=lan "
		"protocol=socks5 "
		"command=connect target=example.org:80 address=192.0.2.1:80 "
		"bound=192.0.2.9:4444 user=alice client_rule=office rule=web "
		"up=123 down=456 duration=1.234 outcome=closed");
}
END_TEST

START_TEST(a_failed_handshake_has_a_reason_and_no_target)
{
	struct session s = {
		.outcome = OUTCOME_TLS,
		.error = EPROTO,
		.listener = 1,
		.client_rule = 1,
	};

	s.client = address("127.0.0.1:5555");
	set_host(&s, "no shared cipher");
	ck_assert_str_eq(
		told(access_logfmt, ACCESS_ERROR, &s, ""),
		"access event=error client=127.0.0.1:5555 listener=lan "
		"client_rule=office up=0 down=0 duration=0.000 "
		"outcome=tls-failed reason=\"no shared cipher\" error=EPROTO");
	ck_assert_ptr_nonnull(strstr(told(access_json, ACCESS_ERROR, &s,
					  ", "
					  "and"),
				     "\"reason\":\"no shared cipher, and\""));
	s.host_len = 0;
	ck_assert_ptr_null(
		strstr(told(access_logfmt, ACCESS_ERROR, &s, ""), "reason"));
}
END_TEST

START_TEST(a_beginning_has_no_end)
{
	struct session s = example();

	ck_assert_str_eq(
		told(access_logfmt, ACCESS_CONNECT, &s, ""),
		"access event=connect client=127.0.0.1:5555 listener=lan "
		"protocol=socks5 command=connect target=example.org:80 "
		"address=192.0.2.1:80 bound=192.0.2.9:4444 user=alice "
		"client_rule=office rule=web");
}
END_TEST

START_TEST(json_has_the_same_pairs)
{
	struct session s = example();

	ck_assert_str_eq(
		told(access_json, ACCESS_DISCONNECT, &s, ""),
		"{\"event\":\"disconnect\",\"client\":\"127.0.0.1:5555\","
		"\"listener\":\"lan\",\"protocol\":\"socks5\","
		"\"command\":\"connect\",\"target\":\"example.org:80\","
		"\"address\":\"192.0.2.1:80\",\"bound\":\"192.0.2.9:4444\","
		"\"user\":\"alice\",\"client_rule\":\"office\","
		"\"rule\":\"web\",\"up\":123,\"down\":456,"
		"\"duration\":1.234,\"outcome\":\"closed\"}");
	ck_assert_ptr_null(
		strstr(told(access_json, ACCESS_CONNECT, &s, ""), "outcome"));
	s = (struct session){ .outcome = OUTCOME_CLIENT_LEFT, .error = 4095 };
	ck_assert_str_eq(told(access_json, ACCESS_ERROR, &s, ""),
			 "{\"event\":\"error\",\"up\":0,\"down\":0,"
			 "\"duration\":0.000,\"outcome\":\"client-left\","
			 "\"error\":\"4095\"}");
}
END_TEST

START_TEST(json_escapes_in_its_own_way)
{
	struct session s = example();

	set_host(&s, "a\"}\n\xc3\xab\xff");
	ck_assert_ptr_nonnull(
		strstr(told(access_json, ACCESS_ERROR, &s, ""),
		       ",\"target\":\"a\\\"}\\u000a\\u00eb\\ufffd:80\","));
}
END_TEST

START_TEST(a_target_by_address_is_told_once)
{
	struct session s = example();

	s.protocol = PROTOCOL_HTTP;
	s.host_len = s.user_len = 0;
	s.client = address("[2001:db8::7]:1");
	s.target = address("[2001:db8::1]:443");
	s.bound = (struct tcp_addr){ 0 };
	s.outcome = OUTCOME_REFUSED;
	s.error = ECONNREFUSED;
	s.bytes_up = s.bytes_down = 0;
	s.ended_ms = s.started_ms + 7;
	ck_assert_str_eq(
		line_of(&s, ""),
		"access event=disconnect client=[2001:db8::7]:1 listener=lan "
		"protocol=http "
		"command=connect target=[2001:db8::1]:443 client_rule=office "
		"rule=web up=0 down=0 duration=0.007 outcome=refused "
		"error=ECONNREFUSED");
}
END_TEST

START_TEST(what_is_not_known_is_left_out)
{
	struct session s = { .outcome = OUTCOME_CLIENT_LEFT };

	ck_assert_str_eq(line_of(&s, ""),
			 "access event=disconnect up=0 down=0 duration=0.000 "
			 "outcome=client-left");
	/* Numbers past the names, an empty name, protocols to come. */
	s.listener = 3;
	s.client_rule = 2;
	s.rule = 3;
	s.protocol = 200;
	s.command = 9;
	ck_assert_str_eq(line_of(&s, ""),
			 "access event=disconnect up=0 down=0 duration=0.000 "
			 "outcome=client-left");
	/* A name that was never found has no address. */
	set_host(&s, "example.org");
	s.target.port = 80;
	ck_assert_str_eq(
		line_of(&s, ""),
		"access event=disconnect target=example.org:80 up=0 down=0 "
		"duration=0.000 outcome=client-left");
}
END_TEST

static bool says(uint8_t protocol, uint8_t command, const char *part)
{
	struct session s = example();

	s.protocol = protocol;
	s.command = command;
	return strstr(line_of(&s, ""), part) != NULL;
}

START_TEST(every_protocol_and_command_has_its_word)
{
	ck_assert(says(PROTOCOL_SOCKS4, COMMAND_CONNECT,
		       " protocol=socks4 command=connect target="));
	ck_assert(says(PROTOCOL_SOCKS4, COMMAND_BIND,
		       " protocol=socks4 command=bind target="));
	ck_assert(says(PROTOCOL_SOCKS5, COMMAND_UDP,
		       " protocol=socks5 command=udp target="));
	ck_assert(says(PROTOCOL_HTTP, COMMAND_CONNECT,
		       " protocol=http command=connect target="));
	ck_assert(says(PROTOCOL_SOCKS5, COMMAND_NONE,
		       " protocol=socks5 target="));
}
END_TEST

START_TEST(names_are_escaped)
{
	struct session s = example();

	set_host(&s, "evil\n outcome=closed");
	s.user_len = 3;
	memcpy(s.user, "a\"b", 3);
	s.listener = 2;
	ck_assert_ptr_nonnull(
		strstr(line_of(&s, ""), " listener=\"public side\" protocol="));
	ck_assert_ptr_nonnull(
		strstr(line_of(&s, ""),
		       " target=\"evil\\x0a outcome=closed:80\" address="));
	ck_assert_ptr_nonnull(strstr(line_of(&s, ""), " user=\"a\\\"b\" "));
}
END_TEST

START_TEST(a_long_name_is_put_together)
{
	struct session s = example();
	char host[SESSION_HOST_BYTES + 1] = { 0 };
	char want[160];

	s.host_len = SESSION_HOST_BYTES;
	memset(s.host, 'a', SESSION_HOST_BYTES);
	memset(host, 'a', SESSION_HOST_BYTES);
	(void)snprintf(want, sizeof(want), " target=%s.example.org:80 ", host);
	ck_assert_ptr_nonnull(strstr(line_of(&s, ".example.org"), want));
}
END_TEST

START_TEST(numbers_have_all_their_digits)
{
	struct session s = example();

	s.bytes_up = UINT64_MAX;
	s.bytes_down = 10;
	s.started_ms = 0;
	s.ended_ms = 86400099;
	s.error = 4095;
	ck_assert_ptr_nonnull(
		strstr(line_of(&s, ""),
		       " up=18446744073709551615 down=10 duration=86400.099 "
		       "outcome=closed error=4095"));
}
END_TEST

/* Every text at its longest, and of bytes that need the longest form. */
static struct session worst(void)
{
	struct session s = example();

	s.host_len = SESSION_HOST_BYTES;
	memset(s.host, '\xff', SESSION_HOST_BYTES);
	s.user_len = SESSION_USER_BYTES;
	memset(s.user, '\xff', SESSION_USER_BYTES);
	s.client = s.target = s.bound = address(
		"[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535");
	s.bytes_up = s.bytes_down = UINT64_MAX;
	s.ended_ms = INT64_MAX;
	s.outcome = OUTCOME_HANDSHAKE;
	s.error = EPROTONOSUPPORT;
	s.rule = 4;
	return s;
}

START_TEST(the_worst_session_keeps_its_outcome)
{
	struct session s = worst();
	char tail[255 - SESSION_HOST_BYTES + 1];
	const char *line;

	memset(tail, '\xff', sizeof(tail) - 1);
	tail[sizeof(tail) - 1] = '\0';
	line = line_of(&s, tail);
	ck_assert_uint_lt(strlen(line), LOG_LINE_BYTES);
	ck_assert_ptr_nonnull(strstr(line, "...:65535\" address="));
	ck_assert_ptr_nonnull(strstr(line, " outcome=handshake-timeout "
					   "error=EPROTONOSUPPORT"));
	line = told(access_json, ACCESS_DISCONNECT, &s, tail);
	ck_assert_uint_lt(strlen(line), LOG_LINE_BYTES);
	ck_assert_ptr_nonnull(strstr(line, "...:65535\",\"address\""));
	ck_assert_ptr_nonnull(strstr(line, ",\"rule\":\"\\u0001\\u0001"));
	ck_assert_ptr_nonnull(strstr(line, "\"error\":\"EPROTONOSUPPORT\"}"));
	for (int event = ACCESS_CONNECT; event <= ACCESS_ERROR; event++) {
		line = told(access_danted, (enum access_event)event, &s, tail);
		ck_assert_uint_lt(strlen(line), LOG_LINE_BYTES);
	}
}
END_TEST

START_TEST(every_size_is_respected)
{
	struct session s = example();
	struct access_entry e = { .event = ACCESS_ERROR,
				  .session = &s,
				  .names = &names };
	char small[512];

	s.user[0] = '\n';
	for (size_t size = 0; size < sizeof(small); size++) {
		memset(small, '#', sizeof(small));
		ck_assert_uint_le(access_logfmt(&e, small, size), size);
		ck_assert_uint_le(access_json(&e, small, size), size);
		ck_assert_uint_le(access_danted(&e, small, size), size);
		ck_assert_int_eq(small[size], '#');
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("access");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_session_is_told_in_one_line);
	tcase_add_test(t, a_failed_handshake_has_a_reason_and_no_target);
	tcase_add_test(t, a_beginning_has_no_end);
	tcase_add_test(t, json_has_the_same_pairs);
	tcase_add_test(t, json_escapes_in_its_own_way);
	tcase_add_test(t, a_target_by_address_is_told_once);
	tcase_add_test(t, what_is_not_known_is_left_out);
	tcase_add_test(t, every_protocol_and_command_has_its_word);
	tcase_add_test(t, names_are_escaped);
	tcase_add_test(t, a_long_name_is_put_together);
	tcase_add_test(t, numbers_have_all_their_digits);
	tcase_add_test(t, the_worst_session_keeps_its_outcome);
	tcase_add_test(t, every_size_is_respected);
	suite_add_tcase(s, t);
	return run_suite(s);
}
