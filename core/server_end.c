/*
 * How a server ends, and who waits for that.
 *
 * One thread shuts it down: the first that wants it to end.  Others who want
 * the same may bring the time forward at which what is left is cut, and wait.
 */
#include "core/server_internal.h"

#include "core/arrival.h"
#include "core/clock.h"
#include "core/relay.h"
#include "core/task.h"

#define LOOK_MS 20 /* between looks at what is left */

static uint64_t server_load(const struct tcp_server *s)
{
	uint64_t load = 0;

	for (unsigned i = 0; i < s->worker_count; i++)
		load += worker_load(&s->worker[i]);
	return load;
}

/* With the lock, which others have meanwhile. */
static void wait_a_moment(struct tcp_server *s)
{
	(void)clock_cond_wait(&s->changed, &s->lock, clock_deadline(LOOK_MS));
}

/* Waits until nothing is left or it is time to cut what is. */
static void wait_for_end(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (server_load(s) > 0 && !s->halted && clock_ms() < s->cut_at)
		wait_a_moment(s);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Cancels handlers, resets relays, closes what is silent. */
static int cut(struct worker *w, void *arg)
{
	size_t *count = arg;

	*count += (size_t)count_get(&w->counts->active);
	tasks_cancel();
	(void)relays_kill(&w->net);
	arrivals_cut(&w->net);
	return 0;
}

static size_t cut_all(struct tcp_server *s)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&s->control);
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->worker[i].running)
			(void)worker_call(&s->worker[i], cut, &count);
	(void)pthread_mutex_unlock(&s->control);
	return count;
}

/* Whether nothing is left, maybe after a moment. */
static bool is_over(struct tcp_server *s)
{
	bool over;

	(void)pthread_mutex_lock(&s->lock);
	if (server_load(s) > 0)
		wait_a_moment(s);
	over = server_load(s) == 0;
	(void)pthread_mutex_unlock(&s->lock);
	return over;
}

/* Whether it is the caller who has to do it; else it has been done. */
static bool begin(struct tcp_server *s, int64_t cut_at)
{
	bool first;

	(void)pthread_mutex_lock(&s->lock);
	first = !s->ending;
	s->ending = true;
	s->cut_at = min_i64(s->cut_at, cut_at);
	(void)pthread_cond_broadcast(&s->changed);
	while (!first && !s->ended)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	return first;
}

static void end(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->control);
	server_join(s);
	(void)pthread_mutex_unlock(&s->control);
	(void)pthread_mutex_lock(&s->lock);
	s->ended = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

size_t tcp_server_shutdown(struct tcp_server *s, int64_t timeout_ms)
{
	size_t count;

	if (!begin(s, clock_deadline(timeout_ms)))
		return 0;
	tcp_server_stop_accepting(s);
	wait_for_end(s);
	count = server_load(s) > 0 ? cut_all(s) : 0;
	/*
	 * A handler that is cancelled returns without waiting again, but it
	 * may have begun something on its way out, as a relay.
	 */
	while (!is_over(s))
		(void)cut_all(s);
	end(s);
	return count;
}

/* Waits until there is a reason to end it. */
static void wait_for_reason(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (!s->full && !s->ending && !s->halted)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}

int tcp_server_run(struct tcp_server *s)
{
	/* It may have been stopped or ended since it was started. */
	if (tcp_server_started(s) == 0) {
		int r = tcp_server_start(s);

		if (r < 0)
			return r;
	}
	wait_for_reason(s);
	(void)tcp_server_shutdown(s, -1);
	return 0;
}

void tcp_server_halt(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->halted = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}
