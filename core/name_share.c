/*
 * Shares of the places for names under way.
 */
#include "core/name_share.h"

#include <string.h>

#define V6_PREFIX_BYTES 8

int name_shares_init(struct name_shares *s)
{
	memset(s, 0, sizeof(*s));
	return siphash_key_draw(&s->key);
}

unsigned name_slot(const struct name_shares *s, const struct tcp_addr *client)
{
	const uint8_t *ip;
	size_t len;

	if (!client || client->family == AF_UNSPEC)
		return NAME_NO_SLOT;
	ip = addr_bytes(client, &len);
	return siphash(&s->key, ip, min_size(len, V6_PREFIX_BYTES)) %
	       NAME_SLOTS;
}

bool name_share_is_left(const struct name_shares *s, unsigned slot, size_t all,
			size_t max)
{
	size_t share = max / 8;

	if (all >= max)
		return false;
	return all < max / 2 || share == 0 || slot == NAME_NO_SLOT ||
	       s->taken[slot] < share;
}

void name_share_take(struct name_shares *s, unsigned slot)
{
	ASSERT(s->taken[slot] < UINT16_MAX);
	s->taken[slot]++;
}

void name_share_give(struct name_shares *s, unsigned slot)
{
	ASSERT(s->taken[slot] > 0);
	s->taken[slot]--;
}
