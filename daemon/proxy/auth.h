/*
 * Who may log in: verification of a name and a password, off the loops.
 */
#pragma once

#include "core/base.h"

struct auth;
struct login;
struct users;

/* How many may wait for their turn; see limits.handshakes for their clients. */
#define AUTH_QUEUE 256

/* Threads that hash: passwords are made to cost time. */
struct auth_options {
	unsigned threads; /* at most; 0: one per two CPUs */
};

/*
 * Starts no thread before there is work.  -ENOMEM, -errno of
 * pthread_create(3).
 */
int auth_new(struct auth **ret, const struct auth_options *o) MUST_CHECK;

/* NULL is harmless. */
void auth_free(struct auth *a);

/*
 * Takes a copy of what a client says, so that the caller can overwrite his.
 * NULL: no memory.
 */
struct login *login_new(const struct users *users, struct span name,
			struct span password);

/*
 * Verifies; suspends the calling task, and takes the login in any case.  A
 * user that does not exist takes as long as one that does.  -EACCES: wrong;
 * -EAGAIN: too many wait already; -ETIMEDOUT, -ECANCELED, -ENOMEM.
 */
int login_verify(struct auth *a, struct login *l, int64_t deadline) MUST_CHECK;
