/*
 * A line of the log as an entry of the journal: the text, its level, and for
 * what programs look for a message id; the values of an access line stand in
 * fields of their own, SPLICED_CLIENT, SPLICED_UP and so on, as they were
 * before they were escaped.  Bytes in, bytes out.
 */
#pragma once

#include "daemon/log.h"

/* MESSAGE_ID of what programs look for, whatever its text says. */
#define LOG_ID_READY   "dc24467c78824ae587414876553a9b52" /* it accepts */
#define LOG_ID_ENDED   "542afb8c25a240ce91c8b2b36247d90d" /* a generation */
#define LOG_ID_SESSION "818b62850d1d4768927ca85437b30946" /* an access line */

/* Fields of an access line beyond these are in the text only. */
#define LOG_ENTRY_FIELDS 32

/* Room for the entry of any line. */
#define LOG_ENTRY_BYTES 4096

/*
 * Writes the entry of a line of at most LOG_LINE_BYTES into
 * out[LOG_ENTRY_BYTES] as journald's native protocol has it
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL), and returns its length.
 */
size_t log_entry(enum log_level level, const char *text, size_t len, char *out);
