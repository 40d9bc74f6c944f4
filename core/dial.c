/*
 * Connecting to one of several addresses, RFC 8305 §5: the first at once, the
 * next when one has failed or has not answered for `stagger`, the first that
 * is connected wins.  An attempt that failed is not waited for again.
 */
#include "core/conn.h"

#include "core/clock.h"
#include "core/sock.h"
#include "core/task.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#define DIAL_MAX        16u
#define DIAL_STAGGER_MS 250
#define DIAL_MORE_MS    50 /* between looks for more, all else being tried */

struct race {
	struct tcp_addr to[DIAL_MAX];
	const struct tcp_dial_options *options;
	const struct tcp_dial_more *more; /* NULL: no more will come */
	unsigned count, next, open;
	bool fast; /* by TCP Fast Open */
	int error; /* of the attempt that failed first */
	int64_t next_at;
	struct tcp_conn *attempt[DIAL_MAX];
};

/* A kernel that cannot do that, or may not, connects as usual. */
static void set_fast(int fd)
{
	(void)!sock_set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
}

static int attempt_open(struct tcp_conn **ret, const struct tcp_addr *to,
			const struct tcp_dial_options *o, bool fast)
{
	int fd = sock_stream(to->family);
	bool under_way;
	int r;

	if (fd < 0)
		return fd;
	r = sock_set_stream(fd, o);
	if (r == 0)
		r = sock_set_way(fd, to->family, o);
	if (r == 0 && fast)
		set_fast(fd);
	if (r == 0)
		r = sock_connect(fd, to);
	under_way = r == -EINPROGRESS;
	if (r < 0 && !under_way) {
		close_fd(&fd);
		return r;
	}
	r = conn_new(ret, fd, to);
	if (r == 0 && fast && !under_way)
		conn_open_by_write(*ret);
	return r;
}

static void note_failure(struct race *race, int r)
{
	if (race->error == 0)
		race->error = r;
}

static void start_next(struct race *race, int64_t now)
{
	unsigned i = race->next++;
	int64_t stagger = race->options->stagger_ms;
	int r = attempt_open(&race->attempt[i], &race->to[i], race->options,
			     race->fast);

	if (r < 0) {
		note_failure(race, r);
		race->next_at = now;
		return;
	}
	race->open++;
	race->next_at = clock_after(now,
				    stagger > 0 ? stagger : DIAL_STAGGER_MS);
}

/* Looks at every attempt; the index of one that is connected, or -1. */
static int look(struct race *race, int64_t now)
{
	for (unsigned i = 0; i < race->next; i++) {
		struct tcp_conn *c = race->attempt[i];
		int r = 0;

		if (!c || !conn_can_write(c))
			continue;
		if (c->watch.ready & (EPOLLERR | EPOLLHUP))
			r = sock_error(c->watch.fd);
		if (r == 0)
			return (int)i;
		note_failure(race, r);
		tcp_conn_close(TAKE_PTR(race->attempt[i]));
		race->open--;
		race->next_at = now;
	}
	return -1;
}

static int wait_for_any(struct race *race, int64_t deadline)
{
	int r;

	if (race->next < race->count || race->more)
		deadline = min_i64(deadline, race->next_at);
	for (unsigned i = 0; i < race->next; i++) {
		if (!race->attempt[i])
			continue;
		race->attempt[i]->want = EPOLLOUT;
		race->attempt[i]->owner.task = task_self();
	}
	r = task_wait(deadline);
	for (unsigned i = 0; i < race->next; i++)
		if (race->attempt[i])
			race->attempt[i]->owner.task = NULL;
	return r;
}

/* Lets `n` new addresses, of the other family, and what is left take turns. */
static void merge(struct race *race, const struct tcp_addr *fresh, unsigned n)
{
	struct tcp_addr left[DIAL_MAX];
	unsigned left_count = race->count - race->next;
	unsigned at = race->next;

	memcpy(left, race->to + at, left_count * sizeof(*left));
	for (unsigned i = 0; i < DIAL_MAX; i++) {
		if (i < n)
			race->to[at++] = fresh[i];
		if (i < left_count)
			race->to[at++] = left[i];
	}
	race->count += n;
}

/*
 * Asks for more addresses before the next is tried; waits for them only if
 * there is nothing else to do.
 */
static int ask_for_more(struct race *race, int64_t now, int64_t deadline)
{
	struct tcp_addr fresh[DIAL_MAX];
	bool idle = !race->open && race->next == race->count;
	unsigned max = DIAL_MAX - race->count;
	int n = -ENOSPC;

	if (max > 0)
		n = race->more->fn(race->more->ctx, fresh, max,
				   idle ? deadline : now);
	if (n == -ECANCELED)
		return n;
	if (n > 0)
		merge(race, fresh, (unsigned)n);
	else if (n < 0 || idle)
		race->more = NULL;
	race->next_at = now;
	if (n == 0 && race->next == race->count)
		race->next_at = now + DIAL_MORE_MS;
	return 0;
}

/* Does what it is time for; 1: something, so look again, 0: nothing. */
static int go_on(struct race *race, int64_t deadline)
{
	struct loop *loop = net_self()->loop;
	bool asked = race->more && race->next > 0;

	if (race->open && loop_now(loop) < race->next_at)
		return 0;
	if (asked) {
		int r = ask_for_more(race, loop_now(loop), deadline);

		if (r < 0)
			return r;
	}
	if (race->next == race->count)
		return asked;
	start_next(race, loop_now(loop));
	return 1;
}

static int run_race(struct race *race, int64_t deadline)
{
	struct loop *loop = net_self()->loop;

	for (;;) {
		int winner = look(race, loop_now(loop));
		int r;

		if (winner >= 0)
			return winner;
		r = go_on(race, deadline);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (race->open == 0)
			return race->error;
		r = wait_for_any(race, deadline);
		if (r == -ETIMEDOUT && loop_now(loop) < deadline)
			continue; /* time for the next attempt */
		if (r < 0)
			return r;
	}
}

int tcp_dial(struct tcp_conn **ret, const struct tcp_addr *to, unsigned count,
	     const struct tcp_dial_options *o, const struct tcp_dial_more *more,
	     int64_t deadline)
{
	static const struct tcp_dial_options usual;
	struct race race = { .options = o ? o : &usual,
			     .more = more,
			     .fast = o && o->fastopen && count == 1 && !more,
			     .count = (unsigned)min_size(count, DIAL_MAX),
			     .next_at = loop_now(net_self()->loop) };
	int winner;

	if (count == 0)
		return -EINVAL;
	memcpy(race.to, to, race.count * sizeof(*to));
	winner = run_race(&race, deadline);
	for (unsigned i = 0; i < race.next; i++)
		if (race.attempt[i] && (int)i != winner)
			tcp_conn_close(race.attempt[i]);
	if (winner < 0)
		return winner;
	*ret = race.attempt[winner];
	return 0;
}
