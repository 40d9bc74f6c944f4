/*
 * Passive opens: a socket that listens until one connection that is wanted
 * has come, the counterpart of tcp_dial().  It is known to one thread of one
 * process and lives between two calls of a task.
 */
#pragma once

#include "core/conn.h"

struct passive {
	struct watch watch;
	struct task *task;    /* waits */
	struct tcp_addr addr; /* the real one, with its port */
	unsigned strangers;   /* who came, were not wanted and were reset */
};

/*
 * Listens on `at`; port 0: the kernel's choice.  The connection to come has
 * what `o` says of mark, device, nodelay, keepalive and user timeout; freebind
 * is for `at`, the rest is not looked at.  -EADDRINUSE: somebody listens there;
 * -EADDRNOTAVAIL: not our address; -EACCES: not our port; -errno of socket(2)
 * and setsockopt(2).
 */
int passive_open(struct passive *p, const struct tcp_addr *at,
		 const struct tcp_dial_options *o) MUST_CHECK;

/* Who is waited for, and for how long one is. */
struct passive_wish {
	bool (*wants)(void *ctx, const struct tcp_addr *peer);
	void *ctx;
	unsigned max_strangers;
	struct tcp_conn *beside; /* on whose behalf; its end ends the wait */
};

/*
 * Suspends until somebody comes who is wanted: *ret, the caller's.  Others are
 * reset at once.  What `beside` sends stays where it is.  -ETIMEDOUT,
 * -ECANCELED; -EPIPE: `beside` has ended its direction; -ECONNRESET: it was
 * reset; -EPERM: more strangers than max_strangers; -EMFILE, -ENOMEM and the
 * like: somebody came, and we had nothing left for him.
 */
int passive_wait(struct passive *p, struct tcp_conn **ret,
		 const struct passive_wish *wish, int64_t deadline) MUST_CHECK;

/* Whoever is queued is reset.  Harmless for one that is closed. */
void passive_close(struct passive *p);

/* One that is closed already. */
#define PASSIVE_NONE                                                           \
	{                                                                      \
		.watch.fd = -1                                                 \
	}

/*
 * Gives the address of ours, with port 0, that a connection to `to` would
 * come from by the kernel's routes.  -ENETUNREACH, -EHOSTUNREACH, ...
 */
int passive_address(struct tcp_addr *ret, const struct tcp_addr *to,
		    const struct tcp_dial_options *o) MUST_CHECK;
