/*
 * The user's block of each connection: made, cleared, used again, freed, and
 * what becomes of a connection that gets none.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static atomic_uint made, cleared, freed, unhandled;
static _Atomic int unhandled_error, init_error;

struct block {
	unsigned magic, connections;
	char rest[1000];
};

#define MAGIC 0x600dcafe

static int user_init(void *user, void *ctx)
{
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_eq(b->magic, 0);
	ck_assert_int_eq(b->rest[999], 0);
	if (init_error < 0)
		return init_error;
	b->magic = MAGIC;
	made++;
	return 0;
}

static void user_reset(void *user, void *ctx)
{
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_eq(b->magic, MAGIC);
	b->connections++;
	cleared++;
}

static void user_done(void *user, void *ctx)
{
	struct block *b = user;

	ck_assert_str_eq(ctx, "context");
	ck_assert_uint_eq(b->magic, MAGIC);
	b->magic = 0;
	freed++;
}

static void note_unhandled(struct tcp_conn *c, int r, void *ctx)
{
	ck_assert_str_eq(ctx, "context");
	ck_assert_ptr_eq(tcp_conn_server(c), served);
	ck_assert((init_error < 0) == !tcp_conn_user(c));
	unhandled_error = r;
	unhandled++;
}

static const struct tcp_listen_options with_blocks = {
	.user_bytes = sizeof(struct block),
	.user_init = user_init,
	.user_reset = user_reset,
	.user_done = user_done,
	.unhandled = note_unhandled,
};
static char context[] = "context";
static struct tcp_listener *other;

static void handle(struct tcp_conn *c, void *ctx)
{
	struct block *b = tcp_conn_user(c);

	ck_assert_ptr_eq(tcp_conn_listener(c), served_listener);
	ck_assert_ptr_eq(tcp_conn_server(c), served);
	ck_assert_ptr_eq(tcp_listener_ctx(tcp_conn_listener(c)), ctx);
	ck_assert_uint_eq((uintptr_t)b % 16, 0);
	ck_assert_uint_eq(b->magic, MAGIC);
	memset(b->rest, 'x', sizeof(b->rest));
	handle_echo(c, ctx);
	ck_assert_ptr_eq(tcp_conn_user(c), b);
	ck_assert_int_eq(b->rest[999], 'x');
}

static void check_end(void)
{
	served_stop();
	ck_assert_uint_eq(freed, made);
}

/* --- In use ------------------------------------------------------------- */

START_TEST(one_after_the_other_they_use_the_same_block)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &with_blocks, handle, context);

	for (unsigned i = 0; i < 20; i++) {
		int fd = tcp_connected(&a);

		ask(fd);
		close_fd(&fd);
		served_until(active, 0);
	}
	ck_assert_uint_eq(made, 1);
	ck_assert_uint_eq(freed, 0);
	check_end();
	ck_assert_uint_eq(cleared, 20);
}
END_TEST

START_TEST(at_once_each_has_its_own)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &with_blocks, handle, context);
	int fd[150];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
			fd[i] = tcp_connected(&a);
			ask(fd[i]);
		}
		if (round == 0)
			ck_assert_uint_eq(made, ARRAY_SIZE(fd));
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
			close_fd(&fd[i]);
		served_until(active, 0);
	}
	check_end();
	ck_assert_uint_eq(cleared, 2 * ARRAY_SIZE(fd));
}
END_TEST

START_TEST(without_user_bytes_there_is_none)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .unhandled = note_unhandled,
					 .first_byte_ms = 20 };
	struct tcp_addr a = served_start(&o, &lo, handle_once, context);
	int fd = tcp_connected(&a);

	init_error = -1; /* so much note_unhandled() wants to know */
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
	served_stop();
	ck_assert_uint_eq(unhandled, 1);
}
END_TEST

static void handle_own_or_none(struct tcp_conn *c, void *ctx)
{
	bool mine = tcp_conn_listener(c) == other;

	ck_assert(mine == !tcp_conn_user(c));
	if (!mine)
		handle(c, ctx);
	else
		handle_once(c, ctx);
}

START_TEST(each_listener_has_its_own_blocks)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, &with_blocks, handle_own_or_none,
					 context);
	struct tcp_addr b = a;
	int fd[2];

	b.port = 0;
	ck_assert_int_eq(tcp_server_listen(served, &b, NULL, handle_own_or_none,
					   NULL, &other),
			 0);
	ck_assert_ptr_eq(tcp_listener_server(other), served);
	ck_assert_ptr_null(tcp_listener_ctx(other));
	fd[0] = tcp_connected(&a);
	fd[1] = tcp_connected(tcp_listener_addr(other));
	ask(fd[0]);
	ask(fd[1]);
	close_fd(&fd[0]);
	close_fd(&fd[1]);
	served_until(active, 0);
	ck_assert_uint_eq(made, 1);
	check_end();
}
END_TEST

/* --- Other ends --------------------------------------------------------- */

START_TEST(a_block_that_cannot_be_made_resets_the_client)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, &with_blocks, handle, context);
	struct tcp_server_stats stats;
	int fd;

	init_error = -EDOM;
	fd = tcp_connected(&a);
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	close_fd(&fd);
	served_until(active, 0);
	ck_assert_uint_eq(unhandled, 1);
	ck_assert_int_eq(unhandled_error, -EDOM);
	init_error = 0;
	fd = tcp_connected(&a);
	ask(fd);
	close_fd(&fd);
	served_until(active, 0);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.accepted, 2);
	ck_assert_uint_eq(stats.rejected, 0);
	check_end();
	ck_assert_uint_eq(cleared, 1);
}
END_TEST

START_TEST(silent_ones_give_theirs_back)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = with_blocks;
	struct tcp_addr a;
	int fd;

	lo.first_byte_ms = 30;
	a = served_start(&o, &lo, handle, context);
	fd = tcp_connected(&a);
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
	served_until(active, 0);
	ck_assert_int_eq(unhandled_error, -ETIMEDOUT);
	check_end();
	ck_assert_uint_eq(cleared, 1);
}
END_TEST

START_TEST(those_that_are_cut_give_theirs_back_and_are_told_of)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listen_options lo = with_blocks;
	struct tcp_addr a;
	int fd[6];

	lo.first_byte_ms = SOON_MS;
	a = served_start(&o, &lo, handle, context);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	ask(fd[0]);
	ask(fd[1]);
	served_until(active, ARRAY_SIZE(fd));
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), ARRAY_SIZE(fd));
	/* Two had handlers. */
	ck_assert_uint_eq(unhandled, ARRAY_SIZE(fd) - 2);
	ck_assert_int_eq(unhandled_error, -ECANCELED);
	ck_assert_uint_eq(cleared, ARRAY_SIZE(fd));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		if (i >= 2)
			ck_assert_int_eq(ended_how(fd[i]), ECONNRESET);
		close_fd(&fd[i]);
	}
	check_end();
}
END_TEST

static struct tcp_addr target;

static void handle_by_relay(struct tcp_conn *c, void *ctx UNUSED)
{
	ck_assert_ptr_nonnull(tcp_conn_user(c));
	handle_relay(c, &target);
}

START_TEST(a_relay_keeps_the_block_until_its_end)
{
	struct tcp_server_options o = { .workers = 1 };
	int listening = tcp_listening(&target, 4), fd, far;
	struct tcp_addr a = served_start(&o, &with_blocks, handle_by_relay,
					 context);

	fd = tcp_connected(&a);
	far = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	served_until(relays, 1);
	ck_assert_uint_eq(cleared, 0);
	close_fd(&fd);
	ck_assert_int_eq(ended_how(far), 0);
	close_fd(&far);
	served_until(relays, 0);
	close_fd(&listening);
	check_end();
	ck_assert_uint_eq(cleared, 1);
}
END_TEST

/* --- Where they are made and freed -------------------------------------- */

static _Thread_local unsigned here; /* a worker's number and one */
static atomic_uint ended;

static int begin_here(void *ctx UNUSED, unsigned worker)
{
	here = worker + 1;
	return 0;
}

static void end_here(void *ctx UNUSED, unsigned worker)
{
	ck_assert_uint_eq(here, worker + 1);
	here = 0;
	ended++;
}

static int init_here(void *user, void *ctx)
{
	ck_assert_uint_ne(here, 0);
	return user_init(user, ctx);
}

static void reset_here(void *user, void *ctx)
{
	ck_assert_uint_ne(here, 0);
	user_reset(user, ctx);
}

static void done_here(void *user, void *ctx)
{
	ck_assert_uint_ne(here, 0);
	user_done(user, ctx);
}

START_TEST(all_hooks_run_in_the_worker_between_its_start_and_stop)
{
	struct tcp_server_options o = { .workers = 3,
					.worker_start = begin_here,
					.worker_stop = end_here,
					.prealloc = 10 };
	struct tcp_listen_options lo = with_blocks;
	struct tcp_addr a;
	int fd[20];

	lo.user_init = init_here;
	lo.user_reset = reset_here;
	lo.user_done = done_here;
	a = served_start(&o, &lo, handle, context);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = tcp_connected(&a);
		ask(fd[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	check_end();
	ck_assert_uint_ge(made, 30);
	ck_assert_uint_eq(ended, 3);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, one_after_the_other_they_use_the_same_block);
	tcase_add_test(t, at_once_each_has_its_own);
	tcase_add_test(t, without_user_bytes_there_is_none);
	tcase_add_test(t, each_listener_has_its_own_blocks);
	tcase_add_test(t, a_block_that_cannot_be_made_resets_the_client);
	tcase_add_test(t, silent_ones_give_theirs_back);
	tcase_add_test(t, those_that_are_cut_give_theirs_back_and_are_told_of);
	tcase_add_test(t, a_relay_keeps_the_block_until_its_end);
	tcase_add_test(t,
		       all_hooks_run_in_the_worker_between_its_start_and_stop);
}

int main(void)
{
	Suite *s = suite_create("server_user");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
