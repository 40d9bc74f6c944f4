/*
 * The command line of splicedctl.
 */
#pragma once

#include "daemon/explain.h"
#include "daemon/filter.h"

#define ARGS_SOCKET     "/run/spliced/control"
#define ARGS_SOCKET_ENV "SPLICED_SOCKET"
#define ARGS_WATCH_MS   2000
#define ARGS_WATCH_MIN  100

struct command;

/* Options of some commands only, as bits. */
enum args_option {
	ARGS_WAIT = 1 << 0,
	ARGS_ENFORCE = 1 << 1,
	ARGS_QUESTION = 1 << 2, /* explain's */
	ARGS_FILE = 1 << 3,     /* passwd's */
	ARGS_WATCH = 1 << 4,
	ARGS_OFF = 1 << 5,
	ARGS_YES = 1 << 6,
	ARGS_RESET = 1 << 7,
};

struct args {
	const struct command *command; /* NULL: help or version */
	bool help;                     /* or the version of this program */
	const char *socket;
	bool json;
	bool wait;
	bool enforce;
	bool off, yes, reset;
	int64_t watch_ms; /* between two looks; 0: one look */
	const char *word; /* of drain, log-level, quotas; NULL: none */
	struct explain_words explain;
	struct {
		const char *user, *file; /* NULL: the usual one */
		bool remove;
	} passwd;
	char **ids;             /* of kill: "1.0.5", NULL at the end; or NULL */
	struct filters filters; /* so not to be copied */
	char **filter_words;    /* the same as they were written */
};

/* Exit codes; the manual names them, too. */
enum {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* the daemon said no, or the output failed */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3, /* or it went away, or we may not connect */
	CTL_DENIED = 4,    /* what was to be explained is not allowed */
};

/*
 * Reads the arguments.  Returns 0, or -EINVAL after a sentence on standard
 * error.
 */
int args_parse(struct args *ret, int argc, char **argv) MUST_CHECK;

/* Adds all of these as filters; NULL after a sentence, else their end. */
char **args_take_filters(struct args *a, char **words);

void args_help(void);
