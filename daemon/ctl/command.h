/*
 * The commands of splicedctl: one row each, in commands.c.
 */
#pragma once

#include "conf/nearest.h"
#include "daemon/ctl/args.h"
#include "daemon/ctl/ask.h"

#include <stdio.h>

#define COMMAND_LINE_BYTES 511 /* without the line feed */

struct command {
	const char *name;
	const char *usage;   /* lines of the help, each with its line feed */
	const char *says;    /* a few words, for completion */
	unsigned options;    /* enum args_option, beside those of all */
	int64_t patience_ms; /* with an answer; 0: the usual */
	const char *const *words; /* that may stand behind it, NULL at the end;
				   * or NULL */

	/*
	 * Takes what stands behind the verb and returns what is left, or NULL
	 * after a sentence; NULL: nothing may stand there.
	 */
	char **(*take)(struct args *a, char **words);

	/* Does all of it and returns the exit status; instead of the rest. */
	int (*run)(const struct args *a);

	/* The daemon's line; or makes it in room[], NULL: it is too long. */
	const char *line;
	const char *(*ask)(const struct args *a, char room[COMMAND_LINE_BYTES]);
	/*
	 * Shows an answer to people; with `shows_json` as JSON, too, where the
	 * lines as they came are not what is meant.  -errno; -EBADMSG, -EIO:
	 * that has been told of.  NULL: there is nothing to show.
	 */
	int (*show)(FILE *out, const struct args *a, struct reply *r);
	bool shows_json;
	/* The exit status of an answer that is ok; NULL: CTL_OK. */
	int (*status)(const struct reply *r);
};

/* The one of that name; NULL with a hint, maybe "", in hint[]. */
const struct command *command_find(const char *name,
				   char hint[CONF_HINT_BYTES]);

/* Number i; NULL: there are no more. */
const struct command *command_at(size_t i);

/* Asks, shows, and returns the exit status; what a command without run does. */
int command_ask(const struct args *a);
