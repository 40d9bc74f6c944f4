/*
 * %XX: names may have blanks, and bytes that a line has no room for.
 */
#include "daemon/line_word.h"

void line_word_put(FILE *out, const char *word)
{
	for (; *word; word++)
		if (*word <= ' ' || *word > '~' || *word == '%')
			(void)fprintf(out, "%%%02X", (unsigned char)*word);
		else
			(void)fputc(*word, out);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool line_word_read(char *word)
{
	char *to = word;

	while (*word) {
		int high, low;

		if (*word != '%') {
			*to++ = *word++;
			continue;
		}
		high = hex(word[1]);
		low = high < 0 ? -1 : hex(word[2]);
		if (low < 0 || !(high | low))
			return false;
		*to++ = (char)(high << 4 | low);
		word += 3;
	}
	*to = '\0';
	return true;
}
