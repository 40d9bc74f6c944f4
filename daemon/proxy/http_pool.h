/*
 * Connections to targets over which another request may go: one worker's, idle,
 * watched.  One that turns readable has died, or says what nobody asked for,
 * and is closed then.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

struct http_pool_options {
	size_t max;        /* of one worker; 0: none is kept */
	size_t per_target; /* of these to one address; 0: no bound */
	int64_t idle_ms;   /* then it is closed */
};

/* Two connections that agree in this do for the same requests. */
struct http_way {
	struct tcp_addr to;      /* whom it is connected to */
	struct tcp_addr source;  /* that was wished for, or AF_UNSPEC */
	struct tcp_addr source6; /* the other one, where it goes by a parent */
	uint16_t upstream;       /* a group's number; 0: straight there */
	uint16_t hop;            /* of its parents, or 0 */
};

struct http_pool;

/* On this thread's loop.  *ret is NULL where none is kept.  -ENOMEM. */
int http_pool_new(struct http_pool **ret, const struct http_pool_options *o)
	MUST_CHECK;

/* Closes all.  NULL is harmless. */
void http_pool_free(struct http_pool *p);

/*
 * Takes out the one that came last of those that go this way, with our own
 * address of it; NULL: there is none.  It may have died unseen.
 */
struct tcp_conn *http_pool_take(struct http_pool *p, const struct http_way *way,
				struct tcp_addr *ret_bound);

/*
 * Takes a connection over which nothing is under way.  Closes it where it
 * cannot be kept; where there are too many, the one that came first.
 */
void http_pool_put(struct http_pool *p, struct tcp_conn *c,
		   const struct http_way *way, const struct tcp_addr *bound);

/* How many there are. */
size_t http_pool_count(const struct http_pool *p);
