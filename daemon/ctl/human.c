/*
 * Sizes and ages in two or three digits: what a column has room for.
 */
#include "daemon/ctl/human.h"

#include <inttypes.h>
#include <stdio.h>

char *human_size(uint64_t bytes, char *out)
{
	static const char units[] = "kMGTPE";
	uint64_t whole = bytes, tenths = 0;
	int unit = -1;

	while (whole >= 1000 && units[unit + 1]) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
		unit++;
	}
	if (unit < 0)
		(void)snprintf(out, HUMAN_BYTES, "%" PRIu64, whole);
	else if (whole < 10)
		(void)snprintf(out, HUMAN_BYTES, "%" PRIu64 ".%" PRIu64 "%c",
			       whole, tenths, units[unit]);
	else
		(void)snprintf(out, HUMAN_BYTES, "%" PRIu64 "%c", whole,
			       units[unit]);
	return out;
}

char *human_age(int64_t ms, char *out)
{
	int64_t s = max_i64(ms, 0) / 1000;

	if (s < 60)
		(void)snprintf(out, HUMAN_BYTES, "%" PRId64 "s", s);
	else if (s < 3600)
		(void)snprintf(out, HUMAN_BYTES, "%" PRId64 "m%02" PRId64 "s",
			       s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(out, HUMAN_BYTES, "%" PRId64 "h%02" PRId64 "m",
			       s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, HUMAN_BYTES, "%" PRId64 "d%02" PRId64 "h",
			       s / 86400, s / 3600 % 24);
	return out;
}

char *human_text(const char *text, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = c >= ' ' && c < 0x7f;

		if (at + (plain ? 1 : 4) >= size)
			break;
		if (plain) {
			out[at++] = (char)c;
			continue;
		}
		out[at++] = '\\';
		out[at++] = 'x';
		out[at++] = digits[c >> 4];
		out[at++] = digits[c & 15];
	}
	out[at] = '\0';
	return out;
}
