/*
 * The tables of a generation: sums, texts and records as a reader finds them,
 * also in those of a process that died or was broken into.
 */
#include "daemon/tables.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define WORKERS    3
#define PER_WORKER 20

static struct segment *mine, *theirs;
static struct table_about *about;
static struct tcp_worker_counts *workers;
static struct proxy_counts *proxy;
static struct session *slots;
static uint32_t slot_count;
static struct table_name *rules;
static struct sessions *sessions;

static void *table(const char *name, uint32_t size)
{
	uint32_t count;
	void *at = segment_table(mine, name, size, &count);

	ck_assert_ptr_nonnull(at);
	return at;
}

static void setup(void)
{
	const struct segment_spec specs[] = {
		{ "about", sizeof(*about), 1 },
		{ "workers", sizeof(*workers), WORKERS },
		{ "proxy", sizeof(*proxy), WORKERS },
		{ "sessions", sizeof(*slots),
		  sessions_slots(WORKERS, PER_WORKER) },
		{ "rules", sizeof(*rules), 2 },
	};

	ck_assert_int_eq(segment_new(&mine, specs, ARRAY_SIZE(specs)), 0);
	ck_assert_int_eq(segment_open(&theirs, fcntl(segment_fd(mine),
						     F_DUPFD_CLOEXEC, 0)),
			 0);
	about = table("about", sizeof(*about));
	workers = table("workers", sizeof(*workers));
	proxy = table("proxy", sizeof(*proxy));
	slots = table("sessions", sizeof(*slots));
	rules = table("rules", sizeof(*rules));
	slot_count = sessions_slots(WORKERS, PER_WORKER);
	ck_assert_int_eq(sessions_new(&sessions, WORKERS, PER_WORKER, slots, 7),
			 0);
}

static void teardown(void)
{
	sessions_free(sessions);
	segment_free(mine);
	segment_free(theirs);
	sessions = NULL;
	mine = theirs = NULL;
}

static struct session *open_session(unsigned worker, uint64_t up, uint64_t down)
{
	struct session *s = sessions_open(sessions, worker);

	ck_assert_ptr_nonnull(s);
	session_begin(s);
	s->state = SESSION_RELAY;
	s->bytes_up = up;
	s->bytes_down = down;
	session_end(s);
	return s;
}

static unsigned count_sessions(bool lives)
{
	struct session_walk w;
	struct session copy;
	unsigned count = 0;

	table_sessions_walk(&w, theirs, lives, NULL);
	while (session_walk_next(&w, &copy))
		count++;
	return count;
}

/* --- Sums --------------------------------------------------------------- */

static void fill_counters(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct tcp_worker_counts){ .accepted = 100 + i,
							 .rejected = 10 + i,
							 .active = 5,
							 .handshakes = 2,
							 .relays = 3 };
		proxy[i] = (struct proxy_counts){ .sessions = 90 + i,
						  .bytes_up = 1000,
						  .bytes_down = 1u << 31,
						  .datagrams_up = 7,
						  .datagrams_down = 8,
						  .datagrams_dropped = i };
	}
}

START_TEST(totals_are_those_of_all_workers)
{
	struct table_totals t = { .accepted = 1 };

	fill_counters();
	table_totals_add(&t, theirs, true);
	ck_assert_uint_eq(t.accepted, 304);
	ck_assert_uint_eq(t.rejected, 33);
	ck_assert_uint_eq(t.active, 15);
	ck_assert_uint_eq(t.handshakes, 6);
	ck_assert_uint_eq(t.relays, 9);
	ck_assert_uint_eq(t.sessions, 273);
	ck_assert_uint_eq(t.bytes_up, 3000);
	ck_assert_uint_eq(t.bytes_down, UINT64_C(3) << 31);
	ck_assert_uint_eq(t.datagrams_up, 21);
	ck_assert_uint_eq(t.datagrams_down, 24);
	ck_assert_uint_eq(t.datagrams_dropped, 3);
	ck_assert_uint_eq(t.lost, 0);
	/* Another generation comes on top. */
	table_totals_add(&t, mine, true);
	ck_assert_uint_eq(t.accepted, 607);
	ck_assert_uint_eq(t.active, 30);
}
END_TEST

START_TEST(the_dead_have_no_sessions_but_what_they_lost_counts)
{
	struct table_totals t = { .active = 0 };
	struct session *ended;

	fill_counters();
	(void)open_session(0, 11, 22);
	(void)open_session(2, 33, 44);
	ended = open_session(1, 500, 500);
	session_begin(ended);
	ended->state = SESSION_ENDED;
	session_end(ended);
	sessions_close(sessions, open_session(1, 600, 600));
	table_totals_add(&t, theirs, false);
	ck_assert_uint_eq(t.active, 0);
	ck_assert_uint_eq(t.handshakes, 0);
	ck_assert_uint_eq(t.relays, 0);
	ck_assert_uint_eq(t.accepted, 303);
	ck_assert_uint_eq(t.lost, 2);
	ck_assert_uint_eq(t.sessions, 273 + 2);
	ck_assert_uint_eq(t.bytes_up, 3000 + 44);
	ck_assert_uint_eq(t.bytes_down, (UINT64_C(3) << 31) + 66);
}
END_TEST

START_TEST(missing_tables_add_nothing)
{
	const struct segment_spec other = { "workers", 8, 3 };
	struct table_totals t = { .accepted = 7, .lost = 1 };
	const struct table_totals before = t;
	struct table_about a;
	struct table_name name;
	struct session_walk w;
	struct session copy;
	struct table_slots s;

	segment_free(mine);
	ck_assert_int_eq(segment_new(&mine, &other, 1), 0);
	table_totals_add(&t, mine, true);
	table_totals_add(&t, mine, false);
	ck_assert_mem_eq(&t, &before, sizeof(t));
	ck_assert(!table_about_read(&a, mine));
	table_name_read(&name, mine, "rules", 1);
	ck_assert_str_eq(name.text, "");
	table_sessions_walk(&w, mine, true, &s);
	ck_assert_uint_eq(s.count, 0);
	ck_assert(!session_walk_next(&w, &copy));
}
END_TEST

/* --- Texts -------------------------------------------------------------- */

START_TEST(texts_are_copied)
{
	struct table_about a;
	struct table_name name;

	about->generation = 7;
	about->pid = 1234;
	memcpy(about->version, "1.2", 4);
	memcpy(about->config, "/etc/spliced.conf", 18);
	memcpy(rules[0].text, "first", 6);
	memcpy(rules[1].text, "second", 7);
	ck_assert(table_about_read(&a, theirs));
	ck_assert_uint_eq(a.generation, 7);
	ck_assert_int_eq(a.pid, 1234);
	ck_assert_str_eq(a.version, "1.2");
	ck_assert_str_eq(a.config, "/etc/spliced.conf");
	table_name_read(&name, theirs, "rules", 1);
	ck_assert_str_eq(name.text, "first");
	table_name_read(&name, theirs, "rules", 2);
	ck_assert_str_eq(name.text, "second");
}
END_TEST

START_TEST(texts_without_an_end_are_cut)
{
	struct table_about a;
	struct table_name name;

	memset(about, 'x', sizeof(*about));
	memset(rules, 'y', 2 * sizeof(*rules));
	ck_assert(table_about_read(&a, theirs));
	ck_assert_uint_eq(strlen(a.version), sizeof(a.version) - 1);
	ck_assert_uint_eq(strlen(a.config), sizeof(a.config) - 1);
	table_name_read(&name, theirs, "rules", 2);
	ck_assert_uint_eq(strlen(name.text), sizeof(name.text) - 1);
}
END_TEST

START_TEST(numbers_that_no_name_has_are_empty)
{
	static const unsigned none[] = { 0, 3, 4, 65535, UINT32_MAX };
	struct table_name name;

	memset(rules, 'y', 2 * sizeof(*rules));
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		name.text[0] = '!';
		table_name_read(&name, theirs, "rules", none[i]);
		ck_assert_str_eq(name.text, "");
	}
}
END_TEST

/* --- Records ------------------------------------------------------------ */

START_TEST(all_records_in_use_are_found)
{
	struct session *gone;

	ck_assert_uint_eq(count_sessions(true), 0);
	for (unsigned w = 0; w < WORKERS; w++)
		for (unsigned i = 0; i < 5 + w; i++)
			(void)open_session(w, i, i);
	gone = open_session(0, 1, 1);
	ck_assert_uint_eq(count_sessions(true), 5 + 6 + 7 + 1);
	sessions_close(sessions, gone);
	ck_assert_uint_eq(count_sessions(true), 5 + 6 + 7);
	ck_assert_uint_eq(count_sessions(false), 5 + 6 + 7);
}
END_TEST

START_TEST(a_record_has_its_generation_and_its_whole_name)
{
	char asked[256], name[SESSION_NAME_BYTES];
	struct session *s = open_session(1, 1, 1);
	struct table_slots array;
	struct session_walk w;
	struct session copy;

	memset(asked, 'n', sizeof(asked));
	session_begin(s);
	sessions_set_host(sessions, s,
			  (struct span){ (const uint8_t *)asked, 255 });
	session_end(s);
	table_sessions_walk(&w, theirs, true, &array);
	ck_assert(session_walk_next(&w, &copy));
	ck_assert_uint_eq(copy.generation, 7);
	ck_assert_uint_eq(copy.worker, 1);
	ck_assert_uint_eq(
		session_host(&copy, array.at, array.count, name, sizeof(name)),
		255);
	ck_assert_uint_eq(strspn(name, "n"), 255);
	ck_assert(!session_walk_next(&w, &copy));
}
END_TEST

START_TEST(the_account_of_a_process_that_was_killed_is_true)
{
	for (int round = 0; round < 20; round++) {
		struct table_totals t = { .active = 0 };
		uint64_t opened = 0, pending;
		int status, ready[2];
		char byte;
		pid_t pid;

		ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct session *s[PER_WORKER] = { NULL };

			/* accepted: records opened, sessions: counted. */
			for (uint64_t i = 0;; i++) {
				size_t k = i * 7 % PER_WORKER;

				if (s[k]) {
					session_begin(s[k]);
					s[k]->state = SESSION_ENDED;
					session_end(s[k]);
					__atomic_store_n(&proxy->sessions,
							 proxy->sessions + 1,
							 __ATOMIC_RELEASE);
					sessions_close(sessions, s[k]);
				}
				s[k] = sessions_open(sessions, 0);
				__atomic_store_n(&workers->accepted, i + 1,
						 __ATOMIC_RELEASE);
				session_begin(s[k]);
				s[k]->bytes_up = s[k]->bytes_down = 1;
				session_end(s[k]);
				if (i == 1000 && write(ready[1], "", 1) != 1)
					_exit(1);
			}
		}
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
		/* Beside the living one nothing torn is seen. */
		for (int i = 0; i < 50; i++) {
			struct session_walk w;
			struct session copy;

			table_sessions_walk(&w, theirs, true, NULL);
			while (session_walk_next(&w, &copy))
				ck_assert_uint_eq(copy.bytes_up,
						  copy.bytes_down);
		}
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(WIFSIGNALED(status));
		table_totals_add(&t, theirs, false);
		opened = t.accepted;
		pending = opened - (t.sessions - t.lost);
		/* One at most was between two of its steps. */
		ck_assert_uint_ge(t.lost + 1, pending);
		ck_assert_uint_le(t.lost, pending + 1);
		ck_assert_uint_ge(t.lost, PER_WORKER - 2);
		close_fd(&ready[0]);
		close_fd(&ready[1]);
		teardown();
		setup();
	}
}
END_TEST

START_TEST(tables_of_nothing_but_ones_do_no_harm)
{
	char name[SESSION_NAME_BYTES];
	struct table_totals t = { .active = 0 };
	struct table_slots array;
	struct session_walk w;
	struct session copy;
	unsigned count = 0;

	memset(workers, 0xff, WORKERS * sizeof(*workers));
	memset(proxy, 0xff, WORKERS * sizeof(*proxy));
	memset(slots, 0xff, slot_count * sizeof(*slots));
	table_totals_add(&t, theirs, true);
	table_totals_add(&t, theirs, false);
	memset(slots, SESSION_RELAY, slot_count * sizeof(*slots));
	table_sessions_walk(&w, theirs, true, &array);
	while (session_walk_next(&w, &copy)) {
		count++;
		ck_assert_uint_lt(session_host(&copy, array.at, array.count,
					       name, sizeof(name)),
				  sizeof(name));
	}
	ck_assert_uint_eq(count, slot_count - 1);
}
END_TEST

/* --- Limits ------------------------------------------------------------- */

static void expect_limits(uint32_t counts, uint32_t labels, uint32_t rates,
			  bool found)
{
	const struct segment_spec specs[] = {
		{ "limits", sizeof(struct limits_about), 1 },
		{ "limit-counts", sizeof(struct limits_count), counts },
		{ "limit-labels", sizeof(struct limits_label), labels },
		{ "limit-rates", sizeof(struct limits_rate), rates },
	};
	struct limits_table t = { 0 };
	struct segment *s;

	ck_assert_int_eq(segment_new(&s, specs, ARRAY_SIZE(specs)), 0);
	ck_assert_int_eq(table_limits_find(&t, s), found);
	ck_assert_uint_eq(t.count, found ? counts : 0);
	segment_free(s);
}

START_TEST(limits_that_make_no_sense_are_none)
{
	struct limits_table t;

	ck_assert(!table_limits_find(&t, mine));
	expect_limits(64, 64, 64, true);
	expect_limits(16, 16, 0, true);
	expect_limits(64, 32, 64, false);
	expect_limits(8, 8, 64, false);
	expect_limits(LIMITS_TABLE_MAX, LIMITS_TABLE_MAX, 16, true);
	expect_limits(LIMITS_TABLE_MAX + 16, LIMITS_TABLE_MAX + 16, 16, false);
	expect_limits(16, 16, LIMITS_TABLE_MAX + 16, false);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tables");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, totals_are_those_of_all_workers);
	tcase_add_test(t, the_dead_have_no_sessions_but_what_they_lost_counts);
	tcase_add_test(t, missing_tables_add_nothing);
	tcase_add_test(t, texts_are_copied);
	tcase_add_test(t, texts_without_an_end_are_cut);
	tcase_add_test(t, numbers_that_no_name_has_are_empty);
	tcase_add_test(t, all_records_in_use_are_found);
	tcase_add_test(t, a_record_has_its_generation_and_its_whole_name);
	tcase_add_test(t, the_account_of_a_process_that_was_killed_is_true);
	tcase_add_test(t, tables_of_nothing_but_ones_do_no_harm);
	tcase_add_test(t, limits_that_make_no_sense_are_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
