/*
 * What must or should hold between options.
 */
#pragma once

#include "conf/conf.h"

/*
 * Adds what is wrong between options that are well by themselves (or were
 * refused and left at their default); returns 0, -EBADMSG if anything is,
 * or -ENOMEM.
 */
int conf_check(const struct conf *c, struct conf_errors *errors) MUST_CHECK;

/* Adds warnings about a configuration without errors. */
void conf_check_sense(const struct conf *c, struct conf_errors *errors);

/* The same for the listeners' addresses alone. */
int conf_check_addresses(const struct conf *c, struct conf_errors *errors)
	MUST_CHECK;

/* The line of an entry's "file:line", for a message about another entry. */
const char *conf_line_of(const char *where);
