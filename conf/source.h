/*
 * The text of a configuration with all that it includes, as one run of bytes,
 * and where each line of it came from.
 */
#pragma once

#include "conf/errors.h"

struct conf_arena;

#define CONF_SOURCE_BYTES_MAX ((size_t)16 << 20)
#define CONF_SOURCE_LINES_MAX 65535 /* libconfig counts lines in 16 bits */
#define CONF_SOURCE_FILES_MAX 1000
#define CONF_SOURCE_DEPTH_MAX 10

/* From `line` of the whole text on, lines are those of `file`. */
struct conf_piece {
	unsigned line;
	unsigned file_line;
	const char *file;
};

struct conf_source {
	struct conf_arena *arena; /* borrowed; owns the names of files */
	char *text;               /* ends with a NUL that is not counted */
	size_t len, room;
	unsigned line; /* the one that comes next */
	struct conf_piece *pieces;
	size_t piece_count, piece_room;
	size_t files;
};

/*
 * Reads a file and what it includes.  A relative path in @include is relative
 * to the folder of the main file.  What is wrong with any of them is told in
 * *errors: -EBADMSG, or -errno of reading the main file; -ENOMEM.
 */
int conf_source_read(struct conf_source *ret, struct conf_arena *arena,
		     const char *path, struct conf_errors *errors) MUST_CHECK;

/* The same for a text in memory; includes are relative to `folder`. */
int conf_source_text(struct conf_source *ret, struct conf_arena *arena,
		     const char *text, size_t len, const char *name,
		     const char *folder, struct conf_errors *errors) MUST_CHECK;

/* Tells which file and line a line of the whole text is. */
void conf_source_where(const struct conf_source *s, unsigned line,
		       const char **ret_file, unsigned *ret_line);

void conf_source_done(struct conf_source *s);
