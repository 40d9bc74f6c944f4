/*
 * A host name as rules compare it, and each domain that it lies in.
 */
#pragma once

#include "core/base.h"

#define FOLDED_BYTES  254u /* one more than a host name may have */
#define FOLDED_LABELS 127u

struct folded_name {
	uint8_t len;    /* without dots at its end; 0: there is none */
	uint8_t labels; /* how many, at most FOLDED_LABELS */
	uint8_t start[FOLDED_LABELS]; /* of the last, the last but one, ... */
	char text[FOLDED_BYTES];      /* lower case */
};

/*
 * One dot at the end is left out.  Of what is too long for a name only the end
 * is looked at: so it has no name's length, but still lies in its domains.
 */
void folded_name_set(struct folded_name *ret, struct span host);

/* The last `labels` labels, from 1; the name itself where start is 0. */
static inline struct span folded_name_end(const struct folded_name *f,
					  unsigned labels)
{
	unsigned start = f->start[labels - 1];

	return (struct span){ (const uint8_t *)f->text + start,
			      (size_t)f->len - start };
}

static inline struct span folded_name_all(const struct folded_name *f)
{
	return (struct span){ (const uint8_t *)f->text, f->len };
}
