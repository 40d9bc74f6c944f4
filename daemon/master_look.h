/*
 * What the master lets others look at, beside the control socket.
 */
#pragma once

#include "daemon/view.h"

#include <stdio.h>

struct master;
struct member;

struct master_look {
	/* What is carried by name, see metrics.h; NULL: nothing. */
	struct segment *buried;
	struct view_past_reload past[VIEW_PAST_RELOADS]; /* oldest first */
	size_t past_count;
};

/* Remembers how m->last went. */
void master_note_reload(struct master *m);

/* Keeps what a generation that is gone has counted. */
void master_bury_counts(struct master *m, const struct segment *dead);

/* Lets a generation see what there is. */
void master_show(struct member *g);

/* What of this goes over an upgrade; false: the line makes no sense. */
void master_look_write(const struct master *m, FILE *f);
bool master_look_read(struct master *m, const char *line);
void master_look_over_exec(const struct master *m, bool keep_open);
