/*
 * Fields follow each other as "NAME=value\n"; a value with a line feed in it
 * as "NAME\n", its length in 64 bits, little-endian, and the value.
 */
#include "daemon/log_entry.h"

#include "daemon/log_escape.h"
#include "daemon/log_event.h"
#include "daemon/log_format.h"

#include <string.h>

#define ACCESS "access "

/* The longest name of a value; the journal takes 64 with the prefix. */
#define KEY_MAX 32

/* "PRIORITY=6\n" to SPLICED_EVENT, without the text. */
#define HEAD_MAX 192

/* What a field needs more than its value does in the text. */
#define FIELD_MORE 18

_Static_assert(HEAD_MAX + 2 * LOG_LINE_BYTES + LOG_ENTRY_FIELDS * FIELD_MORE <=
		       LOG_ENTRY_BYTES,
	       "an entry holds any line");

static char *put(char *at, const char *text)
{
	return (char *)mempcpy(at, text, strlen(text));
}

/* The word is among the pairs already where a line has such. */
static char *put_event(char *at, const char *text, size_t len, bool word)
{
	const struct log_event *event = log_event_of(text, len);

	if (!event)
		return at;
	at = put(at, "MESSAGE_ID=");
	at = put(at, event->id);
	*at++ = '\n';
	if (!word)
		return at;
	at = put(at, "SPLICED_EVENT=");
	at = put(at, event->word);
	*at++ = '\n';
	return at;
}

/* The name of the field; NULL if there is none in front of a '='. */
static char *put_key(char *at, struct span text, size_t *ret_len)
{
	size_t i;

	at = put(at, "SPLICED_");
	for (i = 0; i < text.len && text.at[i] != '='; i++) {
		char c = (char)text.at[i];

		if (i == KEY_MAX)
			return NULL;
		if (c >= 'a' && c <= 'z')
			*at++ = (char)(c - 'a' + 'A');
		else if (c == '_' || (c >= '0' && c <= '9'))
			*at++ = c;
		else
			return NULL;
	}
	if (i == 0 || i == text.len)
		return NULL;
	*ret_len = i;
	return at;
}

/* Puts the length in front of a value that lies behind its '='. */
static char *frame(char *equals, size_t len)
{
	char *value = equals + 1;

	memmove(value + 8, value, len);
	*equals = '\n';
	for (int i = 0; i < 8; i++)
		value[i] = (char)((uint64_t)len >> (8 * i));
	return value + 8;
}

/*
 * Writes the field of the pair at the beginning of the text.  Returns where
 * it ended and, in *text, what follows; NULL if there is no whole pair.
 */
static char *put_pair(char *at, struct span *text)
{
	size_t key, len;
	struct span rest;
	ssize_t n;

	at = put_key(at, *text, &key);
	if (!at)
		return NULL;
	rest = (struct span){ text->at + key + 1, text->len - key - 1 };
	*at = '=';
	n = log_unescape(rest, at + 1, &len);
	if (n < 0)
		return NULL;
	at = memchr(at + 1, '\n', len) ? frame(at, len) : at + 1;
	at += len;
	*at++ = '\n';
	*text = (struct span){ rest.at + n, rest.len - (size_t)n };
	return at;
}

/* All pairs up to the end, or to one that was cut. */
static char *put_pairs(char *at, struct span text)
{
	for (int i = 0; i < LOG_ENTRY_FIELDS && text.len > 0; i++) {
		char *end = put_pair(at, &text);

		if (!end)
			break;
		at = end;
		if (text.len > 0) /* the space */
			text = (struct span){ text.at + 1, text.len - 1 };
	}
	return at;
}

size_t log_entry(enum log_level level, const char *text, size_t len,
		 struct span pairs, char *out)
{
	const struct span line = { (const uint8_t *)text, len };
	const size_t skip = strlen(ACCESS);
	char *at = put(out, "PRIORITY=");
	bool access;

	ASSERT(len <= LOG_LINE_BYTES && pairs.len <= LOG_LINE_BYTES);
	if (pairs.len == 0)
		pairs = line;
	access = pairs.len >= skip && memcmp(pairs.at, ACCESS, skip) == 0;
	*at++ = log_priority(level);
	at = put(at, "\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=spliced\n");
	at = put_event(at, (const char *)pairs.at, pairs.len, !access);
	at = put(at, "MESSAGE=");
	memcpy(at, text, len);
	log_clean(at, len);
	at += len;
	*at++ = '\n';
	if (access)
		at = put_pairs(
			at, (struct span){ pairs.at + skip, pairs.len - skip });
	return (size_t)(at - out);
}
