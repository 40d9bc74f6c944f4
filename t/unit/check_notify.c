/*
 * Messages to the service manager, read from a socket in its place.
 */
#include "daemon/notify.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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

static const char *heard(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	ck_assert_int_ge((int)n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(without_a_manager_nothing_happens)
{
	ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
	ck_assert_int_eq(notify_ready("serving"), 0);
	ck_assert_int_eq(notify_status("%d connections", 7), 0);
	ck_assert_int_eq(notify_stopping("bye"), 0);
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
	suite_add_tcase(s, t);
	return run_suite(s);
}
