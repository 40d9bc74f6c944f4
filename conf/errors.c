/*
 * The list of faults.  A file full of mistakes must not cost more memory than
 * a good one, so only the first hundred are kept.
 */
#include "conf/errors.h"

#include <stdarg.h>
#include <stdlib.h>

static char *format_fault(const char *file, unsigned line, const char *fmt,
			  va_list args) PRINTF_LIKE(3, 0);

static char *format_fault(const char *file, unsigned line, const char *fmt,
			  va_list args)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (file && line)
		fprintf(out, "%s:%u: ", file, line);
	else if (file)
		fprintf(out, "%s: ", file);
	vfprintf(out, fmt, args);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

void conf_errors_add(struct conf_errors *e, enum conf_severity severity,
		     const char *file, unsigned line, const char *fmt, ...)
{
	struct conf_error *list;
	va_list args;
	char *text;

	if (severity == CONF_ERROR)
		e->errors++;
	else
		e->warnings++;
	if (e->kept == CONF_ERRORS_MAX)
		return;
	list = e->list;
	if (!list) {
		list = calloc(CONF_ERRORS_MAX, sizeof(*list));
		if (!list)
			return;
		e->list = list;
	}
	va_start(args, fmt);
	text = format_fault(file, line, fmt, args);
	va_end(args);
	if (!text)
		return;
	list[e->kept++] = (struct conf_error){
		.severity = severity,
		.text = text,
	};
}

/* Puts "warning: " behind the "file:line: " that the text begins with. */
static void print_warning(const char *text, FILE *out)
{
	const char *gap = text;

	while (*gap && !(gap[0] == ':' && gap[1] == ' '))
		gap++;
	if (*gap)
		fprintf(out, "%.*s: warning%s\n", (int)(gap - text), text, gap);
	else
		fprintf(out, "warning: %s\n", text);
}

void conf_errors_print(const struct conf_errors *e, FILE *out)
{
	size_t found = e->errors + e->warnings;

	for (size_t i = 0; i < e->kept; i++) {
		if (e->list[i].severity == CONF_WARNING)
			print_warning(e->list[i].text, out);
		else
			fprintf(out, "%s\n", e->list[i].text);
	}
	if (found > e->kept)
		fprintf(out, "%zu more\n", found - e->kept);
}

void conf_errors_done(struct conf_errors *e)
{
	for (size_t i = 0; i < e->kept; i++)
		free(e->list[i].text);
	free(e->list);
	*e = (struct conf_errors){ 0 };
}
