/*
 * Accepting on one socket in one worker, and what happens when there is no
 * room: connections wait in the kernel while a limit is reached, and where
 * even a descriptor is missing the spare one is used to reset one client at a
 * time, ever more slowly, so that nothing spins.
 *
 * A socket that all workers share wakes one of them for a connection
 * (EPOLLEXCLUSIVE); other processes may hold and watch it as well.
 */
#pragma once

#include "core/conn.h"
#include "core/listener.h"

struct worker;

struct acceptor {
	struct watch watch; /* the listener's socket, level-triggered */
	struct timer look;  /* when muted, and after a wake-up got lost */
	struct list link;   /* in its worker */
	struct worker *worker;
	struct tcp_listener *listener;
	unsigned batch;  /* accepted per event, as the last ones filled it */
	int back_off_ms; /* 0: not backing off */
	bool muted;
};

/* Starts accepting on one of a listener's sockets.  -ENOMEM, -errno. */
int acceptor_new(struct acceptor **ret, struct worker *w,
		 struct tcp_listener *l, int fd) MUST_CHECK;

/* Takes the socket out of the loop and accepts what was queued by then. */
void acceptor_free(struct acceptor *a);

/* There is room again: goes on if it waited for that. */
void acceptor_resume(struct acceptor *a);
