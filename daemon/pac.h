/*
 * Proxy auto-configuration: the program by which a browser finds this proxy,
 * made from where clients are served.  Pure.
 */
#pragma once

#include "conf/conf.h"

#include <stdio.h>

/* An address that clients are served at. */
struct pac_address {
	const struct conf_listener *listener;
	struct tcp_addr addr; /* the real one, with its port */
};

/*
 * Writes the program.  `host` is what the browser calls this machine, a Host
 * field's value, or empty; only what is a name or an address is used of it.
 * Returns 0 (errors of `out` are left to the caller), or -ENOENT: there is no
 * address that a browser could use, and nothing was written.
 */
int pac_write(FILE *out, const struct conf_admin *o,
	      const struct pac_address *at, size_t count, struct span host)
	MUST_CHECK;
