/*
 * Clients, by their prefixes, that log in just now or have failed to: how many
 * may try at once, and who is locked out.  Shared by all workers.
 */
#pragma once

#include "core/addr.h"

#include <stdatomic.h>

struct auth_clients;

struct auth_clients_options {
	size_t max;          /* logins that are verified or wait for it */
	size_t suspects_max; /* of these, of clients that have failed lately */
	uint32_t lock_after; /* failures; 0: nobody is locked out */
	int64_t lock_ms;     /* within which, and for how long */
	uint8_t prefix4, prefix6; /* bits: who is one client */
};

/* -ENOMEM, -errno of getrandom(2). */
int auth_clients_new(struct auth_clients **ret,
		     const struct auth_clients_options *o) MUST_CHECK;
void auth_clients_free(struct auth_clients *c); /* NULL is harmless */

/* One login of a client, from its begin to its answer. */
struct auth_place {
	struct auth_client *client; /* NULL: of nobody in particular */
	bool waits;                 /* for its verdict */
	bool suspect;
};

/* Tells whether such a client is locked out. */
bool auth_clients_locked(struct auth_clients *c, const struct tcp_addr *client,
			 int64_t now);

/*
 * Takes a place; without a client where it has no IP address.  -EUSERS: it is
 * locked out; -EAGAIN: there is none left, at all or for this one.
 */
int auth_clients_enter(struct auth_clients *c, struct auth_place *ret,
		       const struct tcp_addr *client, int64_t now) MUST_CHECK;

/* The verdict is there. */
void auth_clients_settle(struct auth_clients *c, struct auth_place *p,
			 bool failed, int64_t now);

/* The answer is given, or nobody waits for one; settled or not. */
void auth_clients_leave(struct auth_clients *c, struct auth_place *p);

/* From any thread, while it has its place: has been locked out meanwhile. */
bool auth_place_is_locked(const struct auth_place *p, int64_t now);
