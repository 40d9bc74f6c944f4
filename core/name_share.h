/*
 * Who asks for how many names at a time, so that one client cannot have all
 * places: clients are told apart by a keyed hash into a fixed number of slots,
 * which costs the few who meet in one some of their share and nobody memory.
 */
#pragma once

#include "core/addr.h"
#include "core/siphash.h"

#define NAME_SLOTS   256
#define NAME_NO_SLOT NAME_SLOTS /* of nobody in particular: without a bound */

struct name_shares {
	struct siphash_key key;
	uint16_t taken[NAME_SLOTS + 1];
};

/* Draws the key.  -errno of getrandom(2). */
int name_shares_init(struct name_shares *s) MUST_CHECK;

/* The slot of a client, of IPv6 that of its /64; NULL: NAME_NO_SLOT. */
unsigned name_slot(const struct name_shares *s, const struct tcp_addr *client);

/*
 * Tells whether one of `slot` may have another place where `all` of `max` are
 * taken: an eighth is for everybody, the first half for whoever comes.  (With
 * less than eight places there are no shares.)
 */
bool name_share_is_left(const struct name_shares *s, unsigned slot, size_t all,
			size_t max);

void name_share_take(struct name_shares *s, unsigned slot);
void name_share_give(struct name_shares *s, unsigned slot);
