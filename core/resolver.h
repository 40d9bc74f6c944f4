/*
 * Names to addresses for the tasks of one loop: address literals, the hosts
 * file, then DNS, with a cache and with one question for all who ask the same.
 * Belongs to its loop's thread; no call blocks, but for reading resolv.conf
 * when that has changed, and for a resolver's making and end.  Resolvers of one
 * process share what they know of one hosts file.
 */
#pragma once

#include "core/host_name.h"
#include "core/loop.h"
#include "core/resolver_options.h"

struct resolver;

#define RESOLVE_MAX 16

struct resolve_answer {
	struct tcp_addr addr[RESOLVE_MAX]; /* port 0; families in turn, the */
					   /* one that is to come first first */
	unsigned count;
	bool partial; /* one family has not answered yet: resolver_rest() */
	int place;    /* in the search list; < 0: none was looked at */
};

/* Copies the options.  -ENOMEM, -EIO (c-ares refuses them), -errno. */
int resolver_new(struct resolver **ret, struct loop *l,
		 const struct resolver_options *o) MUST_CHECK;

/* Tasks that wait get -ECANCELED.  Not from a timer or watch of its own. */
void resolver_free(struct resolver *r);

/*
 * Suspends the task until the name's addresses are known.  Those of the family
 * that comes first are answered as soon as they are there, the others alone
 * once that family has had 50 ms more (RFC 8305 §3).  *ret is set on success
 * only; 0 comes with an address.
 *
 * -ENOENT     no such name, or it has no address
 * -EINVAL     not a host name
 * -ETIMEDOUT  the deadline, or no server spoke
 * -EIO        the servers failed, refused or sent nonsense
 * -EMFILE, -ENFILE, -ENOBUFS  no socket to ask with
 * -EBUSY      max_pending other names are being asked for
 * -ECANCELED  the task was cancelled or the resolver freed
 * -ENOMEM
 */
int resolver_lookup(struct resolver *r, const char *name,
		    struct resolve_answer *ret, int64_t deadline) MUST_CHECK;

/*
 * The same on behalf of a client, of IPv6 of its /64, who may be NULL.  Once
 * half of max_pending are taken, -EBUSY also comes to those with an eighth.
 */
int resolver_lookup_for(struct resolver *r, const struct tcp_addr *client,
			const char *name, struct resolve_answer *ret,
			int64_t deadline) MUST_CHECK;

/*
 * The same, but waits for both families: what lacked in a partial answer comes
 * with it, up to half a second after it has come whatever its TTL.
 */
int resolver_rest(struct resolver *r, const char *name,
		  struct resolve_answer *ret, int64_t deadline) MUST_CHECK;

/*
 * The same without waiting, and callable without a task: from a literal, the
 * hosts file or what DNS has said so far.  -EAGAIN: a lookup would have to
 * wait.
 */
int resolver_peek(struct resolver *r, const char *name,
		  struct resolve_answer *ret) MUST_CHECK;

/*
 * Writes what the search list made of the name whose answer has just come to
 * ret[HOST_NAME_SIZE]; its length, or 0: nothing, the name itself was asked
 * for, or the list has changed since.
 */
size_t resolver_full_name(const struct resolver *r, const char *name,
			  const struct resolve_answer *a, char *ret);

/* How many names are being asked for at this moment. */
size_t resolver_pending(const struct resolver *r);
