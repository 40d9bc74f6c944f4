/*
 * What a line looks like: "<N>text" for the journal, which has its own clock,
 * else "2026-11-23T01:02:03.456Z level text".
 */
#pragma once

#include "daemon/log.h"

/* Room for what stands in front of the text. */
#define LOG_HEAD_BYTES 48

/* The date and time last written; zero-initialised. */
struct log_clock {
	int64_t second;
	char text[24]; /* "2026-11-23T01:02:03." */
	size_t len;
};

/*
 * Writes the head into out[LOG_HEAD_BYTES], not terminated, and returns its
 * length.
 */
size_t log_head(struct log_clock *c, bool prefixes, enum log_level level,
		int64_t stamp_ms, char *out);

/* The level as a digit of syslog(3). */
char log_priority(enum log_level level);

/* Makes control characters '?', so that a line stays one line. */
void log_clean(char *text, size_t len);

/* CLOCK_REALTIME in ms, a few ms coarse, never by a system call. */
int64_t log_stamp(void);
