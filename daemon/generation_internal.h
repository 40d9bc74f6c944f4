/*
 * Inside a generation: what its main thread knows.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/admin.h"
#include "daemon/adopt.h"
#include "daemon/generation.h"
#include "daemon/handoff.h"
#include "daemon/listen.h"
#include "daemon/refresh.h"
#include "daemon/setup.h"
#include "daemon/siblings.h"

/* What it was told to do at its end; a later one counts for more. */
enum order {
	ORDER_NONE,
	ORDER_DRAIN,    /* end when the last session has */
	ORDER_SHUTDOWN, /* within timeouts.shutdown */
	ORDER_FINISH,   /* within a second, the most idle sessions first */
	ORDER_HALT,     /* at once */
};

struct generation {
	const struct options *o;
	uint32_t number; /* 0: alone, without a master */
	int control;     /* to the master; -1: none, or none any more */
	int signals;     /* signalfd(2) */
	struct conf *conf;
	const char *user; /* to become, or NULL */
	struct adopt passed;
	struct siblings siblings;
	struct setup setup;
	struct listening listening;
	struct admin *admin;         /* NULL: there is no such listener */
	struct data_files files;     /* until `refresh` has them */
	struct quota_keeper *quotas; /* or NULL */
	struct refresh *refresh;     /* while it serves */
	char asked[64];              /* a refresh, before; see ask() */
	bool serving;                /* its workers accept */
	bool acked, going;           /* HANDOFF_ACK, HANDOFF_GO came */
	enum order order;
	char failure[HANDOFF_TEXT_MAX]; /* errors before it is prepared */
	struct handoff_received received;
};

/* --- generation_events.c ------------------------------------------------ */

/* Blocks the signals and opens a descriptor for them.  -errno. */
int generation_take_signals(struct generation *g) MUST_CHECK;

/*
 * Waits, at most `ms` (negative: for ever), for signals and messages and does
 * what they say; what ends the generation is only noted in `order`.
 */
void generation_turn(struct generation *g, int64_t ms);

/* --- generation_life.c -------------------------------------------------- */

/* Sets how many sessions there may be, so that it is right over all. */
void generation_share_limit(struct generation *g);

/* Serves until it is told to end, then ends. */
void generation_live(struct generation *g);
