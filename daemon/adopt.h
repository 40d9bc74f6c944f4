/*
 * The descriptors that a process was started with, sorted by what each one
 * is.  A socket is known by what the kernel says of it: type, address, options
 * that bind(2) has looked at.  The name that came with it counts only where the
 * port is the kernel's choice.
 */
#pragma once

#include "core/addr.h"

#include <net/if.h>
#include <sys/un.h>

enum adopt_kind {
	ADOPT_TCP,
	ADOPT_UNIX,    /* listening, or bound and not listening yet */
	ADOPT_SEGMENT, /* memory that a generation shares */
	ADOPT_USELESS, /* none of these */
};

struct adopt_socket {
	enum adopt_kind kind;
	int fd;     /* -1: somebody took it */
	char *name; /* ours; "unknown" where none was given */
	struct tcp_addr addr;
	/* UNIX: or "@name"; "": it has none. */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	bool v6only, transparent, listening; /* that one of UNIX sockets */
	char device[IFNAMSIZ];               /* "": any */
	uint32_t mark;
	uint64_t cookie; /* SO_COOKIE; 0: no socket */
	bool wanted;
};

struct adopt {
	struct adopt_socket *list;
	size_t count;
};

/* What a listener looks for. */
struct adopt_want {
	const char *name;     /* its own */
	const char *path;     /* or "@name": a UNIX socket; NULL: TCP */
	struct tcp_addr addr; /* port 0: whichever it was given */
	const char *device;   /* NULL or "": any */
	uint32_t mark;
	bool v6only, transparent;
};

/*
 * Takes `count` descriptors, also on failure, and makes them close-on-exec.
 * Names are copied; `names` may be NULL.  -ENOMEM; -EBADF: one is not open.
 */
int adopt_init(struct adopt *ret, const int *fds, char *const *names,
	       size_t count) MUST_CHECK;

/*
 * The same for those of sd_listen_fds_with_names(3), whose variables leave the
 * environment.  `promised` says how many there are, negative: any number.
 * -EBADMSG: it is another number, so that the environment is somebody else's
 * or damaged; -errno of sd_listen_fds_with_names(3).
 */
int adopt_from_environment(struct adopt *ret, long promised) MUST_CHECK;

/*
 * Gives away all sockets that are what `w` wants: an array to be freed and
 * their number.  With port 0 those of the listener's name with its IP, as many
 * as share the port of the first.  0 with *ret_count 0: none; -ENOMEM.
 */
int adopt_take(struct adopt *a, const struct adopt_want *w, int **ret,
	       size_t *ret_count) MUST_CHECK;

/*
 * What keeps a socket of the same port, that nobody has taken and that would
 * be in the way of a new one, from being what `w` wants: an option, or
 * "address" where one covers the other's; NULL: there is none.
 */
const char *adopt_near_miss(const struct adopt *a, const struct adopt_want *w);

/* Tells whether one is what `w` wants, its port included. */
bool adopt_fits(const struct adopt_socket *s, const struct adopt_want *w);

/* Tells whether a UNIX socket listens at that path, which is wanted then. */
bool adopt_unix(struct adopt *a, const char *path);

/* Gives away the next segment; -1: there is none any more. */
int adopt_segment(struct adopt *a);

/* The next socket after `from` (NULL: the first) that nobody wanted. */
const struct adopt_socket *adopt_unclaimed(const struct adopt *a,
					   const struct adopt_socket *from);

/* Writes what it is, "127.0.0.1:1080" or a path, into out[size]. */
char *adopt_format(const struct adopt_socket *s, char *out, size_t size);

/* Closes what nobody took.  Harmless on one that is all zero. */
void adopt_done(struct adopt *a);

/* Reads what a descriptor is; name and wanted stay as they are. */
int adopt_identify(struct adopt_socket *s) MUST_CHECK;
