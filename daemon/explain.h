/*
 * Why a request is allowed or not: what `splicedctl explain` and
 * `spliced --explain` print, from words to sentences.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/proxy/policy.h"

#include <stdio.h>

/* As written; NULL: not said. */
struct explain_words {
	const char *from;     /* an address */
	const char *to;       /* "HOST:PORT", "[ADDRESS]:PORT" */
	const char *address;  /* where a host's name leads */
	const char *user;     /* as whom the client has logged in */
	const char *command;  /* "connect" */
	const char *listener; /* the first that speaks the protocol */
	const char *protocol; /* "socks5" */
	const char *at;       /* "2026-11-23 14:00", "mon 14:00"; now */
};

struct explain_query {
	struct rule_query query;
	const char *listener;     /* its name */
	const char *to, *address; /* as written; address: or NULL */
	const char *at;           /* likewise */
};

enum explain_verdict {
	EXPLAIN_DENIED,
	EXPLAIN_ALLOWED,
	EXPLAIN_UNDECIDED, /* without the address of a name */
};

#define EXPLAIN_WHY_BYTES 256

/*
 * Makes a question of words, into which it points.  -EINVAL with a sentence in
 * why[EXPLAIN_WHY_BYTES].
 */
int explain_parse(struct explain_query *ret, const struct explain_words *w,
		  const struct conf *c, char *why) MUST_CHECK;

/*
 * Writes lines: what is asked, the entries of clients and the rules up to those
 * that decide, the way that is taken where there are upstreams, the verdict.
 * No name is resolved.  `c` is the configuration that the policy was made from.
 * -errno of the stream.
 */
int explain(const struct policy *p, const struct conf *c,
	    const struct explain_query *q, FILE *out, enum explain_verdict *ret)
	MUST_CHECK;

/*
 * The same as words of the control socket's line, of the characters that may
 * stand there; what else a word has is written %XX.  Into out[size]; false: it
 * does not fit.
 */
bool explain_format(const struct explain_words *w, char *out, size_t size);

/*
 * Reads them from what stands behind the verb, which it changes and points
 * into.  -EINVAL with a sentence in why[EXPLAIN_WHY_BYTES].
 */
int explain_read(struct explain_words *ret, char *line, char *why) MUST_CHECK;
