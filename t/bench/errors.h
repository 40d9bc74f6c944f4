/*
 * How connections of a load have failed, counted by kind.
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct errors {
	uint64_t refused; /* by the proxy's answer or by its host */
	uint64_t reset;
	uint64_t eof; /* too early */
	uint64_t timeout;
	uint64_t wrong; /* bytes that were not sent */
	uint64_t other;
};

static inline uint64_t errors_all(const struct errors *e)
{
	return e->refused + e->reset + e->eof + e->timeout + e->wrong +
	       e->other;
}

/* The counter for an errno. */
static inline uint64_t *errors_of(struct errors *e, int err)
{
	if (err == ECONNREFUSED)
		return &e->refused;
	return err == ECONNRESET || err == EPIPE ? &e->reset : &e->other;
}

static inline void errors_print(const struct errors *e)
{
	printf("{\"refused\": %" PRIu64 ", \"reset\": %" PRIu64
	       ", \"eof\": %" PRIu64 ", \"timeout\": %" PRIu64
	       ", \"wrong\": %" PRIu64 ", \"other\": %" PRIu64 "}",
	       e->refused, e->reset, e->eof, e->timeout, e->wrong, e->other);
}
