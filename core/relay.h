/*
 * What the rest of the library does with relays; the public half is in
 * tcpserver.h.
 */
#pragma once

#include "core/flow.h"

/* Ends every relay of this thread with resets.  Returns how many. */
size_t relays_kill(struct net *n);

/*
 * Ends those whose ctx is told to be wanted, which is asked of each.  Returns
 * how many.
 */
size_t relays_kill_if(struct net *n, bool (*wanted)(void *ctx, void *arg),
		      void *arg);

/* Ends those in which nothing has moved for so long.  Returns how many. */
size_t relays_kill_idle(struct net *n, int64_t idle_ms);
