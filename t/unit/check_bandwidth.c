/*
 * Rates and those who share them: how much may pass when, for sessions that
 * want more than they get, that come late, that want little; and that nothing
 * of a rate is left when the last of its sessions has ended.
 *
 * Time is made up here, so that the figures are exact.
 */
#include "daemon/proxy/bandwidth.h"

#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MB 1000000u

/* The one of that number fails, from 1; 0: none does. */
static unsigned allocations;

void *aligned_alloc(size_t alignment, size_t bytes)
{
	void *at;

	if (allocations && --allocations == 0)
		return NULL;
	return posix_memalign(&at, alignment, bytes) ? NULL : at;
}

static struct rule_action actions[4];
static const struct rule_actions list = { .at = actions,
					  .count = ARRAY_SIZE(actions) };
static struct bandwidth_options options;
static struct bandwidths *all;
static int64_t now_ms;

static void open_all(void)
{
	ck_assert_int_eq(bandwidths_new(&all, &options, &list), 0);
	now_ms = 1000000;
}

static void close_all(void)
{
	ck_assert_uint_eq(bandwidths_count(all), 0);
	bandwidths_free(all);
	all = NULL;
}

static void reset(void)
{
	memset(actions, 0, sizeof(actions));
	options = (struct bandwidth_options){ 0 };
}

static struct bandwidth *open_one(uint16_t rule, const char *name)
{
	struct span user = { .at = (const uint8_t *)name, .len = strlen(name) };
	struct bandwidth *b;

	ck_assert_int_eq(bandwidth_open(&b, all, rule, user, now_ms), 0);
	return b;
}

/* --- Sessions in made-up time ------------------------------------------- */

/* One that moves all it may, or so many bytes each time it wakes up. */
struct mover {
	struct bandwidth *b;
	int late_ms;      /* how late its timers are, at most */
	uint32_t wants;   /* a ms; 0: as much as it gets */
	int64_t wakes_ms; /* not before */
	uint64_t moved;
	unsigned woken;
	uint32_t left;
	uint32_t backlog;
};

/* The same for each run, and different for each call. */
static unsigned drawn(void)
{
	static uint32_t state = 1;

	state = state * 1664525u + 1013904223u;
	return state >> 16;
}

static void wake(struct mover *m, int direction, int64_t now)
{
	int64_t at = now;

	m->woken++;
	for (int i = 0; i < 64; i++) {
		uint32_t n = m->left;

		if (m->wants && m->backlog < n)
			n = m->backlog;
		m->moved += n;
		m->left -= n;
		m->backlog -= m->wants ? n : 0;
		if (m->left || (m->wants && !m->backlog))
			break;
		m->left = bandwidth_take(m->b, direction, now, &at);
		if (!m->left)
			break;
	}
	m->wakes_ms = now + 1;
	if (at > now)
		m->wakes_ms = at + (m->late_ms ? (int)drawn() % (m->late_ms + 1)
					       : 0);
}

static void run_for(struct mover *m, size_t count, int direction, int64_t ms)
{
	for (int64_t end = now_ms + ms; now_ms < end; now_ms++)
		for (size_t i = 0; i < count; i++) {
			m[i].backlog += m[i].wants;
			if (m[i].wakes_ms <= now_ms)
				wake(&m[i], direction, now_ms);
		}
}

static void close_movers(struct mover *m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bandwidth_close(m[i].b);
}

static void expect_about(uint64_t got, uint64_t wanted, unsigned percent)
{
	ck_assert_msg(got >= wanted - wanted * percent / 100 &&
			      got <= wanted + wanted * percent / 100,
		      "%llu instead of %llu", (unsigned long long)got,
		      (unsigned long long)wanted);
}

/* --- One session -------------------------------------------------------- */

static const uint64_t rates[] = { 1000,    64000,    MB,
				  10 * MB, 200 * MB, 2000ull * MB };

static void alone(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		struct mover m = { .late_ms = 2 };
		/* A quarter of a second's at once, where that is so little. */
		unsigned percent = rates[i] < MB ? 9 : 3;

		options.session = rates[i];
		open_all();
		m.b = open_one(0, "");
		run_for(&m, 1, 0, 3000);
		expect_about(m.moved, rates[i] * 3, percent);
		/* The other way has a rate of its own, unused till now. */
		m = (struct mover){ .b = m.b };
		run_for(&m, 1, 1, 3000);
		expect_about(m.moved, rates[i] * 31 / 10, percent);
		/* Hardly more than once in 4 ms. */
		if (rates[i] <= 200 * MB)
			ck_assert_uint_le(m.woken, 800);
		close_movers(&m, 1);
		close_all();
	}
}

START_TEST(a_session_moves_as_much_as_its_rate_says)
{
	reset();
	alone();
}
END_TEST

static void after_a_rest(void)
{
	struct mover m = { 0 };

	open_all();
	m.b = open_one(0, "");
	run_for(&m, 1, 0, 1000);
	expect_about(m.moved, MB, 5);
	m.moved = 0;
	m.left = 0;
	m.wants = 1;
	m.backlog = 0;
	run_for(&m, 1, 0, 60000); /* hardly anything */
	m.moved = 0;
	m.wants = 0;
	run_for(&m, 1, 0, 1000);
	/* 100 ms of what it has not used. */
	expect_about(m.moved, MB + MB / 10, 8);
	close_movers(&m, 1);
	close_all();
}

START_TEST(of_an_unused_rate_a_tenth_of_a_second_is_kept)
{
	reset();
	options.session = MB;
	after_a_rest();
}
END_TEST

static void unbounded(void)
{
	struct bandwidth *b;

	ck_assert_int_eq(bandwidths_new(&all, &options, &list), 0);
	ck_assert_ptr_null(all);
	ck_assert_ptr_null(open_one(1, "alice"));
	ck_assert_ptr_null(bandwidth_pacer(NULL));
	ck_assert_uint_eq(bandwidths_count(all), 0);
	bandwidth_close(NULL);
	close_all();
	/* One rule has a bound; sessions of others have none. */
	actions[2].bandwidth_user = MB;
	open_all();
	ck_assert_ptr_null(open_one(1, "alice"));
	ck_assert_ptr_null(open_one(3, "")); /* nobody */
	b = open_one(3, "alice");
	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(bandwidths_count(all), 1);
	bandwidth_close(b);
	close_all();
}

START_TEST(who_is_not_bounded_has_nothing)
{
	reset();
	unbounded();
}
END_TEST

/* --- Many --------------------------------------------------------------- */

#define TEN 10

static void expect_equal(const struct mover *m, size_t count, uint64_t sum,
			 unsigned percent)
{
	uint64_t moved = 0;

	for (size_t i = 0; i < count; i++) {
		expect_about(m[i].moved, sum / count, percent);
		moved += m[i].moved;
	}
	expect_about(moved, sum, 3);
}

static void clear(struct mover *m, size_t count)
{
	for (size_t i = 0; i < count; i++)
		m[i].moved = m[i].woken = 0;
}

static void ten(void)
{
	for (size_t i = 1; i < ARRAY_SIZE(rates) - 1; i++) {
		struct mover m[TEN] = { 0 };

		options.user = rates[i];
		open_all();
		for (size_t k = 0; k < TEN; k++) {
			m[k].b = open_one(0, "alice");
			/* Those of one worker are later than the others'. */
			m[k].late_ms = k % 2 ? 4 : 0;
		}
		ck_assert_uint_eq(bandwidths_count(all), 1);
		run_for(m, TEN, 1, 500);
		clear(m, TEN);
		run_for(m, TEN, 1, 5000);
		expect_equal(m, TEN, rates[i] * 5, 5);
		for (size_t k = 0; k < TEN; k++)
			ck_assert_uint_le(m[k].woken, 1250);
		close_movers(m, TEN);
		close_all();
	}
}

START_TEST(ten_sessions_of_a_user_are_equally_fast)
{
	reset();
	ten();
}
END_TEST

static void crowd(void)
{
	static struct mover m[300];

	for (size_t i = 2; i < ARRAY_SIZE(rates) - 1; i++) {
		size_t count = ARRAY_SIZE(m);

		memset(m, 0, sizeof(m));
		options.user = rates[i];
		open_all();
		for (size_t k = 0; k < count; k++) {
			m[k].b = open_one(0, "alice");
			m[k].late_ms = k % 3;
		}
		run_for(m, count, 1, 3000);
		clear(m, count);
		run_for(m, count, 1, 20000);
		expect_equal(m, count, rates[i] * 20, 10);
		close_movers(m, count);
		close_all();
	}
}

START_TEST(so_are_three_hundred)
{
	reset();
	crowd();
}
END_TEST

static void some_want_little(void)
{
	struct mover m[TEN] = { 0 };

	open_all();
	for (size_t k = 0; k < TEN; k++) {
		m[k].b = open_one(0, "alice");
		m[k].wants = k < 8 ? 100 : 0; /* 100 kB/s */
	}
	run_for(m, TEN, 0, 4000);
	for (size_t k = 0; k < 8; k++)
		expect_about(m[k].moved, 400000, 10);
	expect_equal(m + 8, 2, 4 * (10 * MB - 800000), 10);
	close_movers(m, TEN);
	close_all();
}

START_TEST(what_some_do_not_want_the_others_get)
{
	reset();
	options.user = 10 * MB;
	some_want_little();
}
END_TEST

static void of_rule_and_user(void)
{
	struct mover m[6] = { 0 };

	actions[0].bandwidth = 6 * MB;  /* of all */
	actions[0].bandwidth_user = MB; /* of each user there */
	actions[1].bandwidth_session = MB / 2;
	open_all();
	m[0].b = open_one(1, "alice");
	m[1].b = open_one(1, "alice");
	m[2].b = open_one(1, "bob");
	m[3].b = open_one(1, ""); /* bounded by the rule alone */
	m[4].b = open_one(2, "alice");
	m[5].b = open_one(2, "alice");
	ck_assert_uint_eq(bandwidths_count(all), 5); /* two for each user */
	run_for(m, 6, 0, 500);
	clear(m, 6);
	run_for(m, 6, 0, 4000);
	expect_equal(m, 2, 4 * MB, 6);
	expect_about(m[2].moved, 4 * MB, 6);
	expect_about(m[3].moved, 16 * MB, 6);
	expect_equal(m + 4, 2, 4 * MB, 6);
	close_movers(m, 6);
	close_all();
}

START_TEST(all_bounds_of_a_session_hold)
{
	reset();
	options.user = 50 * MB;
	of_rule_and_user();
}
END_TEST

static void type(void)
{
	struct mover m[TEN] = { 0 };
	struct bandwidth *b;
	int64_t at;

	open_all();
	for (size_t k = 0; k < TEN; k++)
		m[k].b = open_one(0, "alice");
	run_for(m, TEN, 0, 1000);
	b = open_one(0, "alice");
	for (int i = 0; i < 20; i++) {
		uint32_t n = bandwidth_take(b, 0, now_ms, &at);

		ck_assert_uint_gt(n, 1000);
		bandwidth_give(b, 0, n - 100);
		run_for(m, TEN, 0, 150); /* two lines and more */
	}
	/* Who wants more stands in the line. */
	ck_assert_uint_gt(bandwidth_take(b, 0, now_ms, &at), 0);
	ck_assert_uint_eq(bandwidth_take(b, 0, now_ms, &at), 0);
	ck_assert_int_gt(at, now_ms);
	ck_assert_uint_gt(bandwidth_take(b, 0, at, &at), 0);
	ck_assert_uint_eq(bandwidth_take(b, 0, at, &at), 0);
	bandwidth_close(b);
	close_movers(m, TEN);
	close_all();
}

START_TEST(who_wants_little_need_not_wait)
{
	reset();
	options.user = MB;
	type();
}
END_TEST

static void come_and_go(void)
{
	struct mover m[TEN] = { 0 };

	open_all();
	for (size_t k = 0; k < TEN; k++)
		m[k].b = open_one(0, "alice");
	run_for(m, TEN, 0, 1000);
	/* Nine end while they wait; the one that is left has it all. */
	close_movers(m + 1, TEN - 1);
	run_for(m, 1, 0, 500);
	clear(m, 1);
	run_for(m, 1, 0, 2000);
	expect_about(m[0].moved, 20 * MB, 3);
	ck_assert_uint_le(m[0].woken, 500);
	close_movers(m, 1);
	close_all();
}

START_TEST(what_ended_sessions_had_the_others_get)
{
	reset();
	options.user = 10 * MB;
	come_and_go();
}
END_TEST

static void come_again(void)
{
	uint64_t moved = 0;
	int64_t at;

	open_all();
	for (int64_t end = now_ms + 1000; now_ms < end; now_ms++) {
		struct bandwidth *b = open_one(0, "alice");

		moved += bandwidth_take(b, 0, now_ms, &at);
		bandwidth_close(b);
		ck_assert_uint_eq(bandwidths_count(all), 0);
	}
	/* And what each may pass without standing in line, for a while. */
	expect_about(moved, MB, 20);
	close_all();
}

START_TEST(new_sessions_are_no_new_rate)
{
	reset();
	options.user = MB;
	come_again();
}
END_TEST

static void quiet_ones(void)
{
	struct mover m[200] = { 0 };

	open_all();
	for (size_t k = 0; k < 200; k++)
		m[k].b = open_one(0, "alice");
	run_for(m, 200, 0, 1000);
	/* They fall silent in the middle of what they were granted. */
	for (size_t k = 1; k < 200; k++)
		bandwidth_give(m[k].b, 0, m[k].left);
	run_for(m, 1, 0, 500);
	clear(m, 1);
	run_for(m, 1, 0, 2000);
	expect_about(m[0].moved, 20 * MB, 3);
	ck_assert_uint_le(m[0].woken, 500);
	close_movers(m, 200);
	close_all();
}

START_TEST(quiet_sessions_have_no_part_in_it)
{
	reset();
	options.user = 10 * MB;
	quiet_ones();
}
END_TEST

/* --- Memory ------------------------------------------------------------- */

static void refuse_each(void)
{
	struct span alice = { .at = (const uint8_t *)"alice", .len = 5 };
	struct bandwidth *b = NULL;
	int r = -ENOMEM;

	open_all();
	for (unsigned i = 1; r == -ENOMEM; i++) {
		ck_assert_uint_le(i, 10);
		ck_assert_ptr_null(b);
		ck_assert_uint_eq(bandwidths_count(all), 0);
		allocations = i;
		r = bandwidth_open(&b, all, 1, alice, now_ms);
	}
	allocations = 0;
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(bandwidths_count(all), 3);
	bandwidth_close(b);
	close_all();
}

START_TEST(without_memory_there_is_nothing_half)
{
	reset();
	options.user = MB;
	actions[0].bandwidth = MB;
	actions[0].bandwidth_user = MB;
	refuse_each();
}
END_TEST

/* --- Threads ------------------------------------------------------------ */

#define THREADS 4

static void open_and_close(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		struct bandwidth *b[3] = { open_one(1, "alice"),
					   open_one(1, i % 2 ? "bob" : "eve"),
					   open_one(2, "") };
		int64_t at, now = now_ms;

		for (size_t k = 0; k < 3; k++)
			if (b[k] && bandwidth_take(b[k], 0, now, &at) == 0)
				(void)!bandwidth_take(b[k], 1, now, &at);
		for (size_t k = 0; k < 3; k++)
			bandwidth_close(b[k]);
	}
}

static void *one_thread(void *arg)
{
	open_and_close();
	return arg;
}

START_TEST(threads_share_and_leave_nothing)
{
	pthread_t thread[THREADS];

	reset();
	options.user = MB;
	actions[0].bandwidth = MB;
	actions[0].bandwidth_user = MB;
	ck_assert_int_eq(bandwidths_new(&all, &options, &list), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&thread[i], NULL, one_thread, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	close_all();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bandwidth");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_session_moves_as_much_as_its_rate_says);
	tcase_add_test(t, of_an_unused_rate_a_tenth_of_a_second_is_kept);
	tcase_add_test(t, who_is_not_bounded_has_nothing);
	tcase_add_test(t, ten_sessions_of_a_user_are_equally_fast);
	tcase_add_test(t, so_are_three_hundred);
	tcase_add_test(t, what_some_do_not_want_the_others_get);
	tcase_add_test(t, without_memory_there_is_nothing_half);
	tcase_add_test(t, all_bounds_of_a_session_hold);
	tcase_add_test(t, who_wants_little_need_not_wait);
	tcase_add_test(t, what_ended_sessions_had_the_others_get);
	tcase_add_test(t, new_sessions_are_no_new_rate);
	tcase_add_test(t, quiet_sessions_have_no_part_in_it);
	tcase_add_test(t, threads_share_and_leave_nothing);
	suite_add_tcase(s, t);
	return run_suite(s);
}
