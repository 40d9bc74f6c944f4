/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a hash for tables whose keys a peer
 * chooses.  Without the key nobody can aim at one bucket.
 */
#pragma once

#include "core/base.h"

struct siphash_key {
	uint64_t k[2];
};

/* Draws a key from getrandom(2), whose -errno it returns. */
int siphash_key_draw(struct siphash_key *ret) MUST_CHECK;

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t len);
