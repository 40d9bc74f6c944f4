/*
 * Text from a peer made harmless for the log: printable ASCII, one logfmt
 * value, bounded; and back, for targets that keep values as they are.
 */
#pragma once

#include "core/base.h"

/* The least `size` that log_escape() works with. */
#define LOG_ESCAPE_MIN 8

/*
 * Writes the text as one logfmt value into out[size], terminated, and returns
 * its length.  What is empty or holds a space, '=', '"', '\' or a byte outside
 * of printable ASCII comes in quotes, such bytes as \xNN.  What does not fit
 * is cut, and "..." says so.
 */
size_t log_escape(struct span text, char *out, size_t size);

/* Tells whether the text may stand in logfmt as it is. */
bool log_is_plain(struct span text);

/*
 * Writes the text escaped, but without quotes or terminator, between `out` and
 * `end`, and returns where it ended; cut in front of a byte that does not fit
 * together with a "..." behind it.
 */
char *log_escape_bytes(struct span text, char *out, const char *end);

/*
 * Reads back what log_escape() wrote: the value that the text begins with, up
 * to a space or the end, decoded into `out`, which has room for text.len
 * bytes.  Returns how much of the text it took; -EBADMSG if that is no such
 * value, or only a part of one.
 */
ssize_t log_unescape(struct span text, char *out, size_t *ret_len) MUST_CHECK;
