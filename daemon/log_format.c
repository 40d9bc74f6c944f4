/*
 * Time stamps and levels in front of lines.  Breaking a time down costs more
 * than all the rest of a line, so it is done once a second.
 */
#include "daemon/log_format.h"

#include <string.h>
#include <time.h>

/* The word, and the level of syslog(3) that the journal wants. */
static const struct {
	char word[8];
	char digit;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", '3' },
	[LOG_LEVEL_WARNING] = { "warning", '4' },
	[LOG_LEVEL_NOTICE] = { "notice", '5' },
	[LOG_LEVEL_INFO] = { "info", '6' },
	[LOG_LEVEL_DEBUG] = { "debug", '7' },
};

static void set_clock(struct log_clock *c, int64_t second)
{
	time_t t = (time_t)second;
	struct tm parts;

	c->second = second;
	c->len = 0;
	if (gmtime_r(&t, &parts))
		c->len = strftime(c->text, sizeof(c->text),
				  "%Y-%m-%dT%H:%M:%S.", &parts);
}

char log_priority(enum log_level level)
{
	ASSERT((unsigned int)level < ARRAY_SIZE(levels));
	return levels[level].digit;
}

size_t log_head(struct log_clock *c, bool prefixes, enum log_level level,
		int64_t stamp_ms, char *out)
{
	unsigned int ms = (unsigned int)(stamp_ms % 1000);
	char *at = out;
	size_t len;

	ASSERT((unsigned int)level < ARRAY_SIZE(levels));
	if (prefixes) {
		*at++ = '<';
		*at++ = log_priority(level);
		*at++ = '>';
		return 3;
	}
	if (c->len == 0 || c->second != stamp_ms / 1000)
		set_clock(c, stamp_ms / 1000);
	memcpy(at, c->text, c->len);
	at += c->len;
	*at++ = (char)('0' + ms / 100);
	*at++ = (char)('0' + ms / 10 % 10);
	*at++ = (char)('0' + ms % 10);
	*at++ = 'Z';
	*at++ = ' ';
	len = strlen(levels[level].word);
	memcpy(at, levels[level].word, len);
	at += len;
	*at++ = ' ';
	return (size_t)(at - out);
}

void log_clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

int64_t log_stamp(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
