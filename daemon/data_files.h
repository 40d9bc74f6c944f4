/*
 * The files of data that a configuration names: users, groups, lists,
 * certificates.  They may change while a generation lives, and so may what
 * their names stand for.
 */
#pragma once

#include "conf/conf.h"

struct data_files {
	const char **path; /* borrowed from the configuration */
	struct file_stamp *stamp;
	size_t count;
};

/* Lists them, each once, and notes what they are now.  -ENOMEM. */
int data_files_init(struct data_files *d, const struct conf *c) MUST_CHECK;
void data_files_done(struct data_files *d); /* harmless where all is zero */

/* The same for what one entry of `tls` names. */
int data_files_init_tls(struct data_files *d, const struct conf_tls *t)
	MUST_CHECK;

/*
 * Looks at all of them again and notes what they are now.  Returns the first
 * that is another one than before, or NULL.  What we may not look at has not
 * changed.
 */
const char *data_files_look(struct data_files *d);
