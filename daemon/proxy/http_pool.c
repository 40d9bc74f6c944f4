/*
 * Idle connections to targets, found by address in a table of short lists.
 * Entries are made once and used again: keeping a connection allocates
 * nothing.  All live for the same time, so that those that came first go first
 * and one timer will do.
 */
#include "daemon/proxy/http_pool.h"

#include "core/addr.h"
#include "core/conn.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 64u

/* Servers end what was idle for a while, not what is busy. */
#define LOOK_AFTER_MS 1000

struct entry {
	struct list bucket; /* in its bucket, the first one came last */
	struct list age;    /* in `idle`, or in `spare` */
	struct http_pool *pool;
	struct tcp_conn *conn;
	struct http_way way;
	struct tcp_addr bound;
	int64_t until;
	size_t before; /* of the same way came before it, at most */
};

struct http_pool {
	struct http_pool_options o;
	size_t count, made; /* entries with a connection; that were ever used */
	struct list idle;   /* the oldest first */
	struct list spare;
	struct timer timer;
	struct list bucket[BUCKETS];
	struct entry entry[];
};

/* --- Finding ------------------------------------------------------------ */

/* Whoever chooses addresses that collide makes at most `max` steps of it. */
static struct list *bucket_of(struct http_pool *p, const struct tcp_addr *a)
{
	uint64_t lo, hi;

	memcpy(&lo, a->ip, sizeof(lo));
	memcpy(&hi, a->ip + sizeof(lo), sizeof(hi));
	lo = (lo ^ hi * 31 ^ a->port) * UINT64_C(0x9e3779b97f4a7c15);
	return &p->bucket[lo >> 58];
}

static bool same_way(const struct http_way *a, const struct http_way *b)
{
	return a->upstream == b->upstream && a->hop == b->hop &&
	       addr_equal(&a->to, &b->to) &&
	       addr_equal(&a->source, &b->source) &&
	       addr_equal(&a->source6, &b->source6);
}

static struct entry *newest(struct list *bucket, const struct http_way *way)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, bucket) {
		struct entry *e = list_entry(at, struct entry, bucket);

		if (same_way(&e->way, way))
			return e;
	}
	return NULL;
}

/* --- Leaving ------------------------------------------------------------ */

/* Takes the connection out of its entry, which is spare from now on. */
static struct tcp_conn *leave(struct entry *e)
{
	struct http_pool *p = e->pool;

	list_remove(&e->bucket);
	list_remove(&e->age);
	list_append(&p->spare, &e->age);
	p->count--;
	return TAKE_PTR(e->conn);
}

static void drop(struct entry *e)
{
	tcp_conn_close(leave(e));
}

static void event(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);

	if (conn_can_read(c))
		drop(c->owner.keeper);
}

static void look_again(struct http_pool *p)
{
	/* No memory: they stay until they are used, or others need room. */
	if (!list_empty(&p->idle) && !timer_armed(&p->timer))
		(void)!timer_set(
			loop_self(), &p->timer,
			list_first(&p->idle, struct entry, age)->until);
}

static void time_is_up(struct timer *t)
{
	struct http_pool *p = container_of(t, struct http_pool, timer);
	int64_t now = loop_now(loop_self());

	while (!list_empty(&p->idle)) {
		struct entry *e = list_first(&p->idle, struct entry, age);

		if (e->until > now)
			break;
		drop(e);
	}
	look_again(p);
}

/*
 * Whether something came that no event has told of yet: a part of what the loop
 * has at hand, or, for which it takes a system call, in the socket.  What the
 * server says while the request is on its way nobody can tell from an answer.
 */
static bool is_stale(const struct entry *e)
{
	struct tcp_conn *c = e->conn;
	int64_t since = e->until - e->pool->o.idle_ms;
	uint8_t byte;

	if (watch_due(loop_self(), &c->watch) & CONN_READABLE)
		return true;
	return loop_now(loop_self()) - since >= LOOK_AFTER_MS &&
	       conn_peek_now(c, &byte, 1) != -EAGAIN;
}

struct tcp_conn *http_pool_take(struct http_pool *p, const struct http_way *way,
				struct tcp_addr *ret_bound)
{
	struct entry *e = NULL;

	while (p && p->count) {
		e = newest(bucket_of(p, &way->to), way);
		if (!e || !is_stale(e))
			break;
		drop(e);
		e = NULL;
	}
	if (!e)
		return NULL;
	*ret_bound = e->bound;
	conn_own_by_task(e->conn);
	return leave(e);
}

/* --- Coming ------------------------------------------------------------- */

/*
 * Tells whether nothing has come that was not read.  After splice(2), and after
 * a read that was filled, only the kernel knows.
 */
static bool is_quiet(struct tcp_conn *c)
{
	uint8_t byte;

	return !conn_can_read(c) || conn_peek_now(c, &byte, 1) == -EAGAIN;
}

/* Counts those of a way and drops the oldest if that is one too many. */
static size_t recount(struct http_pool *p, struct list *bucket,
		      const struct http_way *way)
{
	struct entry *oldest = NULL;
	struct list *at, *safe;
	size_t count = 0;

	list_for_each_safe (at, safe, bucket) {
		struct entry *e = list_entry(at, struct entry, bucket);

		if (!same_way(&e->way, way))
			continue;
		oldest = e;
		count++;
	}
	if (count < p->o.per_target)
		return count;
	drop(oldest);
	return count - 1;
}

/* An entry without a connection; memory is touched as it is used. */
static struct entry *new_entry(struct http_pool *p)
{
	struct entry *e;

	if (list_empty(&p->spare) && p->made < p->o.max) {
		e = &p->entry[p->made++];
		e->pool = p;
		return e;
	}
	if (list_empty(&p->spare))
		drop(list_first(&p->idle, struct entry, age));
	e = list_first(&p->spare, struct entry, age);
	list_remove(&e->age);
	return e;
}

void http_pool_put(struct http_pool *p, struct tcp_conn *c,
		   const struct http_way *way, const struct tcp_addr *bound)
{
	size_t before = 0;
	struct list *bucket;
	struct entry *e;

	if (!p || net_self()->draining || !is_quiet(c)) {
		tcp_conn_close(c);
		return;
	}
	bucket = bucket_of(p, &way->to);
	e = newest(bucket, way);
	if (e)
		before = e->before + 1;
	if (p->o.per_target && before >= p->o.per_target)
		before = recount(p, bucket, way);
	e = new_entry(p);
	e->before = before;
	e->conn = c;
	e->way = *way;
	e->bound = *bound;
	e->until = tcp_deadline(p->o.idle_ms);
	list_append(&p->idle, &e->age);
	list_append(bucket->next, &e->bucket); /* in front of the first */
	p->count++;
	c->owner.keeper = e;
	c->watch.notify = event;
	look_again(p);
}

/* --- All of them -------------------------------------------------------- */

int http_pool_new(struct http_pool **ret, const struct http_pool_options *o)
{
	struct http_pool *p;

	*ret = NULL;
	if (o->max == 0)
		return 0;
	p = calloc(1, sizeof(*p) + o->max * sizeof(p->entry[0]));
	if (!p)
		return -ENOMEM;
	p->o = *o;
	p->timer.fire = time_is_up;
	list_init(&p->idle);
	list_init(&p->spare);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&p->bucket[i]);
	*ret = p;
	return 0;
}

void http_pool_free(struct http_pool *p)
{
	if (!p)
		return;
	while (!list_empty(&p->idle))
		drop(list_first(&p->idle, struct entry, age));
	timer_stop(loop_self(), &p->timer);
	free(p);
}

size_t http_pool_count(const struct http_pool *p)
{
	return p ? p->count : 0;
}
