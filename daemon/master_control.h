/*
 * What clients of the control socket want done by the master.
 */
#pragma once

#include "daemon/master_internal.h"

/* Of a struct master. */
extern const struct control_ops master_control_ops;

/* Tells a generation which listeners are drained. */
void master_tell_drained(struct master *m, struct member *g);
