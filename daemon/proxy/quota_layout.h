/*
 * What users with a quota have moved, in memory that other processes read:
 * table "quota-users" of a generation's segment.  Plain numbers; what changes
 * gets another size, or a table of another name.
 */
#pragma once

#include "core/base.h"

#define QUOTA_USER_BYTES 256 /* of a name, with a NUL */

/* So many users are counted at a time; a power of two. */
#define QUOTA_ENTRIES 8192u

enum quota_entry_state {
	QUOTA_FREE,
	QUOTA_CLAIMED, /* its name is being written */
	QUOTA_USED,    /* for the life of the process */
};

struct quota_entry {
	uint32_t state;
	uint16_t number; /* of the entry of `quotas`, from 1; 0: none now */
	uint8_t over;    /* it is used up, as was seen last */
	uint8_t reserved;
	uint64_t counted; /* bytes, both ways, since the process began */
	uint64_t saved;   /* of these, in the state file */
	uint64_t stop_at; /* `counted` from which the quota is used up */
	uint64_t reserved2[4];
	char user[QUOTA_USER_BYTES]; /* terminated */
};

_Static_assert(sizeof(struct quota_entry) == 320,
	       "elements of tables in a segment keep their size");
