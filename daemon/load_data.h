/*
 * Reading the files that a configuration names: users, groups, lists.  They
 * change while it does not, so each reading may say something else.
 */
#pragma once

#include "conf/files.h"

struct users;
struct groups;
struct match_list;

/* Starts as {}, ends with load_data_done(). */
struct load_data {
	struct users *users;   /* NULL: there is no file of them */
	struct users *admins;  /* likewise, those of `admin` */
	struct groups *groups; /* likewise */
	struct conf_file *files;
	size_t file_count;
	struct match_list **lists; /* by file; NULL: it is no list */
};

/*
 * Reads all of them.  What is wrong with any is added to *errors, with file
 * and line; what is most likely a mistake is added as a warning.  -errno of the
 * first one that is wrong; *ret is empty then.
 */
int load_data(struct load_data *ret, const struct conf *c,
	      struct conf_errors *errors) MUST_CHECK;

/*
 * The same for who only wants to know, and need not be he who may read them:
 * that is a warning.  0 or -errno.
 */
int load_data_check(const struct conf *c, struct conf_errors *errors)
	MUST_CHECK;

/* The list that "@path" is in a `from` or a `to`, or NULL. */
const struct match_list *load_data_list(const struct load_data *d,
					enum conf_file_kind kind,
					const char *path);

void load_data_done(struct load_data *d);
