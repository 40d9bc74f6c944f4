/*
 * What programs look for in the log, by a word and an id that do not change
 * when a text does.  The list in spliced(8), EVENTS, is held against the one
 * here by t/helper/events.sh.
 */
#pragma once

#include "core/base.h"

struct log_event {
	const char *word;
	const char *id;           /* MESSAGE_ID of the journal */
	const char *start, *part; /* how a text begins, what is in it */
};

/* The event that a text tells of; NULL: none that is in the list. */
const struct log_event *log_event_of(const char *text, size_t len);
