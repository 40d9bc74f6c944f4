/*
 * One session as it is shown: its record, copied from the segment of a
 * generation, with the names that the numbers in it mean there.
 */
#pragma once

#include "daemon/proxy/sessions.h"
#include "daemon/tables.h"

#include <jansson.h>

#define ROW_NAME_BYTES sizeof(((struct table_name *)NULL)->text)
/* Every byte of a host name may need four; a colon and a port. */
#define ROW_TARGET_BYTES (SESSION_NAME_BYTES * 4 + 8)
#define ROW_ID_BYTES     48

struct row {
	struct session session;
	int64_t age_ms, idle_ms;
	char host[SESSION_NAME_BYTES]; /* as the client sent it */
	size_t host_len;               /* 0: an address was asked for */
	char listener[ROW_NAME_BYTES]; /* "" where there is none */
	char client_rule[ROW_NAME_BYTES];
	char rule[ROW_NAME_BYTES];
	char upstream[ROW_NAME_BYTES];
};

/*
 * Calls each() for every session of a generation's segment until it returns
 * something else than 0, and returns that; -EBADMSG: there are no tables of
 * sessions that we know.  `now_ms` is CLOCK_MONOTONIC.
 */
int rows_each(const struct segment *s, int64_t now_ms,
	      int (*each)(void *ctx, const struct row *r), void *ctx)
	MUST_CHECK;

/* "GENERATION.WORKER.COUNT", unique while the daemon runs; returns out. */
char *row_id(const struct row *r, char out[ROW_ID_BYTES]);

/*
 * Reads one: the generation's number, and what struct session has as its id;
 * false: it is none.
 */
bool row_id_parse(uint32_t *ret_generation, uint64_t *ret_id, const char *text);

/* What was asked for, "HOST:PORT" or an address, escaped; returns out. */
char *row_target(const struct row *r, char out[ROW_TARGET_BYTES]);

/* Words, "" where there is none; NULL beyond the last one. */
const char *row_state_word(unsigned state);
const char *row_protocol_word(unsigned protocol);
const char *row_command_word(unsigned command);

/* All that is known of it; NULL: no memory. */
json_t *row_json(const struct row *r);
