/*
 * Prefixes and names, of a file or of a rule that has many of them, and
 * whether an address or a name is among them: in a time that hardly depends on
 * how many there are.  Made once, never changed, shared by threads and rules.
 */
#pragma once

#include "daemon/proxy/folded_name.h"
#include "daemon/proxy/prefix_table.h"
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
 * .suffixes, one a line; empty lines, and what follows '#', are passed over.
 * One reference.  -errno of open(2) or read(2); -EBADMSG, -EFBIG with *fault;
 * -ENOMEM.
 */
int match_list_load(struct match_list **ret, const char *path, bool names,
		    struct match_list_fault *fault) MUST_CHECK;

/*
 * Copies those of the elements that are prefixes, names or suffixes; names
 * need be valid.  -ENOMEM, -E2BIG, -errno of getrandom(2).
 */
int match_list_new(struct match_list **ret, const struct rule_match *list,
		   size_t count) MUST_CHECK;

/* One more reference, from any thread. */
const struct match_list *match_list_ref(const struct match_list *l);

/* Gives back a reference; NULL is harmless. */
void match_list_free(const struct match_list *l);

/* All entries, each once, names in lower case; borrowed from it. */
const struct rule_match *match_list_entries(const struct match_list *l,
					    size_t *ret_count);

bool match_list_has_prefixes(const struct match_list *l);

/* Tells whether a prefix holds the address. */
bool match_list_has_addr(const struct match_list *l,
			 const struct prefix_key *k);

/* Tells whether it is one of the names, or in one of the domains. */
bool match_list_has_name(const struct match_list *l,
			 const struct folded_name *name);
