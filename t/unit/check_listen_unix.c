/*
 * Listening UNIX sockets: whose place a path is, and whose file.
 */
#include "core/listen_unix.h"

#include "t/unit/bound.h"
#include "t/unit/suite.h"
#include "t/unit/unix_place.h"

#include <check.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct listen_unix place;

static int open_at(const char *name)
{
	ck_assert_int_eq(listen_unix_init(&place, name), 0);
	return listen_unix_open(&place, 0);
}

/* A socket of ours that listens. */
static int listening_at(const char *name)
{
	int fd = open_at(name);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen_unix_listen(&place, fd, 0), 0);
	return fd;
}

static void meet(const char *name, int listening)
{
	int fd = unix_connected(name);
	int near = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ge(near, 0);
	close_fd(&near);
	close_fd(&fd);
}

/* --- Making ------------------------------------------------------------- */

START_TEST(a_socket_lets_nobody_in_before_it_listens)
{
	const char *path = unix_path("s");
	int fd = open_at(path);

	ck_assert_int_ge(fd, 0);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert(file_exists(path));
	ck_assert_int_eq(unix_dialled(path), -ECONNREFUSED);
	ck_assert_int_eq(listen_unix_listen(&place, fd, 0), 0);
	meet(path, fd);
	listen_unix_remove(&place);
	ck_assert(!file_exists(path));
	listen_unix_remove(&place);
	close_fd(&fd);
}
END_TEST

START_TEST(a_name_without_a_file_has_none)
{
	const char *name = unix_abstract();
	int fd = listening_at(name);

	ck_assert(!place.has_file);
	meet(name, fd);
	ck_assert_int_eq(open_at(name), -EADDRINUSE);
	listen_unix_remove(&place);
	close_fd(&fd);
	ck_assert_int_eq(unix_dialled(name), -ECONNREFUSED);
}
END_TEST

START_TEST(the_file_has_the_mode_that_was_asked_for)
{
	static const unsigned modes[] = { 0600, 0660, 0666, 0777 };
	const char *path = unix_path("s");
	struct stat st;

	(void)umask(027);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd;

		ck_assert_int_eq(listen_unix_init(&place, path), 0);
		fd = listen_unix_open(&place, modes[i]);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, modes[i]);
		listen_unix_remove(&place);
		close_fd(&fd);
	}
}
END_TEST

START_TEST(without_one_it_has_that_of_the_umask)
{
	const char *path = unix_path("s");
	struct stat st;
	int fd;

	(void)umask(027);
	fd = open_at(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0750);
	listen_unix_remove(&place);
	close_fd(&fd);
}
END_TEST

START_TEST(a_place_that_cannot_be_is_an_error)
{
	char name[200];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(listen_unix_init(&place, name), -EINVAL);
	ck_assert_int_eq(listen_unix_init(&place, ""), -EINVAL);
	ck_assert_int_eq(open_at(unix_path("no/such/folder")), -ENOENT);
	file_make(unix_path("file"));
	ck_assert_int_eq(open_at(unix_path("file/s")), -ENOTDIR);
}
END_TEST

/* --- What stands there already ------------------------------------------ */

START_TEST(a_file_that_was_left_over_is_replaced)
{
	const char *path = unix_path("s");
	int fd = unix_bound(path, SOCK_STREAM);

	ck_assert_int_eq(listen(fd, 1), 0);
	close_fd(&fd);
	ck_assert(file_exists(path));
	fd = listening_at(path);
	meet(path, fd);
	listen_unix_remove(&place);
	close_fd(&fd);
}
END_TEST

START_TEST(one_at_which_somebody_listens_is_left_alone)
{
	const char *path = unix_path("s");
	int fd = unix_bound(path, SOCK_STREAM);

	ck_assert_int_eq(listen(fd, 10), 0);
	ck_assert_int_eq(open_at(path), -EADDRINUSE);
	listen_unix_remove(&place);
	ck_assert(file_exists(path));
	/* The knock came first. */
	meet(path, fd);
	close_fd(&fd);
}
END_TEST

START_TEST(so_is_one_whose_queue_is_full)
{
	const char *path = unix_path("s");
	int fd = unix_bound(path, SOCK_STREAM), client[4];

	ck_assert_int_eq(listen(fd, 0), 0);
	client[0] = unix_connected(path);
	ck_assert_int_eq(open_at(path), -EADDRINUSE);
	ck_assert(file_exists(path));
	close_fd(&client[0]);
	close_fd(&fd);
}
END_TEST

START_TEST(so_is_one_of_another_type)
{
	const char *path = unix_path("s");
	int fd = unix_bound(path, SOCK_DGRAM);

	ck_assert_int_eq(open_at(path), -EADDRINUSE);
	ck_assert(file_exists(path));
	close_fd(&fd);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_never_touched)
{
	const char *path = unix_path("file"), *link = unix_path("link");
	int fd = unix_bound(unix_path("s"), SOCK_STREAM);

	file_make(path);
	ck_assert_int_eq(open_at(path), -ENOTSOCK);
	ck_assert(file_exists(path));
	/* Nor is a link, though it leads to a socket nobody listens at. */
	close_fd(&fd);
	ck_assert_int_eq(symlink(unix_path("s"), link), 0);
	ck_assert_int_eq(open_at(link), -ENOTSOCK);
	ck_assert(file_exists(link));
	ck_assert_int_eq(mkdir(unix_path("dir"), 0700), 0);
	ck_assert_int_eq(open_at(unix_path("dir")), -ENOTSOCK);
	ck_assert_int_eq(rmdir(unix_path("dir")), 0);
}
END_TEST

/* --- What others do meanwhile ------------------------------------------- */

static unsigned looks, meddle_at; /* calls of lstat(2); before which one */
static void (*meddle)(void);

/* In the place of libc's, so that others can be quick. */
int lstat(const char *path, struct stat *ret)
{
	int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "lstat");

	if (++looks == meddle_at)
		meddle();
	return real(path, ret);
}

static bool chmod_fails;

int fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	int (*real)(int, const char *, mode_t, int) = dlsym(RTLD_NEXT,
							    "fchmodat");

	if (!chmod_fails)
		return real(dir, path, mode, flags);
	errno = EPERM;
	return -1;
}

static void remove_it(void)
{
	ck_assert_int_eq(unlink(unix_path("s")), 0);
}

static int newcomer = -1;

static void replace_it(void)
{
	/* Another name, so that its number is not given to the next one. */
	ck_assert_int_eq(link(unix_path("s"), unix_path("kept")), 0);
	remove_it();
	newcomer = unix_bound(unix_path("s"), SOCK_STREAM);
}

/* A leftover at which somebody is busy before the nth look at it. */
static int open_while(unsigned nth, void (*fn)(void))
{
	int fd = unix_bound(unix_path("s"), SOCK_STREAM);

	close_fd(&fd);
	looks = 0;
	meddle_at = nth;
	meddle = fn;
	return open_at(unix_path("s"));
}

START_TEST(a_leftover_that_somebody_else_removes_is_no_hindrance)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		int fd = open_while(nth, remove_it);

		ck_assert_int_ge(fd, 0);
		listen_unix_remove(&place);
		close_fd(&fd);
	}
}
END_TEST

START_TEST(one_that_is_replaced_is_not_removed)
{
	ck_assert_int_eq(open_while(2, replace_it), -EADDRINUSE);
	ck_assert(file_exists(unix_path("s")));
	ck_assert_int_eq(listen(newcomer, 1), 0);
	meet(unix_path("s"), newcomer);
	close_fd(&newcomer);
}
END_TEST

START_TEST(a_file_that_is_gone_before_it_was_seen_is_an_error)
{
	looks = 0;
	meddle_at = 1;
	meddle = remove_it;
	ck_assert_int_eq(open_at(unix_path("s")), -ENOENT);
}
END_TEST

START_TEST(a_mode_that_cannot_be_set_leaves_no_file)
{
	chmod_fails = true;
	ck_assert_int_eq(listen_unix_init(&place, unix_path("s")), 0);
	ck_assert_int_eq(listen_unix_open(&place, 0600), -EPERM);
	ck_assert(!file_exists(unix_path("s")));
}
END_TEST

/* --- Of two ------------------------------------------------------------- */

/* Neither listens when the other looks. */
START_TEST(of_two_that_begin_at_once_the_later_one_has_the_place)
{
	const char *path = unix_path("s");
	struct listen_unix first;
	int fd[2];

	fd[0] = open_at(path);
	ck_assert_int_ge(fd[0], 0);
	first = place;
	fd[1] = open_at(path);
	ck_assert_int_ge(fd[1], 0);
	ck_assert_int_eq(listen_unix_listen(&first, fd[0], 0), -EADDRINUSE);
	ck_assert_int_eq(listen_unix_listen(&place, fd[1], 0), 0);
	/* What is not ours any more is not removed. */
	listen_unix_remove(&first);
	ck_assert(file_exists(path));
	close_fd(&fd[0]);
	meet(path, fd[1]);
	listen_unix_remove(&place);
	ck_assert(!file_exists(path));
	close_fd(&fd[1]);
}
END_TEST

START_TEST(a_file_that_is_gone_hinders_nobody)
{
	const char *path = unix_path("s");
	int fd = open_at(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(listen_unix_listen(&place, fd, 0), 0);
	file_make(path);
	listen_unix_remove(&place);
	ck_assert(file_exists(path));
	close_fd(&fd);
}
END_TEST

START_TEST(one_place_is_told_by_name_or_by_file)
{
	const char *path = unix_path("s"), *link = unix_path("hard");
	struct listen_unix same, other;
	int fd = listening_at(path);

	ck_assert_int_eq(listen_unix_init(&same, path), 0);
	ck_assert_int_eq(listen_unix_init(&other, unix_path("t")), 0);
	ck_assert(listen_unix_overlaps(&place, &same));
	ck_assert(!listen_unix_overlaps(&place, &other));
	ck_assert(!listen_unix_overlaps(&other, &place));
	ck_assert_int_eq(listen_unix_init(&other, unix_abstract()), 0);
	ck_assert(!listen_unix_overlaps(&place, &other));
	ck_assert_int_eq(rename(path, link), 0);
	ck_assert_int_eq(listen_unix_init(&other, link), 0);
	ck_assert(listen_unix_overlaps(&place, &other));
	ck_assert(listen_unix_overlaps(&other, &place));
	close_fd(&fd);
}
END_TEST

/* --- Sockets from elsewhere --------------------------------------------- */

START_TEST(a_socket_that_is_bound_there_is_taken)
{
	static const char *names[2];

	names[0] = unix_path("s");
	names[1] = unix_abstract();
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = unix_bound(names[i], SOCK_STREAM);

		ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
		ck_assert_int_eq(listen_unix_init(&place, names[i]), 0);
		ck_assert_int_eq(listen_unix_check(&place, fd), 0);
		ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
		ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
		ck_assert_int_eq(listen(fd, 1), 0);
		ck_assert_int_eq(listen_unix_check(&place, fd), 0);
		ck_assert_int_eq(listen_unix_listen(&place, fd, 5), 0);
		listen_unix_remove(&place);
		close_fd(&fd);
	}
	ck_assert(file_exists(names[0]));
}
END_TEST

static int check(int fd)
{
	int r = listen_unix_check(&place, fd);

	close_fd(&fd);
	return r;
}

START_TEST(any_other_is_not)
{
	const char *path = unix_path("s"), *other = unix_path("t");
	struct tcp_addr a = addr_at("127.0.0.1:0");
	int pair[2], fd, client;

	ck_assert_int_eq(listen_unix_init(&place, path), 0);
	ck_assert_int_eq(check(-1), -EINVAL);
	ck_assert_int_eq(check(open("/dev/null", O_RDONLY | O_CLOEXEC)),
			 -EINVAL);
	ck_assert_int_eq(check(sock_bound(&a, true)), -EINVAL);
	ck_assert_int_eq(check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
			 -EINVAL);
	ck_assert_int_eq(check(unix_bound(other, SOCK_STREAM)), -EINVAL);
	ck_assert_int_eq(check(unix_bound(path, SOCK_DGRAM)), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(check(pair[0]), -EINVAL);
	close_fd(&pair[1]);
	/* One that was accepted has the address of its listener. */
	fd = unix_bound(path, SOCK_STREAM);
	ck_assert_int_eq(listen(fd, 1), 0);
	client = unix_connected(path);
	ck_assert_int_eq(check(accept4(fd, NULL, NULL, SOCK_CLOEXEC)), -EINVAL);
	close_fd(&client);
	close_fd(&fd);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, a_socket_lets_nobody_in_before_it_listens);
	tcase_add_test(t, a_name_without_a_file_has_none);
	tcase_add_test(t, the_file_has_the_mode_that_was_asked_for);
	tcase_add_test(t, without_one_it_has_that_of_the_umask);
	tcase_add_test(t, a_place_that_cannot_be_is_an_error);
	tcase_add_test(t, a_file_that_was_left_over_is_replaced);
	tcase_add_test(t, one_at_which_somebody_listens_is_left_alone);
	tcase_add_test(t, so_is_one_whose_queue_is_full);
	tcase_add_test(t, so_is_one_of_another_type);
	tcase_add_test(t, a_file_that_is_no_socket_is_never_touched);
	tcase_add_test(t,
		       a_leftover_that_somebody_else_removes_is_no_hindrance);
	tcase_add_test(t, one_that_is_replaced_is_not_removed);
	tcase_add_test(t, a_file_that_is_gone_before_it_was_seen_is_an_error);
	tcase_add_test(t, a_mode_that_cannot_be_set_leaves_no_file);
	tcase_add_test(t,
		       of_two_that_begin_at_once_the_later_one_has_the_place);
	tcase_add_test(t, a_file_that_is_gone_hinders_nobody);
	tcase_add_test(t, one_place_is_told_by_name_or_by_file);
	tcase_add_test(t, a_socket_that_is_bound_there_is_taken);
	tcase_add_test(t, any_other_is_not);
}

int main(void)
{
	Suite *s = suite_create("listen_unix");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, unix_place_setup, unix_place_teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
