/*
 * TCP Fast Open: a dial that returns before it is connected, in a network
 * namespace of the test's own, where it may make one.
 */
#include "core/conn.h"

#include "core/sock.h"
#include "t/unit/conn_ends.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct tcp_addr to[2];
static int listening;
static const struct tcp_dial_options fast = { .fastopen = true };

/* --- A network ---------------------------------------------------------- */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close_fd(&fd);
	return n == (ssize_t)strlen(text);
}

/* Clients and servers may, 3; neither, 0. */
static bool allow(const char *who)
{
	return write_text("/proc/sys/net/ipv4/tcp_fastopen", who);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	r.ifr_flags |= IFF_UP;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close_fd(&fd);
}

static bool make_network(void)
{
	int queue = 16;

	if (unshare(CLONE_NEWNET) < 0 || !allow("3"))
		return false; /* not allowed here */
	loopback_up();
	listening = tcp_listening(&to[0], 16);
	ck_assert_int_eq(setsockopt(listening, IPPROTO_TCP, TCP_FASTOPEN,
				    &queue, sizeof(queue)),
			 0);
	ck_assert_int_eq(fcntl(listening, F_SETFL, O_NONBLOCK), 0);
	return true;
}

static void run(void (*body)(void))
{
	if (!make_network())
		return;
	on_loop(body, NULL);
	close_fd(&listening);
}

/* --- Dialling ----------------------------------------------------------- */

static struct tcp_conn *dial(void)
{
	struct tcp_conn *c;

	ck_assert_int_eq(tcp_dial(&c, to, 1, &fast, NULL, deadline_in(SOON_MS)),
			 0);
	ck_assert(addr_equal(tcp_conn_peer(c), &to[0]));
	return c;
}

static struct tcp_conn *accepted(void)
{
	int fd;

	await(listening, POLLIN);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	return conn_of(fd);
}

/* The first connection brings the cookie. */
static void get_cookie(void)
{
	struct tcp_conn *c = dial(), *far = accepted();

	ck_assert_ptr_eq(c->ops, &conn_plain_ops);
	conn_send(c, 0, 10);
	conn_expect(far, 0, 10);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

static bool nobody_came(void)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	close_fd(&fd);
	return fd < 0;
}

static bool syn_had_data(struct tcp_conn *c)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	ck_assert_int_eq(
		getsockopt(tcp_conn_fd(c), IPPROTO_TCP, TCP_INFO, &i, &len), 0);
	return i.tcpi_options & TCPI_OPT_SYN_DATA;
}

/* Dials with a cookie: nothing is sent. */
static struct tcp_conn *dial_early(void)
{
	struct tcp_conn *c;

	get_cookie();
	c = dial();
	ck_assert_ptr_ne(c->ops, &conn_plain_ops);
	settle();
	ck_assert(nobody_came());
	return c;
}

static void finish(struct tcp_conn *c, struct tcp_conn *far)
{
	ck_assert_ptr_eq(c->ops, &conn_plain_ops);
	ck_assert(c->splice_out);
	conn_send(far, 3, 1000);
	conn_expect(c, 3, 1000);
	conn_send(c, 3, 1000);
	conn_expect(far, 3, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

/* --- The first write ---------------------------------------------------- */

static void write_little(void)
{
	struct tcp_conn *c = dial_early(), *far;

	conn_send(c, 0, 100);
	far = accepted();
	conn_expect(far, 0, 100);
	ck_assert(syn_had_data(c));
	finish(c, far);
}

START_TEST(the_first_write_goes_with_the_syn)
{
	run(write_little);
}
END_TEST

static void write_much(void)
{
	struct tcp_conn *c = dial_early(), *far;
	struct reader r;
	ssize_t n = conn_write_now(c, pattern(0), PATTERN_RUN);

	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, PATTERN_RUN);
	far = accepted();
	reader_start(&r, far, 0, 500000);
	conn_send(c, (size_t)n, 500000 - (size_t)n);
	reader_finish(&r);
	finish(c, far);
}

START_TEST(what_does_not_fit_into_the_syn_follows)
{
	run(write_much);
}
END_TEST

static void write_slices(void)
{
	struct tcp_conn *c = dial_early(), *far;
	struct iovec v[2] = {
		{ .iov_base = (void *)(uintptr_t)pattern(0), .iov_len = 50 },
		{ .iov_base = (void *)(uintptr_t)pattern(50), .iov_len = 50 },
	};

	ck_assert_int_eq(tcp_conn_writev_all(c, v, 2, deadline_in(SOON_MS)), 0);
	far = accepted();
	conn_expect(far, 0, 100);
	ck_assert(syn_had_data(c));
	finish(c, far);
}

START_TEST(slices_go_with_the_syn)
{
	run(write_slices);
}
END_TEST

static void write_file(void)
{
	struct tcp_conn *c = dial_early(), *far;
	int fd = file_of(100000);

	ck_assert_int_eq(
		tcp_conn_sendfile(c, fd, 0, 100000, deadline_in(SOON_MS)),
		100000);
	far = accepted();
	conn_expect(far, 0, 100000);
	close_fd(&fd);
	finish(c, far);
}

START_TEST(a_file_opens_it_too)
{
	run(write_file);
}
END_TEST

static void move_first(void)
{
	struct tcp_conn *c = dial_early(), *far;
	struct ends e;

	ends_open(&e, 0, false);
	conn_send(e.here, 0, 40000);
	ck_assert_int_eq(
		tcp_conn_splice(c, e.there, 40000, deadline_in(SOON_MS)),
		40000);
	far = accepted();
	conn_expect(far, 0, 40000);
	ends_close(&e);
	finish(c, far);
}

START_TEST(bytes_of_another_connection_open_it_too)
{
	run(move_first);
}
END_TEST

/* --- Ends that come early ----------------------------------------------- */

static void shut_at_once(void)
{
	struct tcp_conn *c = dial_early(), *far;

	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = accepted();
	conn_expect_end(far);
	conn_send(far, 7, 1000);
	conn_expect(c, 7, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

START_TEST(an_end_without_bytes_opens_it_too)
{
	run(shut_at_once);
}
END_TEST

static void write_and_shut(void)
{
	struct tcp_conn *c = dial_early(), *far;

	conn_send(c, 0, 100);
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = accepted();
	conn_expect(far, 0, 100);
	conn_expect_end(far);
	conn_send(far, 7, 1000);
	conn_expect(c, 7, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

START_TEST(an_end_right_after_the_first_bytes_undoes_nothing)
{
	run(write_and_shut);
}
END_TEST

/* A SYN that finds no room is sent again after a second. */
static void shut_unanswered(void)
{
	struct tcp_conn *c = dial_early(), *far;
	int other;

	ck_assert_int_eq(listen(listening, 0), 0);
	other = tcp_connected(&to[0]);
	conn_send(c, 0, 100);
	tcp_conn_close(accepted());
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(2)), -ETIMEDOUT);
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = accepted();
	conn_expect(far, 0, 100);
	conn_expect_end(far);
	conn_send(far, 7, 1000);
	conn_expect(c, 7, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
	close_fd(&other);
}

START_TEST(an_end_waits_for_the_answer_to_the_syn)
{
	run(shut_unanswered);
}
END_TEST

static void open_and_refuse(void)
{
	struct tcp_conn *c = dial_early();
	uint8_t byte;

	close_fd(&listening);
	ck_assert(conn_is_unopened(c));
	ck_assert_int_eq(conn_open_now(c), 0);
	ck_assert(!conn_is_unopened(c));
	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(SOON_MS)),
			 -ECONNREFUSED);
	tcp_conn_close(c);
}

START_TEST(opened_without_bytes_it_may_be_refused)
{
	run(open_and_refuse);
}
END_TEST

/* --- Relays ------------------------------------------------------------- */

static const struct tcp_relay_options relay_options;

/* A relay to a target that nothing was sent to yet. */
static void open_relay(struct tunnel *t)
{
	tunnel_connect(t, 0);
	tcp_conn_close(t->side[1]);
	tcp_conn_close(t->target);
	t->side[1] = dial_early();
	t->target = NULL;
	tunnel_start(t, &relay_options);
}

/* Whom the relay has called, once it has had its turns. */
static struct tcp_conn *called(void)
{
	struct pollfd p = { .fd = listening, .events = POLLIN };

	for (int i = 0; i < SOON_MS && poll(&p, 1, 0) == 0; i++)
		nap(1);
	return accepted();
}

static void end_relay(struct tunnel *t)
{
	conn_send(t->target, 3, 1000);
	conn_expect(t->client, 3, 1000);
	tunnel_drop(&t->target, false);
	conn_expect_end(t->client);
	tunnel_drop(&t->client, false);
	tunnel_expect(t, TCPSERVER_END_CLOSED);
	tunnel_close(t);
}

static void client_first(void)
{
	struct tunnel t;

	open_relay(&t);
	conn_send(t.client, 0, 100);
	t.target = called();
	conn_expect(t.target, 0, 100);
	ck_assert(syn_had_data(t.side[1]));
	end_relay(&t);
}

START_TEST(a_relays_first_bytes_go_with_the_syn)
{
	run(client_first);
}
END_TEST

static void target_first(void)
{
	struct tunnel t;

	open_relay(&t);
	t.target = called();
	ck_assert(!syn_had_data(t.side[1]));
	end_relay(&t);
}

START_TEST(a_target_that_speaks_first_is_called_soon)
{
	run(target_first);
}
END_TEST

static void end_first(void)
{
	struct tunnel t;

	open_relay(&t);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	t.target = called();
	conn_expect_end(t.target);
	end_relay(&t);
}

START_TEST(a_client_that_only_listens_has_its_relay)
{
	run(end_first);
}
END_TEST

static void bytes_and_end(void)
{
	struct tunnel t;

	open_relay(&t);
	conn_send(t.client, 0, 60000);
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	t.target = called();
	conn_expect(t.target, 0, 60000);
	conn_expect_end(t.target);
	end_relay(&t);
}

START_TEST(bytes_and_end_at_once_get_through_a_relay)
{
	run(bytes_and_end);
}
END_TEST

static void target_is_gone(void)
{
	struct tunnel t;

	open_relay(&t);
	close_fd(&listening);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_int_eq(t.error, ECONNREFUSED);
	tunnel_close(&t);
}

START_TEST(a_target_that_is_gone_ends_its_relay)
{
	run(target_is_gone);
}
END_TEST

/* --- When it comes to nothing ------------------------------------------- */

static void refuse(void)
{
	struct tcp_conn *c = dial_early();
	int r;

	close_fd(&listening);
	r = tcp_conn_write_all(c, pattern(0), 100000, deadline_in(SOON_MS));
	ck_assert_int_eq(r, -ECONNREFUSED);
	tcp_conn_close(c);
}

START_TEST(a_refusal_is_told_by_the_write)
{
	run(refuse);
}
END_TEST

static void read_first(void)
{
	struct tcp_conn *c = dial_early(), *far;
	uint8_t byte;

	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(5)),
			 -ETIMEDOUT);
	conn_send(c, 0, 100);
	far = accepted();
	conn_expect(far, 0, 100);
	finish(c, far);
}

START_TEST(before_the_first_write_nothing_comes)
{
	run(read_first);
}
END_TEST

/* The cookie went between dial and write: an ordinary SYN. */
static void lose_cookie(void)
{
	struct tcp_conn *c = dial_early(), *far;

	/* The test ends here where the program is missing. */
	if (system("ip tcp_metrics flush all >/dev/null 2>&1") == 0) {
		ck_assert_int_eq(conn_write_now(c, pattern(0), 10), -EAGAIN);
		ck_assert(!conn_can_write(c));
	}
	conn_send(c, 0, 100);
	far = accepted();
	conn_expect(far, 0, 100);
	finish(c, far);
}

START_TEST(without_its_cookie_it_connects_as_usual)
{
	run(lose_cookie);
}
END_TEST

static void server_forgets(void)
{
	struct tcp_conn *c = dial_early(), *far;

	ck_assert(write_text("/proc/sys/net/ipv4/tcp_fastopen_key", "1-2-3-4"));
	conn_send(c, 0, 100);
	far = accepted();
	conn_expect(far, 0, 100);
	finish(c, far);
}

START_TEST(a_server_that_knows_the_cookie_no_more_gets_all)
{
	run(server_forgets);
}
END_TEST

static void forbidden(void)
{
	struct tcp_conn *c, *far;

	ck_assert(allow("0"));
	c = dial();
	far = accepted();
	finish(c, far);
}

START_TEST(where_the_kernel_does_not_do_it_it_connects_as_usual)
{
	run(forbidden);
}
END_TEST

static void race(void)
{
	struct tcp_conn *c, *far;

	get_cookie();
	to[1] = to[0];
	ck_assert_int_eq(tcp_dial(&c, to, 2, &fast, NULL, deadline_in(SOON_MS)),
			 0);
	far = accepted();
	finish(c, far);
}

START_TEST(of_several_addresses_one_must_answer)
{
	run(race);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dial_fast");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_first_write_goes_with_the_syn);
	tcase_add_test(t, what_does_not_fit_into_the_syn_follows);
	tcase_add_test(t, slices_go_with_the_syn);
	tcase_add_test(t, a_file_opens_it_too);
	tcase_add_test(t, bytes_of_another_connection_open_it_too);
	tcase_add_test(t, an_end_without_bytes_opens_it_too);
	tcase_add_test(t, an_end_right_after_the_first_bytes_undoes_nothing);
	tcase_add_test(t, an_end_waits_for_the_answer_to_the_syn);
	tcase_add_test(t, opened_without_bytes_it_may_be_refused);
	tcase_add_test(t, a_relays_first_bytes_go_with_the_syn);
	tcase_add_test(t, a_target_that_speaks_first_is_called_soon);
	tcase_add_test(t, a_client_that_only_listens_has_its_relay);
	tcase_add_test(t, bytes_and_end_at_once_get_through_a_relay);
	tcase_add_test(t, a_target_that_is_gone_ends_its_relay);
	tcase_add_test(t, a_refusal_is_told_by_the_write);
	tcase_add_test(t, before_the_first_write_nothing_comes);
	tcase_add_test(t, without_its_cookie_it_connects_as_usual);
	tcase_add_test(t, a_server_that_knows_the_cookie_no_more_gets_all);
	tcase_add_test(t, where_the_kernel_does_not_do_it_it_connects_as_usual);
	tcase_add_test(t, of_several_addresses_one_must_answer);
	suite_add_tcase(s, t);
	return run_suite(s);
}
