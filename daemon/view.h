/*
 * What the master shows of itself to whoever asks over the control socket.
 */
#pragma once

#include "daemon/drained.h"
#include "daemon/tables.h"

struct view_generation {
	uint32_t number;
	pid_t pid;
	const char *state;  /* "starting" "serving" "draining" "ending" */
	int64_t started_us; /* CLOCK_REALTIME */
	const struct segment *segment; /* NULL: not there yet */
};

struct view_reload {
	bool ok;
	uint32_t generation; /* that serves since */
	int64_t ms;          /* from the request to accepting, or to failure */
	const char *error;   /* lines; "" when ok */
};

#define VIEW_PAST_RELOADS 20

struct view_past_reload {
	int64_t at_us; /* CLOCK_REALTIME, of its end */
	bool ok;
	uint32_t generation;
	int64_t ms;
	char error[256]; /* lines, maybe cut; "" when ok */
};

struct view {
	const char *state; /* "starting" "serving" "stopping" "down" */
	uint32_t serving;  /* number of that generation, 0: none */
	int64_t started_us;
	const char *addresses; /* "ADDR ADDR ..." of the serving one */
	uint64_t reloads, failed_reloads, crashes;
	bool reloaded; /* `last` says something */
	struct view_reload last;
	const struct view_past_reload *past; /* the oldest first */
	size_t past_count;
	struct table_totals carried;   /* of generations that are gone */
	const struct drained *drained; /* listeners; NULL: none */
	const struct view_generation *generations; /* oldest first */
	size_t generation_count;
};
