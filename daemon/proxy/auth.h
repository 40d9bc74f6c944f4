/*
 * Who may log in: verification of a name and a password, off the loops.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"

struct auth;
struct login;
struct users;

/* How many may wait for their turn; see limits.handshakes for their clients. */
#define AUTH_QUEUE 256

/* Borrowed for as long as it lives. */
struct auth_options {
	/* Threads that hash: passwords are made to cost time. */
	unsigned threads;         /* at most; 0: one per two CPUs */
	uint32_t kinds;           /* AUTH_BIT()s that client rules take */
	const char *helper;       /* spliced-pam's socket, an absolute path */
	const char *pam_service;  /* a file's name in /etc/pam.d */
	int64_t cache_ms;         /* a verdict holds so long; 0: none does */
	uint32_t cache_entries;   /* and so many do */
	int64_t failure_delay_ms; /* before a failure is told */
	/* A client that fails so often in lock_ms is refused for as long. */
	uint32_t lock_after; /* 0: none is */
	int64_t lock_ms;
	uint8_t client_prefix4, client_prefix6; /* bits; 0: 32 and 64 */
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
