/*
 * The loop: descriptors, timers, work and mail, each by itself.
 */
#include "core/loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static char trace[256]; /* who ran, in order */

static void note(char who)
{
	size_t len = strlen(trace);

	ck_assert_uint_lt(len + 1, sizeof(trace));
	trace[len] = who;
}

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	loop_free(loop);
}

/* --- Work --------------------------------------------------------------- */

struct job {
	struct work work;
	char name;
	int again;         /* how often it queues itself anew */
	bool stops;        /* the loop, at the last time */
	struct job *other; /* cancelled when this one runs */
};

static void run_job(struct work *w)
{
	struct job *j = container_of(w, struct job, work);

	note(j->name);
	if (j->other)
		work_cancel(loop, &j->other->work);
	if (j->again-- > 0)
		work_queue(loop, &j->work);
	else if (j->stops)
		loop_stop(loop);
}

static void run_stop(struct work *w UNUSED)
{
	loop_stop(loop);
}

#define JOB(...)                                                               \
	{                                                                      \
		.work.run = run_job, __VA_ARGS__                               \
	}

static struct work last = { .run = run_stop };

static void run_all(void)
{
	work_queue(loop, &last);
	loop_run(loop);
}

START_TEST(work_runs_in_the_order_of_queueing)
{
	struct job a = JOB(.name = 'a'), b = JOB(.name = 'b'),
		   c = JOB(.name = 'c');

	work_queue(loop, &b.work);
	work_queue(loop, &a.work);
	work_queue(loop, &c.work);
	work_queue(loop, &b.work); /* has its place already */
	run_all();
	ck_assert_str_eq(trace, "bac");
	ck_assert_ptr_null(a.work.link);
}
END_TEST

START_TEST(work_that_queues_itself_waits_for_everybody_else)
{
	struct job a = JOB(.name = 'a', .again = 2), b = JOB(.name = 'b'),
		   c = JOB(.name = 'c', .again = 1);

	work_queue(loop, &a.work);
	work_queue(loop, &b.work);
	work_queue(loop, &c.work);
	run_all();
	ck_assert_str_eq(trace, "abc"); /* the stop ends the first turn */
	run_all();
	ck_assert_str_eq(trace, "abcac");
	run_all();
	ck_assert_str_eq(trace, "abcaca");
}
END_TEST

/* Cancels the jobs of `which` out of a..e and expects the rest to run. */
static void cancels(const char *which, const char *rest)
{
	struct job job[5];

	memset(trace, 0, sizeof(trace));
	for (int i = 0; i < 5; i++) {
		job[i] = (struct job)JOB(.name = (char)('a' + i));
		work_queue(loop, &job[i].work);
	}
	for (; *which; which++) {
		work_cancel(loop, &job[*which - 'a'].work);
		work_cancel(loop, &job[*which - 'a'].work);
	}
	run_all();
	ck_assert_str_eq(trace, rest);
}

START_TEST(work_can_be_cancelled_at_any_place_of_the_queue)
{
	cancels("", "abcde");
	cancels("a", "bcde");
	cancels("c", "abde");
	cancels("e", "abcd");
	cancels("ab", "cde");
	cancels("de", "abc");
	cancels("ed", "abc");
	cancels("ace", "bd");
	cancels("edcba", "");
	cancels("abcde", "");
}
END_TEST

START_TEST(work_can_cancel_other_work_of_the_same_turn)
{
	struct job c = JOB(.name = 'c'), b = JOB(.name = 'b', .other = &c),
		   a = JOB(.name = 'a');

	work_queue(loop, &a.work);
	work_queue(loop, &b.work);
	work_queue(loop, &c.work);
	run_all();
	ck_assert_str_eq(trace, "ab");
}
END_TEST

START_TEST(the_last_work_of_a_turn_can_be_cancelled_in_it)
{
	struct job c = JOB(.name = 'c'),
		   a = JOB(.name = 'a', .other = &c, .again = 1);

	work_queue(loop, &a.work);
	work_queue(loop, &c.work);
	a.stops = true;
	loop_run(loop);
	ck_assert_str_eq(trace, "aa");
}
END_TEST

/* --- Timers ------------------------------------------------------------- */

struct alarm {
	struct timer timer;
	char name;
	struct timer *other; /* stopped when this one fires */
};

static void fire_alarm(struct timer *t)
{
	struct alarm *a = container_of(t, struct alarm, timer);

	note(a->name);
	if (a->other)
		timer_stop(loop, a->other);
	if (a->name == 'z')
		loop_stop(loop);
}

#define ALARM(...)                                                             \
	{                                                                      \
		.timer.fire = fire_alarm, __VA_ARGS__                          \
	}

START_TEST(timers_fire_in_order_and_not_early)
{
	struct alarm a = ALARM(.name = 'a'), b = ALARM(.name = 'b'),
		     z = ALARM(.name = 'z');
	int64_t began = loop_now(loop);

	ck_assert_int_eq(timer_set(loop, &z.timer, deadline_in(30)), 0);
	ck_assert_int_eq(timer_set(loop, &a.timer, deadline_in(20)), 0);
	ck_assert_int_eq(timer_set(loop, &b.timer, deadline_in(10)), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "baz");
	ck_assert_int_ge(loop_now(loop) - began, 30);
}
END_TEST

START_TEST(a_timer_of_the_past_fires_at_once)
{
	struct alarm z = ALARM(.name = 'z');

	ck_assert_int_eq(timer_set(loop, &z.timer, loop_now(loop) - 1000), 0);
	loop_run(loop);
	ck_assert_str_eq(trace, "z");
}
END_TEST

START_TEST(a_timer_can_stop_one_that_is_due_at_the_same_time)
{
	struct alarm b = ALARM(.name = 'b'),
		     a = ALARM(.name = 'a', .other = &b.timer),
		     z = ALARM(.name = 'z');
	int64_t now = loop_now(loop);

	ck_assert_int_eq(timer_set(loop, &a.timer, now), 0);
	ck_assert_int_eq(timer_set(loop, &b.timer, now + 1), 0);
	ck_assert_int_eq(timer_set(loop, &z.timer, now + 2), 0);
	ck_assert_int_eq(usleep(5000), 0); /* all of them are due */
	loop_run(loop);
	ck_assert_str_eq(trace, "az");
}
END_TEST

START_TEST(a_deadline_of_less_than_nothing_never_comes)
{
	ck_assert_int_eq(deadline_in(-1), TIMER_NEVER);
	ck_assert_int_eq(deadline_in(0), loop_now(loop));
	ck_assert_int_eq(deadline_in(5), loop_now(loop) + 5);
}
END_TEST

/* --- Mail --------------------------------------------------------------- */

#define SENDERS 4
#define LETTERS 2000

struct letter {
	struct mail mail;
	int sender, number;
};

static struct letter letters[SENDERS][LETTERS];
static int last_of[SENDERS], letters_read;

static void read_letter(struct mail *m)
{
	struct letter *l = container_of(m, struct letter, mail);

	ck_assert_int_eq(l->number, last_of[l->sender]++);
	if (++letters_read == SENDERS * LETTERS)
		loop_stop(loop);
}

static void *send_letters(void *arg)
{
	struct letter *l = arg;

	for (int i = 0; i < LETTERS; i++)
		loop_post(loop, &l[i].mail);
	return NULL;
}

START_TEST(mail_of_other_threads_arrives_in_order_and_once)
{
	pthread_t thread[SENDERS];

	for (int i = 0; i < SENDERS; i++) {
		for (int j = 0; j < LETTERS; j++)
			letters[i][j] = (struct letter){
				.mail.run = read_letter,
				.sender = i,
				.number = j
			};
		ck_assert_int_eq(pthread_create(&thread[i], NULL, send_letters,
						letters[i]),
				 0);
	}
	loop_run(loop);
	for (int i = 0; i < SENDERS; i++)
		ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
	ck_assert_int_eq(letters_read, SENDERS * LETTERS);
}
END_TEST

static void read_again(struct mail *m)
{
	note('m');
	if (strlen(trace) == 5)
		loop_stop(loop);
	else
		loop_post(loop, m); /* it is ours again from `run` on */
}

START_TEST(mail_can_be_posted_again_while_it_is_read)
{
	struct mail m = { .run = read_again };

	loop_post(loop, &m);
	loop_run(loop);
	ck_assert_str_eq(trace, "mmmmm");
}
END_TEST

START_TEST(mail_can_be_read_where_the_loop_runs_no_more)
{
	struct letter m[2] = { { .mail.run = read_letter, .number = 0 },
			       { .mail.run = read_letter, .number = 1 } };

	loop_post(loop, &m[0].mail);
	loop_post(loop, &m[1].mail);
	loop_read_mail(loop);
	ck_assert_int_eq(letters_read, 2);
	loop_read_mail(loop);
	ck_assert_int_eq(letters_read, 2);
	run_all(); /* nor does the bell ring for it any more */
	ck_assert_int_eq(letters_read, 2);
}
END_TEST

static void *stop_loop(void *arg)
{
	loop_stop(arg);
	return NULL;
}

START_TEST(another_thread_can_stop_a_loop_that_waits)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, stop_loop, loop), 0);
	loop_run(loop);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(a_stopped_loop_can_run_again_with_what_was_left)
{
	struct alarm z = ALARM(.name = 'z');

	ck_assert_int_eq(timer_set(loop, &z.timer, deadline_in(5)), 0);
	loop_stop(loop);
	loop_run(loop);
	ck_assert_str_eq(trace, "");
	loop_run(loop);
	ck_assert_str_eq(trace, "z");
}
END_TEST

/* --- Descriptors -------------------------------------------------------- */

struct ear {
	struct watch watch;
	char name;
	struct ear *other; /* told of in the same batch, and forgotten */
};

static void hear(struct watch *w)
{
	struct ear *e = container_of(w, struct ear, watch);

	note(e->name);
	if (e->other) {
		watch_forget(loop, &e->other->watch);
		close_fd(&e->other->watch.fd);
	}
	if (e->name == 'z')
		loop_stop(loop);
}

/* A socket in the loop; returns the other end. */
static int listen_to(struct ear *e, uint32_t events)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, fd),
			 0);
	e->watch.fd = fd[0];
	e->watch.notify = hear;
	ck_assert_int_eq(watch_add(loop, &e->watch, events), 0);
	return fd[1];
}

static void say(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

/* One turn: a stop that was asked for before would leave no turn at all. */
static void hear_all(void)
{
	work_queue(loop, &last);
	loop_run(loop);
}

START_TEST(an_event_collects_what_became_ready)
{
	struct ear a = { .name = 'a' };
	int fd = listen_to(&a, WATCH_STREAM);

	hear_all();
	ck_assert_uint_eq(a.watch.ready, EPOLLOUT);
	say(fd);
	hear_all();
	ck_assert_uint_eq(a.watch.ready, EPOLLIN | EPOLLOUT);
	close_fd(&fd);
	hear_all();
	ck_assert_uint_eq(a.watch.ready,
			  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
	ck_assert_str_eq(trace, "aaa");
	hear_all(); /* an edge comes once */
	ck_assert_str_eq(trace, "aaa");
	watch_remove(loop, &a.watch);
	close_fd(&a.watch.fd);
}
END_TEST

START_TEST(a_watch_forgotten_within_a_batch_is_not_told)
{
	struct ear a = { .name = 'a' }, b = { .name = 'b' },
		   z = { .name = 'z' };
	int fd[3] = { listen_to(&a, EPOLLIN), listen_to(&b, EPOLLIN),
		      listen_to(&z, EPOLLIN) };

	a.other = &b;
	for (int i = 0; i < 3; i++)
		say(fd[i]);
	loop_run(loop);
	ck_assert_str_eq(trace, "az");
	watch_remove(loop, &a.watch);
	watch_remove(loop, &z.watch);
	for (int i = 0; i < 3; i++)
		close_fd(&fd[i]);
	close_fd(&a.watch.fd);
	close_fd(&z.watch.fd);
}
END_TEST

START_TEST(a_level_triggered_watch_can_be_muted)
{
	struct ear a = { .name = 'a' };
	int fd = listen_to(&a, EPOLLIN);

	say(fd);
	hear_all();
	hear_all();
	ck_assert_str_eq(trace, "aa");
	ck_assert_int_eq(watch_modify(loop, &a.watch, 0), 0);
	hear_all();
	ck_assert_str_eq(trace, "aa");
	ck_assert_int_eq(watch_modify(loop, &a.watch, EPOLLIN), 0);
	hear_all();
	ck_assert_str_eq(trace, "aaa");
	watch_remove(loop, &a.watch);
	hear_all();
	ck_assert_str_eq(trace, "aaa");
	close_fd(&fd);
	close_fd(&a.watch.fd);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_an_error)
{
	struct watch closed = { .fd = 1000000 };

	ck_assert_int_eq(watch_add(loop, &closed, EPOLLIN), -EBADF);
	ck_assert_int_eq(watch_modify(loop, &closed, EPOLLIN), -EBADF);
}
END_TEST

START_TEST(the_thread_knows_its_loop)
{
	ck_assert_ptr_eq(loop_self(), loop);
	loop_free(loop);
	ck_assert_ptr_null(loop_self());
	loop_free(NULL);
	ck_assert_int_eq(loop_new(&loop), 0);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, work_runs_in_the_order_of_queueing);
	tcase_add_test(t, work_that_queues_itself_waits_for_everybody_else);
	tcase_add_test(t, work_can_be_cancelled_at_any_place_of_the_queue);
	tcase_add_test(t, work_can_cancel_other_work_of_the_same_turn);
	tcase_add_test(t, the_last_work_of_a_turn_can_be_cancelled_in_it);
	tcase_add_test(t, timers_fire_in_order_and_not_early);
	tcase_add_test(t, a_timer_of_the_past_fires_at_once);
	tcase_add_test(t, a_timer_can_stop_one_that_is_due_at_the_same_time);
	tcase_add_test(t, a_deadline_of_less_than_nothing_never_comes);
	tcase_add_test(t, mail_of_other_threads_arrives_in_order_and_once);
	tcase_add_test(t, mail_can_be_posted_again_while_it_is_read);
	tcase_add_test(t, mail_can_be_read_where_the_loop_runs_no_more);
	tcase_add_test(t, another_thread_can_stop_a_loop_that_waits);
	tcase_add_test(t, a_stopped_loop_can_run_again_with_what_was_left);
	tcase_add_test(t, an_event_collects_what_became_ready);
	tcase_add_test(t, a_watch_forgotten_within_a_batch_is_not_told);
	tcase_add_test(t, a_level_triggered_watch_can_be_muted);
	tcase_add_test(t, a_descriptor_that_cannot_be_watched_is_an_error);
	tcase_add_test(t, the_thread_knows_its_loop);
}

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
