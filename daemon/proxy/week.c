/*
 * localtime_r(3) takes a lock and some hundred instructions, and minutes are
 * what counts.  Clocks are changed on full minutes, so the answer holds until
 * the minute is over.
 */
#include "daemon/proxy/week.h"

static _Thread_local struct {
	time_t from, until; /* for which it holds */
	uint16_t minute;
} known;

uint16_t week_minute_at(time_t now)
{
	struct tm local;

	if (now >= known.from && now < known.until)
		return known.minute;
	if (!localtime_r(&now, &local))
		return 1;
	known.minute = week_minute(&local);
	known.from = now - local.tm_sec;
	known.until = known.from + 60;
	return known.minute;
}

uint16_t week_minute_now(void)
{
	return week_minute_at(time(NULL));
}
