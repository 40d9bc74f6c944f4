/*
 * Times of the week, as in "mon-fri 08:00-18:00": what `when` of rules is made
 * of.  Pure.
 */
#pragma once

#include "core/base.h"

#define CONF_DAYS        7 /* from Monday on */
#define CONF_DAY_MINUTES 1440

struct conf_window {
	uint8_t days;      /* a bit for each; Monday: 1 */
	uint16_t from, to; /* minutes of the day; to < from: of the next */
};

/* Empty: always. */
struct conf_windows {
	struct conf_window *at;
	size_t count;
};

/*
 * Reads days, a span of time, or both: "sat,sun", "22:00-06:00" (every day,
 * over midnight), "Mon..Wed,Friday 08:00-18:00".  Days are English, three
 * letters or all of them; a span ends before its second time, which 24:00 may
 * be.  Returns 0, or -EINVAL with a sentence in why[CONF_WHY_BYTES].
 */
int conf_window_parse(struct conf_window *ret, const char *text, char *why)
	MUST_CHECK;

#define CONF_WINDOW_BYTES 64

/* Writes the text that reads back as the same; returns out. */
char *conf_window_format(const struct conf_window *w, char *out, size_t size);

bool conf_window_equal(const struct conf_window *a,
		       const struct conf_window *b);
