/*
 * A direction of a relay that takes no more than its pacer grants; the pacer
 * itself is in tcpserver.h.
 */
#pragma once

#include "core/flow.h"

/*
 * Asks for more where all is spent, or the time has come for which the pacer
 * made it wait.  False: not yet, f->paused_until is set.
 */
bool pace_take(struct tcp_relay_pacer *p, struct flow *f, int i);

/* At the beginning of a turn: what nobody wanted goes back. */
void pace_renew(struct tcp_relay_pacer *p, struct flow *f, int i);

/* The direction is closed; harmless for one that was before. */
void pace_end(struct tcp_relay_pacer *p, struct flow *f, int i);
