/*
 * Whom one association has talked to: addresses that a datagram was sent to,
 * whose replies may come in, and what the rules said of them, so that they
 * are not asked for each datagram.  Hashed by IP, small at first; beyond
 * CONTACTS_MAX, or where there is no memory, the oldest is overwritten.
 */
#pragma once

#include "core/addr.h"
#include "core/siphash.h"

#define CONTACTS_MAX 1024u

/* Bytes of memory that are shared out. */
struct budget {
	size_t used, max;
};

static inline bool budget_take(struct budget *b, size_t bytes)
{
	if (bytes > b->max - b->used)
		return false;
	b->used += bytes;
	return true;
}

static inline void budget_give(struct budget *b, size_t bytes)
{
	ASSERT(bytes <= b->used);
	b->used -= bytes;
}

struct contact;

struct contacts {
	struct contact *entry; /* a ring, in the order of coming */
	uint16_t *bucket;      /* first of a chain, counted from 1 */
	uint32_t count, size;  /* size: 0 or a power of two */
	uint32_t next;         /* the one to be overwritten, once full */
	uint32_t lost;         /* how many were overwritten */
	struct budget *budget;
	const struct siphash_key *key;
};

/* Allocates nothing yet; borrows both. */
void contacts_init(struct contacts *c, struct budget *b,
		   const struct siphash_key *key);
void contacts_done(struct contacts *c);

/*
 * What contacts_note() was told last of an address and port, of which a few
 * are kept for each IP: 1 or 0; -ENOENT: nothing.
 */
int contacts_verdict(const struct contacts *c, const struct tcp_addr *a);

/* Remembers what the rules say.  Without any memory it does not. */
void contacts_note(struct contacts *c, const struct tcp_addr *a, bool allowed);

/* Forgets what the rules said; whom something was sent to stays known. */
void contacts_forget_verdicts(struct contacts *c);

/* What the first one takes of the budget. */
size_t contacts_first_bytes(void);

/* Something is sent to that IP.  -ENOMEM: it is not, with no memory at all. */
int contacts_mark(struct contacts *c, const struct tcp_addr *a) MUST_CHECK;

/* Tells whether something was sent to that IP. */
bool contacts_has(const struct contacts *c, const struct tcp_addr *a);
