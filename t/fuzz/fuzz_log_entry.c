/*
 * Entries for the journal from arbitrary lines: within their bounds, fields
 * that journald reads as they were meant, and none but ours.
 */
#include "daemon/log_entry.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Reads one field as journald does and returns what follows it. */
static const char *check_field(const char *at, const char *end)
{
	const char *feed = memchr(at, '\n', (size_t)(end - at));
	const char *equals = feed ? memchr(at, '=', (size_t)(feed - at)) : NULL;
	const char *name_end = equals ? equals : feed;
	uint64_t len = 0;

	ASSERT(feed && name_end > at && name_end - at <= 64);
	for (const char *c = at; c < name_end; c++)
		ASSERT((*c >= 'A' && *c <= 'Z') || *c == '_' ||
		       (c > at && *c >= '0' && *c <= '9'));
	if (equals)
		return feed + 1;
	ASSERT(memcmp(at, "SPLICED_", 8) == 0 && end - feed > 9);
	for (int i = 8; i > 0; i--)
		len = len << 8 | (uint8_t)feed[i];
	ASSERT(len < (uint64_t)(end - feed - 9) && feed[9 + len] == '\n');
	ASSERT(memchr(feed + 9, '\n', len));
	return feed + 9 + len + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	size_t len = min_size(size, LOG_LINE_BYTES);
	/* Of exactly that size, so that sanitizers see a byte too many. */
	char *text = malloc(max_size(len, 1));
	char *out = malloc(LOG_ENTRY_BYTES);
	struct span pairs = { NULL, 0 };
	const char *feed;
	size_t fields = 0, n;

	ASSERT(text && out);
	memcpy(text, bytes, len);
	/* A text, and behind a line feed its pairs. */
	feed = memchr(text, '\n', len);
	if (feed) {
		pairs.at = (const uint8_t *)feed + 1;
		pairs.len = len - (size_t)(feed + 1 - text);
		len = (size_t)(feed - text);
	}
	n = log_entry(LOG_LEVEL_INFO, text, len, pairs, out);
	ASSERT(n <= LOG_ENTRY_BYTES);
	for (const char *at = out; at < out + n; fields++)
		at = check_field(at, out + n);
	ASSERT(fields >= 4 && fields <= 6 + LOG_ENTRY_FIELDS);
	free(out);
	free(text);
	return 0;
}
