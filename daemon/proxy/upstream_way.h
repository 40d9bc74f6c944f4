/*
 * A connection by one parent or by a chain of them: upstream_way.c, and what is
 * said on it: upstream_hop.c.
 */
#pragma once

#include "daemon/proxy/upstream_internal.h"

/* Who is to blame where a way does not lead to the target. */
enum upstream_blame {
	BLAME_PARENT,  /* it is not well */
	BLAME_REQUEST, /* it does not do this; another one may */
	BLAME_TARGET,  /* it says that the target is out of reach from there */
	BLAME_NOBODY,  /* no other way would do better */
};

#define UPSTREAM_SAID_BYTES 96

struct upstream_way {
	struct group_state *group;
	struct proxy_worker *here;
	const struct tcp_dial_options *dial;
	const struct outbound_choice *out; /* NULL: each family has a way */
	const struct tcp_addr *client;     /* NULL: it is ours */
	const struct tcp_addr *inbound;    /* to which that came, or NULL */
	struct parent_target target;       /* port 0: hands are shaken only */
	enum session_command command;
	bool probe;           /* where that takes no word, it shall say one */
	unsigned first, last; /* parents */
	unsigned variant;     /* which of each further hop's addresses */
	/* For each step to the parent's readiness; for its last answer, which
	 * may have to wait for the target, hops_ms from the first on. */
	int64_t connect_until, try_until, until, hops_ms;
	int64_t hops_until;
	/* What has become of it. */
	struct tcp_conn *conn;
	unsigned hop;          /* the parent that it is at */
	struct tcp_addr bound; /* what the last one told of its own end */
	bool more; /* another variant may do what this one did not */
	enum upstream_blame blame;
	int error;
	char said[UPSTREAM_SAID_BYTES]; /* what TLS says of it, or "" */
};

/* OUTCOME_NONE: w->conn.  Else nothing is left, and `blame` and `hop` tell. */
enum outcome upstream_go(struct upstream_way *w);

/* What is being said to one parent. */
struct dialog;

int dialog_new(struct dialog **ret) MUST_CHECK;
void dialog_free(struct dialog *d);

/*
 * Asks the parent at which the way is for `t` (NULL: no more than a login).
 * OUTCOME_NONE: bytes that come from now on are t's.
 */
enum outcome upstream_ask(struct upstream_way *w, struct dialog *d,
			  const struct parent_target *t, int64_t deadline);

/* Says what an error of a connection to a parent means, and whose it is. */
enum outcome upstream_error(struct upstream_way *w, int r);

/* Whether its last hop forwards requests of HTTP. */
bool upstream_forwards(const struct upstream_way *w);
