/*
 * Volume quotas where sessions meet them: bytes are added to their users where
 * a session's record is written anyway, and whoever has used up his quota is
 * refused.  What was used before this process, and when a day is over, is told
 * by somebody else (daemon/quotas.h), who sets `stop_at`.  Nothing here takes
 * a lock or makes a system call.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/quota_layout.h"

struct quota_bound {
	const char *name;    /* of the entry */
	uint64_t day, month; /* bytes; 0: no bound */
	bool end;            /* running sessions end, too */
};

struct quota_options {
	const struct quota_bound *bounds; /* by number - 1; borrowed */
	size_t count;                     /* 0: there are no quotas */
	struct quota_entry *memory;       /* QUOTA_ENTRIES, zeroed */
};

struct quotas;

/* For so many session slots.  -ENOMEM; -errno of getrandom(2). */
int quotas_new(struct quotas **ret, const struct quota_options *o,
	       uint32_t slots) MUST_CHECK;
void quotas_free(struct quotas *q); /* NULL is harmless */

/*
 * From here on what the session of a slot moves is the user's; `number` is that
 * of his quota, 0: he has none.  OUTCOME_QUOTA: it is used up.
 */
enum outcome quotas_begin(struct quotas *q, uint32_t slot, struct span user,
			  uint16_t number);

/* A session begins in a slot: it is nobody's until quotas_begin(). */
void quotas_vacate(struct quotas *q, uint32_t slot);

/* The session of a slot has moved more bytes. */
void quotas_count(struct quotas *q, uint32_t slot, uint64_t bytes);

/* Tells whether that session is to end, its user's quota being used up. */
bool quotas_ends(const struct quotas *q, uint32_t slot);

/* --- For who keeps what was used ------------------------------------------ */

/* The user's entry; a new one has all of the quota.  NULL: the table is full */
struct quota_entry *quotas_entry(struct quotas *q, struct span user,
				 uint16_t number);

/* The next entry that is used from *at on; NULL: there is none. */
struct quota_entry *quotas_next(struct quotas *q, uint32_t *at);

const struct quota_bound *quotas_bound(const struct quotas *q, uint16_t number);

/* How many sessions were not counted, since the table was full. */
uint64_t quotas_uncounted(const struct quotas *q);

/* --- Of a proxy ------------------------------------------------------------
 */

struct proxy;

/* What users with a quota have moved; NULL: there are no quotas. */
struct quotas *proxy_quotas(const struct proxy *p);

/*
 * Lets every worker end the sessions of users whose quota is used up, where
 * that says so; waits until all have.  As proxy_set_policy().
 */
size_t proxy_end_over_quota(struct proxy *p);
