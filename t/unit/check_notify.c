/*
 * Messages to the service manager, read from a socket in its place.
 */
#include "daemon/notify.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int manager = -1;

static void listen_as_manager(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	char name[sizeof(sun.sun_path) + 1] = "@";

	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	/* An abstract name that the kernel chooses. */
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&sun, len), 0);
	len = sizeof(sun);
	ck_assert_int_eq(getsockname(manager, (struct sockaddr *)&sun, &len),
			 0);
	memcpy(name + 1, sun.sun_path + 1,
	       len - offsetof(struct sockaddr_un, sun_path) - 1);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

/* The next message; how many descriptors came with it, and the first. */
static const char *heard_with(size_t *ret_fds, int *ret_first)
{
	static char text[1024];
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(manager, &m, MSG_CMSG_CLOEXEC);
	size_t count = 0;
	int fds[253], first = -1;

	ck_assert_int_ge((int)n, 0);
	ck_assert_int_eq(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	text[n] = '\0';
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
	}
	for (size_t i = 0; i < count; i++)
		if (i == 0 && ret_first)
			first = fds[0];
		else
			close(fds[i]);
	if (ret_first)
		*ret_first = first;
	*ret_fds = count;
	return text;
}

static const char *heard(void)
{
	size_t fds;
	const char *text = heard_with(&fds, NULL);

	ck_assert_uint_eq(fds, 0);
	return text;
}

static void assert_silence(void)
{
	char byte;

	ck_assert_int_eq((int)recv(manager, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(without_a_manager_nothing_happens)
{
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	ck_assert_int_eq(notify_ready("serving"), 0);
	ck_assert_int_eq(notify_status("%d connections", 7), 0);
	ck_assert_int_eq(notify_stopping("bye"), 0);
	ck_assert_int_eq(notify_reloading("reading"), 0);
	ck_assert_int_eq(notify_extend(1000, NULL), 0);
	ck_assert_int_eq(notify_watchdog(), 0);
	ck_assert_int_eq(notify_store("lan", &(int){ 0 }, 1), 0);
	ck_assert_int_eq(notify_unstore("lan"), 0);
}
END_TEST

START_TEST(a_manager_hears_of_each_step)
{
	listen_as_manager();
	ck_assert_int_gt(notify_ready("serving"), 0);
	ck_assert_str_eq(heard(), "READY=1\nSTATUS=serving");
	ck_assert_int_gt(notify_status("%d connections", 7), 0);
	ck_assert_str_eq(heard(), "STATUS=7 connections");
	ck_assert_int_gt(notify_stopping("3 tunnels left"), 0);
	ck_assert_str_eq(heard(), "STOPPING=1\nSTATUS=3 tunnels left");
	ck_assert_int_gt(notify_watchdog(), 0);
	ck_assert_str_eq(heard(), "WATCHDOG=1");
}
END_TEST

static int64_t now_us(void)
{
	struct timespec now;

	ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

START_TEST(a_reload_and_its_time_are_one_message)
{
	int64_t before, after, told = 0;
	const char *text;
	int end = 0;

	listen_as_manager();
	before = now_us();
	ck_assert_int_gt(notify_reloading("reading the\nfile"), 0);
	after = now_us();
	text = heard();
	ck_assert_int_eq(sscanf(text,
				"RELOADING=1\nMONOTONIC_USEC=%" SCNd64
				"\nSTATUS=reading the file%n",
				&told, &end),
			 1);
	ck_assert_int_eq(end, (int)strlen(text));
	ck_assert_int_ge(told, before);
	ck_assert_int_le(told, after);
	assert_silence();
}
END_TEST

START_TEST(more_time_is_asked_for_in_microseconds)
{
	listen_as_manager();
	ck_assert_int_gt(notify_extend(INT64_C(5000000000), "3 left"), 0);
	ck_assert_str_eq(heard(),
			 "EXTEND_TIMEOUT_USEC=5000000000\nSTATUS=3 left");
	ck_assert_int_gt(notify_extend(1, NULL), 0);
	ck_assert_str_eq(heard(), "EXTEND_TIMEOUT_USEC=1\n");
	ck_assert_int_gt(notify_extend(-1, NULL), 0);
	ck_assert_str_eq(heard(), "EXTEND_TIMEOUT_USEC=0\n");
}
END_TEST

START_TEST(a_status_cannot_say_more_than_a_status)
{
	char text[1000];

	listen_as_manager();
	ck_assert_int_gt(notify_status("%s", "a\nSTOPPING=1"), 0);
	ck_assert_str_eq(heard(), "STATUS=a STOPPING=1");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_gt(notify_ready(text), 0);
	ck_assert_int_eq(strncmp(heard(), "READY=1\nSTATUS=xxxx", 19), 0);
}
END_TEST

START_TEST(a_deaf_manager_is_an_error)
{
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1), 0);
	ck_assert_int_lt(notify_ready("serving"), 0);
	ck_assert_int_lt(notify_reloading("reading"), 0);
	ck_assert_int_lt(notify_store("lan", &(int){ 0 }, 1), 0);
}
END_TEST

/* --- The watchdog -------------------------------------------------------- */

static void want_watchdog(const char *usec, const char *pid)
{
	ck_assert_int_eq(usec ? setenv("WATCHDOG_USEC", usec, 1)
			      : unsetenv("WATCHDOG_USEC"),
			 0);
	ck_assert_int_eq(pid ? setenv("WATCHDOG_PID", pid, 1)
			     : unsetenv("WATCHDOG_PID"),
			 0);
}

START_TEST(the_watchdog_is_for_the_process_that_it_names)
{
	char self[24], other[24];

	(void)snprintf(self, sizeof(self), "%d", (int)getpid());
	(void)snprintf(other, sizeof(other), "%d", (int)getppid());
	want_watchdog(NULL, NULL);
	ck_assert_int_eq(notify_watchdog_usec(), 0);
	want_watchdog("30000000", self);
	ck_assert_int_eq(notify_watchdog_usec(), 30000000);
	/* It is there for whoever comes after an execve(2), too. */
	ck_assert_int_eq(notify_watchdog_usec(), 30000000);
	want_watchdog("30000000", other);
	ck_assert_int_eq(notify_watchdog_usec(), 0);
	want_watchdog("30000000", NULL);
	ck_assert_int_eq(notify_watchdog_usec(), 30000000);
}
END_TEST

START_TEST(a_watchdog_without_sense_is_none)
{
	static const char *const times[] = { "",
					     "0",
					     "-1",
					     "soon",
					     "1s",
					     "18446744073709551615",
					     "99999999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		want_watchdog(times[i], NULL);
		ck_assert_int_eq(notify_watchdog_usec(), 0);
	}
	want_watchdog("30000000", "x");
	ck_assert_int_eq(notify_watchdog_usec(), 0);
}
END_TEST

/* --- The descriptor store ------------------------------------------------ */

START_TEST(a_name_is_printable_and_has_no_colon)
{
	char text[258];

	memset(text, 'x', sizeof(text));
	text[255] = '\0';
	ck_assert(notify_name_valid(text));
	text[255] = 'x';
	text[256] = '\0';
	ck_assert(!notify_name_valid(text));
	ck_assert(!notify_name_valid(""));
	for (int c = 1; c < 256; c++) {
		char one[2] = { (char)c, '\0' };

		ck_assert_int_eq(notify_name_valid(one),
				 c >= ' ' && c <= '~' && c != ':');
	}
}
END_TEST

START_TEST(a_bad_name_is_not_sent)
{
	listen_as_manager();
	ck_assert_int_eq(notify_store("a:b", &(int){ 0 }, 1), -EINVAL);
	ck_assert_int_eq(notify_store("a\nREADY=1", &(int){ 0 }, 1), -EINVAL);
	ck_assert_int_eq(notify_unstore("a\nREADY=1"), -EINVAL);
	ck_assert_int_eq(notify_unstore(""), -EINVAL);
	assert_silence();
}
END_TEST

START_TEST(what_is_stored_is_the_descriptor_itself)
{
	struct stat ours, theirs;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), got = -1;
	size_t count = 0;

	ck_assert_int_ge(fd, 0);
	listen_as_manager();
	ck_assert_int_gt(notify_store("lan", &fd, 1), 0);
	ck_assert_str_eq(heard_with(&count, &got),
			 "FDSTORE=1\nFDPOLL=0\nFDNAME=lan");
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(fstat(fd, &ours), 0);
	ck_assert_int_eq(fstat(got, &theirs), 0);
	ck_assert_uint_eq(ours.st_rdev, theirs.st_rdev);
	ck_assert_uint_eq(ours.st_ino, theirs.st_ino);
	close(got);
	close(fd);
	ck_assert_int_gt(notify_unstore("lan"), 0);
	ck_assert_str_eq(heard(), "FDSTOREREMOVE=1\nFDNAME=lan");
}
END_TEST

/* The kernel refuses 254 in one message. */
START_TEST(many_descriptors_take_several_messages)
{
	static const struct {
		size_t count, messages, last;
	} cases[] = { { 0, 0, 0 },     { 1, 1, 1 },     { 252, 1, 252 },
		      { 253, 2, 1 },   { 504, 2, 252 }, { 505, 3, 1 },
		      { 1000, 4, 244 } };
	int fds[1000];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = STDIN_FILENO;
	listen_as_manager();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t count = 0;

		ck_assert_int_ge(notify_store("lan", fds, cases[i].count), 0);
		for (size_t n = 1; n <= cases[i].messages; n++) {
			ck_assert_str_eq(heard_with(&count, NULL),
					 "FDSTORE=1\nFDPOLL=0\nFDNAME=lan");
			ck_assert_uint_eq(count, n < cases[i].messages
							 ? 252
							 : cases[i].last);
		}
		assert_silence();
	}
}
END_TEST

START_TEST(a_descriptor_that_is_none_is_an_error)
{
	listen_as_manager();
	ck_assert_int_lt(notify_store("lan", &(int){ 4000 }, 1), 0);
	assert_silence();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("all");

	tcase_add_test(t, without_a_manager_nothing_happens);
	tcase_add_test(t, a_manager_hears_of_each_step);
	tcase_add_test(t, a_status_cannot_say_more_than_a_status);
	tcase_add_test(t, a_deaf_manager_is_an_error);
	tcase_add_test(t, a_reload_and_its_time_are_one_message);
	tcase_add_test(t, more_time_is_asked_for_in_microseconds);
	suite_add_tcase(s, t);
	t = tcase_create("watchdog");
	tcase_add_test(t, the_watchdog_is_for_the_process_that_it_names);
	tcase_add_test(t, a_watchdog_without_sense_is_none);
	suite_add_tcase(s, t);
	t = tcase_create("store");
	tcase_add_test(t, a_name_is_printable_and_has_no_colon);
	tcase_add_test(t, a_bad_name_is_not_sent);
	tcase_add_test(t, what_is_stored_is_the_descriptor_itself);
	tcase_add_test(t, many_descriptors_take_several_messages);
	tcase_add_test(t, a_descriptor_that_is_none_is_an_error);
	suite_add_tcase(s, t);
	return run_suite(s);
}
