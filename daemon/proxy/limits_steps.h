/*
 * A session is counted in three steps: at its admission, when its user is
 * known, and when a rule has decided.  What it holds is noted by the number
 * of its slot, as far as the session's record does not tell, and given back
 * when that is closed.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/outcome.h"

struct limits; /* NULL: come in */

/* One that was just accepted. */
struct limits_who {
	const struct tcp_addr *client;
	uint16_t listener, rule; /* the client rule */
};

/* What admission gives fits into so many bits. */
#define LIMITS_TICKET_BITS 4

/*
 * May he come?  OUTCOME_NONE with a ticket, which one of the next two takes
 * back; or why not.
 */
enum outcome limits_admit(struct limits *l, unsigned worker,
			  const struct limits_who *who, int64_t now_ms,
			  unsigned *ret_ticket);

/* He went without a session. */
void limits_leave(struct limits *l, const struct limits_who *who,
		  unsigned ticket);

/* What follows is done by the worker that has the slot. */

/* He has one. */
void limits_begin(struct limits *l, uint32_t slot, unsigned ticket);

/* A session that asks for something. */
struct limits_session {
	unsigned worker;
	uint32_t slot;
	const struct tcp_addr *client;
	struct span user; /* who has logged in; empty: nobody */
	int64_t now_ms;
};

/* Its user is known. */
enum outcome limits_user(struct limits *l, const struct limits_session *s);

/*
 * A rule has decided.  If another one had before, what he counted for there is
 * given back, unless this one refuses.
 */
enum outcome limits_rule(struct limits *l, const struct limits_session *s,
			 uint16_t rule);

/*
 * Another session of the same client has the slot now: it holds what was
 * counted at admission, all else is given back.  `who` is as he was admitted.
 */
void limits_next(struct limits *l, uint32_t slot, const struct limits_who *who);

/*
 * The session of a slot has ended, but its client stays, without one for now:
 * what was counted at admission is his ticket's again.  After limits_next().
 */
void limits_rest(struct limits *l, uint32_t slot);

/*
 * Gives back what the session of a slot holds, if it does.  `who` is as he was
 * admitted.
 */
void limits_end(struct limits *l, uint32_t slot, const struct limits_who *who);
