/*
 * A c-ares channel on a loop: its sockets are watched, its timeouts are timers
 * and its answers come as struct dns_reply.  Knows nothing of caches or of
 * who waits for what.
 *
 * 1. A question is answered exactly once, unless it is forgotten first.
 * 2. An answer may come before dns_ask() returns.
 * 3. `answered` may ask on; it must not free the channel.
 */
#pragma once

#include "core/addr.h"
#include "core/dns_reply.h"
#include "core/loop.h"

struct dns_channel;
struct dns_flight;

struct dns_options {
	const struct tcp_addr *servers; /* port 0: 53 */
	size_t server_count;            /* 0: those of resolv_conf */
	const char *resolv_conf;        /* NULL: /etc/resolv.conf, or, with */
					/* servers given, no file at all */
	int64_t timeout_ms;             /* of the first try; 0: resolv_conf's */
	int tries;                      /* for each server; 0: resolv_conf's */
	const char *const *search;      /* domains in place of the file's */
	size_t search_count;            /* 0: those of the file, */
	bool no_search;                 /* or none at all */
	int ndots;                      /* resolv.conf(5); < 0: the file's */
};

/* Embedded in whoever asks. */
struct dns_question {
	void (*answered)(struct dns_question *q, const struct dns_reply *r);
	struct dns_flight *flight; /* NULL: nothing is in flight */
};

/* -ENOMEM, or -EIO (c-ares refuses the options). */
int dns_channel_new(struct dns_channel **ret, struct loop *l,
		    const struct dns_options *o) MUST_CHECK;

/*
 * Closes the channel; what is still in flight is answered with -ECANCELED.
 * NULL is harmless.
 */
void dns_channel_free(struct dns_channel *c);

/* How many questions the channel works at, forgotten ones included. */
size_t dns_channel_load(const struct dns_channel *c);

/*
 * How many it was asked since it had none to work at: c-ares sends all of
 * these from one port, and closes its sockets only then.
 */
size_t dns_channel_streak(const struct dns_channel *c);

/*
 * Asks for a name's addresses of one family, as they are: no search list, no
 * hosts file.  -ENOMEM: not asked.
 */
int dns_ask(struct dns_channel *c, struct dns_question *q, const char *name,
	    sa_family_t family) MUST_CHECK;

/* Lets no answer come any more.  Harmless where nothing is in flight. */
void dns_forget(struct dns_question *q);

/*
 * Writes the i-th full name to ask for where a folded name of `len` characters
 * is wanted, following the search list and ndots (resolv.conf(5)), to
 * ret[HOST_NAME_SIZE].  Returns its length, 0 for one to pass over (it would be
 * too long, or the domain is none), or -ENOENT past the last.
 */
int dns_search_name(const struct dns_channel *c, const char *name, size_t len,
		    unsigned i, char *ret) MUST_CHECK;
