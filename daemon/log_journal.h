/*
 * Sends entries to systemd-journald by its native protocol: a datagram an
 * entry, many a system call.  A journal that takes nothing any more, or is
 * gone, holds the caller up for a bounded time only.
 *
 * Not by sd_journal_sendv(3): that is a system call for each entry, and waits
 * for ever where the journal is slow.
 */
#pragma once

#include "core/base.h"
#include "daemon/log.h"

#define LOG_JOURNAL_PATH "/run/systemd/journal/socket"

struct log_journal;

/*
 * Connects to the socket at the path.  -errno of socket(2) and connect(2):
 * -ENOENT and -ECONNREFUSED mean that no journald listens; -ENAMETOOLONG,
 * -ENOMEM.
 */
int log_journal_open(struct log_journal **ret, const char *path) MUST_CHECK;

/* NULL is harmless. */
void log_journal_close(struct log_journal *j);

/* Whether there is no room for one more line. */
bool log_journal_full(const struct log_journal *j);

/*
 * Adds a line of at most LOG_LINE_BYTES to the batch, which must not be full;
 * `pairs` as log_entry() wants them.
 */
void log_journal_add(struct log_journal *j, enum log_level level,
		     const char *text, size_t len, struct span pairs);

/*
 * Sends the batch within about a second, to a journal that came back by
 * connecting again, and empties it.  Returns how many lines were lost.
 */
size_t log_journal_send(struct log_journal *j);
