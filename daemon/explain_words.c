/*
 * Questions as a line of the control socket: "FROM TO", then what else is said
 * as "user=NAME" and the like.  Names may have blanks and bytes that such a
 * line has no room for: these are written as in URLs.
 */
#include "daemon/explain.h"

#include "daemon/line_word.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *key;
	size_t offset;
} keys[] = {
	{ "address", offsetof(struct explain_words, address) },
	{ "user", offsetof(struct explain_words, user) },
	{ "command", offsetof(struct explain_words, command) },
	{ "listener", offsetof(struct explain_words, listener) },
	{ "protocol", offsetof(struct explain_words, protocol) },
	{ "at", offsetof(struct explain_words, at) },
};

static const char **field(struct explain_words *w, size_t i)
{
	return (const char **)((char *)w + keys[i].offset);
}

/* --- Writing ------------------------------------------------------------- */

bool explain_format(const struct explain_words *w, char *out, size_t size)
{
	struct explain_words copy = *w;
	FILE *to = fmemopen(out, size, "w");
	bool fits;

	if (!to)
		return false;
	(void)setvbuf(to, NULL, _IONBF, 0);
	line_word_put(to, w->from);
	(void)fputc(' ', to);
	line_word_put(to, w->to);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!*field(&copy, i))
			continue;
		(void)fprintf(to, " %s=", keys[i].key);
		line_word_put(to, *field(&copy, i));
	}
	fits = fputc('\0', to) != EOF && !ferror(to);
	(void)fclose(to);
	return fits;
}

/* --- Reading ------------------------------------------------------------- */

static int wrong(char *why, const char *what)
{
	(void)snprintf(why, EXPLAIN_WHY_BYTES, "%s", what);
	return -EINVAL;
}

static int take_pair(struct explain_words *w, char *word, char *why)
{
	char *equals = strchr(word, '=');

	if (!equals)
		return wrong(why, "explain takes FROM, TO, and KEY=VALUE");
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(word, keys[i].key) != 0)
			continue;
		*field(w, i) = equals + 1;
		return 0;
	}
	return wrong(why, "explain knows user, address, command, listener, "
			  "protocol and at");
}

int explain_read(struct explain_words *ret, char *line, char *why)
{
	struct explain_words w = { 0 };
	char *word;
	int r = 0;

	while (r == 0 && (word = strsep(&line, " "))) {
		if (!*word)
			continue;
		if (!line_word_read(word))
			return wrong(why, "a %XX in the line makes no sense");
		if (!w.from)
			w.from = word;
		else if (!w.to)
			w.to = word;
		else
			r = take_pair(&w, word, why);
	}
	if (r == 0 && !w.to)
		r = wrong(why, "explain wants FROM and TO");
	if (r == 0)
		*ret = w;
	return r;
}
