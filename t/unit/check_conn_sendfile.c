/*
 * Files: what arrives, whatever the room, the kind of file, and what happens
 * to it meanwhile.
 */
#include "core/conn.h"

#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/toy_tls.h"

#include <check.h>
#include <fcntl.h>

#define SMALL 16384 /* socket buffers that fill up soon */

static struct ends e;
static struct reader reader;
static bool toys; /* not plain, no sendfile(2) */

/* Runs a body over plain connections and over toys: a loop test of two. */
static void run(int which, void (*body)(void))
{
	toys = which == 1;
	on_loop(body, NULL);
}

static ssize_t send_file(int fd, off_t offset, size_t len)
{
	return tcp_conn_sendfile(e.here, fd, offset, len, deadline_in(SOON_MS));
}

static void send_parts(void)
{
	int fd = file_of(50000);

	ends_open(&e, 0, toys);
	ck_assert_int_eq(lseek(fd, 17, SEEK_SET), 17);
	ck_assert_int_eq(send_file(fd, 0, 1000), 1000);
	conn_expect(e.there, 0, 1000);
	ck_assert_int_eq(send_file(fd, 20000, 30000), 30000);
	conn_expect(e.there, 20000, 30000);
	ck_assert_int_eq(send_file(fd, 49000, 5000), 1000); /* its end */
	conn_expect(e.there, 49000, 1000);
	ck_assert_int_eq(send_file(fd, 50000, 1), 0);
	ck_assert_int_eq(send_file(fd, 60000, 1), 0);
	ck_assert_int_eq(send_file(fd, 0, 0), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 17);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_file_is_sent_from_anywhere_to_its_end)
{
	run(_i, send_parts);
}
END_TEST

static void send_to_slow_reader(void)
{
	int fd = file_of(3000001);

	ends_open(&e, SMALL, toys);
	reader_start(&reader, e.there, 0, 3000001);
	ck_assert_int_eq(send_file(fd, 0, SIZE_MAX), 3000001);
	reader_finish(&reader);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_file_reaches_a_slow_reader_whole)
{
	run(_i, send_to_slow_reader);
}
END_TEST

static void send_in_vain(void)
{
	int fd = file_of(8 << 20);

	ends_open(&e, SMALL, toys);
	ck_assert_int_eq(
		tcp_conn_sendfile(e.here, fd, 0, 8 << 20, deadline_in(10)),
		-ETIMEDOUT);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_file_waits_for_room_until_its_deadline)
{
	run(_i, send_in_vain);
}
END_TEST

static void send_to_nobody(void)
{
	int fd = file_of(1000);
	ssize_t r;

	ends_open(&e, 0, toys);
	end_reset(&e.there);
	r = send_file(fd, 0, 1000);
	ck_assert(r == -ECONNRESET || r == -EPIPE);
	ck_assert_int_eq(send_file(fd, 0, 1000), -EPIPE);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_file_for_a_peer_that_is_gone_fails)
{
	run(_i, send_to_nobody);
}
END_TEST

/* --- Files that change -------------------------------------------------- */

struct sender {
	int fd;
	size_t len;
	ssize_t result;
	bool returned;
};

static void run_sender(void *arg)
{
	struct sender *s = arg;

	s->result = send_file(s->fd, 0, s->len);
	s->returned = true;
}

/* Sends until there is no more room. */
static void send_until_full(struct sender *s)
{
	ck_assert_int_eq(task_start(run_sender, s, NULL), 0);
	nap(5);
	ck_assert(!s->returned);
}

static void expect_sender(struct sender *s)
{
	int64_t until = deadline_in(SOON_MS);

	while (!s->returned && deadline_in(0) < until)
		nap(1);
	ck_assert(s->returned);
}

static void grow(void)
{
	struct sender s = { .fd = file_of(1000000), .len = 1000000 };

	ends_open(&e, SMALL, toys);
	send_until_full(&s);
	ck_assert_int_eq(write(s.fd, "more", 4), 4);
	conn_expect(e.there, 0, 1000000);
	expect_sender(&s);
	ck_assert_int_eq(s.result, 1000000); /* not more than asked for */
	close_fd(&s.fd);
	ends_close(&e);
}

START_TEST(of_a_file_that_grows_so_much_is_sent_as_was_asked_for)
{
	run(_i, grow);
}
END_TEST

static void shrink(void)
{
	struct sender s = { .fd = file_of(1000000), .len = 1000000 };
	static char got[4096];
	size_t came = 0;
	ssize_t n;

	ends_open(&e, SMALL, toys);
	send_until_full(&s);
	ck_assert_int_eq(ftruncate(s.fd, 100), 0);
	while ((n = tcp_conn_read(e.there, got, sizeof(got), deadline_in(20))) >
	       0)
		came += (size_t)n;
	ck_assert_int_eq(n, -ETIMEDOUT);
	expect_sender(&s);
	if (toys) {
		/* Its last record cannot be told from what is there now. */
		ck_assert_int_eq(s.result, -EIO);
	} else {
		ck_assert_int_gt(s.result, 0);
		ck_assert_uint_eq((size_t)s.result, came);
	}
	close_fd(&s.fd);
	ends_close(&e);
}

START_TEST(a_file_that_shrinks_ends_there)
{
	run(_i, shrink);
}
END_TEST

/* --- What is no plain file ---------------------------------------------- */

static void send_what_is_no_file(void)
{
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int closed = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ends_open(&e, 0, toys);
	ck_assert_int_eq(send_file(ends[0], 0, 10), -ESPIPE);
	ck_assert_int_eq(send_file(folder, 0, 10), -EISDIR);
	ck_assert_int_eq(send_file(closed, 0, 10), -EBADF);
	ck_assert_int_eq(send_file(-1, 0, 10), -EBADF);
	close_fd(&closed);
	closed = file_of(10);
	ck_assert_int_eq(send_file(closed, -1, 10), -EINVAL);
	close_fd(&closed);
	close_fd(&folder);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
	ends_close(&e);
}

START_TEST(what_cannot_be_read_at_an_offset_is_refused)
{
	run(_i, send_what_is_no_file);
}
END_TEST

/* Some files under /proc know no splice(2), and with it no sendfile(2). */
static void send_from_proc(void)
{
	int fd = open("/proc/self/limits", O_RDONLY | O_CLOEXEC);
	char want[4096], got[4096];
	ssize_t len = pread(fd, want, sizeof(want), 0);

	ck_assert_int_gt(len, 0);
	ends_open(&e, 0, toys);
	ck_assert_int_eq(send_file(fd, 0, SIZE_MAX), len);
	ck_assert_int_eq(
		tcp_conn_read(e.there, got, sizeof(got), deadline_in(SOON_MS)),
		len);
	ck_assert_mem_eq(got, want, (size_t)len);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_file_without_a_size_is_sent)
{
	run(_i, send_from_proc);
}
END_TEST

/* --- The hook of a stream ----------------------------------------------- */

static unsigned asked;
static ssize_t answer;

static ssize_t hook(struct tcp_conn *c UNUSED, int fd UNUSED,
		    off_t offset UNUSED, size_t len UNUSED)
{
	asked++;
	return answer;
}

static void send_by_hook(void)
{
	struct conn_ops ops;
	int fd = file_of(20000);

	ends_open(&e, 0, toys);
	ops = *e.here->ops;
	ops.sendfile = hook;
	e.here->ops = &ops;
	answer = 5000;
	ck_assert_int_eq(send_file(fd, 0, 20000), 20000);
	ck_assert_uint_eq(asked, 4);
	answer = -EOPNOTSUPP;
	ck_assert_int_eq(send_file(fd, 0, 20000), 20000);
	ck_assert_uint_eq(asked, 5); /* it does not change its mind */
	conn_expect(e.there, 0, 20000);
	answer = -EPROTO;
	ck_assert_int_eq(send_file(fd, 0, 20000), -EPROTO);
	close_fd(&fd);
	ends_close(&e);
}

START_TEST(a_stream_may_send_files_itself_or_refuse)
{
	asked = 0;
	run(_i, send_by_hook);
}
END_TEST

/* --- Sleeping ------------------------------------------------------------ */

static void sleep_a_while(void)
{
	int64_t began = deadline_in(0);

	ck_assert_int_eq(tcp_sleep(tcp_deadline(20)), 0);
	ck_assert_int_ge(deadline_in(0) - began, 20);
	task_cancel(task_self());
	ck_assert_int_eq(tcp_sleep(TCPSERVER_NEVER), -ECANCELED);
}

START_TEST(sleeping_ends_with_the_deadline_or_by_cancelling)
{
	on_loop(sleep_a_while, NULL);
}
END_TEST

static void add_files(TCase *t)
{
	tcase_add_loop_test(t, a_file_is_sent_from_anywhere_to_its_end, 0, 2);
	tcase_add_loop_test(t, a_file_reaches_a_slow_reader_whole, 0, 2);
	tcase_add_loop_test(t, a_file_waits_for_room_until_its_deadline, 0, 2);
	tcase_add_loop_test(t, a_file_for_a_peer_that_is_gone_fails, 0, 2);
	tcase_add_loop_test(
		t, of_a_file_that_grows_so_much_is_sent_as_was_asked_for, 0, 2);
	tcase_add_loop_test(t, a_file_that_shrinks_ends_there, 0, 2);
	tcase_add_loop_test(t, what_cannot_be_read_at_an_offset_is_refused, 0,
			    2);
	tcase_add_loop_test(t, a_file_without_a_size_is_sent, 0, 2);
	tcase_add_loop_test(t, a_stream_may_send_files_itself_or_refuse, 0, 2);
	tcase_add_test(t, sleeping_ends_with_the_deadline_or_by_cancelling);
}

int main(void)
{
	Suite *s = suite_create("conn_sendfile");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, block_sigpipe, NULL);
	tcase_set_timeout(t, 60);
	add_files(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
