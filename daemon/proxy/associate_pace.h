/*
 * How fast an association's datagrams may pass.
 */
#pragma once

#include "daemon/proxy/associate_state.h"

/*
 * By the user, and by the rule that decides; SESSION_NONE: no target is known
 * yet.  -ENOMEM: it stays as it is.
 */
int association_pace_set(struct association *a, uint16_t rule) MUST_CHECK;
void association_pace_close(struct association *a);

/* Tells whether a batch may be read; if not, it gets its turn in time. */
bool association_may_pass(struct association *a, bool up);

/* So many bytes did. */
void association_passed(struct association *a, bool up, size_t bytes);

/* Begins to pay off what passed too much, though nothing else may follow. */
void association_pay(struct association *a);

/* When a datagram passed last, or will: waiting for that is not idle. */
int64_t association_quiet_since(const struct association *a);
