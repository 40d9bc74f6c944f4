/*
 * A listener: an address with the sockets that are bound to it, which it owns
 * from first to last, and what the workers need to know of it.
 */
#pragma once

#include "core/list.h"
#include "core/tcpserver.h"
#include "core/user_pool.h"

struct listen_unix;

/* What a worker keeps of a listener; it alone touches it while it runs. */
struct listener_slot {
	struct tcp_tls *tls; /* a reference, for new connections; or NULL */
	struct user_pool pool;
} __attribute__((aligned(64)));

struct tcp_listener {
	struct list link; /* in its server */
	struct tcp_server *server;
	struct tcp_addr addr;   /* the real one */
	struct listen_unix *un; /* for a UNIX socket; else NULL */
	struct tcp_listen_options options;
	char *device; /* ours; options.device points here */
	tcp_handler *handler;
	void *ctx;
	struct listener_slot *slot; /* `slots` of them, one a worker */
	unsigned slots;
	int *fd; /* the first `adopted` of `count` came from elsewhere */
	size_t count, adopted;
	bool shared;     /* fewer sockets than workers: all accept on each */
	bool secure;     /* TLS: each slot has a context */
	bool keeps_file; /* listener_keep_file() */
	bool pooled;     /* connections come from the slots' pools */
};

/*
 * Binds a socket for each worker, less those that are adopted, which it takes
 * also on failure.  Where none is adopted, nobody may be listening on the
 * address.  As tcp_server_listen().
 */
int listener_new(struct tcp_listener **ret, const struct tcp_addr *a,
		 const struct tcp_listen_options *o, unsigned workers)
	MUST_CHECK;

/* The same for a UNIX socket, of which there is one. */
int listener_new_unix(struct tcp_listener **ret, const char *name,
		      const struct tcp_listen_options *o, unsigned workers)
	MUST_CHECK;

/* Closes what would have been adopted. */
void listener_close_adopted(const struct tcp_listen_options *o);

/* Closes its sockets and frees it.  NULL is harmless. */
void listener_free(struct tcp_listener *l);

/* Listens on all sockets, those that are adopted with their options anew. */
int listener_listen(struct tcp_listener *l) MUST_CHECK;

/* The same, leaving alone what listens already: it may be others', too. */
int listener_listen_fresh(struct tcp_listener *l) MUST_CHECK;

/*
 * Takes, also on failure, one more socket and listens on it.  -EALREADY: the
 * listener had it, by another descriptor.
 */
int listener_add(struct tcp_listener *l, int fd) MUST_CHECK;

/* Removes the file of a UNIX socket, if it is ours: nobody comes any more. */
void listener_remove_file(struct tcp_listener *l);

/* That file is another process's from now on, which has the socket, too. */
void listener_keep_file(struct tcp_listener *l);

/* Closes one socket; those behind it move up. */
void listener_close(struct tcp_listener *l, int fd);

/* Closes all that are left. */
void listener_close_all(struct tcp_listener *l);

/* Whether the kernel would not let both listen. */
bool listener_overlaps(const struct tcp_listener *l,
		       const struct tcp_listener *other);
