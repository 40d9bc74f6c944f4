/*
 * Opening what the configuration lists, once at the start and again for what
 * was optional and not there yet.
 */
#pragma once

#include "daemon/setup.h"

/* One address of a listener, as written, and what has become of it. */
struct listen_entry {
	const struct conf_listener *listener;
	const struct conf_endpoint *endpoint;
	struct addr addr; /* wanted, then the real one */
	bool open;
};

struct listening {
	struct setup *setup;
	struct listen_entry *entries;
	size_t count, cap, missing;
};

/*
 * Opens every address.  One that fails is an error that is logged with the
 * place in the file, unless its listener is optional.  -errno of the first.
 */
int listening_open(struct listening *l, struct setup *s) MUST_CHECK;

/* Tries again what is missing; returns how many were opened now. */
size_t listening_retry(struct listening *l);

/* Writes "ADDR ADDR ..." of all that is open into out[size]. */
void listening_format(const struct listening *l, char *out, size_t size);

void listening_done(struct listening *l);
