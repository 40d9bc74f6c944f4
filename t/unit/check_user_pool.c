/*
 * Pools of connections' memory: when blocks are made, cleared and freed, and
 * how many stay.
 */
#include "core/user_pool.h"

#include "core/conn.h"
#include "core/listener.h"
#include "t/unit/on_loop.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct {
	unsigned made, cleared, freed;
	unsigned room; /* so many more can be made */
} calls;

struct block {
	uint64_t number;
	char rest[292];
};

static char context[] = "context";

static int user_init(void *user, void *ctx)
{
	static const struct block zero;
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_eq((uintptr_t)user % 16, 0);
	ck_assert(memcmp(b, &zero, sizeof(*b)) == 0);
	if (calls.room == 0)
		return -EDOM;
	calls.room--;
	b->number = ++calls.made;
	memset(b->rest, 'x', sizeof(b->rest));
	return 0;
}

static void user_reset(void *user, void *ctx)
{
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_ne(b->number, 0);
	calls.cleared++;
}

static void user_done(void *user, void *ctx)
{
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_ne(b->number, 0);
	calls.freed++;
}

static struct tcp_listener listener;
static struct listener_slot slot;
static struct user_pool *const pool = &slot.pool;

static void setup(void)
{
	listener = (struct tcp_listener){
		.options = { .user_bytes = sizeof(struct block),
			     .user_init = user_init,
			     .user_reset = user_reset,
			     .user_done = user_done },
		.ctx = context,
		.slot = &slot,
	};
	user_pool_init(pool, &listener);
	calls.room = 1000000;
}

static struct tcp_conn *get(void)
{
	struct tcp_conn *c;

	ck_assert_int_eq(user_pool_get(pool, &c), 0);
	return c;
}

static struct block *block_of(struct tcp_conn *c)
{
	return (struct block *)((char *)c + CONN_USER_OFFSET);
}

START_TEST(a_block_is_made_once_and_used_again)
{
	struct tcp_conn *c = get(), *again;

	ck_assert_uint_eq((uintptr_t)c % 16, 0);
	ck_assert_uint_eq(block_of(c)->number, 1);
	memset(c, 'y', sizeof(*c));
	user_pool_put(pool, c);
	ck_assert_uint_eq(calls.cleared, 1);
	again = get();
	ck_assert_ptr_eq(again, c);
	ck_assert_uint_eq(block_of(again)->number, 1);
	ck_assert_int_eq(block_of(again)->rest[291], 'x');
	ck_assert_uint_eq(calls.made, 1);
	user_pool_put(pool, again);
	ck_assert_uint_eq(calls.freed, 0);
	user_pool_done(pool);
	ck_assert_uint_eq(calls.freed, 1);
	ck_assert_uint_eq(calls.cleared, 2);
}
END_TEST

START_TEST(those_in_use_are_different_ones)
{
	struct tcp_conn *c[3];

	for (int i = 0; i < 3; i++)
		c[i] = get();
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(block_of(c[i])->number, i + 1);
	ck_assert_uint_eq(pool->used_count, 3);
	for (int i = 0; i < 3; i++)
		user_pool_put(pool, c[i]);
	user_pool_done(pool);
	ck_assert_uint_eq(calls.freed, 3);
}
END_TEST

START_TEST(a_block_that_cannot_be_made_is_no_block)
{
	struct tcp_conn *c, *none = NULL;

	calls.room = 1;
	c = get();
	ck_assert_int_eq(user_pool_get(pool, &none), -EDOM);
	ck_assert_ptr_null(none);
	ck_assert_uint_eq(pool->used_count, 1);
	user_pool_put(pool, c);
	/* One that is there needs no making. */
	user_pool_put(pool, get());
	user_pool_done(pool);
	ck_assert_uint_eq(calls.made, 1);
	ck_assert_uint_eq(calls.freed, 1);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct tcp_conn *none = NULL;

	listener.options.user_bytes = SIZE_MAX;
	ck_assert_int_eq(user_pool_get(pool, &none), -ENOMEM);
	listener.options.user_bytes = SIZE_MAX - CONN_USER_OFFSET;
	ck_assert_int_eq(user_pool_get(pool, &none), -ENOMEM);
	listener.options.user_bytes = PTRDIFF_MAX - CONN_USER_OFFSET;
	if (!getenv("ASAN_OPTIONS") && !getenv("TSAN_OPTIONS"))
		ck_assert_int_eq(user_pool_get(pool, &none), -ENOMEM);
	ck_assert_uint_eq(calls.made, 0);
	user_pool_done(pool);
}
END_TEST

START_TEST(without_hooks_blocks_are_zero_at_first)
{
	static const struct block zero;
	struct tcp_conn *c;

	listener.options.user_init = NULL;
	listener.options.user_reset = NULL;
	listener.options.user_done = NULL;
	c = get();
	ck_assert(memcmp(block_of(c), &zero, sizeof(zero)) == 0);
	user_pool_put(pool, c);
	user_pool_done(pool);
}
END_TEST

START_TEST(connections_without_blocks_are_pooled_as_well)
{
	struct tcp_conn *c;

	listener.options = (struct tcp_listen_options){ 0 };
	ck_assert_int_eq(user_pool_reserve(pool, 3), 0);
	c = get();
	ck_assert_uint_eq(pool->idle_count, 2);
	user_pool_put(pool, c);
	user_pool_done(pool);
}
END_TEST

/* --- How many stay ------------------------------------------------------ */

START_TEST(what_is_reserved_is_made_and_stays)
{
	struct tcp_conn *c[101];

	calls.room = 101;
	ck_assert_int_eq(user_pool_reserve(pool, 100), 0);
	ck_assert_uint_eq(calls.made, 100);
	/* A second time nothing is missing. */
	ck_assert_int_eq(user_pool_reserve(pool, 100), 0);
	ck_assert_uint_eq(calls.made, 100);
	for (int i = 0; i < 101; i++)
		c[i] = get();
	ck_assert_uint_eq(calls.made, 101);
	for (int i = 0; i < 101; i++)
		user_pool_put(pool, c[i]);
	ck_assert_uint_eq(pool->idle_count, 100);
	ck_assert_uint_eq(calls.freed, 1);
	user_pool_done(pool);
	ck_assert_uint_eq(calls.freed, 101);
}
END_TEST

START_TEST(what_cannot_be_reserved_fails_and_leaks_nothing)
{
	calls.room = 7;
	ck_assert_int_eq(user_pool_reserve(pool, 8), -EDOM);
	ck_assert_uint_eq(calls.made, 7);
	user_pool_done(pool);
	ck_assert_uint_eq(calls.freed, 7);
}
END_TEST

START_TEST(idle_ones_are_never_more_than_those_in_use_but_for_a_few)
{
	struct tcp_conn *c[1000];

	for (size_t i = 0; i < 1000; i++)
		c[i] = get();
	for (size_t i = 1000; i > 0; i--) {
		size_t left = i - 1;

		user_pool_put(pool, c[left]);
		ck_assert_uint_le(pool->idle_count,
				  max_size(left, USER_POOL_FLOOR));
		/* Freeing does not pile up either. */
		ck_assert_uint_le(calls.freed, 2 * (1000 - left));
	}
	ck_assert_uint_eq(pool->idle_count, USER_POOL_FLOOR);
	ck_assert_uint_eq(calls.freed, 1000 - USER_POOL_FLOOR);
	user_pool_done(pool);
	ck_assert_uint_eq(calls.freed, 1000);
}
END_TEST

/* --- As a connection's memory ------------------------------------------- */

static void use_for_a_connection(void)
{
	struct tcp_addr nobody = { .family = AF_UNSPEC };
	struct tcp_conn *c = get();
	int fd[2];

	tcp_pair(fd, 0);
	ck_assert_int_eq(conn_init_in(c, fd[0], &nobody), 0);
	c->pooled = true;
	c->listener = &listener;
	ck_assert_ptr_eq(tcp_conn_user(c), block_of(c));
	ck_assert_ptr_eq(tcp_conn_listener(c), &listener);
	ck_assert_uint_eq(block_of(c)->number, 1);
	tcp_conn_close(c);
	close_fd(&fd[1]);
	ck_assert_uint_eq(calls.cleared, 1);
	ck_assert_uint_eq(pool->idle_count, 1);
	user_pool_done(pool);
}

START_TEST(a_closed_connection_gives_its_memory_back)
{
	on_loop(use_for_a_connection, NULL);
	ck_assert_uint_eq(calls.freed, 1);
}
END_TEST

static void fail_to_use(void)
{
	struct tcp_addr nobody = { .family = AF_UNSPEC };
	struct tcp_conn *c = get();

	/* No descriptor that epoll takes. */
	ck_assert_int_eq(conn_init_in(c, -1, &nobody), -EBADF);
	user_pool_put(pool, c);
	user_pool_done(pool);
}

START_TEST(a_connection_that_fails_leaves_its_memory_to_the_pool)
{
	on_loop(fail_to_use, NULL);
	ck_assert_uint_eq(calls.freed, 1);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_block_is_made_once_and_used_again);
	tcase_add_test(t, those_in_use_are_different_ones);
	tcase_add_test(t, a_block_that_cannot_be_made_is_no_block);
	tcase_add_test(t, no_memory_is_told);
	tcase_add_test(t, without_hooks_blocks_are_zero_at_first);
	tcase_add_test(t, connections_without_blocks_are_pooled_as_well);
	tcase_add_test(t, what_is_reserved_is_made_and_stays);
	tcase_add_test(t, what_cannot_be_reserved_fails_and_leaks_nothing);
	tcase_add_test(
		t, idle_ones_are_never_more_than_those_in_use_but_for_a_few);
	tcase_add_test(t, a_closed_connection_gives_its_memory_back);
	tcase_add_test(t,
		       a_connection_that_fails_leaves_its_memory_to_the_pool);
}

int main(void)
{
	Suite *s = suite_create("user_pool");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
