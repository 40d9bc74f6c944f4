/*
 * Where the control socket stands, and whom it may push aside for it.
 */
#include "daemon/control.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char folder[64];

static void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/control.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	ck_assert_uint_lt(strlen(path), sizeof(sun.sun_path));
	memcpy(sun.sun_path, path, strlen(path));
	return sun;
}

static int bound(const char *path, int type)
{
	struct sockaddr_un sun = address_of(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static int connected(const char *path)
{
	struct sockaddr_un sun = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int r = -errno;

		close_fd(&fd);
		return r;
	}
	return fd;
}

static void expect_open(const char *path)
{
	int fd = control_open(path, NULL), asker = connected(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(asker, 0);
	close_fd(&asker);
	close_fd(&fd);
}

START_TEST(it_listens_under_its_path_and_mode)
{
	const char *path = path_of("control");
	struct sockaddr_un sun = { 0 };
	socklen_t len = sizeof(sun);
	mode_t before = umask(0);
	int fd = control_open(path, "no such group");
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0660);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sun, &len), 0);
	ck_assert_str_eq(sun.sun_path, path);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(umask(before), 0);
	close_fd(&fd);
}
END_TEST

START_TEST(the_group_may_connect)
{
	const struct group *g = getgrnam("daemon");
	const char *path = path_of("control");
	struct stat st;
	int fd;

	if (!g || geteuid() != 0)
		return;
	fd = control_open(path, "daemon");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_gid, g->gr_gid);
	close_fd(&fd);
}
END_TEST

START_TEST(only_the_last_folder_is_made)
{
	struct stat st;
	mode_t before = umask(077);

	expect_open(path_of("run/control"));
	(void)umask(before);
	ck_assert_int_eq(stat(path_of("run"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	ck_assert_int_eq(control_open(path_of("not/there/control"), NULL),
			 -ENOENT);
}
END_TEST

START_TEST(the_living_stay)
{
	int fd = control_open(path_of("control"), NULL), asker;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(control_open(path_of("control"), NULL), -EADDRINUSE);
	asker = connected(path_of("control"));
	ck_assert_int_ge(asker, 0);
	close_fd(&asker);
	close_fd(&fd);
	fd = bound(path_of("datagrams"), SOCK_DGRAM);
	ck_assert_int_eq(control_open(path_of("datagrams"), NULL), -EADDRINUSE);
	close_fd(&fd);
}
END_TEST

START_TEST(a_full_queue_is_a_sign_of_life)
{
	int askers[4], fd = bound(path_of("control"), SOCK_STREAM);
	size_t count = 0;

	ck_assert_int_eq(listen(fd, 0), 0);
	while (count < ARRAY_SIZE(askers)) {
		askers[count] = connected(path_of("control"));
		if (askers[count] < 0)
			break;
		count++;
	}
	ck_assert_uint_lt(count, ARRAY_SIZE(askers));
	ck_assert_int_eq(control_open(path_of("control"), NULL), -EADDRINUSE);
	while (count > 0)
		close_fd(&askers[--count]);
	close_fd(&fd);
}
END_TEST

START_TEST(what_the_dead_left_goes)
{
	int fd = bound(path_of("control"), SOCK_STREAM);

	close_fd(&fd);
	expect_open(path_of("control"));
	expect_open(path_of("control"));
}
END_TEST

START_TEST(what_is_no_socket_stays)
{
	char target[128];
	struct stat st;
	int fd = open(path_of("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close_fd(&fd);
	ck_assert_int_eq(control_open(path_of("file"), NULL), -EEXIST);
	ck_assert_int_eq(mkdir(path_of("folder"), 0700), 0);
	ck_assert_int_eq(control_open(path_of("folder"), NULL), -EEXIST);
	fd = bound(path_of("dead"), SOCK_STREAM);
	close_fd(&fd);
	(void)snprintf(target, sizeof(target), "%s", path_of("dead"));
	ck_assert_int_eq(symlink(target, path_of("link")), 0);
	ck_assert_int_eq(control_open(path_of("link"), NULL), -EEXIST);
	ck_assert_int_eq(lstat(path_of("link"), &st), 0);
	ck_assert_int_eq(lstat(path_of("file"), &st), 0);
	ck_assert_int_eq(control_open(path_of("file/control"), NULL), -ENOTDIR);
}
END_TEST

START_TEST(a_path_must_fit)
{
	char path[256];

	ck_assert_int_eq(control_open("", NULL), -EINVAL);
	ck_assert_int_eq(control_open("control", NULL), -EINVAL);
	ck_assert_int_eq(control_open("/", NULL), -EINVAL);
	ck_assert_int_eq(control_open("/run/", NULL), -EINVAL);
	memset(path, 'x', sizeof(path));
	memcpy(path, folder, strlen(folder));
	path[strlen(folder)] = '/';
	path[108] = '\0';
	ck_assert_int_eq(control_open(path, NULL), -ENAMETOOLONG);
	path[107] = '\0';
	expect_open(path);
}
END_TEST

START_TEST(a_lock_that_somebody_holds_is_done_without)
{
	int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(flock(lock, LOCK_EX), 0);
	expect_open(path_of("control"));
	close_fd(&lock);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control_open");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, it_listens_under_its_path_and_mode);
	tcase_add_test(t, the_group_may_connect);
	tcase_add_test(t, only_the_last_folder_is_made);
	tcase_add_test(t, the_living_stay);
	tcase_add_test(t, a_full_queue_is_a_sign_of_life);
	tcase_add_test(t, what_the_dead_left_goes);
	tcase_add_test(t, what_is_no_socket_stays);
	tcase_add_test(t, a_path_must_fit);
	tcase_add_test(t, a_lock_that_somebody_holds_is_done_without);
	suite_add_tcase(s, t);
	return run_suite(s);
}
