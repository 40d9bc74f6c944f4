/*
 * Sessions that somebody wants ended, by their ids.  Each worker looks through
 * what it has by itself, so that nobody else ever touches a session.
 */
#include "core/relay.h"
#include "core/task.h"
#include "daemon/proxy/proxy_internal.h"

#include <semaphore.h>
#include <stdlib.h>

struct kill {
	const uint64_t *ids; /* ascending */
	size_t count;
	sem_t done; /* by so many workers */
	atomic_size_t ended;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_wanted(void *ctx, void *arg)
{
	const struct session *s = ctx;
	const struct kill *k = arg;

	return bsearch(&s->id, k->ids, k->count, sizeof(s->id), compare);
}

/* Handshakes, HTTP requests, BIND and UDP: their tasks unwind themselves. */
static size_t end_requests(struct proxy_worker *w, struct kill *k)
{
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, &w->requests) {
		struct request *rq = list_entry(at, struct request, link);

		if (rq->killed || !is_wanted(rq->session, k))
			continue;
		rq->killed = true;
		task_cancel(rq->task);
		count++;
	}
	return count;
}

static void take(struct mail *m)
{
	struct proxy_worker *w = container_of(m, struct proxy_worker, mail);
	struct kill *k = w->kill;
	size_t ended = end_requests(w, k);

	w->enforcing = true;
	ended += relays_kill_if(net_self(), is_wanted, k);
	w->enforcing = false;
	(void)atomic_fetch_add(&k->ended, ended);
	(void)sem_post(&k->done); /* `k` may be gone from here on */
}

size_t proxy_kill(struct proxy *p, uint64_t *ids, size_t count)
{
	unsigned left = p->options.workers;
	struct kill k = { .ids = ids, .count = count };

	qsort(ids, count, sizeof(*ids), compare);
	(void)sem_init(&k.done, 0, 0);
	for (unsigned i = 0; i < left; i++) {
		struct proxy_worker *w = &p->worker[i];

		w->mail.run = take;
		w->kill = &k;
		loop_post(w->loop, &w->mail);
	}
	while (left > 0)
		if (sem_wait(&k.done) == 0)
			left--;
	(void)sem_destroy(&k.done);
	return k.ended;
}
