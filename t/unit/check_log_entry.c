/*
 * Entries for the journal: the fields of each line, the values of access
 * lines, those with line feeds, lines that were cut.
 */
#include "daemon/log_entry.h"

#include "core/bytes.h"
#include "daemon/access.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char entry[LOG_ENTRY_BYTES + 1];
static size_t entry_len;

static void encode_both(enum log_level level, const char *text, size_t len,
			struct span pairs)
{
	memset(entry, '#', sizeof(entry));
	entry_len = log_entry(level, text, len, pairs, entry);
	ck_assert_uint_le(entry_len, LOG_ENTRY_BYTES);
	ck_assert_int_eq(entry[LOG_ENTRY_BYTES], '#');
}

static void encode(enum log_level level, const char *text, size_t len)
{
	encode_both(level, text, len, (struct span){ NULL, 0 });
}

static uint64_t get_le64(const char *at)
{
	uint64_t n = 0;

	for (int i = 7; i >= 0; i--)
		n = n << 8 | (uint8_t)at[i];
	return n;
}

/*
 * Reads the next field as journald does.  Returns what follows it, NULL at
 * the end.
 */
static const char *next_field(const char *at, struct span *name,
			      struct span *value)
{
	const char *end = entry + entry_len;
	const char *feed, *equals;

	if (at == end)
		return NULL;
	feed = memchr(at, '\n', (size_t)(end - at));
	if (!feed)
		ck_abort_msg("a field has no end");
	equals = memchr(at, '=', (size_t)(feed - at));
	if (equals) {
		*name = (struct span){ (const uint8_t *)at,
				       (size_t)(equals - at) };
		*value = (struct span){ (const uint8_t *)equals + 1,
					(size_t)(feed - equals - 1) };
		return feed + 1;
	}
	*name = (struct span){ (const uint8_t *)at, (size_t)(feed - at) };
	ck_assert_int_ge(end - feed, 10);
	*value = (struct span){ (const uint8_t *)feed + 9,
				(size_t)get_le64(feed + 1) };
	ck_assert_uint_lt(value->len, (size_t)(end - feed - 9));
	ck_assert_int_eq(feed[9 + value->len], '\n');
	return feed + 9 + value->len + 1;
}

/* ck_assert() tells the parent each time, which is slow. */
static void check_name(struct span name)
{
	bool fits = name.len > 0 && name.len <= 64 && name.at[0] >= 'A' &&
		    name.at[0] <= 'Z';

	for (size_t i = 0; i < name.len; i++) {
		char c = (char)name.at[i];

		fits &= (c >= 'A' && c <= 'Z') || c == '_' ||
			(c >= '0' && c <= '9');
	}
	if (!fits)
		ck_abort_msg("\"%.*s\" is no name", (int)name.len, name.at);
}

/* Checks all names, and returns how often this one is there. */
static size_t find(const char *wanted, struct span *ret)
{
	const char *at = entry;
	struct span name, value;
	size_t found = 0;

	while ((at = next_field(at, &name, &value))) {
		check_name(name);
		if (name.len != strlen(wanted) ||
		    memcmp(name.at, wanted, name.len) != 0)
			continue;
		*ret = value;
		found++;
	}
	return found;
}

static void ck_bytes(const char *name, const char *want, size_t len)
{
	struct span value;

	if (find(name, &value) != 1)
		ck_abort_msg("%s is not there once", name);
	if (value.len != len || memcmp(value.at, want, len) != 0)
		ck_abort_msg("%s is \"%.*s\"", name, (int)value.len, value.at);
}

static void ck_field(const char *name, const char *want)
{
	ck_bytes(name, want, strlen(want));
}

static void ck_absent(const char *name)
{
	struct span value;

	ck_assert_uint_eq(find(name, &value), 0);
}

static size_t fields(void)
{
	const char *at = entry;
	struct span name, value;
	size_t n = 0;

	while ((at = next_field(at, &name, &value)))
		n++;
	return n;
}

/* PRIORITY, SYSLOG_FACILITY, SYSLOG_IDENTIFIER, MESSAGE. */
#define PLAIN_FIELDS 4

static void encode_text(const char *text)
{
	encode(LOG_LEVEL_INFO, text, strlen(text));
}

START_TEST(a_line_becomes_an_entry)
{
	static const char want[] = "PRIORITY=4\nSYSLOG_FACILITY=3\n"
				   "SYSLOG_IDENTIFIER=spliced\n"
				   "MESSAGE=not confined: x\n";

	encode(LOG_LEVEL_WARNING, "not confined: x", 15);
	ck_assert_uint_eq(entry_len, strlen(want));
	ck_assert(memcmp(entry, want, entry_len) == 0);
	encode(LOG_LEVEL_WARNING, "", 0);
	ck_field("MESSAGE", "");
}
END_TEST

START_TEST(levels_are_those_of_syslog)
{
	static const char *const want[] = {
		[LOG_LEVEL_ERROR] = "3",  [LOG_LEVEL_WARNING] = "4",
		[LOG_LEVEL_NOTICE] = "5", [LOG_LEVEL_INFO] = "6",
		[LOG_LEVEL_DEBUG] = "7",
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		encode((enum log_level)i, "x", 1);
		ck_field("PRIORITY", want[i]);
	}
}
END_TEST

START_TEST(a_text_cannot_make_fields)
{
	encode_text("a\nPRIORITY=0\nb\033\x7f");
	ck_field("MESSAGE", "a?PRIORITY=0?b??");
	ck_field("PRIORITY", "6");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS);
}
END_TEST

START_TEST(what_programs_look_for_has_an_id_and_a_word)
{
	encode_text("spliced is ready on 127.0.0.1:1080 (2 workers)");
	ck_field("MESSAGE_ID", "dc24467c78824ae587414876553a9b52");
	ck_field("SPLICED_EVENT", "ready");
	encode_text("generation 12 has ended");
	ck_field("MESSAGE_ID", "542afb8c25a240ce91c8b2b36247d90d");
	ck_field("SPLICED_EVENT", "ended");
	encode_text("access event=error client=127.0.0.1:1 up=0");
	ck_field("MESSAGE_ID", "818b62850d1d4768927ca85437b30946");
	ck_field("SPLICED_EVENT", "error");
	encode_text("accesses");
	ck_absent("MESSAGE_ID");
	ck_absent("SPLICED_EVENT");
}
END_TEST

static struct span span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

START_TEST(another_format_has_the_same_fields)
{
	static const char text[] = "info: pass(1): tcp/connect [: 192.0.2.9.1";

	encode_both(
		LOG_LEVEL_INFO, text, strlen(text),
		span("access event=connect client=192.0.2.9:1 rule=\"a b\""));
	ck_field("MESSAGE", text);
	ck_field("SPLICED_EVENT", "connect");
	ck_field("SPLICED_CLIENT", "192.0.2.9:1");
	ck_field("SPLICED_RULE", "a b");
	ck_field("MESSAGE_ID", "c55a62a105024fa7bc99b80188281f36");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + 4);
}
END_TEST

START_TEST(values_of_access_lines_are_fields)
{
	encode_text("access client=[::1]:5 listener=\"public side\" "
		    "client_rule=office up=12 outcome=closed");
	ck_field("SPLICED_CLIENT", "[::1]:5");
	ck_field("SPLICED_LISTENER", "public side");
	ck_field("SPLICED_CLIENT_RULE", "office");
	ck_field("SPLICED_UP", "12");
	ck_field("SPLICED_OUTCOME", "closed");
	ck_field("MESSAGE", "access client=[::1]:5 listener=\"public side\" "
			    "client_rule=office up=12 outcome=closed");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + 5);
	/* Only of such lines. */
	encode_text("about client=a");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS);
}
END_TEST

START_TEST(values_come_back_byte_by_byte)
{
	encode_text("access a=\"\" b=\"\\\"\" c=\"\\\\\" d=\"\\x00\\xff\" "
		    "e=\"x y\" f=z");
	ck_bytes("SPLICED_A", "", 0);
	ck_field("SPLICED_B", "\"");
	ck_field("SPLICED_C", "\\");
	ck_bytes("SPLICED_D", "\0\xff", 2);
	ck_field("SPLICED_E", "x y");
	ck_field("SPLICED_F", "z");
}
END_TEST

START_TEST(a_value_with_line_feeds_carries_its_length)
{
	encode_text("access a=\"x\\x0aPRIORITY=0\\x0a\" b=\"\\x0a\" c=1");
	ck_bytes("SPLICED_A", "x\nPRIORITY=0\n", 13);
	ck_bytes("SPLICED_B", "\n", 1);
	ck_field("SPLICED_C", "1");
	ck_field("PRIORITY", "6");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + 3);
}
END_TEST

START_TEST(what_was_cut_off_is_no_field)
{
	static const char whole[] =
		"access a=1 b=\"x \\\"y\\\" \\\\ \\x0a\" c=2";
	size_t before = 0;

	for (size_t len = 0; len < sizeof(whole); len++) {
		encode(LOG_LEVEL_INFO, whole, len);
		ck_bytes("MESSAGE", whole, len);
		if (len >= strlen("access "))
			ck_assert_uint_ge(fields(), before);
		before = fields();
		if (len < sizeof(whole) - 5)
			ck_absent("SPLICED_B");
		else
			ck_bytes("SPLICED_B", "x \"y\" \\ \n", 9);
	}
	ck_field("SPLICED_A", "1");
	ck_field("SPLICED_C", "2");
}
END_TEST

START_TEST(pairs_that_are_none_end_the_fields)
{
	static const char *const tails[] = {
		"c",
		"=1",
		"C=1",
		"c-d=1",
		" c=1",
		"c=",
		"c= ",
		"c==",
		"c=\"1\"x",
		"c=\"1\\",
		"é=1",
		"c=1\n",
		"c=\"\\q\"",
		/* A name of 33. */
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "access a=1 %s", tails[i]);
		encode_text(text);
		ck_field("SPLICED_A", "1");
		if (fields() != PLAIN_FIELDS + 1)
			ck_abort_msg("\"%s\" made a field", text);
	}
	encode_text("access aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1");
	ck_field("SPLICED_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "1");
	encode_text("access ");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS);
	encode_text("access a=1 ");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + 1);
}
END_TEST

START_TEST(the_largest_lines_have_room)
{
	char text[LOG_LINE_BYTES];
	size_t len = 7;

	memset(text, 'x', sizeof(text));
	encode(LOG_LEVEL_INFO, text, sizeof(text));
	ck_bytes("MESSAGE", text, sizeof(text));
	/* As many short pairs as fit. */
	memcpy(text, "access ", 7);
	for (; len + 4 <= sizeof(text); len += 4)
		memcpy(text + len, "a=b ", 4);
	encode(LOG_LEVEL_INFO, text, len);
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + LOG_ENTRY_FIELDS);
	/* As many with a line feed. */
	for (len = 7; len + 9 <= sizeof(text); len += 9)
		memcpy(text + len, "a=\"\\x0a\" ", 9);
	encode(LOG_LEVEL_INFO, text, len);
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + LOG_ENTRY_FIELDS);
	/* One that fills the line. */
	memset(text + 7, 'v', sizeof(text) - 7);
	memcpy(text + 7, "a=", 2);
	encode(LOG_LEVEL_INFO, text, sizeof(text));
	ck_bytes("SPLICED_A", text + 9, sizeof(text) - 9);
	/* One that nearly does, and has no end. */
	text[9] = '"';
	encode(LOG_LEVEL_INFO, text, sizeof(text));
	ck_assert_uint_eq(fields(), PLAIN_FIELDS);
}
END_TEST

START_TEST(arbitrary_bytes_stay_in_their_bounds)
{
	static const char parts[] = "ab=\"\\x0a \nA1_";
	unsigned int seed = 1;

	for (int round = 0; round < 5000; round++) {
		char text[96] = "access ";
		size_t len = 7 + (size_t)rand_r(&seed) % (sizeof(text) - 7);
		struct span value;

		for (size_t i = 7; i < len; i++)
			text[i] = parts[(size_t)rand_r(&seed) %
					(sizeof(parts) - 1)];
		encode(LOG_LEVEL_INFO, text, len);
		ck_assert_uint_eq(find("MESSAGE", &value), 1);
		ck_assert_uint_eq(value.len, len);
		ck_assert_uint_eq(find("PRIORITY", &value), 1);
	}
}
END_TEST

START_TEST(a_hostile_session_is_told_exactly)
{
	static const char *const listeners[] = { "public\nside" };
	struct access_names names = { .listeners = listeners,
				      .listener_count = 1 };
	struct session s = { .protocol = PROTOCOL_SOCKS5,
			     .command = COMMAND_CONNECT,
			     .outcome = OUTCOME_NAME_NOT_FOUND,
			     .listener = 1,
			     .bytes_up = UINT64_MAX };
	static const char host[] = "a\nMESSAGE=b\" outcome=closed\\x0a";
	struct access_entry e = { .event = ACCESS_ERROR,
				  .session = &s,
				  .names = &names };
	char line[LOG_LINE_BYTES], want[128];

	s.host_len = sizeof(host) - 1;
	memcpy(s.host, host, s.host_len);
	s.target.port = 80;
	s.user_len = 3;
	memcpy(s.user, "\0\n=", 3);
	encode(LOG_LEVEL_INFO, line, access_logfmt(&e, line, sizeof(line)));
	(void)snprintf(want, sizeof(want), "%s:80", host);
	ck_field("SPLICED_TARGET", want);
	ck_field("SPLICED_LISTENER", "public\nside");
	ck_bytes("SPLICED_USER", "\0\n=", 3);
	ck_field("SPLICED_PROTOCOL", "socks5");
	ck_field("SPLICED_COMMAND", "connect");
	ck_field("SPLICED_UP", "18446744073709551615");
	ck_field("SPLICED_DOWN", "0");
	ck_field("SPLICED_DURATION", "0.000");
	ck_field("SPLICED_OUTCOME", "name-not-found");
	ck_field("SPLICED_EVENT", "error");
	ck_assert_uint_eq(fields(), PLAIN_FIELDS + 1 + 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_entry");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_line_becomes_an_entry);
	tcase_add_test(t, levels_are_those_of_syslog);
	tcase_add_test(t, a_text_cannot_make_fields);
	tcase_add_test(t, what_programs_look_for_has_an_id_and_a_word);
	tcase_add_test(t, another_format_has_the_same_fields);
	tcase_add_test(t, values_of_access_lines_are_fields);
	tcase_add_test(t, values_come_back_byte_by_byte);
	tcase_add_test(t, a_value_with_line_feeds_carries_its_length);
	tcase_add_test(t, what_was_cut_off_is_no_field);
	tcase_add_test(t, pairs_that_are_none_end_the_fields);
	tcase_add_test(t, the_largest_lines_have_room);
	tcase_add_test(t, arbitrary_bytes_stay_in_their_bounds);
	tcase_add_test(t, a_hostile_session_is_told_exactly);
	suite_add_tcase(s, t);
	return run_suite(s);
}
