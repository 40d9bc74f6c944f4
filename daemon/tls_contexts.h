/*
 * The TLS contexts that listeners serve by: made at the start, and again when
 * their files have changed, for whoever comes then.  Any thread but a worker's
 * may call these; a NULL stands for a configuration without TLS and is
 * harmless.
 */
#pragma once

#include "conf/conf.h"
#include "core/base.h"
#include "core/tcpserver.h"

struct tls_contexts;

/*
 * Reads what listeners name, and makes keys for tickets; *ret becomes NULL
 * where none names anything.  What it makes borrows from the configuration.
 * -errno, with a sentence in why[size].
 */
int tls_contexts_new(struct tls_contexts **ret, const struct conf *c, char *why,
		     size_t size) MUST_CHECK;

/* No listener must be used any more that follows. */
void tls_contexts_free(struct tls_contexts *t);

/* A reference to the one of this listener, or NULL. */
struct tcp_tls *tls_contexts_get(struct tls_contexts *t,
				 const struct conf_listener *l);

/*
 * A socket of that listener was opened, with or without a context: from now on
 * it gets those that are made anew.  -ENOMEM.
 */
int tls_contexts_follow(struct tls_contexts *t, const struct conf_listener *l,
			struct tcp_listener *opened) MUST_CHECK;

/*
 * Makes those anew whose files have changed, or could not be used last time.
 * Returns for how many entries that was done; on failure -errno of the first,
 * with a sentence in why[size]: that one stays as it was.  For one thread.
 */
int tls_contexts_refresh(struct tls_contexts *t, char *why, size_t size)
	MUST_CHECK;

/* --- Keys of tickets ----------------------------------------------------- */

/* Makes a new key if one is due by now: 1, else 0.  -errno: all is as before.
 */
int tls_contexts_turn_keys(struct tls_contexts *t, int64_t now_ms) MUST_CHECK;

/* When that is due; INT64_MAX: never. */
int64_t tls_contexts_keys_due(struct tls_contexts *t);

/* Takes those of another generation, and writes ours for one, into
 * out[TLS_KEYS_BYTES]; returns how much.  -EBADMSG: these are none. */
int tls_contexts_take_keys(struct tls_contexts *t, struct span bytes)
	MUST_CHECK;
size_t tls_contexts_tell_keys(struct tls_contexts *t, void *out);
