/*
 * Sessions out of a segment, as they are shown.
 */
#include "daemon/row.h"
#include "t/unit/session_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <string.h>

static struct session_table table;
static struct row rows[8];
static size_t row_count;

static void setup(void)
{
	session_table_init(&table, 5);
	row_count = 0;
}

static void teardown(void)
{
	session_table_done(&table);
}

static int keep(void *ctx UNUSED, const struct row *r)
{
	ck_assert_uint_lt(row_count, ARRAY_SIZE(rows));
	rows[row_count++] = *r;
	return 0;
}

static int stop(void *ctx, const struct row *r UNUSED)
{
	row_count++;
	return *(const int *)ctx;
}

static void read_all(void)
{
	struct segment *s = session_table_seen(&table);

	ck_assert_int_eq(rows_each(s, monotonic_ms(), keep, NULL), 0);
	segment_free(s);
}

static const char *target_of(const struct row *r)
{
	static char text[ROW_TARGET_BYTES];

	return row_target(r, text);
}

START_TEST(a_row_has_names_for_the_numbers)
{
	char id[ROW_ID_BYTES];

	session_table_add(&table, "198.51.100.1:5000", "www.example.com", 90);
	read_all();
	ck_assert_uint_eq(row_count, 1);
	ck_assert_str_eq(row_id(&rows[0], id), "5.0.1");
	ck_assert_str_eq(rows[0].listener, "lan");
	ck_assert_str_eq(rows[0].client_rule, "office");
	ck_assert_str_eq(rows[0].rule, "web");
	ck_assert_str_eq(target_of(&rows[0]), "www.example.com:443");
	ck_assert_int_ge(rows[0].age_ms, 90);
	ck_assert_int_lt(rows[0].age_ms, 60000);
}
END_TEST

START_TEST(idle_counts_from_the_last_byte_or_the_begin)
{
	struct session *s;

	session_table_add(&table, "198.51.100.1:5000", NULL, 5000);
	s = session_table_add(&table, "198.51.100.1:5001", NULL, 5000);
	s->changed_ms = monotonic_ms() - 100;
	s = session_table_add(&table, "198.51.100.1:5002", NULL, 0);
	s->started_ms = s->changed_ms = INT64_MAX; /* of a broken clock */
	read_all();
	ck_assert_uint_eq(row_count, 3);
	ck_assert_int_eq(rows[0].idle_ms, rows[0].age_ms);
	ck_assert_int_ge(rows[1].idle_ms, 100);
	ck_assert_int_lt(rows[1].idle_ms, rows[1].age_ms);
	ck_assert_int_eq(rows[2].idle_ms, 0);
	ck_assert_int_eq(rows[2].age_ms, 0);
}
END_TEST

START_TEST(a_target_is_a_name_or_an_address_or_not_known)
{
	struct session *s;
	char host[256];

	session_table_add(&table, "[2001:db8::1]:5000", NULL, 0);
	s = session_table_add(&table, "198.51.100.1:5000", NULL, 0);
	s->target.family = AF_UNSPEC;
	session_table_add(&table, "198.51.100.1:5000", "a\x1b b", 0);
	memset(host, '\xff', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	session_table_add(&table, "198.51.100.1:5000", host, 0);
	read_all();
	ck_assert_uint_eq(row_count, 4);
	ck_assert_str_eq(target_of(&rows[0]), "192.0.2.7:443");
	ck_assert_str_eq(target_of(&rows[1]), "");
	ck_assert_str_eq(target_of(&rows[2]), "a\\x1b b:443");
	ck_assert_uint_eq(strlen(target_of(&rows[3])), 255 * 4 + 4);
	ck_assert_ptr_nonnull(strstr(target_of(&rows[3]), "\\xff:443"));
}
END_TEST

START_TEST(numbers_out_of_range_have_no_name)
{
	struct session *s = session_table_add(&table, "198.51.100.1:5000", NULL,
					      0);

	s->listener = 2;
	s->client_rule = 0;
	s->rule = 65535;
	s->upstream = 2;
	s->hop = 1;
	s->protocol = 255;
	s->command = 15;
	read_all();
	ck_assert_str_eq(rows[0].listener, "");
	ck_assert_str_eq(rows[0].client_rule, "");
	ck_assert_str_eq(rows[0].rule, "");
	ck_assert_str_eq(rows[0].upstream, "");
	ck_assert_ptr_null(row_protocol_word(255));
	ck_assert_ptr_null(row_command_word(255));
	ck_assert_ptr_null(row_state_word(255));
}
END_TEST

START_TEST(every_protocol_and_command_has_its_word)
{
	ck_assert_str_eq(row_protocol_word(PROTOCOL_SOCKS5), "socks5");
	ck_assert_str_eq(row_protocol_word(PROTOCOL_SOCKS4), "socks4");
	ck_assert_str_eq(row_protocol_word(PROTOCOL_HTTP), "http");
	ck_assert_str_eq(row_command_word(COMMAND_CONNECT), "connect");
	ck_assert_str_eq(row_command_word(COMMAND_BIND), "bind");
	ck_assert_str_eq(row_command_word(COMMAND_UDP), "udp");
}
END_TEST

START_TEST(names_without_an_end_get_one)
{
	struct table_name *names;
	uint32_t count;

	names = segment_table(table.segment, "listeners", sizeof(*names),
			      &count);
	memset(names[0].text, 'x', sizeof(names[0].text));
	session_table_add(&table, "198.51.100.1:5000", NULL, 0);
	read_all();
	ck_assert_uint_eq(strlen(rows[0].listener), ROW_NAME_BYTES - 1);
}
END_TEST

START_TEST(json_has_what_is_known)
{
	struct session *s = session_table_add(&table, "198.51.100.1:5000",
					      "www.example.com", 1500);
	char *text;
	json_t *j;

	s->bytes_up = 7;
	s->bytes_down = (uint64_t)1 << 40;
	s->rule = 2;
	s->upstream = 1;
	s->hop = 3 | SESSION_HOP_HELD;
	read_all();
	j = row_json(&rows[0]);
	ck_assert_ptr_nonnull(j);
	ck_assert_int_ge(json_integer_value(json_object_get(j, "age_ms")),
			 1500);
	ck_assert_int_eq(json_object_del(j, "age_ms"), 0);
	ck_assert_int_eq(json_object_del(j, "idle_ms"), 0);
	text = json_dumps(j, JSON_COMPACT);
	ck_assert_str_eq(text,
			 "{\"id\":\"5.0.1\",\"generation\":5,"
			 "\"state\":\"tunnel\",\"client\":"
			 "\"198.51.100.1:5000\",\"listener\":\"lan\","
			 "\"protocol\":\"socks5\",\"command\":\"connect\","
			 "\"target\":\"www.example.com:443\","
			 "\"address\":\"192.0.2.7:443\","
			 "\"client_rule\":\"office\","
			 "\"rule\":\"\\\\x1b[31mred\","
			 "\"upstream\":\"paris\",\"hop\":3,\"up\":7,"
			 "\"down\":1099511627776}");
	free(text);
	json_decref(j);
}
END_TEST

START_TEST(json_leaves_out_what_is_not_known)
{
	struct session *s = sessions_open(table.sessions, 0);
	json_t *j;

	ck_assert_ptr_nonnull(s);
	read_all();
	j = row_json(&rows[0]);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(json_string_value(json_object_get(j, "state")),
			 "handshake");
	ck_assert_ptr_null(json_object_get(j, "client"));
	ck_assert_ptr_null(json_object_get(j, "target"));
	ck_assert_ptr_null(json_object_get(j, "rule"));
	ck_assert_ptr_null(json_object_get(j, "upstream"));
	json_decref(j);
}
END_TEST

START_TEST(who_has_seen_enough_stops)
{
	int enough = -EIO;
	struct segment *s;

	session_table_add(&table, "198.51.100.1:5000", NULL, 0);
	session_table_add(&table, "198.51.100.1:5000", NULL, 0);
	s = session_table_seen(&table);
	ck_assert_int_eq(rows_each(s, monotonic_ms(), stop, &enough), -EIO);
	ck_assert_uint_eq(row_count, 1);
	segment_free(s);
}
END_TEST

START_TEST(a_segment_without_sessions_is_an_error)
{
	struct segment_spec spec = { "about", sizeof(struct table_about), 1 };
	struct segment *s;

	ck_assert_int_eq(segment_new(&s, &spec, 1), 0);
	ck_assert_int_eq(rows_each(s, 0, keep, NULL), -EBADMSG);
	segment_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("row");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_row_has_names_for_the_numbers);
	tcase_add_test(t, idle_counts_from_the_last_byte_or_the_begin);
	tcase_add_test(t, a_target_is_a_name_or_an_address_or_not_known);
	tcase_add_test(t, numbers_out_of_range_have_no_name);
	tcase_add_test(t, every_protocol_and_command_has_its_word);
	tcase_add_test(t, names_without_an_end_get_one);
	tcase_add_test(t, json_has_what_is_known);
	tcase_add_test(t, json_leaves_out_what_is_not_known);
	tcase_add_test(t, who_has_seen_enough_stops);
	tcase_add_test(t, a_segment_without_sessions_is_an_error);
	suite_add_tcase(s, t);
	return run_suite(s);
}
