/*
 * One generation, as its master sees it.
 */
#pragma once

#include "core/list.h"
#include "core/loop.h"
#include "daemon/handoff.h"
#include "daemon/segment.h"

struct master;

enum member_state {
	MEMBER_STARTING, /* up to HANDOFF_ACCEPTING */
	MEMBER_SERVING,
	MEMBER_DRAINING, /* told to stop accepting */
	MEMBER_ENDING,   /* told to end soon */
};

/* One generation. */
struct member {
	struct list link;
	struct master *master;
	struct watch control;  /* our end of the socketpair; fd -1: closed */
	struct timer patience; /* then it is killed */
	enum member_state state;
	bool prepared; /* and told to go */
	bool dead;     /* only its last words are left */
	bool babbles;  /* what it says makes no sense at times */
	bool stopped;  /* accepts no more, its queues are empty */
	uint32_t number;
	pid_t pid;
	int64_t started_us; /* CLOCK_REALTIME */
	struct handoff_settings settings;
	struct segment *segment;
	char *addresses; /* once it accepts */
	char *failure;   /* HANDOFF_FAILED's text */
	uint32_t workers;
	int64_t *ticks;    /* last seen, one a worker */
	uint8_t *silences; /* looks in a row at which it had not ticked */
	int64_t looked_ms; /* at them */
	unsigned silent;   /* the greatest of these */
};

/*
 * Makes one of a process that was started; takes the descriptor.  NULL: there
 * is no memory, and nothing was taken.
 */
struct member *member_new(struct master *m, pid_t pid, int control_fd,
			  uint32_t number) MUST_CHECK;
/* Closes all that is ours of it; the process may live on. */
void member_free(struct member *g);

/* Maps its segment; takes the descriptor. */
void member_take_segment(struct member *g, int fd);

/* Ends a candidate that takes too long; kills what does not end. */
void member_set_patience(struct member *g, int64_t ms);

/* Sends it a message without content; one that is gone is no error. */
void member_tell(struct member *g, enum handoff_type type);

/* Says in the log what has become of a message, if that needs saying. */
void member_sent(const struct member *g, int r);

void member_close_control(struct member *g);

/* What the control socket brings; closes it at its end. */
void member_pump(struct member *g);
