/*
 * What passed-on descriptors are known by, and who gets which.
 */
#include "t/unit/passed_on.h"

#include "t/unit/bound.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

/* --- Identity ----------------------------------------------------------- */

START_TEST(a_listening_socket_is_known_by_its_address)
{
	uint16_t port = pass_listening("lan", 0);
	char text[TCPSERVER_ADDR_STRLEN];

	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_TCP);
	ck_assert_str_eq(adopted.list[0].name, "lan");
	ck_assert_str_eq(
		addr_format_ip(&adopted.list[0].addr, text, sizeof(text)),
		"127.0.0.1");
	ck_assert_uint_eq(adopted.list[0].addr.port, port);
	ck_assert_str_eq(adopted.list[0].device, "");
	ck_assert_uint_eq(adopted.list[0].mark, 0);
	ck_assert_uint_ne(adopted.list[0].cookie, 0);
	ck_assert_int_ne(fcntl(passed_fds[0], F_GETFD) & FD_CLOEXEC, 0);
	passed_end();
}
END_TEST

START_TEST(a_bound_socket_need_not_listen_yet)
{
	uint16_t port = port_of(
		pass("lan", made_socket(&(struct made){ .ip = "127.0.0.1" })));
	struct adopt_want w = wanted_at("lan", "127.0.0.1", port);

	passed_begin();
	ck_assert_int_eq(adopted.list[0].kind, ADOPT_TCP);
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

START_TEST(without_names_they_are_unknown)
{
	(void)pass_listening("lan", 0);
	ck_assert_int_eq(adopt_init(&adopted, passed_fds, NULL, passed_count),
			 0);
	ck_assert_str_eq(adopted.list[0].name, "unknown");
	passed_end();
}
END_TEST

START_TEST(nothing_passed_on_is_fine)
{
	struct adopt_want w = wanted_at("lan", "127.0.0.1", 1080);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_uint_eq(unclaimed(), 0);
	ck_assert_int_eq(adopt_segment(&adopted), -1);
	ck_assert(!adopt_unix(&adopted, "/x"));
	ck_assert_ptr_null(adopt_near_miss(&adopted, &w));
	passed_end();
}
END_TEST

START_TEST(a_descriptor_that_is_closed_is_an_error)
{
	(void)pass_listening("lan", 0);
	passed_fds[passed_count] = 900;
	passed_names[passed_count++] = (char *)"lan";
	ck_assert(!fd_is_open(900));
	ck_assert_int_eq(
		adopt_init(&adopted, passed_fds, passed_names, passed_count),
		-EBADF);
	for (size_t i = 0; i < passed_count; i++)
		ck_assert(!fd_is_open(passed_fds[i]));
}
END_TEST

/* One end of a connection; its listener is left open. */
static int connected(void)
{
	int l = made_socket(
		&(struct made){ .ip = "127.0.0.1", .listening = true });
	int fd = unbound_socket(AF_INET, SOCK_STREAM);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

START_TEST(what_cannot_be_served_on_is_useless)
{
	int pair[2];
	struct adopt_want w = wanted_at("lan", "127.0.0.1", 0);

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	(void)pass("lan", pair[0]);
	(void)pass("lan", pair[1]);
	(void)pass("lan", unbound_socket(AF_INET, SOCK_DGRAM));
	(void)pass("lan", unbound_socket(AF_INET, SOCK_STREAM));
	(void)pass("lan", connected());
	(void)pass("lan", open("/dev/null", O_RDONLY | O_CLOEXEC));
	(void)pass("segment", open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	passed_begin();
	for (size_t i = 0; i < passed_count; i++)
		ck_assert_int_eq(adopted.list[i].kind, ADOPT_USELESS);
	ck_assert_uint_eq(adopted.list[5].cookie, 0);
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_uint_eq(unclaimed(), passed_count);
	passed_end();
}
END_TEST

/* --- Who wants which ---------------------------------------------------- */

START_TEST(a_listener_with_another_name_gets_its_address)
{
	uint16_t port = pass_listening("old", 0);
	struct adopt_want w = wanted_at("new", "127.0.0.1", port);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 1);
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_uint_eq(unclaimed(), 0);
	passed_end();
}
END_TEST

START_TEST(all_members_of_a_group_go_together)
{
	uint16_t port = pass_listening("lan", 0);
	struct adopt_want w = wanted_at("lan", "127.0.0.1", port);

	ck_assert_uint_eq(pass_listening("lan", port), port);
	(void)pass("wan", made_socket(&(struct made){ .ip = "127.0.0.1",
						      .port = port }));
	(void)pass_listening("other", 0);
	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 3);
	ck_assert_uint_eq(unclaimed(), 1);
	ck_assert_str_eq(adopt_unclaimed(&adopted, NULL)->name, "other");
	passed_end();
}
END_TEST

START_TEST(a_socket_that_is_alone_is_taken_like_a_member)
{
	uint16_t port = port_of(
		pass("x.socket", made_socket(&(struct made){ .ip = "127.0.0.1",
							     .listening = true,
							     .alone = true })));
	struct adopt_want w = wanted_at("lan", "127.0.0.1", port);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

START_TEST(another_address_or_port_is_another_socket)
{
	uint16_t port = pass_listening("lan", 0);
	struct adopt_want w = wanted_at("lan", "127.0.0.2", port);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 0);
	w = wanted_at("lan", "0.0.0.0", port);
	ck_assert_uint_eq(take_wanted(&w), 0);
	w = wanted_at("lan", "::1", port);
	ck_assert_uint_eq(take_wanted(&w), 0);
	w = wanted_at("lan", "127.0.0.1", (uint16_t)(port ^ 1));
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_ptr_null(adopt_near_miss(&adopted, &w));
	ck_assert_uint_eq(unclaimed(), 1);
	passed_end();
}
END_TEST

START_TEST(v6only_counts_for_the_wildcard)
{
	uint16_t port = port_of(pass(
		"lan",
		made_socket(&(struct made){ .ip = "::", .listening = true })));
	struct adopt_want w = wanted_at("lan", "::", port);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&adopted, &w), "v6only");
	w.v6only = false;
	ck_assert_ptr_null(adopt_near_miss(&adopted, &w));
	ck_assert_uint_eq(take_wanted(&w), 1);
	w.v6only = true;
	ck_assert_ptr_null(adopt_near_miss(&adopted, &w)); /* it is taken */
	passed_end();
}
END_TEST

START_TEST(v6only_makes_no_difference_for_one_address)
{
	uint16_t port = port_of(pass(
		"lan",
		made_socket(&(struct made){ .ip = "::1", .listening = true })));
	struct adopt_want w = wanted_at("lan", "::1", port);

	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

START_TEST(a_device_counts)
{
	int fd = made_socket(&(struct made){ .ip = "127.0.0.1" });
	uint16_t port = port_of(fd);
	struct adopt_want w = wanted_at("lan", "127.0.0.1", port);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) < 0) {
		close_fd(&fd);
		return; /* needs a newer kernel or a capability */
	}
	(void)pass("lan", fd);
	passed_begin();
	ck_assert_str_eq(adopted.list[0].device, "lo");
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&adopted, &w), "device");
	w.device = "";
	ck_assert_uint_eq(take_wanted(&w), 0);
	w.device = "lo0";
	ck_assert_uint_eq(take_wanted(&w), 0);
	w.device = "lo";
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

START_TEST(a_mark_counts)
{
	int fd = made_socket(
		&(struct made){ .ip = "127.0.0.1", .marked = true });
	struct adopt_want w;

	if (fd < 0)
		return;
	w = wanted_at("lan", "127.0.0.1", port_of(pass("lan", fd)));
	passed_begin();
	ck_assert_uint_eq(adopted.list[0].mark, 7);
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&adopted, &w), "mark");
	w.mark = 7;
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

START_TEST(transparency_counts)
{
	int fd = made_socket(&(struct made){ .ip = "127.0.0.1" }), on = 1;
	struct adopt_want w;

	if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) < 0) {
		close_fd(&fd);
		return; /* a right of root's */
	}
	w = wanted_at("lan", "127.0.0.1", port_of(pass("lan", fd)));
	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_str_eq(adopt_near_miss(&adopted, &w), "tproxy");
	w.transparent = true;
	ck_assert_uint_eq(take_wanted(&w), 1);
	passed_end();
}
END_TEST

/* --- Ports of the kernel's choice --------------------------------------- */

START_TEST(port_0_takes_those_of_its_name_and_ip)
{
	struct adopt_want w = wanted_at("lan", "127.0.0.1", 0);
	uint16_t port;
	size_t n;
	int *got;

	(void)pass_listening("wan", 0);
	port = pass_listening("lan", 0);
	(void)pass("lan", made_socket(&(struct made){ .ip = "127.0.0.2" }));
	passed_begin();
	ck_assert_int_eq(adopt_take(&adopted, &w, &got, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(port_of(got[0]), port);
	close_fd(&got[0]);
	free(got);
	w.name = "none";
	ck_assert_uint_eq(take_wanted(&w), 0);
	ck_assert_uint_eq(unclaimed(), 2);
	passed_end();
}
END_TEST

START_TEST(port_0_takes_one_group_at_a_time)
{
	struct adopt_want w = wanted_at("lan", "127.0.0.1", 0);
	uint16_t first = pass_listening("lan", 0);

	(void)pass_listening("lan", 0);
	ck_assert_uint_eq(pass_listening("lan", first), first);
	passed_begin();
	ck_assert_uint_eq(take_wanted(&w), 2);
	ck_assert_uint_eq(take_wanted(&w), 1);
	ck_assert_uint_eq(take_wanted(&w), 0);
	passed_end();
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
	suite_add_tcase(s, t);
	return run_suite(s);
}
