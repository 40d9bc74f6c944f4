/*
 * tzset(3) looks whether the file has changed, and reads it only then.  Where
 * it may not read the file it falls back to UTC in silence.
 */
#include "daemon/zone.h"

#include <fcntl.h>
#include <time.h>

static bool has_windows(const struct conf *c)
{
	for (size_t i = 0; i < c->client_count; i++)
		if (c->clients[i].when.count)
			return true;
	for (size_t i = 0; i < c->rule_count; i++)
		if (c->rules[i].when.count)
			return true;
	return false;
}

bool zone_matters(const struct conf *c)
{
	return c->quota_count || has_windows(c);
}

void zone_follow(void)
{
	CLEANUP(close_fd) int fd = open(ZONE_FILE, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 || errno == ENOENT)
		tzset();
}
