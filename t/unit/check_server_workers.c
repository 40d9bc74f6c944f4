/*
 * What workers are given at their start: a CPU, connections and stacks.
 */
#include "core/tcpserver.h"

#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include "config.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static atomic_uint stopped;

static void count_stop(void *ctx UNUSED, unsigned worker UNUSED)
{
	stopped++;
}

/* --- CPUs --------------------------------------------------------------- */

static _Atomic int affinity_error;

/* In the place of libc's, which does nothing else. */
int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	if (affinity_error) {
		errno = affinity_error;
		return -1;
	}
	return (int)syscall(SYS_sched_setaffinity, pid, size, set);
}

static cpu_set_t seen[8];

static int note_cpus(void *ctx UNUSED, unsigned worker)
{
	ck_assert_uint_lt(worker, ARRAY_SIZE(seen));
	return sched_getaffinity(0, sizeof(seen[worker]), &seen[worker]) < 0
		       ? -errno
		       : 0;
}

static int nth_cpu(const cpu_set_t *set, int n)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set) || n-- > 0)
		cpu++;
	return cpu;
}

START_TEST(each_worker_gets_one_of_the_cpus_in_turn)
{
	struct tcp_server_options o = { .workers = 5,
					.pin = true,
					.worker_start = note_cpus };
	cpu_set_t all, after;
	int count;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	count = CPU_COUNT(&all);
	(void)served_start(&o, NULL, handle_once, NULL);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(CPU_COUNT(&seen[i]), 1);
		ck_assert(CPU_ISSET(nth_cpu(&all, i % count), &seen[i]));
	}
	/* Whoever starts it may run anywhere still. */
	ck_assert_int_eq(sched_getaffinity(0, sizeof(after), &after), 0);
	ck_assert(CPU_EQUAL(&all, &after));
	served_stop();
}
END_TEST

START_TEST(only_of_those_that_are_allowed)
{
	struct tcp_server_options o = { .workers = 2,
					.pin = true,
					.worker_start = note_cpus };
	cpu_set_t all, one;
	int last;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	last = nth_cpu(&all, CPU_COUNT(&all) - 1);
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	(void)served_start(&o, NULL, handle_once, NULL);
	for (int i = 0; i < 2; i++)
		ck_assert(CPU_EQUAL(&one, &seen[i]));
	served_stop();
}
END_TEST

START_TEST(without_that_they_may_run_on_all)
{
	struct tcp_server_options o = { .workers = 2,
					.worker_start = note_cpus };
	cpu_set_t all;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	affinity_error = EPERM;
	(void)served_start(&o, NULL, handle_once, NULL);
	ck_assert(CPU_EQUAL(&all, &seen[1]));
	served_stop();
}
END_TEST

START_TEST(a_cpu_that_is_refused_fails_the_start)
{
	struct tcp_server_options o = { .workers = 2,
					.pin = true,
					.worker_stop = count_stop };

	(void)served_bound(&o, NULL, handle_once, NULL);
	affinity_error = EPERM;
	ck_assert_int_eq(tcp_server_start(served), -EPERM);
	ck_assert_uint_eq(stopped, 0);
	tcp_server_free(served);
}
END_TEST

/* --- Memory in advance -------------------------------------------------- */

static atomic_uint made, freed;
static unsigned room = 1000000;

static int user_init(void *user UNUSED, void *ctx UNUSED)
{
	return atomic_fetch_add(&made, 1) >= room ? -EDOM : 0;
}

static void user_done(void *user UNUSED, void *ctx UNUSED)
{
	freed++;
}

static const struct tcp_listen_options with_blocks = {
	.user_bytes = 100,
	.user_init = user_init,
	.user_done = user_done,
};

static void come_and_go(const struct tcp_addr *a, unsigned count)
{
	int fd[200];

	ck_assert_uint_le(count, ARRAY_SIZE(fd));
	for (unsigned i = 0; i < count; i++) {
		fd[i] = tcp_connected(a);
		ask(fd[i]);
	}
	for (unsigned i = 0; i < count; i++)
		close_fd(&fd[i]);
	served_until(active, 0);
}

START_TEST(connections_are_made_before_anybody_comes)
{
	struct tcp_server_options o = { .workers = 1, .prealloc = 100 };
	struct tcp_addr a = served_bound(&o, &with_blocks, handle_echo, NULL),
			b = a;

	ck_assert_uint_eq(made, 0);
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	ck_assert_uint_eq(made, 100);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ck_assert_uint_eq(made, 100);
	come_and_go(&a, 100);
	ck_assert_uint_eq(made, 100);
	come_and_go(&a, 101);
	ck_assert_uint_eq(made, 101);
	/* One more listener has its own. */
	b.port = 0;
	ck_assert_int_eq(tcp_server_listen(served, &b, &with_blocks,
					   handle_echo, NULL, NULL),
			 0);
	ck_assert_uint_eq(made, 201);
	served_stop();
	ck_assert_uint_eq(freed, 201);
}
END_TEST

START_TEST(connections_without_blocks_are_made_as_well)
{
	struct tcp_server_options o = { .workers = 2, .prealloc = 10 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);

	come_and_go(&a, 8);
	come_and_go(&a, 100);
	served_stop();
}
END_TEST

START_TEST(what_cannot_be_made_fails_the_start)
{
	struct tcp_server_options o = { .workers = 2,
					.prealloc = 10,
					.worker_stop = count_stop };

	room = 15;
	(void)served_bound(&o, &with_blocks, handle_echo, NULL);
	ck_assert_int_eq(tcp_server_start(served), -EDOM);
	ck_assert_uint_eq(made, 16);
	ck_assert_uint_eq(freed, 15);
	/* Both had been told of their beginning. */
	ck_assert_uint_eq(stopped, 2);
	tcp_server_free(served);
}
END_TEST

START_TEST(or_the_listener_where_the_server_runs)
{
	struct tcp_server_options o = { .workers = 2, .prealloc = 10 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL), b = a;

	room = 15;
	b.port = 0;
	ck_assert_int_eq(tcp_server_listen(served, &b, &with_blocks,
					   handle_echo, NULL, NULL),
			 -EDOM);
	come_and_go(&a, 5);
	served_stop();
	ck_assert_uint_eq(freed, 15);
}
END_TEST

static rlim_t mapped_bytes(void)
{
	unsigned long pages;
	FILE *f = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lu", &pages), 1);
	(void)fclose(f);
	return (rlim_t)pages * 4096;
}

START_TEST(stacks_that_cannot_be_had_fail_the_start)
{
	struct tcp_server_options o = { .workers = 1,
					.prealloc = 20000,
					.worker_stop = count_stop };
	struct rlimit usual, tight;

	(void)served_bound(&o, NULL, handle_once, NULL);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &usual), 0);
	tight = usual;
	tight.rlim_cur = mapped_bytes() + (512u << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
	ck_assert_int_eq(tcp_server_start(served), -ENOMEM);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &usual), 0);
	ck_assert_uint_eq(stopped, 0);
	tcp_server_free(served);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server_workers");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_worker_gets_one_of_the_cpus_in_turn);
	tcase_add_test(t, only_of_those_that_are_allowed);
	tcase_add_test(t, without_that_they_may_run_on_all);
	tcase_add_test(t, a_cpu_that_is_refused_fails_the_start);
	tcase_add_test(t, connections_are_made_before_anybody_comes);
	tcase_add_test(t, connections_without_blocks_are_made_as_well);
	tcase_add_test(t, what_cannot_be_made_fails_the_start);
	tcase_add_test(t, or_the_listener_where_the_server_runs);
	if (!RUNNING_ON_VALGRIND)
		tcase_add_test(t, stacks_that_cannot_be_had_fail_the_start);
	suite_add_tcase(s, t);
	return run_suite(s);
}
