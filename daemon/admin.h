/*
 * The admin listener: metrics, health and a status page over HTTP, served by a
 * thread of its own, so that neither a busy worker delays it nor it a worker.
 * What there is to say of all generations it asks the master for.
 */
#pragma once

#include "daemon/handoff.h"
#include "daemon/listen.h"

struct admin;

/*
 * Makes it for a generation, with users and all that needs rights; *ret is
 * NULL where the configuration has none.  `control` is the connection to the
 * master, -1: there is none; `proxy` are the addresses that clients are served
 * at.  -errno after a line in the log.
 */
int admin_new(struct admin **ret, struct setup *s, int control,
	      const struct listening *proxy) MUST_CHECK;

/* Ends it: its clients are cut.  NULL is harmless, here and below. */
void admin_free(struct admin *a);

/* Opens its addresses, as listening_open().  -errno after a line in the log. */
int admin_open(struct admin *a, struct adopt *passed) MUST_CHECK;

/* Where these are; NULL: nowhere. */
struct listening *admin_listening(struct admin *a);

/* Around a change of `proxy` once its thread runs. */
void admin_lock(struct admin *a);
void admin_unlock(struct admin *a);

/* Starts its thread; then lets clients in.  -errno after a line in the log. */
int admin_prepare(struct admin *a) MUST_CHECK;
int admin_start(struct admin *a) MUST_CHECK;

/* The generation accepts no more: it is not ready. */
void admin_draining(struct admin *a);

/* Lets nobody in any more: another generation serves. */
void admin_stop(struct admin *a);

/* Tells whether somebody waits for an answer, which may need the master's. */
bool admin_is_busy(const struct admin *a);

/* The master's answer, HANDOFF_SEEN; takes its descriptors. */
void admin_seen(struct admin *a, struct handoff_received *r);
