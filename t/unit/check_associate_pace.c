/*
 * UDP associations that are bounded: what waits, for how long, and what does
 * not; and that nothing of their rates is left, at which bandwidths_free()
 * looks.
 */
#include "core/clock.h"
#include "t/unit/gate.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/udp_proxy.h"

#include <stdatomic.h>
#include <stdlib.h>

#define RATE 20000 /* bytes a second */

static struct rule_action action;

/* The one of that number fails, from 1; 0: none does. */
static atomic_uint allocations;

void *aligned_alloc(size_t alignment, size_t bytes)
{
	unsigned left = atomic_load(&allocations);
	void *at;

	if (left) {
		atomic_store(&allocations, left - 1);
		if (left == 1)
			return NULL;
	}
	return posix_memalign(&at, alignment, bytes) ? NULL : at;
}

static void setup(void)
{
	udp_proxy_init();
	action = (struct rule_action){ .idle_ms = -1 };
	udp_options.actions = (struct rule_actions){ &action, 1 };
	atomic_store(&allocations, 0);
}

#define TEN  "0123456789"
#define TEXT TEN TEN TEN TEN TEN TEN TEN TEN

struct ends {
	struct udp_client c;
	struct tcp_addr at;
	int far;
};

static void open_ends(struct ends *e)
{
	udp_proxy_start();
	e->far = udp_socket(&e->at);
	e->c = udp_associate();
	ck_assert_uint_eq(e->c.code, 0);
}

static void close_ends(struct ends *e)
{
	udp_leave(&e->c);
	close_fd(&e->far);
}

static void send_many(struct ends *e, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		udp_send(&e->c, &e->at, TEXT);
		udp_expect(e->far, TEXT);
	}
}

/* 80 bytes each, one after the other; how long that takes. */
static int64_t time_for(struct ends *e, unsigned count)
{
	int64_t begin = clock_ms();

	send_many(e, count);
	return clock_ms() - begin;
}

static void expect_paced(struct ends *e)
{
	/* 6000 bytes; what is granted at first is a quarter of them. */
	ck_assert_int_ge(time_for(e, 75), 200);
}

START_TEST(a_session_is_bounded)
{
	struct ends e;

	udp_options.bandwidth.session = RATE;
	open_ends(&e);
	expect_paced(&e);
	close_ends(&e);
}
END_TEST

START_TEST(the_rule_of_the_first_target_bounds)
{
	struct ends e;

	action.bandwidth = RATE;
	open_ends(&e);
	expect_paced(&e);
	close_ends(&e);
}
END_TEST

START_TEST(so_do_rule_and_session_together)
{
	struct ends e;

	udp_options.bandwidth.session = RATE * 1000;
	action.bandwidth = RATE;
	open_ends(&e);
	expect_paced(&e);
	close_ends(&e);
}
END_TEST

START_TEST(the_way_back_has_a_rate_of_its_own)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct ends e;
	char got[200];

	action.bandwidth = RATE;
	open_ends(&e);
	udp_send(&e.c, &e.at, TEXT);
	ck_assert_int_gt(recvfrom(e.far, got, sizeof(got), 0,
				  (struct sockaddr *)&ss, &len),
			 0);
	send_many(&e, 20); /* what comes next has to wait */
	udp_send(&e.c, &e.at, TEXT);
	ck_assert_int_eq(
		sendto(e.far, "back", 4, 0, (struct sockaddr *)&ss, len), 4);
	ck_assert_int_gt(recv(e.c.udp, got, sizeof(got), 0), 4);
	udp_expect(e.far, TEXT);
	close_ends(&e);
}
END_TEST

START_TEST(who_leaves_does_not_wait)
{
	struct ends e;

	udp_options.bandwidth.session = 1000;
	action.bandwidth = 1000;
	open_ends(&e);
	send_many(&e, 3);
	udp_send(&e.c, &e.at, TEXT);
	udp_send(&e.c, &e.at, TEXT);
	close_ends(&e);
	until(udp_count(&udp_counts->outcomes[OUTCOME_CLOSED]) == 1);
}
END_TEST

START_TEST(waiting_is_not_idle)
{
	struct ends e;

	action.bandwidth = 1000; /* 250 at a time */
	action.idle_ms = 100;
	open_ends(&e);
	ck_assert_int_ge(time_for(&e, 8), 240);
	ck_assert_uint_eq(udp_count(&udp_counts->sessions), 0);
	close_ends(&e);
}
END_TEST

START_TEST(without_memory_it_is_refused)
{
	struct udp_client c;

	udp_options.bandwidth.session = RATE;
	udp_proxy_start();
	atomic_store(&allocations, 1);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 1);
	udp_leave(&c);
	until(udp_count(&udp_counts->outcomes[OUTCOME_NO_RESOURCES]) == 1);
}
END_TEST

START_TEST(without_memory_for_the_rule_the_session_stays_bounded)
{
	struct ends e;

	udp_options.bandwidth.session = RATE;
	action.bandwidth = 1000;
	open_ends(&e);
	atomic_store(&allocations, 2);
	expect_paced(&e);
	ck_assert_uint_eq(atomic_load(&allocations), 0);
	close_ends(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("associate_pace");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, udp_proxy_stop);
	tcase_add_test(t, a_session_is_bounded);
	tcase_add_test(t, the_rule_of_the_first_target_bounds);
	tcase_add_test(t, so_do_rule_and_session_together);
	tcase_add_test(t, the_way_back_has_a_rate_of_its_own);
	tcase_add_test(t, who_leaves_does_not_wait);
	tcase_add_test(t, waiting_is_not_idle);
	tcase_add_test(t, without_memory_it_is_refused);
	tcase_add_test(t,
		       without_memory_for_the_rule_the_session_stays_bounded);
	suite_add_tcase(s, t);
	return run_suite(s);
}
