/*
 * The sockets that the master holds.
 */
#include "daemon/held.h"

#include "t/unit/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len),
			 0);
	return cookie;
}

START_TEST(a_socket_is_held_once)
{
	struct held_socket like = { .opened_by = 3 };
	struct held h = { 0 };
	int fd = listening(), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	uint64_t cookie = cookie_of(fd);
	const struct held_socket *s;

	ck_assert_int_eq(held_add(&h, fd, "lan", &like), 0);
	ck_assert_int_eq(held_add(&h, copy, "lan", &like), -EEXIST);
	ck_assert_int_eq(fcntl(copy, F_GETFD), -1); /* taken, and closed */
	s = held_find(&h, cookie);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(s->fd, fd);
	ck_assert_str_eq(s->name, "lan");
	ck_assert_uint_eq(s->opened_by, 3);
	ck_assert(!s->is_unix);
	ck_assert_ptr_null(held_find(&h, cookie + 1));
	held_done(&h);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(what_is_no_socket_is_refused)
{
	struct held_socket like = { 0 };
	struct held h = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(held_add(&h, fd, "lan", &like), -ENOTSOCK);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(held_add(&h, -1, "lan", &like), -EBADF);
	ck_assert_uint_eq(h.count, 0);
	held_done(&h);
}
END_TEST

static int of_kind(int domain, int type)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(what_cannot_serve_is_refused)
{
	const struct held_socket like = { 0 };
	struct held h = { 0 };

	/* Not bound; datagrams; a control socket by another name or deaf. */
	ck_assert_int_eq(
		held_add(&h, of_kind(AF_INET, SOCK_STREAM), "lan", &like),
		-EINVAL);
	ck_assert_int_eq(
		held_add(&h, of_kind(AF_INET, SOCK_DGRAM), "lan", &like),
		-EINVAL);
	ck_assert_int_eq(
		held_add(&h, of_kind(AF_UNIX, SOCK_STREAM), "control", &like),
		-EINVAL);
	ck_assert_int_eq(
		held_add(&h, of_kind(AF_UNIX, SOCK_DGRAM), "control", &like),
		-EINVAL);
	/* Names part at colons where generations are started. */
	ck_assert_int_eq(held_add(&h, listening(), "a:b", &like), -EINVAL);
	ck_assert_int_eq(held_add(&h, listening(), "", &like), -EINVAL);
	ck_assert_uint_eq(h.count, 0);
	held_done(&h);
}
END_TEST

START_TEST(many_come_and_go)
{
	struct held h = { 0 };
	uint64_t cookies[100];

	for (size_t i = 0; i < 100; i++) {
		char name[16];
		struct held_socket like = { 0 };
		int fd = listening();

		(void)snprintf(name, sizeof(name), "n%zu", i % 3);
		cookies[i] = cookie_of(fd);
		ck_assert_int_eq(held_add(&h, fd, name, &like), 0);
	}
	for (size_t i = 0; i < 100; i += 2)
		held_close(&h, held_find(&h, cookies[i]));
	ck_assert_uint_eq(h.count, 50);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(held_find(&h, cookies[i]) != NULL, i % 2);
	held_done(&h);
	ck_assert_uint_eq(h.count, 0);
}
END_TEST

static int control_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

START_TEST(the_path_of_a_control_socket_goes_with_it)
{
	struct held_socket like = { 0 };
	struct held_socket unit = { .from_unit = true };
	struct held h = { 0 };
	char a[64], b[64];

	(void)snprintf(a, sizeof(a), "/tmp/check_held.%d.a", getpid());
	(void)snprintf(b, sizeof(b), "/tmp/check_held.%d.b", getpid());
	ck_assert_int_eq(held_add(&h, control_at(a), "control", &like), 0);
	ck_assert_int_eq(held_add(&h, control_at(b), "control", &unit), 0);
	ck_assert(h.at[0].is_unix);
	held_let_go(&h);
	ck_assert_uint_eq(h.count, 2); /* still answers */
	held_done(&h);
	ck_assert_int_eq(access(a, F_OK), -1);
	ck_assert_int_eq(access(b, F_OK), 0); /* the unit's own */
	ck_assert_int_eq(unlink(b), 0);
}
END_TEST

START_TEST(the_path_of_a_listener_goes_with_it)
{
	struct held_socket like = { 0 };
	struct held_socket unit = { .from_unit = true };
	struct held h = { 0 };
	char a[64], b[64], c[64];

	(void)snprintf(a, sizeof(a), "/tmp/check_held.%d.a", getpid());
	(void)snprintf(b, sizeof(b), "/tmp/check_held.%d.b", getpid());
	(void)snprintf(c, sizeof(c), "/tmp/check_held.%d.c", getpid());
	ck_assert_int_eq(held_add(&h, control_at(a), HELD_UNIX, &like), 0);
	ck_assert_int_eq(held_add(&h, control_at(b), HELD_UNIX, &unit), 0);
	ck_assert_int_eq(held_add(&h, control_at(c), HELD_UNIX, &like), 0);
	ck_assert(h.at[0].is_unix && !h.at[0].is_control);
	held_close(&h, &h.at[0]);
	ck_assert_int_eq(access(a, F_OK), -1);
	held_let_go(&h);
	ck_assert_uint_eq(h.count, 0);
	ck_assert_int_eq(access(c, F_OK), -1);
	ck_assert_int_eq(access(b, F_OK), 0); /* the unit's own */
	ck_assert_int_eq(unlink(b), 0);
	held_done(&h);
}
END_TEST

START_TEST(a_file_that_is_another_ones_stays)
{
	struct held_socket like = { 0 };
	struct held h = { 0 };
	char a[64], moved[64];
	int other;

	(void)snprintf(a, sizeof(a), "/tmp/check_held.%d.d", getpid());
	(void)snprintf(moved, sizeof(moved), "/tmp/check_held.%d.e", getpid());
	for (int way = 0; way < 3; way++) {
		ck_assert_int_eq(held_add(&h, control_at(a), HELD_UNIX, &like),
				 0);
		ck_assert_int_eq(way ? unlink(a) : rename(a, moved), 0);
		other = control_at(a);
		if (way == 1)
			held_close(&h, &h.at[0]);
		else
			held_let_go(&h);
		ck_assert_int_eq(access(a, F_OK), 0);
		ck_assert_uint_eq(h.count, 0);
		ck_assert_int_eq(unlink(a), 0);
		close_fd(&other);
	}
	ck_assert_int_eq(unlink(moved), 0);
	held_done(&h);
}
END_TEST

/* Somebody shows us the way to what is not his. */
START_TEST(a_file_of_another_user_is_none_of_ours)
{
	struct held_socket like = { 0 };
	struct held h = { 0 };
	char a[64];
	int fd;

	if (geteuid() != 0)
		return;
	(void)snprintf(a, sizeof(a), "/tmp/check_held.%d.f", getpid());
	fd = control_at(a);
	ck_assert_int_eq(chown(a, 65534, 65534), 0);
	ck_assert_int_eq(held_add(&h, fd, HELD_UNIX, &like), 0);
	held_done(&h);
	ck_assert_int_eq(access(a, F_OK), 0);
	ck_assert_int_eq(unlink(a), 0);
}
END_TEST

START_TEST(of_a_path_there_is_one_listener)
{
	struct held_socket like = { 0 };
	struct held h = { 0 };
	char a[64];

	(void)snprintf(a, sizeof(a), "/tmp/check_held.%d.g", getpid());
	ck_assert_int_eq(held_add(&h, control_at(a), HELD_UNIX, &like), 0);
	ck_assert_int_eq(unlink(a), 0);
	ck_assert_int_eq(held_add(&h, control_at(a), HELD_UNIX, &like),
			 -EEXIST);
	ck_assert_uint_eq(h.count, 1);
	held_done(&h);
	ck_assert_int_eq(access(a, F_OK), 0);
	ck_assert_int_eq(unlink(a), 0);
}
END_TEST

START_TEST(letting_go_closes_the_rest)
{
	struct held_socket like = { 0 };
	struct held h = { 0 };
	int fd = listening();

	ck_assert_int_eq(held_add(&h, fd, "lan", &like), 0);
	held_let_go(&h);
	ck_assert_uint_eq(h.count, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	held_done(&h);
}
END_TEST

/* --- With a service manager --------------------------------------------- */

static int manager;

static void start_manager(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(a.sun_path, sizeof(a.sun_path),
		       "/tmp/check_held.%d.notify", getpid());
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", a.sun_path, 1), 0);
}

static void end_manager(void)
{
	(void)unlink(getenv("NOTIFY_SOCKET"));
	(void)unsetenv("NOTIFY_SOCKET");
	close_fd(&manager);
}

/* The next message and how many descriptors came with it. */
static const char *told(size_t *ret_fds)
{
	static char text[4096];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(256 * sizeof(int))];
	} control;
	struct iovec part = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(manager, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fds = 0;
	if (n < 0)
		return "";
	text[n] = '\0';
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			close_fd(&fd);
		}
		*ret_fds = count;
	}
	return text;
}

START_TEST(the_manager_gets_copies_once)
{
	struct held_socket lan = { 0 };
	struct held_socket unit = { .from_unit = true };
	struct held h = { 0 };
	const char *text;
	size_t fds;

	start_manager();
	ck_assert_int_eq(held_add(&h, listening(), "lan", &lan), 0);
	ck_assert_int_eq(held_add(&h, listening(), "lan", &lan), 0);
	ck_assert_int_eq(held_add(&h, listening(), "unit", &unit), 0);
	held_store(&h);
	text = told(&fds);
	ck_assert_ptr_nonnull(strstr(text, "FDSTORE=1"));
	ck_assert_ptr_nonnull(strstr(text, "FDPOLL=0"));
	ck_assert_ptr_nonnull(strstr(text, "FDNAME=store.lan"));
	ck_assert_uint_eq(fds, 2);
	ck_assert_str_eq(told(&fds), "");
	held_store(&h);
	ck_assert_str_eq(told(&fds), "");
	held_done(&h);
	end_manager();
}
END_TEST

START_TEST(what_is_left_of_a_name_is_stored_again)
{
	struct held_socket lan = { 0 };
	struct held h = { 0 };
	const char *text;
	size_t fds;

	start_manager();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(held_add(&h, listening(), "lan", &lan), 0);
	held_store(&h);
	(void)told(&fds);
	ck_assert_uint_eq(fds, 3);
	held_close(&h, &h.at[1]);
	held_close(&h, &h.at[1]);
	ck_assert_str_eq(told(&fds), "");
	held_store(&h);
	text = told(&fds);
	ck_assert_ptr_nonnull(strstr(text, "FDSTOREREMOVE=1"));
	ck_assert_ptr_nonnull(strstr(text, "FDNAME=store.lan"));
	text = told(&fds);
	ck_assert_ptr_nonnull(strstr(text, "FDSTORE=1"));
	ck_assert_uint_eq(fds, 1);
	held_unstore(&h);
	text = told(&fds);
	ck_assert_ptr_nonnull(strstr(text, "FDSTOREREMOVE=1"));
	held_done(&h);
	ck_assert_str_eq(told(&fds), ""); /* the store outlives us */
	end_manager();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("held");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_socket_is_held_once);
	tcase_add_test(t, what_is_no_socket_is_refused);
	tcase_add_test(t, what_cannot_serve_is_refused);
	tcase_add_test(t, many_come_and_go);
	tcase_add_test(t, the_path_of_a_control_socket_goes_with_it);
	tcase_add_test(t, the_path_of_a_listener_goes_with_it);
	tcase_add_test(t, a_file_that_is_another_ones_stays);
	tcase_add_test(t, a_file_of_another_user_is_none_of_ours);
	tcase_add_test(t, of_a_path_there_is_one_listener);
	tcase_add_test(t, letting_go_closes_the_rest);
	tcase_add_test(t, the_manager_gets_copies_once);
	tcase_add_test(t, what_is_left_of_a_name_is_stored_again);
	suite_add_tcase(s, t);
	return run_suite(s);
}
