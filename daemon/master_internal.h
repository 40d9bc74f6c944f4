/*
 * Inside the master: its sockets, and what is under way.
 */
#pragma once

#include "daemon/control.h"
#include "daemon/held.h"
#include "daemon/master.h"
#include "daemon/master_keys.h"
#include "daemon/master_look.h"
#include "daemon/member.h"

#include <limits.h>

struct master {
	struct loop *loop;
	char *const *argv;
	char path[PATH_MAX]; /* of the program */
	struct held held;
	struct control *control;
	struct watch signals;
	struct list members;      /* oldest first */
	struct member *candidate; /* starting, or NULL */
	struct member *serving;   /* or NULL */
	uint32_t last_number;
	struct handoff_settings settings; /* of the last that served */
	int64_t started_us;
	int exit_code;

	/* Reloads are numbered from 1; 0: none. */
	uint64_t last_reload, reload; /* asked for; under way */
	bool reload_again;            /* asked for meanwhile */
	bool reloading_told; /* to the service manager, which waits now */
	int64_t reload_began_ms;
	uint64_t reloads, failed_reloads, crashes;
	struct view_reload last;
	char *last_error;
	bool reexec_wanted;
	pid_t trial; /* runs the new binary to see whether it works; or 0 */

	bool served; /* a generation has accepted, once */
	bool stopping, halting, drained;
	struct drained drained_listeners;
	int64_t back_off_ms, crashed_ms;
	struct timer retry, tick; /* after a crash; regularly */
	int64_t watchdog_fed_ms, extended_ms;
	char status[512];            /* as last told */
	struct table_totals carried; /* of generations that are gone */
	struct master_look look;
	struct view_generation *shown;
	struct handoff_received received; /* too large for a stack */
	struct master_keys keys; /* of the one that serves, or served last */
};

/*
 * Somebody wants the files read again: the number of that reload, or 0 where
 * the daemon ends.
 */
uint64_t master_reload(struct master *m);

/* Starts a generation; 0 or -errno after a line in the log. */
int master_start_generation(struct master *m) MUST_CHECK;

/* The candidate accepts: it serves, the others drain. */
void master_candidate_accepts(struct master *m);

/* The candidate is gone; why: lines.  `code`: its exit status. */
void master_candidate_failed(struct master *m, struct member *g,
			     const char *why, int code);

/* Nobody serves: starts the next one, the later the more often. */
void master_recover(struct master *m);
void master_retry(struct timer *t);

/* Reaps what has ended. */
void master_reap(struct master *m);

/* Closes unclaimed sockets that no older generation accepts from. */
void master_close_unclaimed(struct master *m);

/* Once nobody will accept any more, clients learn that. */
void master_close_when_stopped(struct master *m);

/* Clients of the control socket are taken from the one that is wanted now. */
void master_use_control(struct master *m);

size_t master_alive(const struct master *m);

/* Once a second or more often: watchdogs and the status line. */
void master_tick(struct timer *t);

/* Tells the service manager what there is, if that has changed. */
void master_tell_status(struct master *m);

void master_view(void *ctx, struct view *ret);

/* Ends in order; `bound`: within timeouts.shutdown. */
void master_stop(struct master *m, bool bound);
void master_halt(struct master *m);
void master_check_end(struct master *m);
