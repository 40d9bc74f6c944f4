/*
 * The listening sockets that the master holds, so that none of them closes
 * while generations come and go, and their copies in the service manager's
 * store.
 */
#pragma once

#include "core/base.h"

#include <sys/types.h>

struct held_socket {
	int fd;
	char *name;            /* of the listener that it was made for */
	uint64_t cookie;       /* SO_COOKIE: which socket it is */
	uint32_t opened_by;    /* generation; 0: one that has served */
	uint32_t unclaimed_by; /* generation that has no use for it; or 0 */
	bool disclaimed;       /* the candidate has no use for it */
	bool late;             /* the candidate was not passed it */
	bool from_unit;        /* a socket unit's: never stored, never closed */
	bool stored;           /* the service manager has a copy */
	bool is_unix;
	bool is_control; /* the control socket, a UNIX one */
	dev_t dev;       /* a UNIX socket's file, as it was when we got it; */
	ino_t ino;       /* 0: it has none that is known to be its own */
};

struct held {
	struct held_socket *at;
	size_t count, cap;
	char **stale; /* names of closed ones that are still in the store */
	size_t stale_count;
};

#define HELD_MAX     16384u
#define HELD_CONTROL "control" /* names of AF_UNIX sockets */
#define HELD_UNIX    "unix"    /* of a listener's: its path says which */

/* What the names of stored descriptors begin with. */
#define HELD_STORED_PREFIX "store."

/*
 * Takes a socket, also on failure; name, cookie and kind of `like` do not
 * count.  -ENOTSOCK; -EINVAL: no TCP or UNIX stream socket that is bound, or a
 * control socket that does not listen; -EEXIST: it is there already, or a
 * listener's at the same path; -ENFILE, -ENOMEM.
 */
int held_add(struct held *h, int fd, const char *name,
	     const struct held_socket *like) MUST_CHECK;

/* The one with this cookie, or NULL. */
struct held_socket *held_find(const struct held *h, uint64_t cookie);

/*
 * Closes one; a UNIX socket's file is removed, unless it is a unit's or another
 * one stands there now, and held_store() will take it out of the store.
 */
void held_close(struct held *h, struct held_socket *s);

/* Brings the service manager's copies up to date. */
void held_store(struct held *h);

/* Takes all of them out of the store: nobody will accept from them again. */
void held_unstore(struct held *h);

/* Closes all but the control socket; the store is left as it is. */
void held_let_go(struct held *h);

/* Closes all of them, the store is left as it is. */
void held_done(struct held *h);

/*
 * Takes what sd_listen_fds(3) brings, of a socket unit or from the store.
 * What is no stream socket is closed with a line in the log.  -errno of
 * sd_listen_fds_with_names(3).
 */
int held_take_passed(struct held *h) MUST_CHECK;
