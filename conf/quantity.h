/*
 * Numbers, sizes and durations as texts.  Pure.
 */
#pragma once

#include "core/base.h"

/* Reads a whole number, decimal or 0x..., that fills the text.  -EINVAL. */
int conf_number_parse(int64_t *ret, const char *text) MUST_CHECK;

/*
 * Reads bytes: a whole number and perhaps k, M or G (times 1024, 1024^2,
 * 1024^3; either case).  -EINVAL; -ERANGE: more than 2^63 - 1.
 */
int conf_size_parse(int64_t *ret, const char *text) MUST_CHECK;

/*
 * Reads a duration into milliseconds: a whole number and ms, s, m, h or d;
 * only 0 needs no unit.  -EINVAL; -ERANGE: more than 2^63 - 1.
 */
int conf_duration_parse(int64_t *ret_ms, const char *text) MUST_CHECK;

/* So many in a time. */
struct conf_rate {
	uint32_t count; /* 0: no bound */
	uint32_t ms;    /* 0 then */
};

#define CONF_RATE_MS_MIN 100
#define CONF_RATE_MS_MAX 86400000

/*
 * Reads "COUNT/DURATION", where a unit alone is one of it ("100/s"), or "0".
 * -EINVAL: no rate; -ERANGE: a count beyond 32 bits or 0 of a duration, or a
 * duration out of the bounds above.
 */
int conf_rate_parse(struct conf_rate *ret, const char *text) MUST_CHECK;

#define CONF_QUANTITY_BYTES 32

/* Write the shortest text that reads back as the same; return out. */
char *conf_size_format(int64_t bytes, char *out);
char *conf_duration_format(int64_t ms, char *out);
char *conf_rate_format(const struct conf_rate *r, char *out);
