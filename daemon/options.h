/*
 * The command line.
 */
#pragma once

#include "core/base.h"
#include "daemon/explain.h"
#include "daemon/init.h"

enum verb {
	VERB_RUN,
	VERB_CHECK,
	VERB_DUMP,
	VERB_EXPLAIN,
	VERB_IMPORT,
	VERB_INIT,
	VERB_HELP,
	VERB_VERSION,
};

#define OPTIONS_LISTEN_MAX 64

struct options {
	enum verb verb;
	const char *config; /* NULL: the embedded default */
	const char *listen[OPTIONS_LISTEN_MAX];
	size_t listen_count;
	const char *danted; /* the file of VERB_IMPORT */
	bool single;        /* without master and generations */
	struct explain_words explain;
	struct init_plan init; /* but for its addresses: `listen` */
};

/* Exit codes; the manual names them, too. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* configuration or start */
	EXIT_USAGE = 2,
	EXIT_LOST = 3,    /* something of a danted.conf */
	EXIT_DENIED = 4,  /* what --explain was asked is not allowed */
	EXIT_KILLED = 75, /* the first generation, by a signal or the clock */
};

/*
 * Reads the arguments.  Returns 0, or -EINVAL after a sentence on standard
 * error.
 */
int options_parse(struct options *ret, int argc, char **argv) MUST_CHECK;

void options_help(void);
