/*
 * From the command line to a configuration.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/options.h"

struct users;

/*
 * Reads the file or takes the default, with --listen put in.  Everything that
 * is wrong goes to standard error, and on failure also into text[size] (which
 * may be NULL), in lines, cut where it does not fit.  -errno of conf_load().
 */
int load_conf(struct conf **ret, const struct options *o, char *text,
	      size_t size) MUST_CHECK;

/*
 * Reads the file of users that a configuration names; without one *ret is
 * NULL.  -errno of users_load() with a sentence in why[size], which has the
 * file and the line in front.
 */
int load_users(struct users **ret, const struct conf *c, char *why, size_t size)
	MUST_CHECK;

#define LOAD_WHY_BYTES 4352 /* the longest path and a sentence */
