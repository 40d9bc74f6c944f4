/*
 * The log: lines are formatted by the thread that has something to say, into
 * a ring of its own, and written in batches by one logger thread.  No call
 * here ever waits for a disk or a terminal: a full ring drops the line and
 * counts it, and the count is logged once there is room again.
 */
#pragma once

#include "core/base.h"

enum log_level {
	LOG_LEVEL_ERROR,   /* an operator must act */
	LOG_LEVEL_WARNING, /* we carried on */
	LOG_LEVEL_NOTICE,  /* life cycle */
	LOG_LEVEL_INFO,    /* per session */
	LOG_LEVEL_DEBUG,
};

/* What stands around a line's text; the journal takes the text alone. */
enum log_style {
	LOG_STYLE_PLAIN,  /* "2026-11-23T01:02:03.456Z info text" */
	LOG_STYLE_JSON,   /* an object a line */
	LOG_STYLE_DANTED, /* as danted(8) does, in local time */
};

struct log_options {
	const char *path;     /* NULL: standard error; else an absolute path */
	enum log_level level; /* what is less important is not written */
	bool prefixes;        /* "<N>" in front, for the journal */
	bool journal; /* by its own protocol; path: its socket, NULL: usual */
	enum log_style style;
};

/* Tells whether standard error is the journal. */
bool log_stderr_is_journal(void);

/* "<N>" in front of lines that go to standard error before log_start(). */
void log_set_prefixes(bool on);

/*
 * Opens the target and starts the logger thread, which inherits what the
 * caller may and may not do: drop privileges first.  Before it, and after
 * log_stop(), log_line() writes to standard error by itself.  -errno of
 * open(2) or pthread_create(3).
 */
int log_start(const struct log_options *o) MUST_CHECK;

/* Writes what is left and ends the logger thread.  Harmless if not started. */
void log_stop(void);

/* Asks the logger thread to open the file anew.  Async-signal-safe. */
void log_reopen(void);

/*
 * Writes one line.  From the threads' rings the lines of one thread keep
 * their order.  Text from a peer must have gone through log_escape().
 */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

bool log_wants(enum log_level level);

/* What is written from now on, until log_start() says otherwise. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/*
 * Gives room for a line of at most LOG_LINE_BYTES in this thread's ring, for
 * callers that format by themselves; NULL when the ring is full (counted).
 * log_commit() publishes `len` bytes without a line feed; 0 takes it back.
 * No other line and no suspension in between.
 *
 * log_commit_pairs(): in the room behind the text stands, in at most as many
 * bytes again, the same in logfmt.  Only a journal has a use for it, which
 * makes fields of it; see log_entry.h.
 */
#define LOG_LINE_BYTES 1536
char *log_reserve(void);
void log_commit(enum log_level level, size_t len);
void log_commit_pairs(enum log_level level, size_t len, size_t pairs);

/*
 * Adds every line of level error from now on to text[size] as well, for who
 * must hear of a failure beside the log: after what is there already, each
 * with a line feed, terminated; what does not fit is cut.  NULL: no more.
 */
void log_copy_errors(char *text, size_t size);

/* How many lines were dropped, or could not be written, since the start. */
uint64_t log_dropped(void);
