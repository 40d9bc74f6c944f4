/*
 * What users have moved today and this month, as a file keeps it.  Pure: texts
 * and numbers, no files and no clock.
 */
#pragma once

#include "daemon/proxy/text_table.h"

/* Days are numbered as 20261123, months as 202611. */
struct quota_used {
	uint32_t day, month;
	uint64_t day_bytes, month_bytes; /* of that day, of that month */
};

struct quota_state {
	struct text_table users;
	struct quota_used *used; /* by the numbers of users */
	size_t room;
};

/* No sum goes beyond what JSON and the options' sizes can say. */
#define QUOTA_BYTES_MAX ((uint64_t)INT64_MAX)

#define QUOTA_STATE_USERS_MAX 65536u
#define QUOTA_STATE_BYTES_MAX (64u << 20)

/* -errno of getrandom(2). */
int quota_state_init(struct quota_state *s) MUST_CHECK;
void quota_state_done(struct quota_state *s);

/* A user's, all zero if he has none yet.  -ENOMEM; -E2BIG: too many users. */
int quota_state_get(struct quota_state *s, struct span user,
		    struct quota_used **ret) MUST_CHECK;

/* NULL: nothing is known of him. */
struct quota_used *quota_state_find(const struct quota_state *s,
				    struct span user);

/* What was used on another day, or in another month, is forgotten. */
void quota_used_turn(struct quota_used *u, uint32_t day, uint32_t month);

/* The sum, QUOTA_BYTES_MAX at most. */
uint64_t quota_sum(uint64_t bytes, uint64_t more);

/* Adds to both; what was too much for one of them does not come off again. */
void quota_used_add(struct quota_used *u, uint64_t more);
void quota_used_take(struct quota_used *u, uint64_t less);

/*
 * Adds what a file of quota_state_format() holds to an empty state; `text` is
 * changed.  -EBADMSG with the line at fault in *ret_line; -ENOMEM, -E2BIG.
 */
int quota_state_parse(struct quota_state *s, char *text, unsigned *ret_line)
	MUST_CHECK;

/*
 * The text of a file, to be freed, without users of whom nothing was used in
 * that month; NULL: no memory.
 */
char *quota_state_format(const struct quota_state *s, uint32_t month,
			 size_t *ret_len);
