/*
 * `spliced --init`: a first configuration, from a few answers or flags.
 */
#pragma once

#include "core/base.h"

#include <stdio.h>

#define INIT_LIST_MAX 16
#define INIT_TEXT     1024

/* What is to be written; NULL or 0: not said. */
struct init_plan {
	const char *listen[INIT_LIST_MAX];
	const char *allow[INIT_LIST_MAX]; /* prefixes and keywords */
	const char *protocols[INIT_LIST_MAX];
	size_t listen_count, allow_count, protocol_count;
	const char *user;        /* "": nobody logs in */
	const char *certificate; /* "": no TLS */
	const char *log;
	const char *output;
	bool force; /* over a file that is there */
	/* What was typed. */
	char typed[6][INIT_TEXT];
};

/* Asks on a terminal what was not said.  -ECANCELED: the end of input. */
int init_ask(struct init_plan *p) MUST_CHECK;

/* Writes the file's text; `users`: its path, for who logs in. */
void init_put(const struct init_plan *p, const char *users, FILE *out);

/* All of it; the exit status. */
int init_run(struct init_plan *p);
