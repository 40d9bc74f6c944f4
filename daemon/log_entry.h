/*
 * A line of the log as an entry of the journal: the text, its level, and for
 * what programs look for (log_event.h) a message id and its word in
 * SPLICED_EVENT; the values of an access line stand in fields of their own,
 * SPLICED_CLIENT, SPLICED_UP and so on, as they were before they were escaped.
 * Bytes in, bytes out.
 */
#pragma once

#include "daemon/log.h"

/* Fields of an access line beyond these are in the text only. */
#define LOG_ENTRY_FIELDS 32

/* Room for the entry of any line. */
#define LOG_ENTRY_BYTES 4096

/*
 * Writes the entry of a line of at most LOG_LINE_BYTES into
 * out[LOG_ENTRY_BYTES] as journald's native protocol has it
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL), and returns its length.  `pairs`: the
 * line in logfmt, of no more bytes, where it is an access line in another
 * format; else empty.
 */
size_t log_entry(enum log_level level, const char *text, size_t len,
		 struct span pairs, char *out);
