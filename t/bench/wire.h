/*
 * What load and origin say to each other, and the bytes that they send.
 *
 * Every connection to the origin opens with a request of 16 bytes: "SPLB",
 * the kind of work, three zeros, the flow's number, four zeros. Payload is
 * one fixed pseudo-random table, read from a start that depends on the flow;
 * its period is prime, so a lost, doubled or misplaced buffer of any usual
 * size shows, and so does one of another flow.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WIRE_HEAD     16
#define WIRE_EXCHANGE 1024 /* each way, the request included */
#define WIRE_PERIOD   65521u
#define WIRE_RUN      (128u << 10) /* what wire_bytes() vouches for */

enum wire_kind {
	WIRE_KIND_EXCHANGE = 'x', /* 1 KiB there, 1 KiB back, origin closes */
	WIRE_KIND_ECHO = 'e',
	WIRE_KIND_SOURCE = 's', /* bytes until the client ends */
	WIRE_KIND_SINK = 'k',   /* takes and checks */
	WIRE_KIND_QUERY = 'q',  /* what came on that sink: an answer, close */
	WIRE_KIND_PAGES = 'G',  /* not by such a head: requests of HTTP */
};

/* To a query: bytes taken, and how many of the reads were wrong. */
struct wire_answer {
	uint64_t bytes;
	uint64_t wrong;
};

static uint8_t wire_table[WIRE_PERIOD + WIRE_RUN];

static inline void wire_init(void)
{
	uint32_t x = 2463534242u;

	for (uint32_t i = 0; i < WIRE_PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		wire_table[i] = (uint8_t)(x >> 11);
	}
	for (uint32_t i = 0; i < WIRE_RUN; i++)
		wire_table[WIRE_PERIOD + i] = wire_table[i % WIRE_PERIOD];
}

/* The flow's bytes at `pos`, good for WIRE_RUN bytes. */
static inline const uint8_t *wire_bytes(uint32_t flow, uint64_t pos)
{
	return wire_table + (pos + flow * 7919ull) % WIRE_PERIOD;
}

static inline bool wire_same(uint32_t flow, uint64_t pos, const void *buf,
			     size_t n)
{
	return !memcmp(wire_bytes(flow, pos), buf, n);
}

static inline void wire_head(uint8_t *out, enum wire_kind kind, uint32_t flow)
{
	memcpy(out, "SPLB", 4);
	memset(out + 4, 0, WIRE_HEAD - 4);
	out[4] = (uint8_t)kind;
	memcpy(out + 8, &flow, sizeof flow);
}

static inline bool wire_head_parse(const uint8_t *in, enum wire_kind *ret_kind,
				   uint32_t *ret_flow)
{
	if (memcmp(in, "SPLB", 4))
		return false;
	*ret_kind = in[4];
	memcpy(ret_flow, in + 8, sizeof *ret_flow);
	return true;
}
