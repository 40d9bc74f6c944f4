/*
 * The words and values of a metric.
 */
#include "daemon/metrics_text.h"

#include <inttypes.h>
#include <string.h>

void metrics_begin(struct metrics_text *t, const char *name, const char *type,
		   const char *help)
{
	bool total = strcmp(type, "counter") == 0 && !t->openmetrics;

	(void)fprintf(t->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name,
		      total ? "_total" : "", help, name, total ? "_total" : "",
		      type);
}

/* A sequence of UTF-8, or what is none as question marks. */
static size_t valid_utf8(const unsigned char *at, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *at < 0x80             ? 1
		   : (*at & 0xe0) == 0xc0 ? 2
		   : (*at & 0xf0) == 0xe0 ? 3
		   : (*at & 0xf8) == 0xf0 ? 4
					  : 0;
	uint32_t code = n == 1 ? *at : n ? *at & (0x7fu >> n) : 0;

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return n;
}

/* The three that mean something there get a backslash. */
void metrics_put_value(FILE *out, const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;

	while (len > 0) {
		size_t n = valid_utf8(at, len);

		if (*at == '\\' || *at == '"')
			(void)fprintf(out, "\\%c", *at);
		else if (*at == '\n')
			(void)fputs("\\n", out);
		else if (n == 0 || *at < ' ' || *at == 0x7f)
			(void)putc('?', out);
		else
			(void)fwrite(at, 1, n, out);
		at += n ? n : 1;
		len -= n ? n : 1;
	}
}

void metrics_put_label(FILE *out, char before, const char *name,
		       const char *value)
{
	(void)fprintf(out, "%c%s=\"", before, name);
	metrics_put_value(out, value, strlen(value));
	(void)putc('"', out);
}

void metrics_put_plain(struct metrics_text *t, const char *name,
		       const char *type, const char *help, uint64_t value)
{
	metrics_begin(t, name, type, help);
	(void)fprintf(t->out, "%s%s %" PRIu64 "\n", name,
		      strcmp(type, "counter") ? "" : "_total", value);
}
