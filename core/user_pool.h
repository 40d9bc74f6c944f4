/*
 * Memory for the connections of a listener in one worker, each with the user's
 * block behind it.  What is idle is kept for the next ones, but no more of it
 * than is in use, beyond a floor.
 */
#pragma once

#include "core/base.h"

struct tcp_conn;
struct tcp_listener;
struct user_chunk;

#define USER_POOL_FLOOR 64 /* idle ones that always stay */

struct user_pool {
	const struct tcp_listener *listener; /* whose options and ctx count */
	struct user_chunk *idle;
	size_t idle_count, used_count, floor;
};

/* The pool is empty and holds nothing. */
void user_pool_init(struct user_pool *p, const struct tcp_listener *l);

/* Frees what is idle; nothing may be in use. */
void user_pool_done(struct user_pool *p);

/*
 * Makes `count` chunks, touches their memory and keeps that many from now on.
 * -ENOMEM, or what user_init returned.
 */
int user_pool_reserve(struct user_pool *p, size_t count) MUST_CHECK;

/*
 * Gives memory for conn_init_in(), with the user's block ready.  -ENOMEM, or
 * what user_init returned.
 */
int user_pool_get(struct user_pool *p, struct tcp_conn **ret) MUST_CHECK;

/* Takes it back when its connection is gone. */
void user_pool_put(struct user_pool *p, struct tcp_conn *c);

/* Gives a connection's memory back to the pool of its listener and worker. */
void listener_conn_free(struct tcp_conn *c);
