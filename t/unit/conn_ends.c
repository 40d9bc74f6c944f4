/*
 * Making and unmaking them.
 */
#include "t/unit/conn_ends.h"

#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>
#include <signal.h>
#include <sys/mman.h>

void ends_open(struct ends *e, int buffer, bool toys)
{
	int fd[2];

	tcp_pair(fd, buffer);
	*e = (struct ends){ .here = conn_of(fd[0]), .there = conn_of(fd[1]) };
	if (toys) {
		(void)toy_start(e->here);
		(void)toy_start(e->there);
	}
	settle();
}

void ends_close(struct ends *e)
{
	if (e->here)
		tcp_conn_close(TAKE_PTR(e->here));
	if (e->there)
		tcp_conn_close(TAKE_PTR(e->there));
}

void end_reset(struct tcp_conn **c)
{
	tcp_conn_set_reset(*c);
	tcp_conn_close(TAKE_PTR(*c));
	nap(1);
}

static void run_reader(void *arg)
{
	struct reader *r = arg;

	for (size_t left = r->len; left > 0;) {
		size_t n = min_size(7001, left);

		conn_expect(r->from, r->at, n);
		r->at += n;
		left -= n;
		if (left % 5 == 0)
			nap(1);
	}
	r->done = true;
}

void reader_start(struct reader *r, struct tcp_conn *from, size_t at,
		  size_t len)
{
	*r = (struct reader){ .from = from, .at = at, .len = len };
	ck_assert_int_eq(task_start(run_reader, r, NULL), 0);
}

void reader_finish(struct reader *r)
{
	int64_t until = deadline_in(SOON_MS);

	while (!r->done && deadline_in(0) < until)
		nap(1);
	ck_assert(r->done);
}

int file_of(size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t at = 0; at < len;) {
		size_t n = min_size(len - at, PATTERN_RUN);

		ck_assert_int_eq(write(fd, pattern(at), n), (ssize_t)n);
		at += n;
	}
	return fd;
}

void block_sigpipe(void)
{
	sigset_t pipe;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &pipe, NULL), 0);
}
