/*
 * Who may log in: verification of a name and a password, off the loops.
 */
#pragma once

#include "core/base.h"

struct auth;
struct users;

/* Threads that hash: passwords are made to cost time. */
struct auth_options {
	const struct users *users; /* borrowed */
	unsigned threads;          /* 0: one per two CPUs */
};

/* -ENOMEM, -errno of pthread_create(3). */
int auth_new(struct auth **ret, const struct auth_options *o) MUST_CHECK;
void auth_free(struct auth *a);

/*
 * Verifies; suspends the calling task.  A user that does not exist takes as
 * long as one that does.  -EACCES: wrong; -EAGAIN: too many wait already;
 * -ETIMEDOUT, -ECANCELED, -ENOMEM.
 */
int auth_password(struct auth *a, struct span name, struct span password,
		  int64_t deadline) MUST_CHECK;
