/*
 * What the master says over the control socket, as text: lines of JSON, the
 * last of which has "done": true and "ok".  Pure but for memory; printable
 * ASCII only, whatever a file or a path holds.
 */
#pragma once

#include "daemon/view.h"

/* Rises when a program that knows the older answers would misread newer. */
#define ANSWER_PROTOCOL 1

/*
 * Each returns lines that end in a line feed, to be freed by the caller; NULL:
 * there is no memory.
 */
char *answer_ok(void);
char *answer_error(const char *why);
char *answer_version(void);

/* `now_us` is CLOCK_REALTIME. */
char *answer_status(const struct view *v, int64_t now_us);
char *answer_generations(const struct view *v, int64_t now_us);

/* Both in one object without a line feed, and the last reloads. */
char *answer_overview(const struct view *v, int64_t now_us);

/*
 * The numbers of the generations whose segments go with it, in their order;
 * `left_out` more have none or do not fit.
 */
char *answer_sessions(const uint32_t *numbers, size_t count, size_t left_out);

struct answer_refreshed {
	bool ok;
	int64_t ms;
	size_t users, ended; /* users now; sessions that were ended */
	const char *error;   /* unless ok */
};

/* So many sessions were ended. */
char *answer_killed(size_t count);

/* What the log takes now. */
char *answer_log_level(const char *level);

/* Data were read anew, or that failed. */
char *answer_refreshed(const struct answer_refreshed *d);

/* Lines of text, each as an object, and the verdict. */
char *answer_explained(const char *text, const char *verdict);

/* A reload of this number has begun. */
char *answer_reload(uint64_t number);

/* It has ended. */
char *answer_reloaded(uint64_t number, const struct view_reload *result);
