/*
 * What `splicedctl top` makes of samples, keys and sizes of a screen.
 */
#include "daemon/ctl/top_keys.h"
#include "daemon/ctl/top_text.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct top t;

static void setup(void)
{
	memset(&t, 0, sizeof(t));
}

static void teardown(void)
{
	top_done(&t);
}

static void add_row(struct row *r, unsigned count, const char *user)
{
	r->session.generation = 1;
	r->session.id = count;
	r->session.state = SESSION_RELAY;
	r->session.user_len = (uint8_t)strlen(user);
	memcpy(r->session.user, user, strlen(user));
	ck_assert_int_eq(tcp_addr_parse(&r->session.client, "10.0.0.1", 0), 0);
	r->session.client.port = (uint16_t)(1000 + count);
	ck_assert_int_eq(tcp_addr_parse(&r->session.target, "192.0.2.7", 443),
			 0);
	r->session.target.port = 443;
	ck_assert_int_eq(top_add_row(&t, r), 0);
}

/* Session `count` of generation 1, worker 0. */
static void add(unsigned count, const char *user, uint64_t up, uint64_t down,
		int64_t age_ms)
{
	struct row r = { .age_ms = age_ms,
			 .idle_ms = 1000 * (int64_t)count,
			 .session = { .bytes_up = up, .bytes_down = down } };

	add_row(&r, count, user);
}

static void add_changed(unsigned count, uint64_t down, int64_t changed_ms)
{
	struct row r = { .age_ms = 60000,
			 .session = { .bytes_down = down,
				      .changed_ms = changed_ms } };

	add_row(&r, count, "");
}

static void begin_with(int64_t now_ms, int64_t accepted, int64_t up,
		       int64_t down)
{
	json_t *j = json_pack(
		"{s:s, s:s, s:I, s:I, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}",
		"state", "serving", "version", "0.1.0", "uptime_s",
		(json_int_t)(now_ms / 1000), "generation", (json_int_t)1,
		"connections", "active", (json_int_t)9, "handshakes",
		(json_int_t)2, "tunnels", (json_int_t)7, "totals", "accepted",
		(json_int_t)accepted, "bytes_up", (json_int_t)up, "bytes_down",
		(json_int_t)down);

	ck_assert_ptr_nonnull(j);
	top_begin(&t, now_ms);
	top_add_status(&t, j);
	json_decref(j);
}

static void begin(int64_t now_ms, int64_t accepted, int64_t bytes_up)
{
	begin_with(now_ms, accepted, bytes_up, 0);
}

static void begin_down(int64_t now_ms, int64_t bytes_down)
{
	begin_with(now_ms, 0, 0, bytes_down);
}

static const char *line(size_t y, size_t lines, size_t columns)
{
	static char text[TOP_LINE_BYTES];

	top_layout(&t, lines);
	(void)top_line(&t, y, lines, columns, text);
	return text;
}

static void two_samples(void)
{
	begin(1000, 10, 0);
	add(1, "alice", 1000, 0, 60000);
	add(2, "bob", 0, 500, 50000);
	add(3, "", 7, 7, 40000);
	top_end(&t);
	begin(3000, 30, 0);
	add(1, "alice", 1000, 2000, 62000);
	add(2, "bob", 0, 100500, 52000);
	add(3, "", 7, 7, 42000);
	add(4, "alice", 4000, 0, 500);
	top_end(&t);
}

START_TEST(rates_are_of_the_time_between_two_samples)
{
	two_samples();
	ck_assert_uint_eq(t.accept_rate, 10);
	ck_assert_uint_eq(t.up_rate, 2000);
	ck_assert_uint_eq(t.down_rate, (2000 + 100000) / 2);
	ck_assert_str_eq(t.sessions[0].id, "1.0.2");
	ck_assert_uint_eq(t.sessions[0].rate, 50000);
	ck_assert_str_eq(t.sessions[1].id, "1.0.4");
	ck_assert_uint_eq(t.sessions[1].rate, 2000);
	ck_assert_uint_eq(t.sessions[2].rate, 1000);
	ck_assert_uint_eq(t.sessions[3].rate, 0);
}
END_TEST

/* A sample of one session whose record was written at another moment. */
static void look(int64_t now_ms, uint64_t down, int64_t changed_ms)
{
	begin(now_ms, 0, 0);
	add_changed(1, down, changed_ms);
	top_end(&t);
}

START_TEST(rates_are_of_the_time_between_two_records)
{
	look(10000, 0, 9900);
	/* 1000 bytes a second, as of each second; we look once more. */
	look(10800, 0, 9900);
	ck_assert_uint_eq(t.sessions[0].rate, 0);
	look(11000, 1000, 10900);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	look(11800, 1000, 10900);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	ck_assert_uint_eq(t.down_rate, 1000);
	/* Two records came, or one, in as long. */
	look(13000, 3000, 12900);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	look(14000, 4100, 14000);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	ck_assert_uint_eq(t.down_rate, 1000);
	ck_assert_uint_eq(t.up_rate, 0);
	/* Nothing moves any more. */
	look(15000, 4100, 14000);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	look(16000, 4100, 14000);
	ck_assert_uint_eq(t.sessions[0].rate, 0);
	ck_assert_uint_eq(t.down_rate, 0);
	/* After a long rest it was not slow. */
	look(60000, 4100, 14000);
	look(61000, 6100, 61000);
	ck_assert_uint_eq(t.sessions[0].rate, 2000);
	/* The last of it is in the totals: 500 in the second since. */
	begin_down(62000, 6600);
	top_end(&t);
	ck_assert_uint_eq(t.down_rate, 500);
}
END_TEST

START_TEST(what_a_record_says_of_time_is_not_believed)
{
	look(10000, 0, INT64_MIN);
	look(11000, 1000, INT64_MAX);
	ck_assert_uint_eq(t.sessions[0].rate, 1000);
	look(12000, 1500, INT64_MIN);
	ck_assert_uint_eq(t.sessions[0].rate, 500);
	/* Another request in the same record. */
	look(13000, 20, 12500);
	ck_assert_uint_eq(t.sessions[0].rate, 0);
}
END_TEST

START_TEST(what_ends_between_two_samples_counts_for_the_rates)
{
	begin(1000, 0, 0);
	add(1, "alice", 1000, 0, 60000);
	top_end(&t);
	begin(2000, 0, 5000);
	top_end(&t);
	ck_assert_uint_eq(t.up_rate, 4000);
	/* It may be in both for a moment, and then in one. */
	begin(3000, 0, 4000);
	top_end(&t);
	ck_assert_uint_eq(t.up_rate, 0);
}
END_TEST

START_TEST(users_are_added_up)
{
	two_samples();
	ck_assert_uint_eq(t.user_count, 3);
	ck_assert_str_eq(t.users[0].name, "bob");
	ck_assert_str_eq(t.users[1].name, "alice");
	ck_assert_uint_eq(t.users[1].sessions, 2);
	ck_assert_uint_eq(t.users[1].bytes, 7000);
	ck_assert_uint_eq(t.users[1].rate, 3000);
	(void)top_press(&t, 'u');
	ck_assert_str_eq(t.users[0].name, "alice");
	ck_assert_str_eq(t.users[2].name, "");
}
END_TEST

START_TEST(keys_sort)
{
	two_samples();
	(void)top_press(&t, 'a');
	ck_assert_str_eq(t.sessions[0].id, "1.0.1");
	(void)top_press(&t, 'i');
	ck_assert_str_eq(t.sessions[0].id, "1.0.4");
	(void)top_press(&t, 'c');
	ck_assert_str_eq(t.sessions[0].id, "1.0.1");
	(void)top_press(&t, 'u');
	ck_assert_str_eq(t.sessions[0].user, "alice");
	ck_assert_str_eq(t.sessions[3].user, "");
	(void)top_press(&t, 's');
	ck_assert_int_eq(t.sort, TOP_TRAFFIC);
	ck_assert_str_eq(t.sessions[0].id, "1.0.2");
}
END_TEST

START_TEST(a_choice_stays_with_its_session)
{
	two_samples();
	(void)top_press(&t, TOP_KEY_DOWN);
	(void)top_press(&t, TOP_KEY_DOWN);
	ck_assert_str_eq(t.chosen, "1.0.1");
	(void)top_press(&t, 'a');
	ck_assert_uint_eq(t.selected, 0);
	(void)top_press(&t, TOP_KEY_END);
	ck_assert_uint_eq(t.selected, 3);
	(void)top_press(&t, TOP_KEY_DOWN);
	ck_assert_uint_eq(t.selected, 3);
	begin(4000, 30, 0);
	add(9, "", 0, 0, 0);
	top_end(&t);
	ck_assert_uint_eq(t.selected, 0);
	(void)top_press(&t, TOP_KEY_HOME);
	(void)top_press(&t, TOP_KEY_UP);
	ck_assert_uint_eq(t.selected, 0);
}
END_TEST

START_TEST(nothing_is_killed_without_an_answer)
{
	two_samples();
	ck_assert_int_eq(top_press(&t, 'k'), TOP_NONE);
	ck_assert_int_eq(t.mode, TOP_ASKING);
	ck_assert_str_eq(line(3, 24, 80),
			 "end session 1.0.2? y ends it, n does not");
	ck_assert_int_eq(top_press(&t, 'n'), TOP_NONE);
	ck_assert_str_eq(t.victim, "");
	(void)top_press(&t, 'k');
	ck_assert_int_eq(top_press(&t, TOP_KEY_ENTER), TOP_NONE);
	(void)top_press(&t, 'k');
	ck_assert_int_eq(top_press(&t, 'y'), TOP_KILL);
	ck_assert_str_eq(t.victim, "1.0.2");
	(void)top_press(&t, '3');
	ck_assert_int_eq(top_press(&t, 'k'), TOP_NONE);
	ck_assert_int_eq(t.mode, TOP_TABLE);
	ck_assert_str_eq(t.message, "choose a session first (1)");
}
END_TEST

static void type(const char *text)
{
	(void)top_press(&t, '/');
	for (; *text; text++)
		ck_assert_int_eq(top_press(&t, *text), TOP_NONE);
	ck_assert_int_eq(top_press(&t, TOP_KEY_ENTER), TOP_LOOK);
}

START_TEST(a_filter_is_typed)
{
	type("user=alicf");
	ck_assert_uint_eq(t.filters.count, 1);
	(void)top_press(&t, '/');
	(void)top_press(&t, TOP_KEY_BACKSPACE);
	(void)top_press(&t, 'e');
	ck_assert_int_eq(top_press(&t, TOP_KEY_ENTER), TOP_LOOK);
	two_samples();
	ck_assert_uint_eq(t.session_count, 2);
	ck_assert_uint_eq(t.seen_count, 4);
	ck_assert_uint_eq(t.up_rate, 2000); /* of all */
	ck_assert_str_eq(line(3, 24, 80), "filter: user=alice");
	type(" usr=alice");
	ck_assert_uint_eq(t.filters.count, 0);
	ck_assert_ptr_nonnull(strstr(t.message, "there is no filter"));
	(void)top_press(&t, '/');
	for (int i = 0; i < 1000; i++)
		(void)top_press(&t, 'x');
	ck_assert_uint_eq(strlen(t.input), TOP_INPUT_BYTES - 1);
	(void)top_press(&t, TOP_KEY_ESCAPE);
	ck_assert_int_eq(t.mode, TOP_TABLE);
}
END_TEST

START_TEST(a_user_leads_to_his_sessions)
{
	two_samples();
	(void)top_press(&t, '2');
	(void)top_press(&t, TOP_KEY_DOWN);
	ck_assert_int_eq(top_press(&t, TOP_KEY_ENTER), TOP_LOOK);
	ck_assert_int_eq(t.view, TOP_SESSIONS);
	ck_assert_str_eq(t.input, "user=alice");
	two_samples();
	ck_assert_uint_eq(t.session_count, 2);
}
END_TEST

START_TEST(other_keys)
{
	ck_assert_int_eq(top_press(&t, 'q'), TOP_QUIT);
	ck_assert_int_eq(top_press(&t, 'p'), TOP_NONE);
	ck_assert(t.paused);
	ck_assert_int_eq(top_press(&t, ' '), TOP_LOOK);
	ck_assert_int_eq(top_press(&t, 'p'), TOP_LOOK);
	ck_assert(!t.paused);
	ck_assert_int_eq(top_press(&t, '?'), TOP_NONE);
	ck_assert_str_eq(line(0, 24, 80), "Keys of splicedctl top");
	ck_assert_int_eq(top_press(&t, 'x'), TOP_NONE);
	ck_assert_int_eq(t.mode, TOP_TABLE);
	(void)top_press(&t, TOP_KEY_TAB);
	ck_assert_int_eq(t.view, TOP_USERS);
	(void)top_press(&t, TOP_KEY_TAB);
	(void)top_press(&t, TOP_KEY_TAB);
	ck_assert_int_eq(t.view, TOP_SESSIONS);
	for (int key = -1; key < 0x1010; key++)
		(void)top_press(&t, key);
}
END_TEST

START_TEST(a_screen_of_80_columns_holds_all_of_a_session)
{
	two_samples();
	ck_assert_str_eq(line(0, 24, 80),
			 "spliced 0.1.0  serving, up 3s  generation 1, 0 "
			 "alive  crashes 0");
	ck_assert_str_eq(line(1, 24, 80),
			 "up 1.9k/s  down 49k/s  sessions 4  tunnels 7  "
			 "handshakes 2  accepts 10/s");
	ck_assert_str_eq(
		line(4, 24, 80),
		"CLIENT                USER     TARGET                   RATE "
		"BYTES    AGE   IDLE");
	ck_assert_str_eq(
		line(5, 24, 80),
		"10.0.0.1:1002         bob      192.0.2.7:443           48k/s "
		"  98k    52s     2s");
	ck_assert_str_eq(line(9, 24, 80), "");
}
END_TEST

START_TEST(generations_and_threads_have_rows)
{
	struct top_worker w = { .generation = 3,
				.number = 1,
				.lag_ms = 2,
				.accept_ms = 5,
				.silent_ms = 900,
				.active = 12 };
	json_t *j = json_pack("{s:I, s:I, s:s, s:I, s:s}", "generation",
			      (json_int_t)3, "pid", (json_int_t)77, "state",
			      "serving", "accepted", (json_int_t)9, "version",
			      "0.1.0");

	begin(1000, 0, 0);
	ck_assert_int_eq(top_add_generation(&t, j), 0);
	ck_assert_int_eq(top_add_worker(&t, &w), 0);
	json_decref(j);
	top_end(&t);
	ck_assert_str_eq(line(2, 24, 80), "threads, lag/accept ms: 3.1 2/5");
	(void)top_press(&t, '3');
	ck_assert_uint_eq(top_rows(&t), 3);
	ck_assert_ptr_nonnull(strstr(line(5, 24, 80), "3 serving"));
	ck_assert_ptr_nonnull(strstr(line(6, 24, 80), "THREAD"));
	ck_assert_str_eq(line(7, 24, 80), "       3.1        2          5"
					  "         900          12");
}
END_TEST

START_TEST(a_daemon_that_is_gone_is_waited_for)
{
	two_samples();
	top_begin(&t, 4000);
	top_lost(&t, "no daemon listens at /x\x1b");
	ck_assert_str_eq(line(0, 24, 80),
			 "spliced  no daemon listens at /x\\x1b");
	ck_assert_uint_eq(top_rows(&t), 0);
	ck_assert_int_eq(top_press(&t, 'k'), TOP_NONE);
	begin(9000, 5, 0);
	add(1, "alice", 1 << 20, 0, 60000);
	top_end(&t);
	/* A new one: nothing to compare it with. */
	ck_assert_uint_eq(t.up_rate, 0);
	ck_assert_uint_eq(t.accept_rate, 0);
	ck_assert_uint_eq(t.sessions[0].rate, 0);
}
END_TEST

START_TEST(every_size_of_a_screen_is_drawn)
{
	char text[TOP_LINE_BYTES];
	size_t longer = 0;

	begin(1000, 0, 0);
	for (unsigned i = 1; i <= 100; i++)
		add(i, "someone-with-a-long-name", UINT64_MAX / 4096, i, 1);
	top_end(&t);
	(void)top_press(&t, TOP_KEY_END);
	for (int view = '1'; view <= '3'; view++) {
		(void)top_press(&t, view);
		(void)top_press(&t, TOP_KEY_END);
		for (size_t lines = 0; lines < 120; lines += 17)
			for (size_t columns = 0; columns < 600; columns += 37) {
				top_layout(&t, lines);
				for (size_t y = 0; y < lines; y++) {
					(void)top_line(&t, y, lines, columns,
						       text);
					longer += strlen(text) > columns;
				}
			}
	}
	(void)top_press(&t, '1');
	(void)top_press(&t, TOP_KEY_END);
	top_layout(&t, 24);
	ck_assert_uint_eq(longer, 0);
	ck_assert_uint_eq(t.page, 18);
	ck_assert_uint_eq(t.first, 82);
	(void)top_press(&t, TOP_KEY_PAGE_UP);
	top_layout(&t, 24);
	ck_assert_uint_eq(t.selected, 82);
	ck_assert_uint_eq(t.first, 82);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("top_model");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, rates_are_of_the_time_between_two_samples);
	tcase_add_test(tc, rates_are_of_the_time_between_two_records);
	tcase_add_test(tc, what_a_record_says_of_time_is_not_believed);
	tcase_add_test(tc, what_ends_between_two_samples_counts_for_the_rates);
	tcase_add_test(tc, users_are_added_up);
	tcase_add_test(tc, keys_sort);
	tcase_add_test(tc, a_choice_stays_with_its_session);
	tcase_add_test(tc, nothing_is_killed_without_an_answer);
	tcase_add_test(tc, a_filter_is_typed);
	tcase_add_test(tc, a_user_leads_to_his_sessions);
	tcase_add_test(tc, other_keys);
	tcase_add_test(tc, a_screen_of_80_columns_holds_all_of_a_session);
	tcase_add_test(tc, generations_and_threads_have_rows);
	tcase_add_test(tc, a_daemon_that_is_gone_is_waited_for);
	tcase_add_test(tc, every_size_of_a_screen_is_drawn);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
