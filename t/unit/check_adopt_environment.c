/*
 * What a process takes over from its environment.  Its descriptors begin at 3,
 * where the test runner has one of its own, so most of this runs in processes
 * that tell no more than a status.
 */
#include "daemon/adopt.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct adopt a;

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

#define NEED(claim)                                                            \
	do {                                                                   \
		if (!(claim))                                                  \
			give_up(__LINE__, #claim);                             \
	} while (0)

NO_RETURN static void give_up(int line, const char *claim)
{
	(void)fprintf(stderr, "line %d: %s does not hold\n", line, claim);
	_exit(1);
}

/* A socket at 3, promised to a process as `fd_count` with these names. */
static void promise(const char *fd_count, const char *name_list, long pid)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[24];

	NEED(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
	NEED(listen(fd, 1) == 0);
	if (fd != 3) {
		NEED(dup2(fd, 3) == 3);
		(void)close(fd);
	}
	(void)snprintf(text, sizeof(text), "%ld", pid);
	NEED(setenv("LISTEN_PID", text, 1) == 0);
	NEED(setenv("LISTEN_FDS", fd_count, 1) == 0);
	NEED(setenv("LISTEN_FDNAMES", name_list, 1) == 0);
}

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static void take_over(void)
{
	promise("1", "lan", getpid());
	NEED(adopt_from_environment(&a, 1) == 0);
	NEED(a.count == 1 && a.list[0].kind == ADOPT_TCP);
	NEED(strcmp(a.list[0].name, "lan") == 0);
	NEED(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") &&
	     !getenv("LISTEN_FDNAMES"));
	adopt_done(&a);
	NEED(!is_open(3));
}

START_TEST(the_environment_is_taken_over)
{
	in_child(take_over);
}
END_TEST

START_TEST(an_environment_without_sockets_is_empty)
{
	ck_assert_int_eq(adopt_from_environment(&a, -1), 0);
	ck_assert_uint_eq(a.count, 0);
	adopt_done(&a);
	ck_assert_int_eq(adopt_from_environment(&a, 0), 0);
	adopt_done(&a);
}
END_TEST

static void promise_more(void)
{
	promise("1", "lan", getpid());
	NEED(adopt_from_environment(&a, 2) == -EBADMSG);
	NEED(a.count == 0 && !is_open(3));
	NEED(adopt_from_environment(&a, 1) == -EBADMSG);
}

START_TEST(another_number_than_promised_is_refused)
{
	in_child(promise_more);
}
END_TEST

static void promise_to_another(void)
{
	promise("1", "lan", getpid() + 1L);
	NEED(adopt_from_environment(&a, 1) == -EBADMSG);
}

START_TEST(what_was_meant_for_another_process_is_refused)
{
	in_child(promise_to_another);
}
END_TEST

static void name_more(void)
{
	promise("1", "lan:wan", getpid());
	NEED(adopt_from_environment(&a, 1) == -EINVAL);
}

START_TEST(names_that_do_not_fit_are_refused)
{
	in_child(name_more);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("adopt_environment");
	TCase *t = tcase_create("all");

	tcase_add_test(t, the_environment_is_taken_over);
	tcase_add_test(t, an_environment_without_sockets_is_empty);
	tcase_add_test(t, another_number_than_promised_is_refused);
	tcase_add_test(t, what_was_meant_for_another_process_is_refused);
	tcase_add_test(t, names_that_do_not_fit_are_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
