/*
 * One client of the control socket: its line, its answer, and how long either
 * may take.
 */
#pragma once

#include "daemon/control.h"

enum control_stage {
	CONTROL_REQUEST, /* its line is not complete */
	CONTROL_RELOAD,  /* it waits for the end of a reload */
	CONTROL_ANSWER,  /* it has not taken all of its answer */
};

struct control_client {
	struct control *control;
	struct loop *loop;
	const struct control_patience *patience;
	/*
	 * Called once, with its line; answers, or lets it wait.  May write to
	 * the line.
	 */
	void (*asked)(struct control_client *c, char *line);

	struct watch watch; /* fd -1: the place is free */
	struct timer timer;
	enum control_stage stage;
	uint64_t number; /* of the reload that it waits for */
	char request[CONTROL_REQUEST_BYTES];
	size_t request_len;
	char *answer;
	size_t answer_len, answer_at;
};

static inline bool control_client_is_open(const struct control_client *c)
{
	return c->watch.fd >= 0;
}

/*
 * Begins with one whose `control`, `loop`, `patience` and `asked` are set;
 * takes the descriptor.
 */
void control_client_begin(struct control_client *c, int fd);

/* Harmless for one that is closed. */
void control_client_close(struct control_client *c);

/*
 * Answers with this text, which it takes, and closes when all of it is gone;
 * NULL, for want of memory: closes.
 */
void control_client_answer(struct control_client *c, char *text);

/* The same with at most HANDOFF_FDS_MAX descriptors, which it borrows. */
void control_client_answer_fds(struct control_client *c, char *text,
			       const int *fds, size_t count);

/* Puts the answer off until the reload of this number has ended. */
void control_client_wait(struct control_client *c, uint64_t number);
