/*
 * Messages with descriptors through a socketpair: what arrives, what does not,
 * and that no descriptor is left over whatever the other end does.
 */
#include "daemon/handoff.h"

#include "config.h"
#include "t/unit/suite.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static int pair[2];
static struct handoff_received got;

static void setup(void)
{
	ck_assert_int_eq(handoff_pair(pair), 0);
	memset(&got, 0, sizeof(got));
}

static void teardown(void)
{
	handoff_received_done(&got);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		count++;
	ck_assert_int_eq(closedir(d), 0);
	return count;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	ck_assert_int_eq(fstat(a, &sa), 0);
	ck_assert_int_eq(fstat(b, &sb), 0);
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Sends whatever bytes and descriptors, as no function of ours would. */
static void send_raw(const void *bytes, size_t len, const int *fds,
		     size_t count)
{
	static _Alignas(struct cmsghdr) char control[CMSG_SPACE(1024)];
	struct iovec part = { (void *)(uintptr_t)bytes, len };
	struct msghdr h = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		memset(control, 0, sizeof(control));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	}
	ck_assert_int_eq(sendmsg(pair[1], &h, MSG_NOSIGNAL), (int)len);
}

/* --- What arrives ------------------------------------------------------- */

START_TEST(a_message_arrives_as_it_was_sent)
{
	static const char why[] = "port 1080: Address already in use\n";
	struct handoff_msg m = { .type = HANDOFF_FAILED,
				 .number = 3,
				 .text = { (const uint8_t *)why,
					   strlen(why) } };

	ck_assert_int_eq(handoff_send(pair[1], &m, NULL, 0), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_FAILED);
	ck_assert_uint_eq(got.msg.number, 3);
	ck_assert_uint_eq(got.msg.text.len, strlen(why));
	ck_assert_mem_eq(got.msg.text.at, why, strlen(why));
	ck_assert_uint_eq(got.fd_count, 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), -EAGAIN);
}
END_TEST

START_TEST(messages_keep_their_order_and_bounds_both_ways)
{
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_GO), 0);
		ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_DRAIN), 0);
		ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_STOPPED), 0);
	}
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(handoff_receive(pair[1], &got, false), 1);
		ck_assert_int_eq(got.msg.type, HANDOFF_GO);
		ck_assert_int_eq(handoff_receive(pair[1], &got, false), 1);
		ck_assert_int_eq(got.msg.type, HANDOFF_DRAIN);
		ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
		ck_assert_int_eq(got.msg.type, HANDOFF_STOPPED);
	}
}
END_TEST

START_TEST(the_longest_message_fits_with_the_most_descriptors)
{
	static uint8_t text[HANDOFF_TEXT_MAX];
	struct handoff_msg m = { .type = HANDOFF_SOCKETS,
				 .text = { text, sizeof(text) } };
	int fds[HANDOFF_FDS_MAX];
	size_t before;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[i % 2];
	memset(text, 'x', sizeof(text));
	before = open_descriptors();
	/* More than one may be on the way. */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			handoff_send(pair[1], &m, fds, ARRAY_SIZE(fds)), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(handoff_receive(pair[0], &got, true), 1);
		ck_assert_uint_eq(got.fd_count, HANDOFF_FDS_MAX);
		ck_assert_uint_eq(got.msg.text.len, sizeof(text));
		ck_assert_mem_eq(got.msg.text.at, text, sizeof(text));
		ck_assert(same_file(got.fds[0], pair[0]));
		ck_assert(same_file(got.fds[251], pair[1]));
		handoff_received_done(&got);
	}
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(descriptors_arrive_close_on_exec_and_can_be_taken)
{
	int files[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
			 open("/dev/zero", O_RDONLY | O_CLOEXEC) };
	struct handoff_msg m = { .type = HANDOFF_SEGMENT };
	int mine;

	ck_assert_int_eq(handoff_send(pair[1], &m, files, 2), 0);
	/* The sender keeps its own. */
	ck_assert_int_ge(fcntl(files[0], F_GETFD), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	ck_assert_uint_eq(got.fd_count, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert(same_file(got.fds[i], files[i]));
		ck_assert_int_eq(fcntl(got.fds[i], F_GETFD), FD_CLOEXEC);
	}
	mine = take_fd(&got.fds[1]);
	handoff_received_done(&got);
	handoff_received_done(&got);
	ck_assert_int_eq(fcntl(mine, F_GETFD), FD_CLOEXEC);
	close_fd(&mine);
	close_fd(&files[0]);
	close_fd(&files[1]);
}
END_TEST

START_TEST(the_pair_is_close_on_exec)
{
	ck_assert_int_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(pair[1], F_GETFD), FD_CLOEXEC);
}
END_TEST

/* --- Waiting ------------------------------------------------------------ */

static void *tell_later(void *unused)
{
	struct timespec ts = { .tv_nsec = 20000000 };

	(void)unused;
	(void)nanosleep(&ts, NULL);
	return (void *)(intptr_t)handoff_tell(pair[1], HANDOFF_ACK);
}

static void on_alarm(int number)
{
	(void)number;
}

START_TEST(waiting_outlasts_signals)
{
	const struct sigaction sa = { .sa_handler = on_alarm }; /* no RESTART */
	timer_t timer;
	struct itimerspec often = { .it_value.tv_nsec = 1000000,
				    .it_interval.tv_nsec = 1000000 };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGALRM };
	pthread_t thread;
	sigset_t alarm_only, before;
	void *r;

	/* The other thread leaves the signals to this one. */
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &alarm_only, &before), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, tell_later, NULL), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &sa, NULL), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, true), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_ACK);
	ck_assert_int_eq(timer_delete(timer), 0);
	ck_assert_int_eq(pthread_join(thread, &r), 0);
	ck_assert_int_eq((intptr_t)r, 0);
}
END_TEST

START_TEST(sending_never_waits)
{
	int r, sent = 0;

	while ((r = handoff_tell(pair[1], HANDOFF_STOPPED)) == 0)
		ck_assert_int_lt(++sent, 100000);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_int_gt(sent, 50);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	for (int i = 1; i < sent; i++)
		ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), -EAGAIN);
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_STOPPED), 0);
}
END_TEST

/* --- The other end is gone ---------------------------------------------- */

START_TEST(an_end_is_told_after_all_that_was_said)
{
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_PREPARED), 0);
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_FAILED), 0);
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_PREPARED);
	ck_assert_int_eq(handoff_receive(pair[0], &got, true), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_FAILED);
	ck_assert_int_eq(handoff_receive(pair[0], &got, true), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 0);
}
END_TEST

START_TEST(last_words_arrive_though_the_dead_had_mail)
{
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_REOPEN), 0);
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_FAILED), 0);
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_FAILED);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 0);
}
END_TEST

START_TEST(sending_to_the_dead_says_so_without_a_signal)
{
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_GO), -EPIPE);
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_GO), -EPIPE);
}
END_TEST

START_TEST(sending_to_the_dead_with_mail_says_the_same)
{
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_REOPEN), 0);
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_GO), -EPIPE);
	ck_assert_int_eq(handoff_tell(pair[0], HANDOFF_GO), -EPIPE);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 0);
}
END_TEST

START_TEST(a_process_that_was_killed_is_gone)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close_fd(&pair[0]);
		if (handoff_tell(pair[1], HANDOFF_PREPARED) == 0)
			(void)kill(getpid(), SIGKILL);
		_exit(1);
	}
	close_fd(&pair[1]);
	ck_assert_int_eq(handoff_receive(pair[0], &got, true), 1);
	ck_assert_int_eq(got.msg.type, HANDOFF_PREPARED);
	ck_assert_int_eq(handoff_receive(pair[0], &got, true), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}
END_TEST

START_TEST(what_is_no_socket_is_an_error)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(handoff_tell(fd, HANDOFF_GO), -ENOTSOCK);
	ck_assert_int_eq(handoff_receive(fd, &got, false), -ENOTSOCK);
	close_fd(&fd);
}
END_TEST

/* --- A sender that was broken into -------------------------------------- */

START_TEST(no_message_of_ours_leaves_no_descriptor)
{
	static uint8_t junk[HANDOFF_BYTES_MAX + 1];
	static const size_t lens[] = {
		1, 63, 64, 65, sizeof(junk) - 1, sizeof(junk)
	};
	int fds[20];
	size_t before;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[0];
	before = open_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		send_raw(junk, lens[i], fds, ARRAY_SIZE(fds));
		ck_assert_int_eq(handoff_receive(pair[0], &got, false),
				 -EBADMSG);
		ck_assert_uint_eq(got.fd_count, 0);
		ck_assert_uint_eq(open_descriptors(), before);
	}
	ck_assert_int_eq(handoff_tell(pair[1], HANDOFF_STOPPED), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
}
END_TEST

START_TEST(a_good_message_in_a_longer_packet_is_refused)
{
	static uint8_t bytes[HANDOFF_BYTES_MAX + 64];
	static uint8_t text[HANDOFF_TEXT_MAX];
	struct handoff_msg m = { .type = HANDOFF_FAILED,
				 .text = { text, sizeof(text) } };
	size_t len = handoff_encode(&m, bytes);

	send_raw(bytes, len, NULL, 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 1);
	send_raw(bytes, len + 1, NULL, 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), -EBADMSG);
}
END_TEST

START_TEST(more_descriptors_than_agreed_are_refused_and_closed)
{
	uint8_t bytes[HANDOFF_BYTES_MAX];
	struct handoff_msg m = { .type = HANDOFF_SOCKETS };
	size_t len = handoff_encode(&m, bytes), before;
	int fds[HANDOFF_FDS_MAX + 1];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[0];
	before = open_descriptors();
	send_raw(bytes, len, fds, ARRAY_SIZE(fds));
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), -EBADMSG);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(an_empty_packet_ends_it_but_leaves_no_descriptor)
{
	size_t before = open_descriptors();

	send_raw("", 0, pair, 2);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), 0);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(without_room_for_all_descriptors_none_is_kept)
{
	struct handoff_msg m = { .type = HANDOFF_SOCKETS };
	struct rlimit limit, few;
	int fds[10], lowest;
	size_t before;

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pair[0];
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = open_descriptors();
	ck_assert_int_eq(handoff_send(pair[1], &m, fds, ARRAY_SIZE(fds)), 0);
	few = limit;
	lowest = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	few.rlim_cur = (rlim_t)lowest + 4;
	close_fd(&lowest);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(handoff_receive(pair[0], &got, false), -EBADMSG);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(got.fd_count, 0);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(without_descriptors_there_is_no_pair)
{
	struct rlimit limit, few;
	int none[2] = { -1, -1 }, r;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = handoff_pair(none);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(r, -EMFILE);
	ck_assert_int_eq(none[0], -1);
	ck_assert_int_eq(none[1], -1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("handoff");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_message_arrives_as_it_was_sent);
	tcase_add_test(t, messages_keep_their_order_and_bounds_both_ways);
	tcase_add_test(t, the_longest_message_fits_with_the_most_descriptors);
	tcase_add_test(t, descriptors_arrive_close_on_exec_and_can_be_taken);
	tcase_add_test(t, the_pair_is_close_on_exec);
	tcase_add_test(t, waiting_outlasts_signals);
	tcase_add_test(t, sending_never_waits);
	tcase_add_test(t, an_end_is_told_after_all_that_was_said);
	tcase_add_test(t, last_words_arrive_though_the_dead_had_mail);
	tcase_add_test(t, sending_to_the_dead_says_so_without_a_signal);
	tcase_add_test(t, sending_to_the_dead_with_mail_says_the_same);
	tcase_add_test(t, a_process_that_was_killed_is_gone);
	tcase_add_test(t, what_is_no_socket_is_an_error);
	tcase_add_test(t, no_message_of_ours_leaves_no_descriptor);
	tcase_add_test(t, a_good_message_in_a_longer_packet_is_refused);
	tcase_add_test(t, more_descriptors_than_agreed_are_refused_and_closed);
	tcase_add_test(t, an_empty_packet_ends_it_but_leaves_no_descriptor);
	/* Valgrind keeps the limit to itself; the kernel does not know it. */
	if (!RUNNING_ON_VALGRIND) {
		tcase_add_test(t, without_descriptors_there_is_no_pair);
		tcase_add_test(t,
			       without_room_for_all_descriptors_none_is_kept);
	}
	suite_add_tcase(s, t);
	return run_suite(s);
}
