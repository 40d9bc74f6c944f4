/*
 * Inside of upstreams.
 *
 *   upstream.c          groups, order, health, counts
 *   upstream_way.c      a connection by one parent, or by a chain of them
 *   upstream_hop.c      what is said to one parent
 *   upstream_connect.c  a request: one parent after the other
 *   upstream_check.c    active checks, and one where a parent seems to hang
 *   parent_msg.c        bytes
 */
#pragma once

#include "daemon/proxy/parent_msg.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/upstream.h"

#include <stdatomic.h>

/* --- Groups, upstream.c -------------------------------------------------- */

/* What all workers know of a parent; a line of the cache. */
struct parent_state {
	_Atomic int64_t until_ms; /* it failed: not before; 0: it is well */
	atomic_uint failures;     /* since it was well */
	atomic_uint active;       /* sessions */
	atomic_bool silent; /* it failed so: a connection proves nothing */
	atomic_bool probed; /* somebody is finding out whether it hangs */
	_Atomic int64_t heard_ms; /* when it answered anything last */
	uint64_t hash;
	struct span login; /* its field line for HTTP; in a secret */
} __attribute__((aligned(64)));

struct group_state {
	const struct upstream_group *g;
	const struct upstream_options *o;
	struct parent_state *parent;
	atomic_uint turn;
};

struct upstream_checks;

struct upstreams {
	struct upstream_options o;
	struct upstream_checks *checks; /* of the first worker; may be NULL */
	struct parent_state *parents;   /* of all groups */
	uint8_t *logins; /* of all parents, PARENT_BASIC_MAX each */
	size_t parent_count;
	struct group_state group[];
};

/* NULL: there is none of that number. */
struct group_state *upstream_group(struct upstreams *u, uint16_t number);

/* The parents' numbers, from 0, in the order of the policy alone. */
void upstream_order(struct group_state *s, const struct tcp_addr *client,
		    const struct parent_target *target, uint8_t *order);

enum parent_health {
	PARENT_WELL,
	PARENT_TRIED, /* it failed; its back-off is over and it is our turn */
	PARENT_FAILING,
};

/* Takes the turn of who may try a parent whose back-off is over. */
enum parent_health upstream_health(struct group_state *s, unsigned parent,
				   int64_t now);

/* Takes no turn. */
bool upstream_seems_well(const struct group_state *s, unsigned parent);

/* A parent failed, at w->hop, of which `health` was told; or did not. */
struct upstream_way;
void upstream_failed(struct group_state *s, enum parent_health health,
		     const struct upstream_way *w, enum outcome why);
void upstream_is_well(struct group_state *s, unsigned parent);

/* It has answered, whatever it was: no parent that hangs does. */
void upstream_heard(struct group_state *s, unsigned parent);

/*
 * A question that was put at `since` got no answer, which may be for the
 * target's silence.  Tells whether it is to be found out now, by the caller,
 * who says when he is done: it has answered nobody else meanwhile, and nobody
 * else is at it.
 */
bool upstream_suspect(struct group_state *s, unsigned parent, int64_t since);
void upstream_suspected(struct group_state *s, unsigned parent);

/*
 * Finds out, then, by asking the parent for something that it need not wait
 * for, and notes its health.  Lasts 5 s at most.
 */
void upstream_probe(struct proxy_worker *here, struct group_state *s,
		    unsigned parent, enum parent_health health);

/* It takes an answer to be well again, not only a connection; whether so. */
void upstream_is_silent(struct group_state *s, unsigned parent);
bool upstream_owes_answer(const struct group_state *s, unsigned parent);
