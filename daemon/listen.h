/*
 * Opening what the configuration lists, once at the start and again for what
 * was optional and not there yet; sockets that were passed on are taken over.
 */
#pragma once

#include "daemon/adopt.h"
#include "daemon/setup.h"

/* One address of a listener, as written, and what has become of it. */
struct listen_entry {
	const struct conf_listener *listener;
	const struct conf_endpoint *endpoint;
	struct tcp_addr addr; /* wanted, then the real one */
	bool open;
	bool joined; /* beside sockets of ours that have other options */
	struct tcp_listener *opened; /* the server's */
	int *adopted;                /* until it is open; freed then */
	size_t adopted_count;
	size_t told; /* so many of its sockets the master knows */
};

/* Whose addresses these are, and who serves them. */
struct listen_service {
	const struct conf_listener *listeners;
	size_t count;
	struct tcp_server *server;
	tcp_handler *handler;
	void *(*ctx)(struct setup *s, size_t listener);
	struct tcp_listen_options (*options)(const struct conf *c,
					     const struct conf_listener *l);
};

struct listening {
	struct setup *setup;
	struct listen_service service;
	struct listen_entry *entries;
	size_t count, cap, missing;
};

/*
 * Opens every address, with sockets from `passed` (may be NULL) where they
 * fit.  One that fails is an error that is logged with the place in the file,
 * unless its listener is optional.  -errno of the first.
 */
int listening_open(struct listening *l, struct setup *s, struct adopt *passed)
	MUST_CHECK;

/* The same for others than the listeners of the proxy. */
int listening_open_for(struct listening *l, struct setup *s,
		       const struct listen_service *service,
		       struct adopt *passed) MUST_CHECK;

/*
 * To be called right before the server begins to accept: it would take sockets
 * of ours that have other options for another program's.  -errno of listen(2).
 */
int listening_begin(const struct listening *l) MUST_CHECK;

/* Tries again what is missing; returns how many were opened now. */
size_t listening_retry(struct listening *l);

/*
 * The next sockets, at most `max`, that were opened here and not given by this
 * function before; *ret_name is their listener's.  Returns 0 at the end.
 */
size_t listening_untold(struct listening *l, size_t max, const char **ret_name,
			const int **ret);

/*
 * Takes a socket, also on failure, that another generation has accepted on,
 * into the listener of its address.  -ENOENT: there is none; -errno of
 * getsockname(2) or tcp_listener_adopt().
 */
int listening_adopt(struct listening *l, int fd) MUST_CHECK;

/* Writes "ADDR ADDR ..." of all that is open into out[size]. */
void listening_format(const struct listening *l, char *out, size_t size);

void listening_done(struct listening *l);
