/*
 * Runs of bytes, and numbers in the byte order of the wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes; never lives across a suspension. */
struct span {
	const uint8_t *at;
	size_t len;
};

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}
