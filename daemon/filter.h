/*
 * Which sessions are meant: "key=value", "key>value", "key<value", all of
 * which must hold.  Pure.
 */
#pragma once

#include "conf/match.h"
#include "daemon/row.h"

#include <stdio.h>

#define FILTERS_MAX      32
#define FILTER_WHY_BYTES (CONF_WHY_BYTES + 128)

struct filter_key;

struct filter {
	const struct filter_key *key;
	char op;          /* '=', '>', '<' */
	const char *text; /* the value; borrowed */
	int64_t number;   /* bytes, ms, or a word's number */
	struct conf_match match;
	char name[CONF_NAME_BYTES]; /* what match.name points at */
};

/* Points into itself: not to be copied. */
struct filters {
	struct filter at[FILTERS_MAX];
	size_t count;
};

/*
 * Adds one, whose text stays borrowed.  -EINVAL with a sentence in
 * why[FILTER_WHY_BYTES].
 */
int filters_add(struct filters *f, const char *text, char *why) MUST_CHECK;

bool filters_match(const struct filters *f, const struct row *r);

/*
 * A sentence where they would take others than are meant, which matters to who
 * ends them: of a long user's name a record holds the beginning.  NULL: none.
 */
const char *filters_vague(const struct filters *f);

/* Prints a line for each key to out, for the help. */
void filters_help(FILE *out);
