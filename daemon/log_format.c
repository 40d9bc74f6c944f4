/*
 * Time stamps and levels in front of lines.  Breaking a time down costs more
 * than all the rest of a line, so it is done once a second.
 */
#include "daemon/log_format.h"

#include "daemon/log_event.h"
#include "daemon/log_json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DANTED_ACCESS "info: "
#define JSON_END      "\"}"

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

/* "Nov 23 14:14:35 (1795443275."; a day below 10 has a blank in front. */
static size_t danted_clock(char *out, size_t size, int64_t second,
			   const struct tm *parts)
{
	size_t len = strftime(out, size, "%b %e %H:%M:%S (", parts);
	int n = snprintf(out + len, size - len, "%jd.", (intmax_t)second);

	return n > 0 ? len + (size_t)n : len;
}

static void set_clock(struct log_clock *c, int64_t second)
{
	time_t t = (time_t)second;
	bool local = c->style == LOG_STYLE_DANTED;
	struct tm parts;

	c->second = second;
	c->len = 0;
	if (!(local ? localtime_r(&t, &parts) : gmtime_r(&t, &parts)))
		return;
	switch (c->style) {
	case LOG_STYLE_PLAIN:
		c->len = strftime(c->text, sizeof(c->text),
				  "%Y-%m-%dT%H:%M:%S.", &parts);
		break;
	case LOG_STYLE_JSON:
		c->len = strftime(c->text, sizeof(c->text),
				  "{\"time\":\"%Y-%m-%dT%H:%M:%S.", &parts);
		break;
	case LOG_STYLE_DANTED:
		c->len = danted_clock(c->text, sizeof(c->text), second, &parts);
		break;
	}
}

char log_priority(enum log_level level)
{
	ASSERT((unsigned int)level < ARRAY_SIZE(levels));
	return levels[level].digit;
}

static char *put(char *at, const char *text)
{
	return (char *)mempcpy(at, text, strlen(text));
}

static char *put_clock(struct log_clock *c, int64_t stamp_ms, char *at)
{
	unsigned int ms = (unsigned int)(stamp_ms % 1000);

	if (c->len == 0 || c->second != stamp_ms / 1000)
		set_clock(c, stamp_ms / 1000);
	at = (char *)mempcpy(at, c->text, c->len);
	*at++ = (char)('0' + ms / 100);
	*at++ = (char)('0' + ms / 10 % 10);
	*at++ = (char)('0' + ms % 10);
	return at;
}

size_t log_head(struct log_clock *c, enum log_level level, int64_t stamp_ms,
		char *out)
{
	char *at = out;

	ASSERT((unsigned int)level < ARRAY_SIZE(levels));
	if (c->prefixes) {
		*at++ = '<';
		*at++ = log_priority(level);
		*at++ = '>';
		return 3;
	}
	at = put_clock(c, stamp_ms, at);
	switch (c->style) {
	case LOG_STYLE_PLAIN:
		at = put(at, "Z ");
		at = put(at, levels[level].word);
		*at++ = ' ';
		break;
	case LOG_STYLE_JSON:
		at = put(at, "Z\",\"level\":\"");
		at = put(at, levels[level].word);
		at = put(at, "\",");
		break;
	case LOG_STYLE_DANTED:
		/* Its stamps are in microseconds. */
		at += snprintf(at, 32, "000) danted[%d]: ", (int)c->pid);
		break;
	}
	return (size_t)(at - out);
}

/* --- Texts -------------------------------------------------------------- */

/* danted's access lines have their level already. */
static char *put_danted(enum log_level level, const char *text, size_t len,
			char *at)
{
	if (len < strlen(DANTED_ACCESS) ||
	    memcmp(text, DANTED_ACCESS, strlen(DANTED_ACCESS)) != 0) {
		at = put(at, levels[level].word);
		at = put(at, ": ");
	}
	memcpy(at, text, len);
	log_clean(at, len);
	return at + len;
}

/* What follows `{"time":...,"level":...,`. */
static char *put_json(const char *text, size_t len, char *at)
{
	const struct log_event *event;
	const char *end = at + LOG_LINE_BYTES;

	if (len > 0 && text[0] == '{') {
		memcpy(at, text + 1, len - 1);
		log_clean(at, len - 1);
		return at + len - 1;
	}
	event = log_event_of(text, len);
	if (event) {
		at = put(at, "\"event\":\"");
		at = put(at, event->word);
		at = put(at, "\",");
	}
	at = put(at, "\"message\":\"");
	at = log_json_bytes((struct span){ (const uint8_t *)text, len }, at,
			    end - strlen(JSON_END));
	return put(at, JSON_END);
}

size_t log_format(struct log_clock *c, enum log_level level, int64_t stamp_ms,
		  const char *text, size_t len, char *out)
{
	char *at = out + log_head(c, level, stamp_ms, out);

	ASSERT(len <= LOG_LINE_BYTES);
	if (c->style == LOG_STYLE_JSON && !c->prefixes) {
		at = put_json(text, len, at);
	} else if (c->style == LOG_STYLE_DANTED && !c->prefixes) {
		at = put_danted(level, text, len, at);
	} else {
		memcpy(at, text, len);
		log_clean(at, len);
		at += len;
	}
	*at++ = '\n';
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
