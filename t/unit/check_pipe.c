/*
 * The pool of pipes: its bound, who holds one and since when.
 */
#include "core/pipe.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct pipes pool;

static struct pipe *get(void)
{
	struct pipe *p = pipe_get(&pool);

	ck_assert_ptr_nonnull(p);
	return p;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(a_pipe_is_non_blocking_and_large)
{
	struct pipe *p;
	char byte = 'x';

	pipes_init(&pool, 4);
	p = get();
	ck_assert_int_eq(fcntl(p->in, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(p->out, F_GETFD), FD_CLOEXEC);
	ck_assert_int_lt(read(p->out, &byte, 1), 0);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(write(p->in, &byte, 1), 1);
	ck_assert_int_eq(read(p->out, &byte, 1), 1);
	ck_assert_uint_eq(p->size, (size_t)fcntl(p->in, F_GETPIPE_SZ));
	ck_assert_uint_ge(p->size, PIPE_BYTES_LEAST);
	pipe_put(&pool, p);
	pipes_done(&pool);
}
END_TEST

START_TEST(no_more_than_the_limit_are_made)
{
	struct pipe *p[3];

	pipes_init(&pool, 3);
	for (int i = 0; i < 3; i++)
		p[i] = get();
	ck_assert_ptr_null(pipe_get(&pool));
	ck_assert_uint_eq(pool.count, 3);
	pipe_put(&pool, p[1]);
	ck_assert_ptr_eq(get(), p[1]);
	ck_assert_ptr_null(pipe_get(&pool));
	for (int i = 0; i < 3; i++)
		pipe_put(&pool, p[i]);
	pipes_done(&pool);
	ck_assert_uint_eq(pool.count, 0);
}
END_TEST

START_TEST(the_pipe_put_back_last_is_given_first)
{
	struct pipe *a, *b;

	pipes_init(&pool, 2);
	a = get();
	b = get();
	pipe_put(&pool, a);
	pipe_put(&pool, b);
	ck_assert_ptr_eq(get(), b);
	ck_assert_ptr_eq(get(), a);
	pipe_put(&pool, a);
	pipe_put(&pool, b);
	pipes_done(&pool);
}
END_TEST

START_TEST(a_pipe_with_bytes_in_it_is_closed_not_reused)
{
	struct pipe *p;
	int in, out;

	pipes_init(&pool, 1);
	p = get();
	in = p->in;
	out = p->out;
	ck_assert_int_eq(write(in, "secret", 6), 6);
	p->stuck = 6;
	pipe_put(&pool, p);
	ck_assert(!is_open(in) && !is_open(out));
	ck_assert_uint_eq(pool.count, 0);
	p = get();
	ck_assert_uint_eq(p->stuck, 0);
	pipe_put(&pool, p);
	pipes_done(&pool);
}
END_TEST

START_TEST(the_oldest_holder_comes_first)
{
	struct pipe *a, *b, *c;
	int one, two, three;

	pipes_init(&pool, 3);
	ck_assert_ptr_null(pipes_oldest(&pool));
	a = get();
	b = get();
	c = get();
	ck_assert_ptr_null(pipes_oldest(&pool));
	pipe_hold(&pool, b, &two);
	pipe_hold(&pool, a, &one);
	pipe_hold(&pool, c, &three);
	ck_assert_ptr_eq(pipes_oldest(&pool), b);
	ck_assert_ptr_eq(b->holder, &two);
	pipe_put(&pool, b);
	ck_assert_ptr_null(b->holder);
	ck_assert_ptr_eq(pipes_oldest(&pool), a);
	pipe_hold(&pool, a, &one); /* anew: now it is the younger one */
	ck_assert_ptr_eq(pipes_oldest(&pool), c);
	pipe_put(&pool, c);
	pipe_put(&pool, a);
	ck_assert_ptr_null(pipes_oldest(&pool));
	pipes_done(&pool);
}
END_TEST

START_TEST(without_descriptors_there_is_no_pipe)
{
	struct rlimit usual, none;

	pipes_init(&pool, 3);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
	none = usual;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_ptr_null(pipe_get(&pool));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
	ck_assert_uint_eq(pool.count, 0);
	pipes_done(&pool);
}
END_TEST

/* The kernel's account is of users, and root has none: this is nobody's uid. */
#define NOBODYS_UID 54321

/* Takes all that pipe-user-pages-soft grants; returns how many pipes it is. */
static size_t take_all(int (*taken)[2], size_t most)
{
	for (size_t i = 0; i < most; i++) {
		ck_assert_int_eq(pipe2(taken[i], O_CLOEXEC), 0);
		if (fcntl(taken[i][1], F_SETPIPE_SZ, 1 << 20) < 0 &&
		    fcntl(taken[i][1], F_GETPIPE_SZ) < (int)PIPE_BYTES_LEAST)
			return i + 1;
	}
	return most;
}

static unsigned long soft_pages(void)
{
	FILE *f = fopen("/proc/sys/fs/pipe-user-pages-soft", "re");
	unsigned long n = 0;

	if (f) {
		if (fscanf(f, "%lu", &n) != 1)
			n = 0;
		(void)fclose(f);
	}
	return n;
}

START_TEST(a_pipe_that_would_be_small_is_none)
{
	static int taken[400][2];
	size_t count, turns = 0;
	struct pipe *one, *two;

	if (geteuid() != 0 || soft_pages() != 16384) {
		(void)printf("skipped: not root, or another bound of pipes\n");
		return;
	}
	ck_assert_int_eq(setresuid(NOBODYS_UID, NOBODYS_UID, 0), 0);
	pipes_init(&pool, 3);
	one = get();
	count = take_all(taken, ARRAY_SIZE(taken));
	ck_assert_uint_lt(count, ARRAY_SIZE(taken));
	ck_assert_ptr_null(pipe_get(&pool));
	ck_assert_uint_eq(pool.count, 1);
	/* What was put back is given all the same. */
	pipe_put(&pool, one);
	ck_assert_ptr_eq(get(), one);
	for (size_t i = 0; i < count; i++) {
		(void)close(taken[i][0]);
		(void)close(taken[i][1]);
	}
	/* After a while the kernel is asked again. */
	while (!(two = pipe_get(&pool)) && turns < 5000)
		turns++;
	ck_assert_ptr_nonnull(two);
	ck_assert_uint_gt(turns, 100);
	ck_assert_uint_ge(two->size, PIPE_BYTES_LEAST);
	pipe_put(&pool, one);
	pipe_put(&pool, two);
	pipes_done(&pool);
	ck_assert_int_eq(setresuid(0, 0, 0), 0);
}
END_TEST

START_TEST(a_pool_of_none_gives_none)
{
	pipes_init(&pool, 0);
	ck_assert_ptr_null(pipe_get(&pool));
	pipes_done(&pool);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pipe");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_pipe_is_non_blocking_and_large);
	tcase_add_test(t, no_more_than_the_limit_are_made);
	tcase_add_test(t, the_pipe_put_back_last_is_given_first);
	tcase_add_test(t, a_pipe_with_bytes_in_it_is_closed_not_reused);
	tcase_add_test(t, the_oldest_holder_comes_first);
	tcase_add_test(t, without_descriptors_there_is_no_pipe);
	tcase_add_test(t, a_pipe_that_would_be_small_is_none);
	tcase_add_test(t, a_pool_of_none_gives_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
