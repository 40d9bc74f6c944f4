/*
 * Sessions and the rates that bound them.
 *
 * Rates of users and rules are found in a table when a session begins and
 * given back when it ends, under a lock: only by sessions that have such a
 * bound.  In between they are reached by pointer and are atomic.
 *
 * One that nobody uses any more stays until its line has passed: who comes
 * again and again with a new session would have a new rate each time.
 */
#include "daemon/proxy/bandwidth.h"

#include "core/siphash.h"
#include "daemon/proxy/bucket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HEADS      1024u
#define SHARED_MAX 3 /* a rule's, a user's, a user's of that rule */
#define CACHE_LINE 64
#define NS_PER_MS  1000000
#define NS_PER_US  1000
#define US_PER_MS  1000

/* A rate each way; workers that have nothing in common share no line. */
struct rate_pair {
	_Alignas(CACHE_LINE) struct bucket way[2];
};

struct shared {
	struct rate_pair pair;
	struct shared *next;
	size_t refs;
	uint16_t rule;    /* 0: of all rules */
	uint8_t user_len; /* 0: of all users */
	char user[];
};

struct bandwidths {
	struct bandwidth_options o;
	struct rule_actions actions;
	struct siphash_key key;
	pthread_mutex_t lock;
	size_t count;   /* of those in use */
	unsigned swept; /* the last head that was */
	struct shared *head[HEADS];
};

/* One direction of a session. */
struct lane {
	uint32_t held;    /* a place was taken for them */
	unsigned waits;   /* in which of its rates, by bit */
	int64_t asked_ms; /* when that was */
	int64_t from_ms;  /* the time of the place, then that of the grant */
	/* How long the lines were then, each; 0: there was none. */
	int64_t line_us[SHARED_MAX + 1];
};

struct bandwidth {
	struct tcp_relay_pacer pacer;
	struct bandwidths *all;
	struct shared *shared[SHARED_MAX];
	unsigned shared_count, count;
	struct rate_pair *rate[SHARED_MAX + 1]; /* all that count */
	struct lane lane[2];
	struct rate_pair own;
};

/* What is asked for of the table. */
struct wanted {
	uint64_t rate;
	uint16_t rule;
	struct span user;
};

/* --- The table ---------------------------------------------------------- */

static bool has_passed(struct rate_pair *p, int64_t now_ms)
{
	return bucket_line_us(&p->way[0], now_ms) == 0 &&
	       bucket_line_us(&p->way[1], now_ms) == 0;
}

/* Frees what nobody uses any more. */
static void sweep(struct shared **at, int64_t now_ms)
{
	while (*at) {
		struct shared *s = *at;

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
	for (unsigned i = 0; i < HEADS; i++)
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

static struct shared **head_of(struct bandwidths *all, uint16_t rule,
			       struct span user)
{
	uint64_t hash = siphash(&all->key, user.at, user.len) + rule;

	return &all->head[hash % HEADS];
}

static void pair_init(struct rate_pair *p, uint64_t rate, int64_t now_ms)
{
	for (int i = 0; i < 2; i++)
		bucket_init(&p->way[i], rate, now_ms);
}

static struct shared *shared_new(const struct wanted *w, int64_t now_ms)
{
	size_t bytes = sizeof(struct shared) + w->user.len;
	struct shared *s;

	bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	s = aligned_alloc(CACHE_LINE, bytes);
	if (!s)
		return NULL;
	pair_init(&s->pair, w->rate, now_ms);
	s->refs = 0;
	s->rule = w->rule;
	s->user_len = (uint8_t)w->user.len;
	if (s->user_len)
		memcpy(s->user, w->user.at, s->user_len);
	return s;
}

static bool is_wanted(const struct shared *s, const struct wanted *w)
{
	return s->rule == w->rule && s->user_len == w->user.len &&
	       (!s->user_len || memcmp(s->user, w->user.at, s->user_len) == 0);
}

/* With the lock held.  NULL: no memory. */
static struct shared *shared_get(struct bandwidths *all, const struct wanted *w,
				 int64_t now_ms)
{
	struct shared **head = head_of(all, w->rule, w->user), *s;

	/* Each newcomer looks after another one's place, too. */
	sweep(&all->head[all->swept++ % HEADS], now_ms);
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

/* Likewise. */
static void shared_put(struct bandwidths *all, struct shared *s)
{
	if (--s->refs == 0)
		all->count--;
}

/* --- A session ---------------------------------------------------------- */

static void put_all(struct bandwidth *b)
{
	if (!b->shared_count)
		return;
	(void)pthread_mutex_lock(&b->all->lock);
	while (b->shared_count)
		shared_put(b->all, b->shared[--b->shared_count]);
	(void)pthread_mutex_unlock(&b->all->lock);
}

static int get_all(struct bandwidth *b, const struct wanted *wanted,
		   unsigned count, int64_t now_ms)
{
	struct bandwidths *all = b->all;

	if (count == 0)
		return 0;
	(void)pthread_mutex_lock(&all->lock);
	for (unsigned i = 0; i < count; i++) {
		struct shared *s = shared_get(all, &wanted[i], now_ms);

		if (!s)
			break;
		b->shared[b->shared_count++] = s;
		b->rate[b->count++] = &s->pair;
	}
	(void)pthread_mutex_unlock(&all->lock);
	return b->shared_count == count ? 0 : -ENOMEM;
}

/* The lower one of those that are set. */
static uint64_t lower(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

static uint32_t pacer_take(struct tcp_relay_pacer *p, int direction,
			   int64_t now_ms, int64_t *ret_ms)
{
	return bandwidth_take(container_of(p, struct bandwidth, pacer),
			      direction, now_ms, ret_ms);
}

static void pacer_give(struct tcp_relay_pacer *p, int direction, uint32_t bytes)
{
	bandwidth_give(container_of(p, struct bandwidth, pacer), direction,
		       bytes);
}

static void pacer_done(struct tcp_relay_pacer *p)
{
	bandwidth_close(container_of(p, struct bandwidth, pacer));
}

int bandwidth_open(struct bandwidth **ret, struct bandwidths *all,
		   uint16_t rule, struct span user, int64_t now_ms)
{
	static const struct rule_action nothing;
	const struct rule_action *a;
	struct wanted wanted[SHARED_MAX];
	struct bandwidth *b;
	uint64_t session;
	unsigned count = 0;

	*ret = NULL;
	if (!all)
		return 0;
	a = rule_action(&all->actions, rule);
	if (!a)
		a = &nothing;
	session = lower(all->o.session, a->bandwidth_session);
	if (a->bandwidth)
		wanted[count++] = (struct wanted){ a->bandwidth, rule, { 0 } };
	if (user.len && all->o.user)
		wanted[count++] = (struct wanted){ all->o.user, 0, user };
	if (user.len && a->bandwidth_user)
		wanted[count++] = (struct wanted){ a->bandwidth_user, rule,
						   user };
	if (!session && !count)
		return 0;
	b = aligned_alloc(CACHE_LINE, sizeof(*b));
	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->all = all;
	b->pacer.take = pacer_take;
	b->pacer.give = pacer_give;
	b->pacer.done = pacer_done;
	if (session) {
		pair_init(&b->own, session, now_ms);
		b->rate[b->count++] = &b->own;
	}
	if (get_all(b, wanted, count, now_ms) < 0) {
		bandwidth_close(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void bandwidth_close(struct bandwidth *b)
{
	if (!b)
		return;
	bandwidth_give(b, 0, 0);
	bandwidth_give(b, 1, 0);
	put_all(b);
	free(b);
}

struct tcp_relay_pacer *bandwidth_pacer(struct bandwidth *b)
{
	return b ? &b->pacer : NULL;
}

/* --- Taking and giving back --------------------------------------------- */

static void stop_waiting(struct bandwidth *b, int direction)
{
	struct lane *l = &b->lane[direction];

	for (unsigned i = 0; i < b->count; i++)
		if (l->waits & 1u << i)
			atomic_fetch_sub_explicit(
				&b->rate[i]->way[direction].waiting, 1,
				memory_order_relaxed);
	l->waits = 0;
}

/* What to take: the least of what all its rates would give it. */
static uint32_t share(struct bandwidth *b, int direction, int64_t now_ms)
{
	const struct lane *l = &b->lane[direction];
	uint32_t bytes = BUCKET_SHARE_MAX;
	int64_t since_us = 0, line_us = 0;

	for (unsigned i = 0; i < b->count; i++)
		line_us = max_i64(line_us, l->line_us[i]);
	/* Who was away for long was not kept waiting. */
	if (line_us)
		since_us = min_i64((now_ms - l->asked_ms) * US_PER_MS,
				   2 * line_us);
	for (unsigned i = 0; i < b->count; i++)
		bytes = (uint32_t)min_size(
			bytes, bucket_share(&b->rate[i]->way[direction],
					    since_us, l->line_us[i]));
	return bytes;
}

/* Takes places in all rates; the time of the last one. */
static int64_t take_places(struct bandwidth *b, int direction, uint32_t bytes,
			   int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t last_ns = 0;

	for (unsigned i = 0; i < b->count; i++) {
		struct bucket *k = &b->rate[i]->way[direction];
		int64_t at_ns = bucket_take(k, bytes, now_ms);

		last_ns = max_i64(last_ns, at_ns);
		l->line_us[i] = 0;
		if (at_ns / NS_PER_MS <= now_ms)
			continue;
		l->line_us[i] = at_ns / NS_PER_US - now_ms * US_PER_MS;
		l->waits |= 1u << i;
		atomic_fetch_add_explicit(&k->waiting, 1, memory_order_relaxed);
	}
	return last_ns;
}

/*
 * Who types, or asks for a page, does not stand behind those who load: takes
 * places for little, whose time is now whatever the lines are.  Returns
 * whether.
 */
static bool pass_by(struct bandwidth *b, int direction, int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t away_us = (now_ms - l->from_ms) * US_PER_MS;
	uint32_t bytes = UINT32_MAX;

	for (unsigned i = 0; i < b->count; i++) {
		struct bucket *k = &b->rate[i]->way[direction];

		if (!bucket_lets_by(k, away_us, now_ms))
			return false;
		bytes = (uint32_t)min_size(bytes, bucket_least(k));
	}
	for (unsigned i = 0; i < b->count; i++) {
		(void)bucket_take(&b->rate[i]->way[direction], bytes, now_ms);
		l->line_us[i] = 0;
	}
	l->held = bytes;
	l->asked_ms = l->from_ms = now_ms;
	return true;
}

/* Whether there is any. */
static bool has_line(struct bandwidth *b, int direction, int64_t now_ms)
{
	for (unsigned i = 0; i < b->count; i++)
		if (bucket_line_us(&b->rate[i]->way[direction], now_ms) > 0)
			return true;
	return false;
}

/* Sees to it that a place is taken. */
static void line_up(struct bandwidth *b, int direction, int64_t now_ms)
{
	struct lane *l = &b->lane[direction];
	int64_t at_ns;

	if (l->held)
		return;
	if (has_line(b, direction, now_ms) && pass_by(b, direction, now_ms))
		return;
	l->held = share(b, direction, now_ms);
	at_ns = take_places(b, direction, l->held, now_ms);
	l->asked_ms = now_ms;
	l->from_ms = max_i64(at_ns / NS_PER_MS, now_ms);
}

uint32_t bandwidth_take(struct bandwidth *b, int direction, int64_t now_ms,
			int64_t *ret_ms)
{
	struct lane *l = &b->lane[direction];
	uint32_t bytes;

	line_up(b, direction, now_ms);
	if (l->from_ms > now_ms) {
		*ret_ms = l->from_ms;
		return 0;
	}
	stop_waiting(b, direction);
	bytes = l->held;
	l->held = 0;
	l->from_ms = now_ms;
	return bytes;
}

void bandwidth_give(struct bandwidth *b, int direction, uint32_t bytes)
{
	struct lane *l = &b->lane[direction];

	stop_waiting(b, direction);
	bytes += l->held;
	l->held = 0;
	for (unsigned i = 0; i < b->count && bytes; i++)
		bucket_give(&b->rate[i]->way[direction], bytes);
}
