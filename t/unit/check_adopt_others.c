/*
 * UNIX sockets and segments that are passed on, and what each kind is called.
 */
#include "t/unit/passed_on.h"

#include "core/unix_addr.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* --- UNIX sockets ------------------------------------------------------- */

static int unix_listening(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = unbound_socket(AF_UNIX, SOCK_STREAM);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(a_unix_socket_is_known_by_its_path)
{
	char dir[] = "/tmp/check_adopt.XXXXXX", path[64];
	char text[sizeof(adopted.list->path)];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/control", dir);
	(void)pass("control", unix_listening(path));
	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_UNIX);
	ck_assert_uint_ne(adopted.list[0].cookie, 0);
	ck_assert_str_eq(adopt_format(&adopted.list[0], text, sizeof(text)),
			 path);
	ck_assert(!adopt_unix(&adopted, "/tmp/another"));
	ck_assert_uint_eq(unclaimed(), 1);
	ck_assert(adopt_unix(&adopted, path));
	ck_assert_uint_eq(unclaimed(), 0);
	passed_end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

/* Bound to `name`, "@name" for one without a file; deaf. */
static int unix_bound(const char *name)
{
	struct sockaddr_un sun;
	socklen_t len;
	int fd = unbound_socket(AF_UNIX, SOCK_STREAM);

	ck_assert_int_eq(unix_addr_set(&sun, &len, name), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, len), 0);
	return fd;
}

START_TEST(a_listener_takes_the_unix_socket_of_its_place)
{
	char dir[] = "/tmp/check_adopt.XXXXXX", path[64], name[64];
	struct adopt_want w = { .name = "lan", .path = path };

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/it", dir);
	(void)snprintf(name, sizeof(name), "@%s/it", dir);
	(void)pass("unix", unix_bound(path));
	(void)pass("unix", unix_bound(name));
	(void)pass_listening("lan", 0);
	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_UNIX);
	/* Nobody can connect to it: it is no control socket. */
	ck_assert(!adopt_unix(&adopted, path));
	ck_assert_str_eq(adopted.list[1].path, name);
	ck_assert(adopt_fits(&adopted.list[0], &w) &&
		  !adopt_fits(&adopted.list[1], &w));
	ck_assert_uint_eq(take_wanted(&w), 1);
	ck_assert_uint_eq(take_wanted(&w), 0);
	w.path = name;
	ck_assert_uint_eq(take_wanted(&w), 1);
	ck_assert_ptr_null(adopt_near_miss(&adopted, &w));
	ck_assert_uint_eq(unclaimed(), 1);
	passed_end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

START_TEST(a_unix_socket_without_name_is_useless)
{
	(void)pass("unix", unbound_socket(AF_UNIX, SOCK_STREAM));
	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_USELESS);
	passed_end();
}
END_TEST

START_TEST(a_path_may_fill_its_field)
{
	/* valgrind looks for an end behind the field. */
	struct {
		struct sockaddr_un a;
		char end;
	} sun = { .a.sun_family = AF_UNIX };
	char dir[] = "/tmp/check_adopt.XXXXXX";
	char path[sizeof(sun.a.sun_path) + 1];
	int fd = unbound_socket(AF_UNIX, SOCK_STREAM);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, dir, strlen(dir));
	path[strlen(dir)] = '/';
	memcpy(sun.a.sun_path, path, sizeof(sun.a.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun.a, sizeof(sun.a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	(void)pass("control", fd);
	passed_begin();
	ck_assert_str_eq(adopted.list[0].path, path);
	ck_assert(adopt_unix(&adopted, path));
	passed_end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

/* --- Segments ----------------------------------------------------------- */

static int segment(unsigned flags)
{
	int fd = memfd_create("spliced", flags | MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	if (flags & MFD_ALLOW_SEALING)
		ck_assert_int_eq(
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

START_TEST(segments_are_given_one_after_the_other)
{
	int first = pass("segment", segment(MFD_ALLOW_SEALING)), second, got;

	(void)pass_listening("segment", 0);
	second = pass("whatever", segment(MFD_ALLOW_SEALING));
	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_SEGMENT);
	ck_assert_int_eq(adopted.list[1].kind, ADOPT_TCP);
	got = adopt_segment(&adopted);
	ck_assert_int_eq(got, first);
	close_fd(&got);
	got = adopt_segment(&adopted);
	ck_assert_int_eq(got, second);
	close_fd(&got);
	ck_assert_int_eq(adopt_segment(&adopted), -1);
	ck_assert_uint_eq(unclaimed(), 1);
	passed_end();
}
END_TEST

START_TEST(each_kind_can_be_named)
{
	char text[TCPSERVER_ADDR_STRLEN + 40], wanted_text[40];
	uint16_t port = pass_listening("lan", 0);

	(void)pass("segment", segment(MFD_ALLOW_SEALING));
	(void)pass("lan", open("/dev/null", O_RDONLY | O_CLOEXEC));
	passed_begin();
	(void)snprintf(wanted_text, sizeof(wanted_text), "127.0.0.1:%u", port);
	ck_assert_str_eq(adopt_format(&adopted.list[0], text, sizeof(text)),
			 wanted_text);
	ck_assert_str_eq(adopt_format(&adopted.list[1], text, sizeof(text)),
			 "(shared memory)");
	ck_assert_str_eq(adopt_format(&adopted.list[2], text, sizeof(text)),
			 "(no listening stream socket)");
	passed_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("adopt_others");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_unix_socket_is_known_by_its_path);
	tcase_add_test(t, a_listener_takes_the_unix_socket_of_its_place);
	tcase_add_test(t, a_unix_socket_without_name_is_useless);
	tcase_add_test(t, a_path_may_fill_its_field);
	tcase_add_test(t, segments_are_given_one_after_the_other);
	tcase_add_test(t, each_kind_can_be_named);
	suite_add_tcase(s, t);
	return run_suite(s);
}
