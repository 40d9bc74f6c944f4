/*
 * TCP Fast Open: ends that come before the connection does, and relays, which
 * open it by themselves.
 */
#include "core/conn.h"

#include "t/unit/fast_open.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <poll.h>
#include <sys/socket.h>

/* --- Ends that come early ----------------------------------------------- */

static void shut_at_once(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;

	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = fast_accepted();
	conn_expect_end(far);
	conn_send(far, 7, 1000);
	conn_expect(c, 7, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

START_TEST(an_end_without_bytes_opens_it_too)
{
	fast_run(shut_at_once);
}
END_TEST

static void write_and_shut(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;

	conn_send(c, 0, 100);
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = fast_accepted();
	conn_expect(far, 0, 100);
	conn_expect_end(far);
	conn_send(far, 7, 1000);
	conn_expect(c, 7, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

START_TEST(an_end_right_after_the_first_bytes_undoes_nothing)
{
	fast_run(write_and_shut);
}
END_TEST

/* A SYN that finds no room is sent again after a second. */
static void shut_unanswered(void)
{
	struct tcp_conn *c = fast_dial_early(), *far;
	int other;

	ck_assert_int_eq(listen(fast_listening, 0), 0);
	other = tcp_connected(&fast_to[0]);
	conn_send(c, 0, 100);
	tcp_conn_close(fast_accepted());
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(2)), -ETIMEDOUT);
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
	far = fast_accepted();
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
	fast_run(shut_unanswered);
}
END_TEST

static void open_and_refuse(void)
{
	struct tcp_conn *c = fast_dial_early();
	uint8_t byte;

	close_fd(&fast_listening);
	ck_assert(conn_is_unopened(c));
	ck_assert_int_eq(conn_open_now(c), 0);
	ck_assert(!conn_is_unopened(c));
	ck_assert_int_eq(tcp_conn_read(c, &byte, 1, deadline_in(SOON_MS)),
			 -ECONNREFUSED);
	tcp_conn_close(c);
}

START_TEST(opened_without_bytes_it_may_be_refused)
{
	fast_run(open_and_refuse);
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
	t->side[1] = fast_dial_early();
	t->target = NULL;
	tunnel_start(t, &relay_options);
}

/* Whom the relay has called, once it has had its turns. */
static struct tcp_conn *called(void)
{
	struct pollfd p = { .fd = fast_listening, .events = POLLIN };

	for (int i = 0; i < SOON_MS && poll(&p, 1, 0) == 0; i++)
		nap(1);
	return fast_accepted();
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
	ck_assert(fast_had_data(t.side[1]));
	end_relay(&t);
}

START_TEST(a_relays_first_bytes_go_with_the_syn)
{
	fast_run(client_first);
}
END_TEST

static void target_first(void)
{
	struct tunnel t;

	open_relay(&t);
	t.target = called();
	ck_assert(!fast_had_data(t.side[1]));
	end_relay(&t);
}

START_TEST(a_target_that_speaks_first_is_called_soon)
{
	fast_run(target_first);
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
	fast_run(end_first);
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
	fast_run(bytes_and_end);
}
END_TEST

static void target_is_gone(void)
{
	struct tunnel t;

	open_relay(&t);
	close_fd(&fast_listening);
	conn_expect_reset(t.client);
	tunnel_expect(&t, TCPSERVER_END_BROKEN_B);
	ck_assert_int_eq(t.error, ECONNREFUSED);
	tunnel_close(&t);
}

START_TEST(a_target_that_is_gone_ends_its_relay)
{
	fast_run(target_is_gone);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dial_ends");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_end_without_bytes_opens_it_too);
	tcase_add_test(t, an_end_right_after_the_first_bytes_undoes_nothing);
	tcase_add_test(t, an_end_waits_for_the_answer_to_the_syn);
	tcase_add_test(t, opened_without_bytes_it_may_be_refused);
	tcase_add_test(t, a_relays_first_bytes_go_with_the_syn);
	tcase_add_test(t, a_target_that_speaks_first_is_called_soon);
	tcase_add_test(t, a_client_that_only_listens_has_its_relay);
	tcase_add_test(t, bytes_and_end_at_once_get_through_a_relay);
	tcase_add_test(t, a_target_that_is_gone_ends_its_relay);
	suite_add_tcase(s, t);
	return run_suite(s);
}
