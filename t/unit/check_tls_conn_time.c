/*
 * Handshakes that take their time, are given up, or are too many.
 */
#include "core/tls_conn.h"

#include "core/sock.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>

static int64_t now(void)
{
	return deadline_in(0);
}

/* --- Deadlines ---------------------------------------------------------- */

static void silent_client(void)
{
	struct tcp_tls *context = tls_files_server(NULL);
	struct tls_pair p;
	int64_t began;

	tls_pair_connect(&p, 0);
	began = now();
	ck_assert_int_eq(
		tcp_conn_start_tls(p.server, context, NULL, deadline_in(30)),
		-ETIMEDOUT);
	ck_assert_int_ge(now() - began, 29);
	ck_assert_uint_eq(net_self()->tls_now, 0);
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -ETIMEDOUT);
	tcp_tls_unref(context);
	tls_pair_close(&p);
}

START_TEST(a_silent_client_has_until_the_deadline)
{
	on_loop(silent_client, NULL);
}
END_TEST

static void silent_server(void)
{
	struct tcp_tls *context = tls_files_client(NULL);
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	ck_assert_int_eq(tcp_conn_start_tls(p.client, context, "a.test",
					    deadline_in(30)),
			 -ETIMEDOUT);
	tcp_tls_unref(context);
	tls_pair_close(&p);
}

START_TEST(a_silent_server_has_until_the_deadline)
{
	on_loop(silent_server, NULL);
}
END_TEST

static void cancelled(void)
{
	struct tcp_tls *context = tls_files_server(NULL);
	struct handshake h;
	struct tls_pair p;

	tls_pair_connect(&p, 0);
	handshake_start(&h, p.server, context, NULL);
	settle();
	task_cancel(h.task);
	ck_assert_int_eq(handshake_finish(&h), -ECANCELED);
	ck_assert_uint_eq(net_self()->tls_now, 0);
	tcp_tls_unref(context);
	tls_pair_close(&p);
}

START_TEST(a_handshake_can_be_cancelled)
{
	on_loop(cancelled, NULL);
}
END_TEST

/* --- Byte by byte ------------------------------------------------------- */

/* Passes what comes from one connection on to another, a byte at a time. */
static void drip(void *arg)
{
	struct tcp_conn **from_to = arg;
	char byte;

	while (tcp_conn_read(from_to[0], &byte, 1, TIMER_NEVER) == 1 &&
	       tcp_conn_write_all(from_to[1], &byte, 1, TIMER_NEVER) == 0)
		(void)!task_yield(TIMER_NEVER);
	(void)!tcp_conn_shutdown(from_to[1], TIMER_NEVER);
}

/* Another connection on the same socket: one waits to read, one to write. */
static struct tcp_conn *twin(struct tcp_conn *c)
{
	int fd = fcntl(tcp_conn_fd(c), F_DUPFD_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return conn_of(fd);
}

static void close_twin(struct tcp_conn *c)
{
	watch_remove(loop_self(), &c->watch);
	tcp_conn_close(c);
}

static void slow_path(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	struct tls_pair near, far, ends;
	struct tcp_conn *there[2], *back[2];
	int result[2];

	tls_pair_connect(&near, 0); /* client to us */
	tls_pair_connect(&far, 0);  /* us to server */
	there[0] = near.server;
	there[1] = far.client;
	back[0] = twin(far.client);
	back[1] = twin(near.server);
	ck_assert_int_eq(task_start(drip, there, NULL), 0);
	ck_assert_int_eq(task_start(drip, back, NULL), 0);
	ends = (struct tls_pair){ .client = near.client, .server = far.server };
	tls_pair_begin(&ends, client, server, result);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	conn_send(ends.client, 0, 300);
	conn_expect(ends.server, 0, 300);
	conn_send(ends.server, 0, 300);
	conn_expect(ends.client, 0, 300);
	tls_pair_close(&ends);
	nap(50);
	close_twin(back[0]);
	close_twin(back[1]);
	tcp_conn_close(near.server);
	tcp_conn_close(far.client);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
}

START_TEST(a_handshake_may_come_byte_by_byte)
{
	on_loop_tls(_i, slow_path, NULL);
}
END_TEST

/* --- How many ----------------------------------------------------------- */

static void too_many(void)
{
	struct tcp_tls *server = tls_files_server(NULL);
	struct tcp_tls *client = tls_files_client(NULL);
	struct tls_pair p, q;
	struct handshake h;
	int result[2];

	net_self()->tls_max = 1;
	tls_pair_connect(&p, 0);
	tls_pair_connect(&q, 0);
	handshake_start(&h, p.server, server, NULL);
	settle();
	ck_assert_int_eq(tcp_conn_start_tls(q.server, server, NULL,
					    deadline_in(SOON_MS)),
			 -EBUSY);
	ck_assert_str_eq(tcp_conn_tls_error(q.server), "");
	tcp_conn_close(TAKE_PTR(p.client)); /* ends the first one */
	ck_assert_int_lt(handshake_finish(&h), 0);
	net_self()->tls_max = 2;
	tls_pair_begin(&q, client, server, result); /* it can be tried again */
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	ck_assert_uint_eq(net_self()->tls_now, 0);
	tcp_tls_unref(server);
	tcp_tls_unref(client);
	tls_pair_close(&p);
	tls_pair_close(&q);
}

START_TEST(handshakes_at_once_are_bounded)
{
	on_loop(too_many, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn_time");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_test(t, a_silent_client_has_until_the_deadline);
	tcase_add_test(t, a_silent_server_has_until_the_deadline);
	tcase_add_test(t, a_handshake_can_be_cancelled);
	add_for_versions(t, a_handshake_may_come_byte_by_byte);
	tcase_add_test(t, handshakes_at_once_are_bounded);
	suite_add_tcase(s, t);
	return run_suite(s);
}
