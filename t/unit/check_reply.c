/*
 * Replies to a loop from other threads, while it runs, ends and is gone.
 */
#include "core/reply.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define POSTERS 4
#define LETTERS 500

struct letter {
	struct reply reply;
	atomic_int run, dropped;
	pthread_t by; /* who ran or dropped it */
};

struct poster {
	struct reply_port *port;
	struct letter letters[LETTERS];
};

static struct loop *loop;
static struct reply_port *port;
static atomic_int left; /* replies that the loop is to wait for */

static void run(struct mail *m)
{
	struct letter *l = container_of(m, struct letter, reply.mail);

	atomic_fetch_add(&l->run, 1);
	l->by = pthread_self();
	if (atomic_fetch_sub(&left, 1) == 1)
		loop_stop(loop);
}

static void dropped(struct reply *r)
{
	struct letter *l = container_of(r, struct letter, reply);

	atomic_fetch_add(&l->dropped, 1);
	l->by = pthread_self();
}

static void write_letter(struct letter *l)
{
	*l = (struct letter){ .reply = { .mail.run = run,
					 .dropped = dropped } };
}

static void check_run(struct letter *l)
{
	ck_assert_int_eq(l->run, 1);
	ck_assert_int_eq(l->dropped, 0);
}

static void check_dropped(struct letter *l)
{
	ck_assert_int_eq(l->run, 0);
	ck_assert_int_eq(l->dropped, 1);
	ck_assert(pthread_equal(l->by, pthread_self()));
}

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(reply_port_new(&port, loop), 0);
}

static void teardown(void)
{
	reply_port_put(port);
	loop_free(loop);
}

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (int i = 0; i < LETTERS; i++)
		reply_post(p->port, &p->letters[i].reply);
	reply_port_put(p->port);
	return NULL;
}

static pthread_t start_posting(struct poster *p)
{
	pthread_t id;

	p->port = reply_port_get(port);
	for (int i = 0; i < LETTERS; i++)
		write_letter(&p->letters[i]);
	ck_assert_int_eq(pthread_create(&id, NULL, post_all, p), 0);
	return id;
}

START_TEST(replies_of_other_threads_run_on_the_loop)
{
	static struct poster posters[POSTERS];
	pthread_t ids[POSTERS];

	left = POSTERS * LETTERS;
	for (int i = 0; i < POSTERS; i++)
		ids[i] = start_posting(&posters[i]);
	loop_run(loop);
	for (int i = 0; i < POSTERS; i++)
		ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
	for (int i = 0; i < POSTERS; i++)
		for (int j = 0; j < LETTERS; j++)
			check_run(&posters[i].letters[j]);
	reply_port_close(port);
}
END_TEST

START_TEST(what_the_loop_has_not_read_runs_when_the_port_is_closed)
{
	struct letter l[3];

	left = 3;
	for (int i = 0; i < 3; i++) {
		write_letter(&l[i]);
		reply_post(port, &l[i].reply);
	}
	reply_port_close(port);
	for (int i = 0; i < 3; i++)
		check_run(&l[i]);
	reply_port_close(port); /* once more is harmless */
}
END_TEST

START_TEST(what_is_posted_to_a_closed_port_is_dropped_at_once)
{
	struct letter l;

	reply_port_close(port);
	loop_free(TAKE_PTR(loop));
	write_letter(&l);
	reply_post(port, &l.reply);
	check_dropped(&l);
}
END_TEST

START_TEST(giving_back_no_port_is_harmless)
{
	reply_port_put(NULL);
}
END_TEST

/* Each round's loop ends while others post, and is freed. */
START_TEST(a_loop_that_ends_loses_and_doubles_no_reply)
{
	static struct poster posters[POSTERS];
	pthread_t ids[POSTERS];

	teardown();
	for (int round = 0; round < 50; round++) {
		setup();
		left = 1 + round * POSTERS * LETTERS / 50;
		for (int i = 0; i < POSTERS; i++)
			ids[i] = start_posting(&posters[i]);
		loop_run(loop);
		reply_port_close(port);
		reply_port_put(port);
		loop_free(loop);
		for (int i = 0; i < POSTERS; i++)
			ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
		for (int i = 0; i < POSTERS; i++)
			for (int j = 0; j < LETTERS; j++)
				ck_assert_int_eq(
					posters[i].letters[j].run +
						posters[i].letters[j].dropped,
					1);
	}
	setup();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reply");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, replies_of_other_threads_run_on_the_loop);
	tcase_add_test(t,
		       what_the_loop_has_not_read_runs_when_the_port_is_closed);
	tcase_add_test(t, what_is_posted_to_a_closed_port_is_dropped_at_once);
	tcase_add_test(t, giving_back_no_port_is_harmless);
	tcase_add_test(t, a_loop_that_ends_loses_and_doubles_no_reply);
	suite_add_tcase(s, t);
	return run_suite(s);
}
