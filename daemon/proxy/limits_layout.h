/*
 * What the tables of the limits are made of, in memory that other processes
 * read.  Plain numbers: what changes gets another size, or a table of another
 * name.
 */
#pragma once

#include "core/siphash.h"

/*
 * What is counted, in the order in which it is asked: what concerns fewer comes
 * first.  Numbers are never used again.
 */
enum limits_kind {
	LIMITS_CLIENT,             /* sessions of a client prefix */
	LIMITS_CLIENT_RULE_CLIENT, /* of one by a client rule */
	LIMITS_LISTENER,
	LIMITS_CLIENT_RULE,
	LIMITS_USER,
	LIMITS_RULE_CLIENT,
	LIMITS_RULE_USER,
	LIMITS_RULE,
};

#define LIMITS_KINDS (LIMITS_RULE + 1)

/* A count and the upper bits of its key; 0: free. */
struct limits_count {
	uint64_t word;
};

#define LIMITS_LABEL_BYTES 46

/* Whom the count of the same index is about. */
struct limits_label {
	uint64_t key;    /* not that of the count: it is being written */
	uint32_t bound;  /* that it was held against first */
	uint16_t number; /* of the rule or listener, or 0 */
	uint8_t kind;    /* enum limits_kind */
	uint8_t bits;    /* of a client's prefix, in its 16-byte form */
	uint8_t len, reserved;
	char text[LIMITS_LABEL_BYTES]; /* 16 bytes of a prefix; a user's name,
					* maybe cut */
};

/* GCRA: the time that all who were let in have used up. */
struct limits_rate {
	uint64_t key;    /* 0: free */
	int64_t next_ns; /* CLOCK_MONOTONIC; past: free, too */
};

struct limits_about {
	struct siphash_key key; /* of the keys */
	uint8_t prefix4, prefix6, reserved[46];
	/* Sessions refused by a bound of each kind, and by a rate of it. */
	uint64_t refused[LIMITS_KINDS], refused_rate[LIMITS_KINDS];
	uint64_t uncounted; /* let in without a count: the table was full */
	uint64_t reserved2[7];
};

_Static_assert(sizeof(struct limits_label) == 64 &&
		       sizeof(struct limits_about) == 256,
	       "elements of tables in a segment keep their size");
