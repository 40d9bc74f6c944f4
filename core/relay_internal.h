/*
 * Inside a relay: what it is, for relay.c, which moves bytes and passes ends
 * on, and relay_time.c, which looks at the clock.
 */
#pragma once

#include "core/relay.h"

#define RELAY_DRAIN_FIRST 5 /* ms between looks at a send queue, doubling */

struct tcp_relay {
	struct tcp_conn *side[2];
	struct flow flow[2]; /* [i] reads from side[i] */
	struct work turn;
	struct timer timer;
	struct list all, moved;
	int64_t progress_ms, expires_ms;
	uint32_t idle_ms, half_closed_ms;
	int16_t error;
	uint16_t drain_ms; /* not 0: draining side[!broken] */
	int8_t broken;     /* the side that failed first, or -1 */
	bool half_closed;
	bool shutting[2]; /* the end of [i] waits for room in side[!i] */
	const struct tcp_relay_events *events;
	void *ctx;
	struct tcp_relay_pacer *pacer; /* NULL: as fast as it goes */
};

/* Thousands of them lie idle; malloc(3) gives 16 n - 8 bytes. */
_Static_assert(sizeof(struct tcp_relay) <= 232, "a relay has grown");

/* --- relay.c ------------------------------------------------------------ */

/* Frees the relay and closes both sides. */
void relay_finish(struct tcp_relay *r, enum tcp_relay_end end);

/* The same after a side has failed, which relay_note_broken() was told of. */
void relay_finish_broken(struct tcp_relay *r);
void relay_note_broken(struct tcp_relay *r, int side, int error);

/* --- relay_time.c ------------------------------------------------------- */

/* When the silence began, or will have: no pause is one. */
int64_t relay_quiet_since(const struct tcp_relay *r);

/* When the relay must be looked at though nothing happens. */
int64_t relay_next_look(const struct tcp_relay *r);

/* Arms the timer for that. */
void relay_look_again(struct tcp_relay *r);

/*
 * Tells whether the side that is left has acknowledged all that its socket
 * held, or has failed.  Bytes on their way count as progress.
 */
bool relay_drained(struct tcp_relay *r);

/* Lets directions go on whose time has come. */
void relay_end_pauses(struct tcp_relay *r, int64_t now);

/* The timer's. */
void relay_time_is_up(struct timer *t);
