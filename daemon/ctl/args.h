/*
 * The command line of splicedctl.
 */
#pragma once

#include "daemon/ctl/filter.h"
#include "daemon/explain.h"

#define ARGS_SOCKET     "/run/spliced/control"
#define ARGS_SOCKET_ENV "SPLICED_SOCKET"

enum command_verb {
	CTL_STATUS,
	CTL_GENERATIONS,
	CTL_SESSIONS,
	CTL_LIMITS,
	CTL_RELOAD,
	CTL_DRAIN,
	CTL_REFRESH,
	CTL_EXPLAIN,
	CTL_PASSWD,
	CTL_ASK_VERSION,
	CTL_SHOW_HELP,
	CTL_SHOW_VERSION, /* of this program */
};

struct args {
	enum command_verb verb;
	const char *socket;
	bool json;
	bool wait;
	bool enforce;
	struct explain_words explain;
	struct {
		const char *user, *file; /* NULL: the usual one */
		bool remove;
	} passwd;
	struct filters filters; /* so not to be copied */
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

void args_help(void);
