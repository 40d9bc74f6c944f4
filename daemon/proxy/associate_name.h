/*
 * Datagrams of an association whose target is a name.
 */
#pragma once

#include "daemon/proxy/associate_state.h"

/*
 * Finds the address of a name.  -EAGAIN: a copy of the payload waits for it;
 * any other error: the datagram is to be dropped.
 */
int association_find(struct association *a, const struct target *t,
		     struct span payload, struct tcp_addr *ret) MUST_CHECK;

/* Drops what waits for names. */
void association_forget_names(struct association *a);
