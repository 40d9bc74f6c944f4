/*
 * Asking DNS for one name: both families at once, along the search list, for
 * all tasks that wait for that name.  Inside of the resolver.
 */
#pragma once

#include "core/dns_channel.h"
#include "core/list.h"
#include "core/name_cache.h"
#include "core/name_share.h"
#include "core/resolver.h"

struct task;

/* What the queries of one resolver share. */
struct name_asker {
	struct loop *loop;
	struct dns_channel *channel;
	struct name_cache *cache;
	enum resolver_order order;
	int64_t ttl_min_ms, ttl_max_ms, negative_ttl_ms;
	struct list queries;
	size_t query_count;
	struct name_shares shares; /* of who asks */
};

/* One task that waits; lies on its stack. */
struct name_waiter {
	struct list entry;
	struct task *task;
	struct resolve_answer *answer; /* filled when `result` is 0 */
	unsigned slot;                 /* whose share a query is of */
	bool whole;                    /* a partial answer will not do */
	bool done;
	int result;
};

/*
 * Starts asking for the families of which the idle entry `e` knows nothing
 * that still holds; with the first waiter, who may be done at once.  -ENOMEM.
 */
int name_query_start(struct name_asker *a, struct name_entry *e,
		     struct name_waiter *w) MUST_CHECK;

/* Adds a waiter to the query that holds the entry; may be done at once. */
void name_query_join(struct name_entry *e, struct name_waiter *w);

/* Lets a waiter who is not done go. */
void name_waiter_leave(struct name_waiter *w);

/* Asks every query's questions again, through the asker's present channel. */
void name_queries_restart(struct name_asker *a);

/* Ends every query; who waits gets -ECANCELED. */
void name_queries_cancel(struct name_asker *a);

/* Tells whether both families are known and hold at `now`. */
bool name_entry_fresh(const struct name_entry *e, int64_t now);

/*
 * Tells whether what is known of an idle entry has just come: whoever got a
 * part of it may have the rest, even of an answer that is not to be kept.
 */
bool name_entry_recent(const struct name_entry *e, int64_t now);

/* Makes the answer of what an entry knows: 0 with addresses, or its error. */
int name_entry_answer(const struct name_entry *e, enum resolver_order order,
		      struct resolve_answer *ret);

/*
 * The same for what the query that holds an entry would tell a waiter at once;
 * -EAGAIN: he would have to wait.
 */
int name_query_peek(const struct name_entry *e, struct resolve_answer *ret);
