/*
 * Idle connections: who gets which, how many stay, and when they go.
 */
#include "daemon/proxy/http_pool.h"

#include "core/conn.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#define MANY 6

static struct http_pool *pool;
static int far[MANY]; /* their other ends */
static struct tcp_conn *conn[MANY];

static struct http_way way_to(uint16_t port)
{
	struct http_way w = { 0 };

	ck_assert_int_eq(tcp_addr_parse(&w.to, "192.0.2.1", port), 0);
	return w;
}

static void make_pool(size_t max, size_t per_target, int64_t idle_ms)
{
	const struct http_pool_options o = { .max = max,
					     .per_target = per_target,
					     .idle_ms = idle_ms };

	ck_assert_int_eq(http_pool_new(&pool, &o), 0);
}

static void make_conns(void)
{
	for (int i = 0; i < MANY; i++) {
		int fd[2];

		tcp_pair(fd, 0);
		conn[i] = conn_of(fd[0]);
		far[i] = fd[1];
	}
	settle();
}

static void put(int i, uint16_t port)
{
	const struct http_way w = way_to(port);
	const struct tcp_addr bound = { .port = (uint16_t)(i + 1) };

	http_pool_put(pool, conn[i], &w, &bound);
	conn[i] = NULL;
}

/* Which one there is for a port, or -1; it is closed. */
static int take(uint16_t port)
{
	const struct http_way w = way_to(port);
	struct tcp_addr bound;
	struct tcp_conn *c = http_pool_take(pool, &w, &bound);

	if (!c)
		return -1;
	ck_assert_ptr_null(c->owner.task);
	tcp_conn_close(c);
	return bound.port - 1;
}

static void done(void)
{
	http_pool_free(TAKE_PTR(pool));
	for (int i = 0; i < MANY; i++) {
		if (conn[i])
			tcp_conn_close(TAKE_PTR(conn[i]));
		close_fd(&far[i]);
	}
}

static void body_last(void)
{
	make_pool(8, 8, 10000);
	make_conns();
	put(0, 80);
	put(1, 81);
	put(2, 80);
	ck_assert_int_eq(take(80), 2);
	ck_assert_int_eq(take(80), 0);
	ck_assert_int_eq(take(80), -1);
	ck_assert_int_eq(take(82), -1);
	ck_assert_uint_eq(http_pool_count(pool), 1);
	done();
}

START_TEST(the_last_that_came_is_taken_first)
{
	on_loop(body_last, NULL);
}
END_TEST

static void body_ways(void)
{
	struct http_way w = way_to(80);
	struct tcp_addr bound = { 0 };

	make_pool(8, 8, 10000);
	make_conns();
	put(0, 80);
	w.upstream = 1;
	ck_assert_ptr_null(http_pool_take(pool, &w, &bound));
	w = way_to(80);
	ck_assert_int_eq(tcp_addr_parse(&w.source, "192.0.2.7", 0), 0);
	ck_assert_ptr_null(http_pool_take(pool, &w, &bound));
	ck_assert_int_eq(take(80), 0);
	done();
}

START_TEST(another_way_is_another_connection)
{
	on_loop(body_ways, NULL);
}
END_TEST

static void body_many(void)
{
	make_pool(3, 2, 10000);
	make_conns();
	put(0, 80);
	put(1, 80);
	put(2, 80); /* the third of these */
	ck_assert_uint_eq(http_pool_count(pool), 2);
	put(3, 81);
	put(4, 82); /* the fourth of all */
	ck_assert_uint_eq(http_pool_count(pool), 3);
	ck_assert_int_eq(take(80), 2);
	ck_assert_int_eq(take(80), -1);
	ck_assert_int_eq(take(81), 3);
	ck_assert_int_eq(take(82), 4);
	done();
}

START_TEST(who_came_first_makes_room)
{
	on_loop(body_many, NULL);
}
END_TEST

static void body_dead(void)
{
	make_pool(8, 8, 10000);
	make_conns();
	for (int i = 0; i < 4; i++)
		put(i, 80);
	close_fd(&far[0]);
	ck_assert_int_eq(write(far[2], "x", 1), 1);
	while (http_pool_count(pool) != 2)
		nap(1);
	ck_assert_int_eq(take(80), 3);
	ck_assert_int_eq(take(80), 1);
	done();
}

START_TEST(one_that_turns_readable_is_closed)
{
	on_loop(body_dead, NULL);
}
END_TEST

static int taken;

static void take_now(struct watch *w)
{
	w->notify = NULL;
	taken = take(80);
}

/* What has come is known before its event is told. */
static void body_due(void)
{
	make_pool(8, 8, 10000);
	make_conns();
	put(1, 80);
	put(2, 80);
	taken = -2;
	conn[0]->watch.notify = take_now;
	ck_assert_int_eq(write(far[0], "x", 1), 1);
	ck_assert_int_eq(write(far[2], "x", 1), 1);
	while (taken == -2)
		nap(1);
	ck_assert_int_eq(taken, 1);
	ck_assert_uint_eq(http_pool_count(pool), 0);
	done();
}

START_TEST(one_of_which_an_event_is_due_is_not_taken)
{
	on_loop(body_due, NULL);
}
END_TEST

/* One that was idle for long is looked at, whatever events say. */
static void body_idle(void)
{
	make_pool(8, 8, 10000);
	make_conns();
	put(0, 80);
	put(1, 80);
	nap(1100);
	ck_assert_int_eq(write(far[1], "x", 1), 1);
	ck_assert_int_eq(take(80), 0);
	ck_assert_uint_eq(http_pool_count(pool), 0);
	done();
}

START_TEST(one_that_was_idle_for_long_is_asked)
{
	on_loop(body_idle, NULL);
}
END_TEST

static void body_unread(void)
{
	make_pool(8, 8, 10000);
	make_conns();
	ck_assert_int_eq(write(far[0], "x", 1), 1);
	while (!conn_can_read(conn[0]))
		nap(1);
	put(0, 80);
	ck_assert_uint_eq(http_pool_count(pool), 0);
	/* One that only may have something is asked. */
	conn[1]->watch.ready |= EPOLLIN;
	put(1, 80);
	ck_assert_uint_eq(http_pool_count(pool), 1);
	net_self()->draining = true;
	put(2, 80);
	ck_assert_uint_eq(http_pool_count(pool), 1);
	done();
}

START_TEST(what_cannot_be_kept_is_closed)
{
	on_loop(body_unread, NULL);
}
END_TEST

static void body_time(void)
{
	make_pool(8, 8, 30);
	make_conns();
	put(0, 80);
	put(1, 81);
	while (http_pool_count(pool))
		nap(5);
	put(2, 80);
	ck_assert_int_eq(take(80), 2);
	put(3, 80);
	while (http_pool_count(pool))
		nap(5);
	done();
}

START_TEST(nobody_stays_for_ever)
{
	on_loop(body_time, NULL);
}
END_TEST

static void body_none(void)
{
	struct tcp_addr bound;
	const struct http_way w = way_to(80);

	make_pool(0, 0, 10);
	ck_assert_ptr_null(pool);
	make_conns();
	put(0, 80);
	ck_assert_ptr_null(http_pool_take(pool, &w, &bound));
	done();
}

START_TEST(without_a_pool_all_are_closed)
{
	on_loop(body_none, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("http_pool");
	TCase *tc = tcase_create("http_pool");

	tcase_add_test(tc, the_last_that_came_is_taken_first);
	tcase_add_test(tc, another_way_is_another_connection);
	tcase_add_test(tc, who_came_first_makes_room);
	tcase_add_test(tc, one_that_turns_readable_is_closed);
	tcase_add_test(tc, one_of_which_an_event_is_due_is_not_taken);
	tcase_add_test(tc, one_that_was_idle_for_long_is_asked);
	tcase_add_test(tc, what_cannot_be_kept_is_closed);
	tcase_add_test(tc, nobody_stays_for_ever);
	tcase_add_test(tc, without_a_pool_all_are_closed);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
