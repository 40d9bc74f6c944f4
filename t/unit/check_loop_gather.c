/*
 * Gathering: where the loop rests between events, and where it does not.
 */
#include "core/loop.h"
#include "t/unit/suite.h"

#include <check.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct loop *loop;

static void setup(void)
{
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
	loop_free(loop);
}

/* One that is always ready and may be waited for. */
struct calm {
	struct watch watch;
	int left; /* events until the loop is stopped */
	bool gathers;
};

static void calm_ready(struct watch *w)
{
	struct calm *c = container_of(w, struct calm, watch);

	if (c->gathers)
		loop_gather(loop);
	if (--c->left == 0)
		loop_stop(loop);
}

static void calm_open(struct calm *c, bool gathers)
{
	*c = (struct calm){ .gathers = gathers };
	c->watch.notify = calm_ready;
	c->watch.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(c->watch.fd, 0);
	ck_assert_int_eq(watch_add(loop, &c->watch, EPOLLIN), 0);
}

/* Milliseconds that so many events take. */
static int64_t events_take(struct calm *c, int count)
{
	int64_t began = loop_now(loop);

	c->left = count;
	loop_run(loop);
	return loop_now(loop) - began;
}

START_TEST(many_events_that_may_be_waited_for_are_gathered)
{
	int tries = 1000000;
	struct calm c;

	calm_open(&c, true);
	/* Once it knows that they are many it sleeps 200 us after each. */
	while (events_take(&c, 20) < 3)
		ck_assert_int_gt(tries--, 0);
	ck_assert_int_eq(close(c.watch.fd), 0);
}
END_TEST

START_TEST(nothing_is_gathered_where_something_else_happens)
{
	struct calm c, other;
	int tries = 1000;

	calm_open(&c, true);
	calm_open(&other, false);
	events_take(&other, 20000);
	/* It would be 20 ms at least; a busy machine gets more tries. */
	while (events_take(&other, 100) >= 20)
		ck_assert_int_gt(tries--, 0);
	ck_assert_int_eq(close(c.watch.fd) | close(other.watch.fd), 0);
}
END_TEST

/* Some that gather, and one that does not: each turn wakes up the others. */
static struct calm crowd[4], single;
static unsigned rests;

/* In the place of libc's, which does nothing else. */
int nanosleep(const struct timespec *how_long, struct timespec *left)
{
	rests++;
	return (int)syscall(SYS_nanosleep, how_long, left);
}

static void take_count(const struct calm *c)
{
	uint64_t count;

	ck_assert_int_eq(read(c->watch.fd, &count, sizeof(count)),
			 sizeof(count));
}

static void crowd_ready(struct watch *w)
{
	struct calm *c = container_of(w, struct calm, watch);

	take_count(c);
	loop_gather(loop);
	if (c == &crowd[0])
		ck_assert_int_eq(eventfd_write(single.watch.fd, 1), 0);
}

static void single_ready(struct watch *w UNUSED)
{
	take_count(&single);
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++)
		ck_assert_int_eq(eventfd_write(crowd[i].watch.fd, 1), 0);
	if (--single.left == 0)
		loop_stop(loop);
}

START_TEST(nothing_is_gathered_where_something_else_has_its_turns)
{
	int64_t took = 0;

	calm_open(&single, false);
	single.watch.notify = single_ready;
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
		calm_open(&crowd[i], true);
		crowd[i].watch.notify = crowd_ready;
	}
	rests = 0;
	while (took < 50)
		took += events_take(&single, 100);
	ck_assert_uint_eq(rests, 0);
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++)
		ck_assert_int_eq(close(crowd[i].watch.fd), 0);
	ck_assert_int_eq(close(single.watch.fd), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop_gather");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, many_events_that_may_be_waited_for_are_gathered);
	tcase_add_test(t, nothing_is_gathered_where_something_else_happens);
	tcase_add_test(t,
		       nothing_is_gathered_where_something_else_has_its_turns);
	suite_add_tcase(s, t);
	return run_suite(s);
}
