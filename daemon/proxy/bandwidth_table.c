/*
 * The rates of users and rules that have sessions, found by rule and name under
 * a lock, when a session begins or ends.
 *
 * One that nobody uses any more stays until its line has passed: who comes
 * again and again with a new session would have a new rate each time.
 */
#include "daemon/proxy/bandwidth_table.h"

#include <stdlib.h>
#include <string.h>

static bool has_passed(struct rate_pair *p, int64_t now_ms)
{
	return bucket_line_us(&p->way[0], now_ms) == 0 &&
	       bucket_line_us(&p->way[1], now_ms) == 0;
}

/* Frees what nobody uses any more. */
static void sweep(struct shared_rate **at, int64_t now_ms)
{
	while (*at) {
		struct shared_rate *s = *at;

		if (s->refs == 0 && has_passed(&s->pair, now_ms)) {
			*at = s->next;
			free(s);
		} else {
			at = &s->next;
		}
	}
}

static bool bounds_anything(const struct bandwidth_options *o,
			    const struct rule_actions *actions)
{
	if (o->user | o->session)
		return true;
	for (size_t i = 0; i < actions->count; i++) {
		const struct rule_action *a = &actions->at[i];

		if (a->bandwidth | a->bandwidth_user | a->bandwidth_session)
			return true;
	}
	return false;
}

int bandwidths_new(struct bandwidths **ret, const struct bandwidth_options *o,
		   const struct rule_actions *actions)
{
	struct bandwidths *all;
	int r;

	*ret = NULL;
	if (!bounds_anything(o, actions))
		return 0;
	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->o = *o;
	all->actions = *actions;
	r = siphash_key_draw(&all->key);
	if (r < 0) {
		free(all);
		return r;
	}
	(void)pthread_mutex_init(&all->lock, NULL);
	*ret = all;
	return 0;
}

void bandwidths_free(struct bandwidths *all)
{
	if (!all)
		return;
	ASSERT(all->count == 0);
	for (unsigned i = 0; i < BANDWIDTH_HEADS; i++)
		sweep(&all->head[i], INT64_MAX);
	(void)pthread_mutex_destroy(&all->lock);
	free(all);
}

size_t bandwidths_count(struct bandwidths *all)
{
	size_t count;

	if (!all)
		return 0;
	(void)pthread_mutex_lock(&all->lock);
	count = all->count;
	(void)pthread_mutex_unlock(&all->lock);
	return count;
}

static struct shared_rate **head_of(struct bandwidths *all, uint16_t rule,
				    struct span user)
{
	uint64_t hash = siphash(&all->key, user.at, user.len) + rule;

	return &all->head[hash % BANDWIDTH_HEADS];
}

void rate_pair_init(struct rate_pair *p, uint64_t rate, int64_t now_ms)
{
	for (int i = 0; i < 2; i++)
		bucket_init(&p->way[i], rate, now_ms);
}

static struct shared_rate *shared_new(const struct rate_wanted *w,
				      int64_t now_ms)
{
	size_t bytes = sizeof(struct shared_rate) + w->user.len;
	struct shared_rate *s;

	bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	s = aligned_alloc(CACHE_LINE, bytes);
	if (!s)
		return NULL;
	rate_pair_init(&s->pair, w->rate, now_ms);
	s->refs = 0;
	s->rule = w->rule;
	s->user_len = (uint8_t)w->user.len;
	if (s->user_len)
		memcpy(s->user, w->user.at, s->user_len);
	return s;
}

static bool is_wanted(const struct shared_rate *s, const struct rate_wanted *w)
{
	return s->rule == w->rule && s->user_len == w->user.len &&
	       (!s->user_len || memcmp(s->user, w->user.at, s->user_len) == 0);
}

/* With the lock held.  NULL: no memory. */
static struct shared_rate *
shared_get(struct bandwidths *all, const struct rate_wanted *w, int64_t now_ms)
{
	struct shared_rate **head = head_of(all, w->rule, w->user), *s;

	/* Each newcomer looks after another one's place, too. */
	sweep(&all->head[all->swept++ % BANDWIDTH_HEADS], now_ms);
	sweep(head, now_ms);
	s = *head;
	while (s && !is_wanted(s, w))
		s = s->next;
	if (!s) {
		s = shared_new(w, now_ms);
		if (!s)
			return NULL;
		s->next = *head;
		*head = s;
	}
	if (s->refs++ == 0)
		all->count++;
	return s;
}

void bandwidths_put(struct bandwidths *all, struct shared_rate **rates,
		    unsigned count)
{
	if (count == 0)
		return;
	(void)pthread_mutex_lock(&all->lock);
	for (unsigned i = 0; i < count; i++)
		if (--rates[i]->refs == 0)
			all->count--;
	(void)pthread_mutex_unlock(&all->lock);
}

unsigned bandwidths_get(struct bandwidths *all,
			const struct rate_wanted *wanted, unsigned count,
			struct shared_rate **ret, int64_t now_ms)
{
	unsigned got = 0;

	if (count == 0)
		return 0;
	(void)pthread_mutex_lock(&all->lock);
	while (got < count) {
		ret[got] = shared_get(all, &wanted[got], now_ms);
		if (!ret[got])
			break;
		got++;
	}
	(void)pthread_mutex_unlock(&all->lock);
	return got;
}
