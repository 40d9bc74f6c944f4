/*
 * A new policy for workers that serve: each takes it on its own loop, between
 * two turns of anything else, so that nobody ever sees half of a change and
 * nobody needs a lock to look.  Nor is there one here: a loop would wait for it
 * as long as a thread that yields to all others is kept from running.
 */
#include "core/relay.h"
#include "core/task.h"
#include "daemon/proxy/proxy_internal.h"

#include <semaphore.h>

struct swap {
	const struct policy *policy; /* NULL: only ends what is over */
	bool enforce;
	sem_t taken; /* by so many workers */
	atomic_size_t ended;
};

/* --- Users who are gone -------------------------------------------------- */

/*
 * A record has the beginning of a long name only.  Who logged in otherwise
 * than by the file of users is not in it anyway.
 */
static bool is_gone(void *ctx, void *arg)
{
	const struct session *s = ctx;
	const struct users *users = policy_users(arg);
	const struct span name = { (const uint8_t *)s->user, s->user_len };

	return s->method == AUTH_PASSWORD &&
	       (!users ||
		!users_has(users, name, s->user_len == SESSION_USER_BYTES));
}

/*
 * Handshakes, BIND and UDP: their tasks unwind themselves.  Of one that is in
 * its login nobody knows yet who it is: it asks again when that is over.
 */
static size_t end_requests(struct proxy_worker *w)
{
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, &w->requests) {
		struct request *rq = list_entry(at, struct request, link);

		if (rq->killed || !request_user_is_gone(rq, w->policy))
			continue;
		rq->killed = true;
		task_cancel(rq->task);
		count++;
	}
	return count;
}

static size_t enforce(struct proxy_worker *w)
{
	size_t count = end_requests(w);

	w->enforcing = true;
	count += relays_kill_if(net_self(), is_gone, (void *)w->policy);
	w->enforcing = false;
	return count;
}

/* --- Quotas that are used up ---------------------------------------------- */

static bool is_over(const struct proxy_worker *w, const struct session *s)
{
	return quotas_ends(w->proxy->quotas,
			   sessions_slot(w->proxy->sessions, s));
}

static bool is_relay_over(void *ctx, void *arg)
{
	return is_over(arg, ctx);
}

static size_t end_over_quota(struct proxy_worker *w)
{
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, &w->requests) {
		struct request *rq = list_entry(at, struct request, link);

		if (rq->killed || rq->waiting || !is_over(w, rq->session))
			continue;
		rq->killed = rq->over_quota = true;
		task_cancel(rq->task);
		count++;
	}
	w->over_quota = true;
	count += relays_kill_if(net_self(), is_relay_over, w);
	w->over_quota = false;
	return count;
}

/* --- The change ---------------------------------------------------------- */

static void take(struct mail *m)
{
	struct proxy_worker *w = container_of(m, struct proxy_worker, mail);
	struct swap *s = w->swap;
	const struct policy *old = w->policy;

	if (s->policy) {
		w->policy = policy_ref(s->policy);
		if (s->enforce)
			(void)atomic_fetch_add(&s->ended, enforce(w));
		policy_unref(old);
	} else {
		(void)atomic_fetch_add(&s->ended, end_over_quota(w));
	}
	(void)sem_post(&s->taken); /* `s` may be gone from here on */
}

static void all_take(struct proxy *p, struct swap *s)
{
	unsigned count = p->options.workers;

	(void)sem_init(&s->taken, 0, 0);
	for (unsigned i = 0; i < count; i++) {
		struct proxy_worker *w = &p->worker[i];

		w->mail.run = take;
		w->swap = s;
		loop_post(w->loop, &w->mail);
	}
	while (count > 0)
		if (sem_wait(&s->taken) == 0)
			count--;
	(void)sem_destroy(&s->taken);
}

size_t proxy_set_policy(struct proxy *p, const struct policy *policy,
			bool enforce_it)
{
	struct swap s = { .policy = policy, .enforce = enforce_it };

	all_take(p, &s);
	p->options.policy = policy;
	return s.ended;
}

size_t proxy_end_over_quota(struct proxy *p)
{
	struct swap s = { 0 };

	all_take(p, &s);
	return s.ended;
}
