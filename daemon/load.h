/*
 * From the command line to a configuration.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/options.h"

/*
 * Reads the file or takes the default, with --listen put in.  Everything that
 * is wrong goes to standard error, and on failure also into text[size] (which
 * may be NULL), in lines, cut where it does not fit.  -errno of conf_load().
 */
int load_conf(struct conf **ret, const struct options *o, char *text,
	      size_t size) MUST_CHECK;

#define LOAD_WHY_BYTES 4352 /* the longest path and a sentence */
