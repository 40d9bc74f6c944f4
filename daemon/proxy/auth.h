/*
 * Who may log in: verification of a name and a password off the loops, by the
 * file of users, by PAM or by shadow(5); what was found is remembered for a
 * while, and whoever guesses is slowed down and locked out.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/rule_spec.h"

struct auth;
struct login;
struct policy;
struct tcp_pool_stats;

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
 * pthread_create(3) and getrandom(2).
 */
int auth_new(struct auth **ret, const struct auth_options *o) MUST_CHECK;

/* NULL is harmless. */
void auth_free(struct auth *a);

/* Of the threads that hash. */
void auth_stats(const struct auth *a, struct tcp_pool_stats *ret);

/* What a client says; borrowed. */
struct login_claim {
	const struct policy *policy; /* that it is looked up in */
	const struct tcp_addr *client;
	struct span name, password;
	/* How it is verified, one after the other; what is no login is left
	 * out. */
	enum auth_method kinds[AUTH_METHODS];
	unsigned kind_count;
};

/*
 * Tells what is known without looking further: 0, and by which it is right;
 * -EUSERS: the client is locked out; -ENOENT: it has to be verified.
 */
int auth_recall(struct auth *a, const struct login_claim *claim,
		enum auth_method *ret) MUST_CHECK;

/*
 * Takes a copy of all that it needs, so that the caller can overwrite his.
 * NULL: no memory.
 */
struct login *login_new(struct auth *a, const struct login_claim *claim);

/* Before it is verified; NULL is harmless. */
void login_free(struct login *l);

/*
 * Verifies; suspends the calling task, and takes the login in any case.  A
 * user that does not exist takes as long as one that does.  0, and by which it
 * is right.  -EACCES: wrong, after a delay; -EUSERS: the client is locked out;
 * -EAGAIN: too many wait already, at all or of this client; -ETIMEDOUT,
 * -ECANCELED, -ENOMEM; everything else: it could not be verified.
 */
int login_verify(struct auth *a, struct login *l, enum auth_method *ret,
		 int64_t deadline) MUST_CHECK;
