/*
 * BIND: who is sent away, what no rule could allow, and everything that ends
 * the wait.
 */
#include "daemon/proxy/proxy_internal.h"

#include "core/sock.h"
#include "core/task.h"
#include "t/unit/bind_one.h"
#include "t/unit/on_loop.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"

#include <check.h>

/* --- Who is not let in -------------------------------------------------- */

static int strangers[100];
static int stranger_count;

static void come_with_strangers(void)
{
	for (int i = 0; i < stranger_count; i++) {
		strangers[i] = bind_come_from("127.0.0.99");
		settle(); /* the queue is short */
	}
	bind_come();
}

static void strangers_come(void *arg UNUSED)
{
	come_with_strangers();
}

static void start_strangers(void)
{
	ck_assert_int_eq(task_start(strangers_come, NULL, NULL), 0);
}

static void after_strangers(int count, enum outcome expect)
{
	stranger_count = count;
	bind_from = "127.0.0.5";
	bind_told.then = start_strangers;
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(bind_rq), expect);
	while (task_count() > 1)
		nap(1);
	for (int i = 0; i < count && i < 65; i++) {
		ck_assert_int_eq(ended_how(strangers[i]), ECONNRESET);
		close_fd(&strangers[i]);
	}
	if (expect == OUTCOME_NONE)
		bind_expect_let_in();
	ck_assert(bind_rq->granted);
	bind_end();
	close_fd(&bind_peer);
}

static void some_strangers(void)
{
	after_strangers(64, OUTCOME_NONE);
}

START_TEST(strangers_are_reset_and_the_one_expected_let_in)
{
	on_loop(some_strangers, NULL);
}
END_TEST

static void too_many(void)
{
	after_strangers(65, OUTCOME_DENIED);
}

START_TEST(more_than_64_strangers_end_it)
{
	on_loop(too_many, NULL);
}
END_TEST

static struct port_range only_his;
static struct rule_match loopback;

/* The port of the peer counts, which is known when he comes only. */
static void by_port(void)
{
	only_his = (struct port_range){ 1, 1 };
	bind_spec[bind_spec_count++] = (struct rule_spec){
		.allow = true, .commands = COMMAND_BIT(COMMAND_CONNECT)
	};
	bind_spec[bind_spec_count++] = (struct rule_spec){
		.allow = false,
		.ports = &only_his,
		.port_count = 1,
	};
	bind_succeed("127.0.0.5:1", "127.0.0.5");
}

START_TEST(ports_of_rules_are_those_of_the_peer)
{
	on_loop(by_port, NULL);
}
END_TEST

static void deny_ports(void)
{
	only_his = (struct port_range){ 2, 65535 };
	bind_spec[bind_spec_count++] = (struct rule_spec){
		.allow = false,
		.ports = &only_his,
		.port_count = 1,
	};
	bind_options.timeouts.bind_ms = 100;
	bind_from = "127.0.0.5";
	bind_told.then = bind_come;
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_ACCEPT_TIMEOUT);
	ck_assert(bind_rq->granted);
	ck_assert_ptr_null(bind_rq->server);
	ck_assert_uint_eq(bind_rq->rule, 1);
	ck_assert_int_eq(ended_how(bind_peer), ECONNRESET);
	bind_end();
	close_fd(&bind_peer);
}

START_TEST(one_whom_a_rule_denies_is_a_stranger)
{
	on_loop(deny_ports, NULL);
}
END_TEST

static void denied(struct rule_spec first, const char *dst)
{
	bind_spec[bind_spec_count++] = first;
	bind_begin(dst);
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_DENIED);
	ck_assert_uint_eq(bind_told.grants, 0);
	ck_assert_uint_eq(bind_rq->rule, 1);
	bind_end();
}

static void denied_early(void)
{
	static const struct rule_match name = { .type = RULE_MATCH_NAME,
						.name = "localhost" };

	loopback = (struct rule_match){ .type = RULE_MATCH_CLASS };
	ck_assert_int_eq(addr_class_parse(&loopback.class, "loopback"), 0);
	denied((struct rule_spec){ .commands = COMMAND_BIT(COMMAND_BIND) },
	       "127.0.0.5:0");
	denied((struct rule_spec){ .to = &loopback, .to_count = 1 },
	       "127.0.0.5:0");
	denied((struct rule_spec){ .to = &name, .to_count = 1 }, "localhost");
	denied((struct rule_spec){ .to = &loopback, .to_count = 1 },
	       "localhost");
}

START_TEST(what_no_peer_could_be_allowed_is_refused_at_once)
{
	on_loop(denied_early, NULL);
}
END_TEST

/* --- Ends --------------------------------------------------------------- */

static void in_vain(enum outcome expect)
{
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(bind_rq), expect);
	ck_assert_ptr_null(bind_rq->server);
	bind_end();
}

static void nobody(void)
{
	bind_options.timeouts.bind_ms = 10;
	in_vain(OUTCOME_ACCEPT_TIMEOUT);
	ck_assert_uint_eq(bind_told.grants, 1);
}

START_TEST(nobody_in_time_is_a_timeout)
{
	on_loop(nobody, NULL);
}
END_TEST

static void too_old(void)
{
	bind_options.timeouts.session_ms = 10;
	in_vain(OUTCOME_EXPIRED);
}

START_TEST(a_session_gets_no_older_than_it_may)
{
	on_loop(too_old, NULL);
}
END_TEST

static void no_bound(void)
{
	bind_options.timeouts.session_ms = SOON_MS;
	bind_succeed("127.0.0.5:0", "127.0.0.5");
}

START_TEST(one_that_is_young_goes_on)
{
	on_loop(no_bound, NULL);
}
END_TEST

static void client_ends(void)
{
	ck_assert_int_eq(shutdown(bind_client, SHUT_WR), 0);
}

static void left(void)
{
	bind_told.then = client_ends;
	in_vain(OUTCOME_CLIENT_LEFT);
}

START_TEST(a_client_that_ends_ends_it)
{
	on_loop(left, NULL);
}
END_TEST

static void client_resets(void)
{
	sock_set_reset(bind_client);
	close_fd(&bind_client);
}

static void reset(void)
{
	bind_told.then = client_resets;
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_CLIENT_LEFT);
	ck_assert_int_eq(bind_rq->error, -ECONNRESET);
	bind_end();
}

START_TEST(a_client_that_is_reset_ends_it)
{
	on_loop(reset, NULL);
}
END_TEST

static void no_reply(void)
{
	bind_told.result = -EPIPE;
	in_vain(OUTCOME_CLIENT_LEFT);
	bind_told.result = -ECANCELED;
	in_vain(OUTCOME_SHUTDOWN);
}

START_TEST(a_first_reply_that_cannot_be_told_ends_it)
{
	on_loop(no_reply, NULL);
}
END_TEST

static struct task *waiting;

static void bind_alone(void *arg UNUSED)
{
	ck_assert_int_eq(request_bind(bind_rq), OUTCOME_SHUTDOWN);
	waiting = NULL;
}

static void cancel(void)
{
	bind_begin("127.0.0.5:0");
	ck_assert_int_eq(task_start(bind_alone, NULL, &waiting), 0);
	nap(5);
	ck_assert_uint_eq(bind_told.grants, 1);
	task_cancel(waiting);
	nap(1);
	ck_assert_ptr_null(waiting);
	bind_end();
}

START_TEST(the_end_of_the_server_ends_it)
{
	on_loop(cancel, NULL);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, strangers_are_reset_and_the_one_expected_let_in);
	tcase_add_test(t, more_than_64_strangers_end_it);
	tcase_add_test(t, ports_of_rules_are_those_of_the_peer);
	tcase_add_test(t, one_whom_a_rule_denies_is_a_stranger);
	tcase_add_test(t, what_no_peer_could_be_allowed_is_refused_at_once);
	tcase_add_test(t, nobody_in_time_is_a_timeout);
	tcase_add_test(t, a_session_gets_no_older_than_it_may);
	tcase_add_test(t, one_that_is_young_goes_on);
	tcase_add_test(t, a_client_that_ends_ends_it);
	tcase_add_test(t, a_client_that_is_reset_ends_it);
	tcase_add_test(t, a_first_reply_that_cannot_be_told_ends_it);
	tcase_add_test(t, the_end_of_the_server_ends_it);
}

int main(void)
{
	Suite *s = suite_create("bind_end");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, bind_setup, NULL);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
