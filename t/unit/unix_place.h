/*
 * A folder of its own for the UNIX sockets of a test, and plain system calls
 * on these.
 */
#pragma once

#include "core/base.h"

/* The fixture: makes the folder, and removes it with all that is in it. */
void unix_place_setup(void);
void unix_place_teardown(void);

/* A path in the folder; valid until the next call but seven. */
const char *unix_path(const char *name);

/* A name without a file that nobody else has, "@...". */
const char *unix_abstract(void);

/* A blocking socket of a type that is bound to a path or "@name". */
int unix_bound(const char *name, int type);

/* A blocking connection; -errno of connect(2). */
int unix_dialled(const char *name);

/* The same, which must come about. */
int unix_connected(const char *name);

/* Whether there is a file, of whatever kind. */
bool file_exists(const char *path);

/* Makes a file of a few bytes. */
void file_make(const char *path);
