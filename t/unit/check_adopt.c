/*
 * What passed-on descriptors are known by, and who gets which.
 */
#include "daemon/adopt.h"

#include "core/unix_addr.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define MAX 16

static struct adopt a;
static int fds[MAX];
static char *names[MAX];
static size_t count;

/* How a socket is made. */
struct made {
	const char *ip;
	uint16_t port;
	bool v6only, listening, alone, marked;
};

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int make_socket(const struct made *m)
{
	struct sockaddr_storage ss;
	struct tcp_addr at;
	socklen_t len;
	int fd;

	ck_assert_int_eq(addr_parse_ip(&at, m->ip), 0);
	at.port = m->port;
	len = tcp_addr_to_sockaddr(&at, &ss);
	fd = socket(at.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(set(fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
	if (!m->alone)
		ck_assert_int_eq(set(fd, SOL_SOCKET, SO_REUSEPORT, 1), 0);
	if (at.family == AF_INET6)
		ck_assert_int_eq(set(fd, IPPROTO_IPV6, IPV6_V6ONLY, m->v6only),
				 0);
	if (m->marked && set(fd, SOL_SOCKET, SO_MARK, 7) < 0) {
		(void)close(fd);
		return -1; /* needs a capability */
	}
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&ss, len), 0);
	if (m->listening)
		ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct adopt_socket s = { .fd = fd };

	ck_assert_int_eq(adopt_identify(&s), 0);
	return s.addr.port;
}

/* Adds one to what will be passed on, as it comes over exec; returns it. */
static int pass(const char *name, int fd)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
	ck_assert_uint_lt(count, MAX);
	fds[count] = fd;
	names[count++] = (char *)name;
	return fd;
}

/* A listening socket on 127.0.0.1; port 0: any. */
static uint16_t pass_listening(const char *name, uint16_t port)
{
	return port_of(
		pass(name, make_socket(&(struct made){ .ip = "127.0.0.1",
						       .port = port,
						       .listening = true })));
}

static void begin(void)
{
	ck_assert_int_eq(adopt_init(&a, fds, names, count), 0);
	ck_assert_uint_eq(a.count, count);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static struct adopt_want wanted(const char *name, const char *ip, uint16_t port)
{
	struct adopt_want w = { .name = name, .v6only = true };

	ck_assert_int_eq(addr_parse_ip(&w.addr, ip), 0);
	w.addr.port = port;
	return w;
}

/* Takes what is wanted, closes it, and returns how many there were. */
static size_t take(const struct adopt_want *w)
{
	size_t n = 99;
	int *got;

	ck_assert_int_eq(adopt_take(&a, w, &got, &n), 0);
	ck_assert(n == 0 || got);
	for (size_t i = 0; i < n; i++) {
		ck_assert(is_open(got[i]));
		close_fd(&got[i]);
	}
	free(got);
	return n;
}

static size_t unclaimed(void)
{
	const struct adopt_socket *s = NULL;
	size_t n = 0;

	while ((s = adopt_unclaimed(&a, s)))
		n++;
	return n;
}

static void end(void)
{
	adopt_done(&a);
	adopt_done(&a);
	ck_assert_uint_eq(a.count, 0);
	for (size_t i = 0; i < count; i++)
		ck_assert(!is_open(fds[i]));
}

/* --- Identity ----------------------------------------------------------- */

START_TEST(a_listening_socket_is_known_by_its_address)
{
	uint16_t port = pass_listening("lan", 0);
	char text[TCPSERVER_ADDR_STRLEN];

	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_TCP);
	ck_assert_str_eq(a.list[0].name, "lan");
	ck_assert_str_eq(addr_format_ip(&a.list[0].addr, text, sizeof(text)),
			 "127.0.0.1");
	ck_assert_uint_eq(a.list[0].addr.port, port);
	ck_assert_str_eq(a.list[0].device, "");
	ck_assert_uint_eq(a.list[0].mark, 0);
	ck_assert_uint_ne(a.list[0].cookie, 0);
	ck_assert_int_ne(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, 0);
	end();
}
END_TEST

START_TEST(a_bound_socket_need_not_listen_yet)
{
	uint16_t port = port_of(
		pass("lan", make_socket(&(struct made){ .ip = "127.0.0.1" })));
	struct adopt_want w = wanted("lan", "127.0.0.1", port);

	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_TCP);
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

START_TEST(without_names_they_are_unknown)
{
	(void)pass_listening("lan", 0);
	ck_assert_int_eq(adopt_init(&a, fds, NULL, count), 0);
	ck_assert_str_eq(a.list[0].name, "unknown");
	end();
}
END_TEST

START_TEST(nothing_passed_on_is_fine)
{
	struct adopt_want w = wanted("lan", "127.0.0.1", 1080);

	begin();
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_uint_eq(unclaimed(), 0);
	ck_assert_int_eq(adopt_segment(&a), -1);
	ck_assert(!adopt_unix(&a, "/x"));
	ck_assert_ptr_null(adopt_near_miss(&a, &w));
	end();
}
END_TEST

START_TEST(a_descriptor_that_is_closed_is_an_error)
{
	(void)pass_listening("lan", 0);
	fds[count] = 900;
	names[count++] = (char *)"lan";
	ck_assert(!is_open(900));
	ck_assert_int_eq(adopt_init(&a, fds, names, count), -EBADF);
	for (size_t i = 0; i < count; i++)
		ck_assert(!is_open(fds[i]));
}
END_TEST

static int unbound(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0);
}

/* One end of a connection; its listener is left open. */
static int connected(void)
{
	int l = make_socket(
		&(struct made){ .ip = "127.0.0.1", .listening = true });
	int fd = unbound(AF_INET, SOCK_STREAM);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

START_TEST(what_cannot_be_served_on_is_useless)
{
	int pair[2];
	struct adopt_want w = wanted("lan", "127.0.0.1", 0);

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	(void)pass("lan", pair[0]);
	(void)pass("lan", pair[1]);
	(void)pass("lan", unbound(AF_INET, SOCK_DGRAM));
	(void)pass("lan", unbound(AF_INET, SOCK_STREAM));
	(void)pass("lan", connected());
	(void)pass("lan", open("/dev/null", O_RDONLY | O_CLOEXEC));
	(void)pass("segment", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	begin();
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(a.list[i].kind, ADOPT_USELESS);
	ck_assert_uint_eq(a.list[5].cookie, 0);
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_uint_eq(unclaimed(), count);
	end();
}
END_TEST

/* --- Who wants which ---------------------------------------------------- */

START_TEST(a_listener_with_another_name_gets_its_address)
{
	uint16_t port = pass_listening("old", 0);
	struct adopt_want w = wanted("new", "127.0.0.1", port);

	begin();
	ck_assert_uint_eq(take(&w), 1);
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_uint_eq(unclaimed(), 0);
	end();
}
END_TEST

START_TEST(all_members_of_a_group_go_together)
{
	uint16_t port = pass_listening("lan", 0);
	struct adopt_want w = wanted("lan", "127.0.0.1", port);

	ck_assert_uint_eq(pass_listening("lan", port), port);
	(void)pass("wan", make_socket(&(struct made){ .ip = "127.0.0.1",
						      .port = port }));
	(void)pass_listening("other", 0);
	begin();
	ck_assert_uint_eq(take(&w), 3);
	ck_assert_uint_eq(unclaimed(), 1);
	ck_assert_str_eq(adopt_unclaimed(&a, NULL)->name, "other");
	end();
}
END_TEST

START_TEST(a_socket_that_is_alone_is_taken_like_a_member)
{
	uint16_t port = port_of(
		pass("x.socket", make_socket(&(struct made){ .ip = "127.0.0.1",
							     .listening = true,
							     .alone = true })));
	struct adopt_want w = wanted("lan", "127.0.0.1", port);

	begin();
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

START_TEST(another_address_or_port_is_another_socket)
{
	uint16_t port = pass_listening("lan", 0);
	struct adopt_want w = wanted("lan", "127.0.0.2", port);

	begin();
	ck_assert_uint_eq(take(&w), 0);
	w = wanted("lan", "0.0.0.0", port);
	ck_assert_uint_eq(take(&w), 0);
	w = wanted("lan", "::1", port);
	ck_assert_uint_eq(take(&w), 0);
	w = wanted("lan", "127.0.0.1", (uint16_t)(port ^ 1));
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_ptr_null(adopt_near_miss(&a, &w));
	ck_assert_uint_eq(unclaimed(), 1);
	end();
}
END_TEST

START_TEST(v6only_counts_for_the_wildcard)
{
	uint16_t port = port_of(pass(
		"lan",
		make_socket(&(struct made){ .ip = "::", .listening = true })));
	struct adopt_want w = wanted("lan", "::", port);

	begin();
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&a, &w), "v6only");
	w.v6only = false;
	ck_assert_ptr_null(adopt_near_miss(&a, &w));
	ck_assert_uint_eq(take(&w), 1);
	w.v6only = true;
	ck_assert_ptr_null(adopt_near_miss(&a, &w)); /* it is taken */
	end();
}
END_TEST

START_TEST(v6only_makes_no_difference_for_one_address)
{
	uint16_t port = port_of(pass(
		"lan",
		make_socket(&(struct made){ .ip = "::1", .listening = true })));
	struct adopt_want w = wanted("lan", "::1", port);

	begin();
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

START_TEST(a_device_counts)
{
	int fd = make_socket(&(struct made){ .ip = "127.0.0.1" });
	uint16_t port = port_of(fd);
	struct adopt_want w = wanted("lan", "127.0.0.1", port);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) < 0) {
		close_fd(&fd);
		return; /* needs a newer kernel or a capability */
	}
	(void)pass("lan", fd);
	begin();
	ck_assert_str_eq(a.list[0].device, "lo");
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&a, &w), "device");
	w.device = "";
	ck_assert_uint_eq(take(&w), 0);
	w.device = "lo0";
	ck_assert_uint_eq(take(&w), 0);
	w.device = "lo";
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

START_TEST(a_mark_counts)
{
	int fd = make_socket(
		&(struct made){ .ip = "127.0.0.1", .marked = true });
	struct adopt_want w;

	if (fd < 0)
		return;
	w = wanted("lan", "127.0.0.1", port_of(pass("lan", fd)));
	begin();
	ck_assert_uint_eq(a.list[0].mark, 7);
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&a, &w), "mark");
	w.mark = 7;
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

START_TEST(transparency_counts)
{
	int fd = make_socket(&(struct made){ .ip = "127.0.0.1" }), on = 1;
	struct adopt_want w;

	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) < 0) {
		close_fd(&fd);
		return; /* a right of root's */
	}
	w = wanted("lan", "127.0.0.1", port_of(pass("lan", fd)));
	begin();
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&a, &w), "tproxy");
	w.transparent = true;
	ck_assert_uint_eq(take(&w), 1);
	end();
}
END_TEST

/* --- Ports of the kernel's choice --------------------------------------- */

START_TEST(port_0_takes_those_of_its_name_and_ip)
{
	struct adopt_want w = wanted("lan", "127.0.0.1", 0);
	uint16_t port;
	size_t n;
	int *got;

	(void)pass_listening("wan", 0);
	port = pass_listening("lan", 0);
	(void)pass("lan", make_socket(&(struct made){ .ip = "127.0.0.2" }));
	begin();
	ck_assert_int_eq(adopt_take(&a, &w, &got, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(port_of(got[0]), port);
	close_fd(&got[0]);
	free(got);
	w.name = "none";
	ck_assert_uint_eq(take(&w), 0);
	ck_assert_uint_eq(unclaimed(), 2);
	end();
}
END_TEST

START_TEST(port_0_takes_one_group_at_a_time)
{
	struct adopt_want w = wanted("lan", "127.0.0.1", 0);
	uint16_t first = pass_listening("lan", 0);

	(void)pass_listening("lan", 0);
	ck_assert_uint_eq(pass_listening("lan", first), first);
	begin();
	ck_assert_uint_eq(take(&w), 2);
	ck_assert_uint_eq(take(&w), 1);
	ck_assert_uint_eq(take(&w), 0);
	end();
}
END_TEST

/* --- Others ------------------------------------------------------------- */

static int unix_listening(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = unbound(AF_UNIX, SOCK_STREAM);

	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(a_unix_socket_is_known_by_its_path)
{
	char dir[] = "/tmp/check_adopt.XXXXXX", path[64];
	char text[sizeof(a.list->path)];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/control", dir);
	(void)pass("control", unix_listening(path));
	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_UNIX);
	ck_assert_uint_ne(a.list[0].cookie, 0);
	ck_assert_str_eq(adopt_format(&a.list[0], text, sizeof(text)), path);
	ck_assert(!adopt_unix(&a, "/tmp/another"));
	ck_assert_uint_eq(unclaimed(), 1);
	ck_assert(adopt_unix(&a, path));
	ck_assert_uint_eq(unclaimed(), 0);
	end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

/* Bound to `name`, "@name" for one without a file; deaf. */
static int unix_bound(const char *name)
{
	struct sockaddr_un sun;
	socklen_t len;
	int fd = unbound(AF_UNIX, SOCK_STREAM);

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
	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_UNIX);
	/* Nobody can connect to it: it is no control socket. */
	ck_assert(!adopt_unix(&a, path));
	ck_assert_str_eq(a.list[1].path, name);
	ck_assert(adopt_fits(&a.list[0], &w) && !adopt_fits(&a.list[1], &w));
	ck_assert_uint_eq(take(&w), 1);
	ck_assert_uint_eq(take(&w), 0);
	w.path = name;
	ck_assert_uint_eq(take(&w), 1);
	ck_assert_ptr_null(adopt_near_miss(&a, &w));
	ck_assert_uint_eq(unclaimed(), 1);
	end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

START_TEST(a_unix_socket_without_name_is_useless)
{
	(void)pass("unix", unbound(AF_UNIX, SOCK_STREAM));
	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_USELESS);
	end();
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
	int fd = unbound(AF_UNIX, SOCK_STREAM);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, dir, strlen(dir));
	path[strlen(dir)] = '/';
	memcpy(sun.a.sun_path, path, sizeof(sun.a.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun.a, sizeof(sun.a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	(void)pass("control", fd);
	begin();
	ck_assert_str_eq(a.list[0].path, path);
	ck_assert(adopt_unix(&a, path));
	end();
	(void)unlink(path);
	(void)rmdir(dir);
}
END_TEST

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
	begin();
	ck_assert_int_eq(a.list[0].kind, ADOPT_SEGMENT);
	ck_assert_int_eq(a.list[1].kind, ADOPT_TCP);
	got = adopt_segment(&a);
	ck_assert_int_eq(got, first);
	close_fd(&got);
	got = adopt_segment(&a);
	ck_assert_int_eq(got, second);
	close_fd(&got);
	ck_assert_int_eq(adopt_segment(&a), -1);
	ck_assert_uint_eq(unclaimed(), 1);
	end();
}
END_TEST

START_TEST(each_kind_can_be_named)
{
	char text[TCPSERVER_ADDR_STRLEN + 40], wanted_text[40];
	uint16_t port = pass_listening("lan", 0);

	(void)pass("segment", segment(MFD_ALLOW_SEALING));
	(void)pass("lan", open("/dev/null", O_RDONLY | O_CLOEXEC));
	begin();
	(void)snprintf(wanted_text, sizeof(wanted_text), "127.0.0.1:%u", port);
	ck_assert_str_eq(adopt_format(&a.list[0], text, sizeof(text)),
			 wanted_text);
	ck_assert_str_eq(adopt_format(&a.list[1], text, sizeof(text)),
			 "(shared memory)");
	ck_assert_str_eq(adopt_format(&a.list[2], text, sizeof(text)),
			 "(no listening stream socket)");
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("adopt");
	TCase *t = tcase_create("all");

	tcase_add_test(t, a_listening_socket_is_known_by_its_address);
	tcase_add_test(t, a_bound_socket_need_not_listen_yet);
	tcase_add_test(t, without_names_they_are_unknown);
	tcase_add_test(t, nothing_passed_on_is_fine);
	tcase_add_test(t, a_descriptor_that_is_closed_is_an_error);
	tcase_add_test(t, what_cannot_be_served_on_is_useless);
	tcase_add_test(t, a_listener_with_another_name_gets_its_address);
	tcase_add_test(t, all_members_of_a_group_go_together);
	tcase_add_test(t, a_socket_that_is_alone_is_taken_like_a_member);
	tcase_add_test(t, another_address_or_port_is_another_socket);
	tcase_add_test(t, v6only_counts_for_the_wildcard);
	tcase_add_test(t, v6only_makes_no_difference_for_one_address);
	tcase_add_test(t, a_device_counts);
	tcase_add_test(t, a_mark_counts);
	tcase_add_test(t, transparency_counts);
	tcase_add_test(t, port_0_takes_those_of_its_name_and_ip);
	tcase_add_test(t, port_0_takes_one_group_at_a_time);
	tcase_add_test(t, a_unix_socket_is_known_by_its_path);
	tcase_add_test(t, a_listener_takes_the_unix_socket_of_its_place);
	tcase_add_test(t, a_unix_socket_without_name_is_useless);
	tcase_add_test(t, a_path_may_fill_its_field);
	tcase_add_test(t, segments_are_given_one_after_the_other);
	tcase_add_test(t, each_kind_can_be_named);
	suite_add_tcase(s, t);
	return run_suite(s);
}
