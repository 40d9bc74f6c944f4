/*
 * The files beside the configuration whose contents may change while it does
 * not: users, groups, lists.
 */
#pragma once

#include "conf/conf.h"

enum conf_file_kind {
	CONF_FILE_USERS,
	CONF_FILE_GROUPS,
	CONF_FILE_PREFIXES, /* "@file" in a `from` */
	CONF_FILE_TARGETS,  /* in a `to` */
	CONF_FILE_ADMINS,   /* users, too: who may look at the metrics */
};

struct conf_file {
	enum conf_file_kind kind;
	const char *path;  /* absolute */
	const char *where; /* "file:line" of the first entry that names it;
			    * NULL: a group does */
};

/*
 * Lists them, each path once for each kind, in the order of kind and path;
 * *ret is to be freed, what it points at belongs to the configuration.
 * -ENOMEM.
 */
int conf_files(struct conf_file **ret, size_t *ret_count, const struct conf *c)
	MUST_CHECK;

/* Finds one in such a list; `count` where it is not there. */
size_t conf_files_find(const struct conf_file *list, size_t count,
		       enum conf_file_kind kind, const char *path);
