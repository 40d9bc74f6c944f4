/*
 * What is to be said of a danted.conf that was translated.
 */
#include "conf/danted.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define REMARK_BYTES 480

static bool make_room(struct danted_remarks *r)
{
	size_t room = r->room ? 2 * r->room : 16;
	struct danted_remark *list;

	if (!r->arena)
		r->arena = conf_arena_new();
	if (!r->arena || r->kept == DANTED_REMARKS_MAX)
		return false;
	if (r->kept < r->room)
		return true;
	list = realloc(r->list, room * sizeof(*list));
	if (!list)
		return false;
	r->list = list;
	r->room = room;
	return true;
}

/* Behind those of the same line. */
static void insert(struct danted_remarks *r, struct danted_remark m)
{
	size_t i = r->kept;

	while (i && r->list[i - 1].line > m.line)
		i--;
	memmove(&r->list[i + 1], &r->list[i],
		(r->kept - i) * sizeof(r->list[0]));
	r->list[i] = m;
	r->kept++;
}

/* What is written in several rules is said once. */
static bool is_said(const struct danted_remarks *r, unsigned line,
		    const char *text)
{
	for (size_t i = 0; i < r->kept; i++)
		if (r->list[i].line == line && !strcmp(r->list[i].text, text))
			return true;
	return false;
}

void danted_remark(struct danted_remarks *r, enum danted_grade grade,
		   unsigned line, const char *fmt, ...)
{
	char text[REMARK_BYTES];
	const char *copy;
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (is_said(r, line, text))
		return;
	r->counts[grade]++;
	if (!make_room(r))
		return;
	copy = conf_arena_copy(r->arena, text, strlen(text));
	if (copy)
		insert(r, (struct danted_remark){ grade, line, copy });
}

const char *danted_grade_word(enum danted_grade grade)
{
	switch (grade) {
	case DANTED_NOTE:
		return "note";
	case DANTED_CHANGED:
		return "changed";
	case DANTED_LOST:
		return "lost";
	case DANTED_REFUSED:
		return "refused";
	}
	return "";
}

void danted_remarks_print(const struct danted_remarks *r, const char *name,
			  FILE *out)
{
	size_t count = 0;

	for (size_t i = 0; i < DANTED_GRADES; i++)
		count += r->counts[i];
	for (size_t i = 0; i < r->kept; i++) {
		const struct danted_remark *m = &r->list[i];

		if (m->line)
			(void)fprintf(out, "%s:%u: %s: %s\n", name, m->line,
				      danted_grade_word(m->grade), m->text);
		else
			(void)fprintf(out, "%s: %s: %s\n", name,
				      danted_grade_word(m->grade), m->text);
	}
	if (count > r->kept)
		(void)fprintf(out, "%s: and %zu more\n", name, count - r->kept);
}

void danted_remarks_done(struct danted_remarks *r)
{
	free(r->list);
	conf_arena_free(r->arena);
	*r = (struct danted_remarks){ 0 };
}
