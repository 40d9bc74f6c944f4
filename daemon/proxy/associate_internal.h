/*
 * Inside UDP ASSOCIATE: one association, which lives as long as the task of
 * its control connection.
 *
 *   associate.c        the request, the control connection, the end
 *   associate_worker.c what all of a worker share, bounds for each client
 *   associate_turn.c   whose turn it is, progress
 *   associate_open.c   sockets, ports, buffers
 *   associate_up.c     datagrams from the client
 *   associate_down.c   replies
 *   associate_name.c   datagrams whose target is a name
 *   associate_pace.c   how fast they may pass
 *   associate_table.c  whom it has talked to
 */
#pragma once

#include "daemon/proxy/associate_state.h"

/* --- All of a worker, associate_worker.c -------------------------------- */

/* Whether a client may have one more. */
bool associations_have_room(const struct associations *all,
			    const struct tcp_addr *client);

/* One more of the client whom its query names; it leaves by same_client. */
void associations_enter(struct associations *all, struct association *a);

/* --- Turns, associate_turn.c -------------------------------------------- */

/* Those that have more than a batch: `turns` of a worker. */
void associations_turn(struct work *w);

/* Brings the record up to date. */
void association_note_progress(struct association *a);

/* Datagrams passed, `bytes` of payload in all; up: from the client. */
void association_moved(struct association *a, bool up, unsigned count,
		       size_t bytes);

/* So many came that were not passed on. */
void association_dropped(struct association *a, unsigned count);

/* Reads a batch of each socket that has one; the same, unless it is queued. */
void association_turn(struct association *a);
void association_wake(struct association *a, struct association_socket *s);

/* --- Sockets, associate_open.c ------------------------------------------ */

/*
 * Opens the socket towards the client: at the address that the control
 * connection came to, which `inbound` is.  -EADDRINUSE: no port is left;
 * -ENOBUFS: the worker's memory is used up; -errno.
 */
int association_open_client(struct association *a,
			    const struct tcp_addr *inbound) MUST_CHECK;

/*
 * Gives back the memory that is set aside for the first contact and the first
 * socket towards targets, since these are made now.  Without them a client
 * would be let in and everything that it sends be dropped.
 */
void association_claim(struct association *a);

/* What a client is told of an association's socket. */
struct tcp_addr association_told(const struct association *a);

/* The socket towards targets of a family; NULL: there is none to be had. */
struct association_socket *association_target(struct association *a,
					      sa_family_t family);

/* Tells whether the kernel knows a way to an address. */
bool association_has_way(const struct association *a,
			 const struct tcp_addr *to);

/* So many came at once: a socket that was full, or half so, gets more room, if
 * there is some. */
void association_grow(struct association *a, struct association_socket *s,
		      unsigned count, size_t bytes);

/* Nothing has come for a while: what was grown may be wanted elsewhere. */
void association_shrink(struct association *a);

void association_close_socket(struct association *a,
			      struct association_socket *s);

/* --- Datagrams ---------------------------------------------------------- */

/* Handles one batch; true: there may be more. */
bool association_down(struct association *a, struct association_socket *s);
