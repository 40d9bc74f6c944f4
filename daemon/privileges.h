/*
 * Giving up the rights that only the start needs.
 *
 * Capabilities and no_new_privs belong to single threads: call this before any
 * other thread is started, and open what only root may open before that.
 */
#pragma once

#include "core/base.h"

/* The bit of a capability, CAP_* of capabilities(7), in a set. */
#define CAPABILITY_BIT(cap) (UINT64_C(1) << (cap))

struct privileges {
	/*
	 * Who to become if we are root; NULL: stay who we are.  Without being
	 * root nobody can be chosen, and it is ignored.
	 */
	const char *user;
	/* What to keep of the capabilities that we have, in both cases. */
	uint64_t keep;
	/*
	 * Lets other processes of the user read our memory, and lets us dump
	 * core.  Without it most of our own /proc/self belongs to root, too.
	 */
	bool debuggable;
};

/* Tells whether there is a user of this name. */
bool privileges_user_exists(const char *user);

/*
 * Gives up what is not kept, for good: neither a set-user-ID program nor a
 * saved identity brings it back.  Root without a user keeps all its
 * capabilities.  On failure returns -errno with a sentence in why[size], and
 * the process must end: it may be half changed.
 */
int privileges_drop(const struct privileges *p, char *why, size_t size)
	MUST_CHECK;

/* The capabilities in effect for this thread. */
uint64_t privileges_held(void);
