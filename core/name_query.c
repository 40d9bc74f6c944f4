/*
 * One name on its way.
 *
 * The search list is walked here rather than by c-ares, which would walk it
 * for each family on its own (and mix addresses of two names), and hands out
 * no message, hence no negative TTL, at the end of the walk.
 *
 * A query lives until both families have spoken; waiters come and go.  What
 * arrives is written into the entry first and answered from there.
 */
#include "core/name_query.h"

#include "core/host_name.h"
#include "core/name_order.h"
#include "core/task.h"

#include <stdlib.h>

/* How long one family waits for the first (RFC 8305 §3, "Resolution Delay"). */
#define RESOLUTION_DELAY_MS 50

/* Longer than whoever got a partial answer lets pass before he asks again. */
#define RECENT_MS 500

/* A failure is remembered just long enough to stop a stampede. */
#define FAILURE_TTL_MS 1000

struct family {
	struct dns_question question;
	struct name_query *query;
	bool settled;
};

struct name_query {
	struct list entry; /* in asker->queries */
	struct name_asker *asker;
	struct name_entry *name;
	struct list waiters;
	struct family family[NAME_FAMILIES];
	struct timer delay;
	int64_t negative_until; /* the least of those met on the walk */
	int failure;            /* met on the walk; 0: none */
	unsigned slot;          /* of whoever was the first to ask */
	bool delay_over;
	bool asking; /* answers are noted, and looked at when all is asked */
};

/* --- Answers ------------------------------------------------------------ */

bool name_entry_fresh(const struct name_entry *e, int64_t now)
{
	return e->record[NAME_V6].expires > now &&
	       e->record[NAME_V4].expires > now;
}

bool name_entry_recent(const struct name_entry *e, int64_t now)
{
	return e->asked_ms > 0 && now - e->asked_ms < RECENT_MS;
}

static int entry_error(const struct name_entry *e)
{
	int r = e->record[NAME_V4].error;

	return r == -ENOENT ? e->record[NAME_V6].error : r;
}

int name_entry_answer(const struct name_entry *e, enum resolver_order order,
		      struct resolve_answer *ret)
{
	const unsigned count[NAME_FAMILIES] = {
		[NAME_V6] = e->record[NAME_V6].count,
		[NAME_V4] = e->record[NAME_V4].count,
	};
	struct tcp_addr a;

	if (!answer_begin(ret, count))
		return entry_error(e);
	for (enum name_family f = 0; f < NAME_FAMILIES; f++) {
		for (unsigned i = 0; i < count[f]; i++) {
			addr_set(&a, name_socket_family(f),
				 name_entry_ip(e, f, i), 0);
			addr_unmap(&a);
			answer_place(ret, order, count, f, i, &a);
		}
	}
	ret->place = e->place;
	return 0;
}

static void waiter_done(struct name_waiter *w, int result)
{
	list_remove(&w->entry);
	w->result = result;
	w->done = true;
	task_wake(w->task, 0);
}

void name_waiter_leave(struct name_waiter *w)
{
	list_remove(&w->entry);
}

/* Answers who waits, all or those whom a partial answer will do. */
static void deliver(struct name_query *q, bool partial)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &q->waiters) {
		struct name_waiter *w = list_entry(at, struct name_waiter,
						   entry);
		int r;

		if (partial && w->whole)
			continue;
		r = name_entry_answer(q->name, q->asker->order, w->answer);
		if (r == 0)
			w->answer->partial = partial;
		waiter_done(w, r);
	}
}

/* --- The walk ----------------------------------------------------------- */

static bool has_address(const struct name_query *q, enum name_family f)
{
	return q->family[f].settled && q->name->record[f].count > 0;
}

static int64_t reply_ttl_ms(const struct name_asker *a,
			    const struct dns_reply *r)
{
	if (r->error && r->error != -ENOENT)
		return FAILURE_TTL_MS;
	if (r->ttl_s < 0)
		return a->negative_ttl_ms;
	return max_i64(min_i64(r->ttl_s * 1000, a->ttl_max_ms), a->ttl_min_ms);
}

/* Writes what came into the entry. */
static void note(struct name_query *q, enum name_family f,
		 const struct dns_reply *r)
{
	struct name_record known = {
		.expires = loop_now(q->asker->loop) + reply_ttl_ms(q->asker, r),
		.error = r->error,
		.count = (uint8_t)r->count,
	};

	/* Out of memory, the record says so by itself. */
	(void)name_entry_set(q->name, f, &known, r->ip);
	q->family[f].settled = true;
}

static void advance(struct name_query *q);

static void answered(struct dns_question *question, const struct dns_reply *r)
{
	struct family *f = container_of(question, struct family, question);
	struct name_query *q = f->query;

	note(q, (enum name_family)(f - q->family), r);
	if (!q->asking)
		advance(q);
}

static void ask_family(struct name_query *q, enum name_family f,
		       const char *name)
{
	static const struct name_record unknown = { .error = -EAGAIN };
	static const struct name_record unwanted = { .error = -ENOENT,
						     .expires = INT64_MAX };
	struct family *a = &q->family[f];
	int r = -ENOENT; /* a name too long for DNS */

	if (!order_wants(q->asker->order, f)) {
		(void)name_entry_set(q->name, f, &unwanted, NULL);
		a->settled = true;
		return;
	}
	(void)name_entry_set(q->name, f, &unknown, NULL);
	if (*name)
		r = dns_ask(q->asker->channel, &a->question, name,
			    name_socket_family(f));
	if (r < 0)
		note(q, f, &(struct dns_reply){ .error = r, .ttl_s = -1 });
}

/* Asks what is not settled at the present place; false past the last one. */
static bool ask(struct name_query *q)
{
	struct name_entry *e = q->name;
	char name[HOST_NAME_SIZE];
	int n = dns_search_name(q->asker->channel, e->name, e->len, e->place,
				name);

	if (n < 0)
		return false;
	if (n == 0)
		name[0] = '\0';
	q->asking = true;
	for (unsigned f = 0; f < NAME_FAMILIES; f++)
		if (!q->family[f].settled)
			ask_family(q, f, name);
	q->asking = false;
	return true;
}

static void query_free(struct name_query *q)
{
	for (unsigned f = 0; f < NAME_FAMILIES; f++)
		dns_forget(&q->family[f].question);
	timer_stop(q->asker->loop, &q->delay);
	list_remove(&q->entry);
	q->asker->query_count--;
	name_share_give(&q->asker->shares, q->slot);
	q->name->asked_ms = loop_now(q->asker->loop);
	name_cache_put(q->asker->cache, q->name);
	free(q);
}

/* The walk found nothing: what it met on the way is the answer. */
static void note_nothing(struct name_query *q)
{
	struct name_record known = { .expires = q->negative_until,
				     .error = -ENOENT };

	if (q->failure) {
		known.error = q->failure;
		known.expires = loop_now(q->asker->loop) + FAILURE_TTL_MS;
	}
	for (unsigned f = 0; f < NAME_FAMILIES; f++)
		(void)name_entry_set(q->name, f, &known, NULL);
	q->name->place = 0;
}

/*
 * Moves on to the next name of the search list.  A server that failed does not
 * end the walk (a domain of the list may be broken, the others must not suffer
 * from it); one that is silent does: the others would time out as well.
 */
static bool next_place(struct name_query *q)
{
	for (unsigned f = 0; f < NAME_FAMILIES; f++) {
		const struct name_record *r = &q->name->record[f];

		q->negative_until = min_i64(q->negative_until, r->expires);
		if (r->error != -ENOENT && !q->failure)
			q->failure = r->error;
	}
	if ((q->failure && q->failure != -EIO) || q->name->place == UINT8_MAX)
		return false;
	q->name->place++;
	for (unsigned f = 0; f < NAME_FAMILIES; f++)
		q->family[f].settled = false;
	return ask(q);
}

/*
 * Tells whether there is an answer before both families have spoken: of the
 * first one, or of the other once the first has had its time.
 */
static bool is_early(const struct name_query *q)
{
	enum name_family first = order_first(q->asker->order);

	return has_address(q, first) ||
	       (q->delay_over && has_address(q, order_other(first)));
}

/* Answers before both families have spoken, if it is time to. */
static void deliver_early(struct name_query *q)
{
	enum name_family first = order_first(q->asker->order);

	if (is_early(q)) {
		deliver(q, true);
		return;
	}
	if (!has_address(q, order_other(first)))
		return;
	if (!q->delay_over && !timer_armed(&q->delay) &&
	    timer_set(q->asker->loop, &q->delay,
		      loop_now(q->asker->loop) + RESOLUTION_DELAY_MS) < 0)
		q->delay_over = true;
	if (q->delay_over)
		deliver(q, true);
}

static void delay_over(struct timer *t)
{
	struct name_query *q = container_of(t, struct name_query, delay);

	q->delay_over = true;
	deliver_early(q);
}

/* Looks at what has come in; may free the query. */
static void advance(struct name_query *q)
{
	for (;;) {
		if (!q->family[NAME_V6].settled ||
		    !q->family[NAME_V4].settled) {
			deliver_early(q);
			return;
		}
		if (has_address(q, NAME_V6) || has_address(q, NAME_V4))
			break;
		if (!next_place(q)) {
			note_nothing(q);
			break;
		}
	}
	deliver(q, false);
	query_free(q);
}

/* --- Life --------------------------------------------------------------- */

/* Forgets what was asked so far and asks what is not settled. */
static void begin(struct name_query *q)
{
	q->negative_until = INT64_MAX;
	q->failure = 0;
	for (unsigned f = 0; f < NAME_FAMILIES; f++)
		dns_forget(&q->family[f].question);
	if (!ask(q)) {
		/* The search list is shorter than it was. */
		q->name->place = 0;
		(void)ask(q);
	}
	advance(q);
}

int name_query_start(struct name_asker *a, struct name_entry *e,
		     struct name_waiter *w)
{
	struct name_query *q = calloc(1, sizeof(*q));
	bool known = false;

	if (!q)
		return -ENOMEM;
	q->asker = a;
	q->name = e;
	q->delay.fire = delay_over;
	list_init(&q->waiters);
	list_append(&q->waiters, &w->entry);
	list_append(&a->queries, &q->entry);
	a->query_count++;
	q->slot = w->slot;
	name_share_take(&a->shares, q->slot);
	name_cache_hold(a->cache, e, q);
	/*
	 * A family that still holds need not be asked again if it has
	 * addresses, or the other one had some; what was not found at all may
	 * be found elsewhere by now.
	 */
	for (unsigned f = 0; f < NAME_FAMILIES; f++) {
		q->family[f].query = q;
		q->family[f].question.answered = answered;
		q->family[f].settled =
			e->record[f].expires > loop_now(a->loop) &&
			e->record[NAME_V6].count + e->record[NAME_V4].count > 0;
		known = known || q->family[f].settled;
	}
	if (!known)
		e->place = 0;
	begin(q);
	return 0;
}

void name_query_join(struct name_entry *e, struct name_waiter *w)
{
	struct name_query *q = e->holder;

	list_append(&q->waiters, &w->entry);
	deliver_early(q);
}

int name_query_peek(const struct name_entry *e, struct resolve_answer *ret)
{
	const struct name_query *q = e->holder;
	int r;

	if (!is_early(q))
		return -EAGAIN;
	r = name_entry_answer(e, q->asker->order, ret);
	if (r == 0)
		ret->partial = true;
	return r;
}

void name_queries_restart(struct name_asker *a)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &a->queries) {
		struct name_query *q = list_entry(at, struct name_query, entry);

		q->family[NAME_V6].settled = false;
		q->family[NAME_V4].settled = false;
		q->name->place = 0;
		begin(q);
	}
}

void name_queries_cancel(struct name_asker *a)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &a->queries) {
		struct name_query *q = list_entry(at, struct name_query, entry);

		while (!list_empty(&q->waiters))
			waiter_done(list_first(&q->waiters, struct name_waiter,
					       entry),
				    -ECANCELED);
		query_free(q);
	}
}
