/*
 * hosts(5) text made into a table of names, which does not change and may be
 * shared by threads.  Several lines for one name add up.
 */
#pragma once

#include "core/addr.h"

struct hosts;

/* A name's addresses beyond this many of both families are left out. */
#define HOSTS_NAME_MAX 32

/*
 * Makes a table, with one reference, of a file's text, which may be anything:
 * what is not an address followed by host names is skipped.  -ENOMEM, -EFBIG
 * (text of 64 MiB or more), or -errno of getrandom(2).
 */
int hosts_parse(struct hosts **ret, const char *text, size_t len) MUST_CHECK;

/* One more reference, which may be given back by any thread.  NULL is fine. */
struct hosts *hosts_get(struct hosts *h);
void hosts_put(struct hosts *h);

/* How many pairs of name and address the table holds. */
size_t hosts_count(const struct hosts *h);

/*
 * Points ret[max] at the addresses of one family that a name has, in the order
 * of the file, and returns how many there are.  `name` is folded, `len` counts
 * no final dot.
 */
unsigned hosts_find(const struct hosts *h, const char *name, size_t len,
		    sa_family_t family, const struct tcp_addr **ret,
		    unsigned max);
