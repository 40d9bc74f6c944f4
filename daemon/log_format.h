/*
 * What a line looks like: "<N>text" for the journal, which has its own clock,
 * else as the style has it; see log.h.
 */
#pragma once

#include "daemon/log.h"

#include <sys/types.h>

/* Room for what stands in front of the text. */
#define LOG_HEAD_BYTES 72

/* Room for a whole line, its line feed too. */
#define LOG_OUT_BYTES (LOG_HEAD_BYTES + LOG_LINE_BYTES + 8)

/* A style and the date and time last written in it. */
struct log_clock {
	enum log_style style;
	bool prefixes; /* "<N>" and no time */
	pid_t pid;     /* LOG_STYLE_DANTED */
	int64_t second;
	char text[40]; /* "2026-11-23T01:02:03." */
	size_t len;
};

/*
 * Writes what stands in front of a text into out[LOG_HEAD_BYTES], not
 * terminated, and returns its length.
 */
size_t log_head(struct log_clock *c, enum log_level level, int64_t stamp_ms,
		char *out);

/*
 * Writes a line of a text of at most LOG_LINE_BYTES into out[LOG_OUT_BYTES],
 * with its line feed, and returns its length.  A text that is an object of
 * JSON is a part of the object that LOG_STYLE_JSON makes; others are escaped,
 * and cut where that makes them longer than a line.
 */
size_t log_format(struct log_clock *c, enum log_level level, int64_t stamp_ms,
		  const char *text, size_t len, char *out);

/* The level as a digit of syslog(3). */
char log_priority(enum log_level level);

/* Makes control characters '?', so that a line stays one line. */
void log_clean(char *text, size_t len);

/* CLOCK_REALTIME in ms, a few ms coarse, never by a system call. */
int64_t log_stamp(void);
