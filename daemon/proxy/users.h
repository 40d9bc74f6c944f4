/*
 * A file of users, a line each: "name:hash", the hash as crypt(5) has it and
 * `splicedctl passwd` or `htpasswd -B` write it.  Empty lines and those that
 * begin with
 * '#' are passed over.  Read once, never changed: threads share it.
 */
#pragma once

#include "core/base.h"

#define USER_NAME_BYTES  255 /* what RFC 1929 has room for */
#define USERS_FILE_BYTES ((size_t)16 << 20)

struct users;

/* Where a file is wrong. */
struct users_fault {
	unsigned line;   /* 0: the file as a whole */
	const char *why; /* what follows "FILE:LINE: " */
};

/*
 * Reads a file.  -errno of open(2) or read(2); -EBADMSG, -EFBIG with *fault;
 * -ENOMEM.
 */
int users_load(struct users **ret, const char *path, struct users_fault *fault)
	MUST_CHECK;
void users_free(struct users *u);

/* The hash of a user, or NULL. */
const char *users_hash(const struct users *u, struct span name);

/*
 * Whose hash to try for a user that does not exist: always the same for the
 * same name, and over many names the mixture of costs that the file has.
 * Never NULL.
 */
const char *users_decoy(const struct users *u, struct span name);

/*
 * Tells whether there is a user of that name; `cut`: or one whose name begins
 * with it, for who knows no more of it.
 */
bool users_has(const struct users *u, struct span name, bool cut);

size_t users_count(const struct users *u);
