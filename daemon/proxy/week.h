/*
 * The time of the week by the local clock, for rules that hold at times only.
 */
#pragma once

#include "core/base.h"

#include <time.h>

#define DAY_MINUTES  1440
#define WEEK_MINUTES (7 * DAY_MINUTES)

/* Minutes are counted from 1, Monday 00:00; 0 is none. */
static inline uint16_t week_minute(const struct tm *local)
{
	return (uint16_t)(1 + (local->tm_wday + 6) % 7 * DAY_MINUTES +
			  local->tm_hour * 60 + local->tm_min);
}

/*
 * That of now.  Breaks the time down once a minute in each thread, so that a
 * change of the zone (tzset(3), which somebody else calls) is heard of within
 * one; a change to or from daylight saving time at once.
 */
uint16_t week_minute_now(void);

/* The same at a time of time(2)'s; for tests. */
uint16_t week_minute_at(time_t now);
