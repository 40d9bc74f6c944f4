/*
 * A file of prefixes and names, one a line, for rules that have thousands of
 * them.  Read once, never changed.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"

#define MATCH_LIST_BYTES ((size_t)64 << 20)

struct match_list;

/* Where a file is wrong. */
struct match_list_fault {
	unsigned line; /* 0: the file as a whole */
	char why[160]; /* what follows "FILE:LINE: " */
};

/*
 * Reads a file: prefixes and addresses, and with `names` also names and
 * .suffixes; empty lines, and what follows '#', are passed over.  -errno of
 * open(2) or read(2); -EBADMSG, -EFBIG with *fault; -ENOMEM.
 */
int match_list_load(struct match_list **ret, const char *path, bool names,
		    struct match_list_fault *fault) MUST_CHECK;
void match_list_free(struct match_list *l); /* NULL is harmless */

/* All entries; borrowed from it. */
const struct rule_match *match_list_entries(const struct match_list *l,
					    size_t *ret_count);
