/*
 * Dropping privileges, each time in a process of its own: what is done here
 * cannot be undone.  Most of it needs root to begin with.
 */
#include "daemon/privileges.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define USER "nobody"

static bool am_root(void)
{
	return geteuid() == 0 &&
	       (privileges_held() & CAPABILITY_BIT(CAP_SETUID)) != 0;
}

/* Ends the child process where a claim does not hold. */
#define NEED(claim)                                                            \
	do {                                                                   \
		if (!(claim))                                                  \
			give_up(__LINE__, #claim);                             \
	} while (0)

NO_RETURN static void give_up(int line, const char *claim)
{
	fprintf(stderr, "line %d: %s does not hold\n", line, claim);
	_exit(1);
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

static int drop(const char *user, uint64_t keep)
{
	struct privileges p = { .user = user, .keep = keep };
	char why[200];
	int r = privileges_drop(&p, why, sizeof(why));

	if (r < 0)
		fprintf(stderr, "%s\n", why);
	return r;
}

static void become_nobody(void)
{
	const struct passwd *entry;
	gid_t groups[64];

	NEED(drop(USER, 0) == 0);
	entry = getpwnam(USER);
	NEED(entry && getuid() == entry->pw_uid && geteuid() == entry->pw_uid);
	NEED(getgid() == entry->pw_gid && getegid() == entry->pw_gid);
	for (int i = getgroups(64, groups) - 1; i >= 0; i--)
		NEED(groups[i] != 0);
	NEED(privileges_held() == 0);
	NEED(setuid(0) < 0 && setgid(0) < 0 && setgroups(0, NULL) < 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	NEED(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0);
	NEED(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 0);
	NEED(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
}

START_TEST(root_becomes_the_user_for_good)
{
	if (am_root())
		in_child(become_nobody);
}
END_TEST

static void keep_raw(void)
{
	int fd;

	NEED(drop(USER, CAPABILITY_BIT(CAP_NET_RAW)) == 0);
	NEED(privileges_held() == CAPABILITY_BIT(CAP_NET_RAW));
	NEED(getuid() != 0);
	NEED(setuid(0) < 0);
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1);
	NEED(fd >= 0);
	NEED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0) ==
	     0);
}

START_TEST(a_capability_can_be_kept)
{
	if (am_root() && (privileges_held() & CAPABILITY_BIT(CAP_NET_RAW)))
		in_child(keep_raw);
}
END_TEST

static void stay_root(void)
{
	uint64_t held = privileges_held();

	NEED(drop(NULL, 0) == 0);
	NEED(getuid() == 0 && privileges_held() == held);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

START_TEST(root_without_a_user_stays_root)
{
	if (am_root())
		in_child(stay_root);
}
END_TEST

static void drop_twice(void)
{
	NEED(drop(USER, CAPABILITY_BIT(CAP_NET_RAW)) == 0);
	/* Not root any more: the user is ignored, the rest is given up. */
	NEED(drop("root", 0) == 0);
	NEED(getuid() != 0 && privileges_held() == 0);
	NEED(drop(NULL, CAPABILITY_BIT(CAP_NET_RAW)) == 0);
	NEED(privileges_held() == 0);
}

START_TEST(nothing_comes_back_the_second_time)
{
	if (am_root())
		in_child(drop_twice);
}
END_TEST

static void debuggable_or_not(void)
{
	struct privileges p = { .user = USER, .debuggable = true };
	char why[200];

	NEED(privileges_drop(&p, why, sizeof(why)) == 0);
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
	NEED(drop(NULL, 0) == 0);
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
}

START_TEST(memory_is_hidden_unless_asked_for)
{
	in_child(debuggable_or_not);
}
END_TEST

static void no_such_user(void)
{
	struct privileges p = { .user = "no-such-user" };
	char why[200], tiny[10];

	NEED(privileges_drop(&p, why, sizeof(why)) < 0);
	NEED(strstr(why, "there is no user \"no-such-user\": ") == why);
	NEED(privileges_drop(&p, tiny, sizeof(tiny)) < 0);
	NEED(strlen(tiny) == sizeof(tiny) - 1);
}

START_TEST(a_missing_user_is_told)
{
	ck_assert(privileges_user_exists("root"));
	ck_assert(!privileges_user_exists("no-such-user"));
	if (am_root())
		in_child(no_such_user);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("privileges");
	TCase *t = tcase_create("all");

	tcase_add_test(t, root_becomes_the_user_for_good);
	tcase_add_test(t, a_capability_can_be_kept);
	tcase_add_test(t, root_without_a_user_stays_root);
	tcase_add_test(t, nothing_comes_back_the_second_time);
	tcase_add_test(t, memory_is_hidden_unless_asked_for);
	tcase_add_test(t, a_missing_user_is_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
