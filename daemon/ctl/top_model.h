/*
 * What `splicedctl top` shows, without a terminal: samples go in, and rates and
 * sorted tables come out.  Pure but for memory.
 */
#pragma once

#include "daemon/ctl/top_parts.h"

struct top {
	/* What is shown, and how; top_keys.c. */
	enum top_view view;
	enum top_sort sort;
	enum top_mode mode;
	bool paused;
	size_t selected, first;    /* rows of the table; `first`: at its top */
	size_t page;               /* rows that fit, as was drawn last */
	char chosen[TOP_ID_BYTES]; /* the session that is selected */
	char victim[TOP_ID_BYTES]; /* that is asked about */
	char input[TOP_INPUT_BYTES], filter_text[TOP_INPUT_BYTES];
	struct filters filters; /* point into filter_text */
	char message[256];      /* a sentence until the next key; or "" */

	/* The sample. */
	bool answers;  /* the daemon, the last time */
	char why[256]; /* not */
	char state[16], version[32];
	int64_t uptime_ms, active, handshakes, tunnels, crashes;
	uint32_t serving;
	uint64_t up_rate, down_rate, accept_rate;
	struct top_counts now, last;
	struct top_session *sessions;
	struct top_user *users;
	struct top_generation *generations;
	struct top_worker *workers;
	struct top_before *seen, *before; /* of now and last */
	size_t session_count, session_room, user_count, generation_count;
	size_t generation_room, worker_count, worker_room;
	size_t seen_count, seen_room, before_count, before_room;
	uint64_t live_rate[2]; /* of all sessions that have not ended */
};

/* One all zero is fine. */
void top_done(struct top *t);

/* --- A sample, from begin to end; `status` and lines as the daemon sends -- */

void top_begin(struct top *t, int64_t now_ms);
void top_add_status(struct top *t, const json_t *status);
int top_add_generation(struct top *t, const json_t *line) MUST_CHECK;
int top_add_row(struct top *t, const struct row *r) MUST_CHECK; /* -ENOMEM */
int top_add_worker(struct top *t, const struct top_worker *w) MUST_CHECK;
void top_end(struct top *t);

/* There is none: nobody answers, because of that. */
void top_lost(struct top *t, const char *why);

/* Sorts again, and finds the selected row again. */
void top_sort(struct top *t);

/* Rows of the table that is shown. */
size_t top_rows(const struct top *t);
