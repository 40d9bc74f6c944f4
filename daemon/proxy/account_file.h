/*
 * A file of accounts, a line each, as users and groups have: read as a whole
 * into memory for secrets, then taken apart line by line in place.
 */
#pragma once

#include "daemon/proxy/users.h"

struct account_file {
	char *text; /* a secret of `size` */
	size_t len, size;
	size_t at; /* of the next line */
};

/* As users_load(); harmless to be followed by account_file_done(). */
int account_file_read(struct account_file *f, const char *path,
		      struct users_fault *fault) MUST_CHECK;
void account_file_done(struct account_file *f); /* twice is harmless */

/* At least as many as account_file_next() gives, never 0. */
size_t account_file_lines(const struct account_file *f);

/*
 * Gives the next line, terminated, without blanks at its end, and counts its
 * number up; passes over empty ones and those that begin with '#'.  1, 0: there
 * is none; -EBADMSG with *fault: there is a NUL in it.
 */
int account_file_next(struct account_file *f, char **ret, unsigned *number,
		      struct users_fault *fault) MUST_CHECK;

/* Notes a fault; -EBADMSG. */
int account_file_fault(struct users_fault *fault, unsigned line,
		       const char *why);

bool user_name_is_usable(const char *name, size_t len);
