/*
 * A child talks to its parent by one byte in each direction.
 */
#include "t/unit/confined.h"

#include "daemon/privileges.h"
#include "daemon/sandbox.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

char base[] = "/tmp/check_sandbox.XXXXXX";
uint16_t own_port = 61080;
uint16_t own_range[2];

static int line; /* a child's end of the socket */

const char *at(const char *name)
{
	static char paths[10][256];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

static void make_folder(const char *name)
{
	ck_assert_int_eq(mkdir(at(name), 0700), 0);
	ck_assert_int_eq(chmod(at(name), 0777), 0);
}

static void make_file(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "before\n", 7), 7);
	ck_assert_int_eq(fchmod(fd, 0777), 0);
	close_fd(&fd);
}

void confined_setup(void)
{
	memcpy(base + strlen(base) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chmod(base, 0777), 0);
	make_folder("names");
	make_folder("far");
	make_folder("log");
	make_folder("outside");
	make_file("names/hosts");
	make_file("names/other");
	make_file("far/resolv.conf");
	make_file("log/spliced.log");
	make_file("log/other");
	make_file("outside/secret");
	ck_assert_int_eq(symlink("../far/resolv.conf", at("names/resolv.conf")),
			 0);
}

static int remove_one(const char *path, const struct stat *st UNUSED,
		      int type UNUSED, struct FTW *ftw UNUSED)
{
	return remove(path);
}

void confined_teardown(void)
{
	ck_assert_int_eq(nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int landlock_version(void)
{
#ifdef SYS_landlock_create_ruleset
	return (int)max_i64(syscall(SYS_landlock_create_ruleset, NULL, 0, 1),
			    0);
#else
	return 0;
#endif
}

void give_up(const char *file, int where, const char *claim)
{
	fprintf(stderr, "%s:%d: %s does not hold (%s)\n", file, where, claim,
		strerrorname_np(errno));
	_exit(1);
}

void enter(void)
{
	const char *read[] = { at("names/hosts"), at("names/resolv.conf"),
			       "/nonexistent/folder/file" };
	struct sandbox s = { .read = read,
			     .read_count = ARRAY_SIZE(read),
			     .log = at("log/spliced.log"),
			     .ports = &own_port,
			     .port_count = 1,
			     .first_port = own_range[0],
			     .last_port = own_range[1] };
	struct privileges p = { .user = "nobody" };
	char why[256];

	if (privileges_drop(&p, why, sizeof(why)) < 0 ||
	    sandbox_enter(&s, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		_exit(1);
	}
	if (strstr(why, "not confined: this is"))
		_exit(0);
	NEED(landlock_version() < 6 || !*why);
}

void request(char what)
{
	NEED(write(line, &what, 1) == 1);
	NEED(read(line, &what, 1) == 1);
}

static void talk(int fd, void (*answer)(char what, pid_t child), pid_t child)
{
	char what;

	while (read(fd, &what, 1) == 1) {
		ck_assert_ptr_nonnull(answer);
		answer(what, child);
		ck_assert_int_eq(write(fd, &what, 1), 1);
	}
}

void in_child(void (*fn)(void), void (*answer)(char what, pid_t child))
{
	int pair[2], status;
	pid_t child;

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		close_fd(&pair[0]);
		line = pair[1];
		fn();
		_exit(0);
	}
	close_fd(&pair[1]);
	talk(pair[0], answer, child);
	close_fd(&pair[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
