/*
 * The end of a server while handlers wait for blocking work that goes on.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct tcp_pool *pool;
static atomic_uint begun, over, dropped;
static _Atomic int await_result;

/* Jobs wait here until it is opened, for good. */
static sem_t door;

static void job(void *arg UNUSED)
{
	begun++;
	ck_assert_int_eq(sem_wait(&door), 0);
	ck_assert_int_eq(sem_post(&door), 0);
	over++;
}

static void drop(void *arg)
{
	free(arg);
	dropped++;
}

static void handle_awaiting(struct tcp_conn *c, void *ctx)
{
	void *arg = malloc(8);

	await_result = tcp_pool_await(pool, job, arg, drop, TCPSERVER_NEVER);
	if (await_result == 0)
		free(arg);
	handle_once(c, ctx);
}

static void until(atomic_uint *count, unsigned value)
{
	for (int i = 0; i < SOON_MS && *count != value; i++)
		(void)usleep(1000);
	ck_assert_uint_eq(*count, value);
}

static void setup(void)
{
	struct tcp_pool_options o = { .max_threads = 2 };

	ck_assert_int_eq(tcp_pool_new(&pool, &o), 0);
	ck_assert_int_eq(sem_init(&door, 0, 0), 0);
}

START_TEST(handlers_that_await_jobs_are_cut_like_others)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_awaiting, NULL);
	int fd[5];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = tcp_connected(&a);
	served_until(tasks, ARRAY_SIZE(fd));
	/* Two jobs are being done, the others wait in the pool's queue. */
	until(&begun, 2);
	ck_assert_uint_eq(tcp_server_shutdown(served, 30), ARRAY_SIZE(fd));
	ck_assert_int_eq(await_result, -ECANCELED);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_stop();
	/* The jobs come back to a server that is no more. */
	ck_assert_int_eq(sem_post(&door), 0);
	until(&dropped, ARRAY_SIZE(fd));
	tcp_pool_free(pool);
	ck_assert_uint_eq(over, begun);
}
END_TEST

START_TEST(a_halt_cuts_them_too)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_addr a = served_start(&o, NULL, handle_awaiting, NULL);
	int fd = tcp_connected(&a);

	until(&begun, 1);
	tcp_server_halt(served);
	ck_assert_int_eq(tcp_server_run(served), 0);
	ck_assert_int_eq(await_result, -ECANCELED);
	close_fd(&fd);
	served_stop();
	ck_assert_int_eq(sem_post(&door), 0);
	until(&dropped, 1);
	tcp_pool_free(pool);
}
END_TEST

static void *open_door(void *arg UNUSED)
{
	(void)usleep(50000);
	ck_assert_int_eq(sem_post(&door), 0);
	return NULL;
}

START_TEST(a_shutdown_with_time_lets_them_finish)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_awaiting, NULL);
	pthread_t thread;
	int fd[5];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	}
	until(&begun, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_door, NULL), 0);
	ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(await_result, 0);
	ck_assert_uint_eq(dropped, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_stop();
	tcp_pool_free(pool);
}
END_TEST

START_TEST(a_pool_that_stops_first_lets_handlers_go)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_addr a = served_start(&o, NULL, handle_awaiting, NULL);
	int fd[4];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	}
	until(&begun, 2);
	served_until(tasks, ARRAY_SIZE(fd));
	ck_assert_int_eq(tcp_pool_stop(pool, false, 0), -ETIMEDOUT);
	ck_assert_int_eq(sem_post(&door), 0);
	ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close_fd(&fd[i]);
	served_stop();
	tcp_pool_free(pool);
	ck_assert_uint_eq(over, 2);
	ck_assert_uint_eq(dropped, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_await");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, handlers_that_await_jobs_are_cut_like_others);
	tcase_add_test(t, a_halt_cuts_them_too);
	tcase_add_test(t, a_shutdown_with_time_lets_them_finish);
	tcase_add_test(t, a_pool_that_stops_first_lets_handlers_go);
	suite_add_tcase(s, t);
	return run_suite(s);
}
