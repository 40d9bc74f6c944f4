/*
 * A table.  Errors of the stream stay in the stream, for whoever closes it.
 */
#include "daemon/ctl/columns.h"

#include <stdlib.h>
#include <string.h>

void columns_init(struct columns *c, FILE *out, const struct column *column,
		  size_t count)
{
	ASSERT(count > 0 && count <= COLUMNS_MAX);
	*c = (struct columns){ .out = out, .column = column, .count = count };
	for (size_t i = 0; i < count; i++)
		c->width[i] = strlen(column[i].head);
}

static void print_row(const struct columns *c, const char *const *cells)
{
	for (size_t i = 0; i < c->count; i++) {
		bool last = i + 1 == c->count;
		int width = (int)c->width[i];

		/* No blanks at the end of a line. */
		if (!c->column[i].right)
			width = last ? 0 : -width;
		(void)fprintf(c->out, "%*s%s", width, cells[i],
			      last ? "\n" : "  ");
	}
}

static void begin(struct columns *c)
{
	const char *cells[COLUMNS_MAX];

	for (size_t i = 0; i < c->count; i++)
		cells[i] = c->column[i].head;
	print_row(c, cells);
	for (size_t i = 0; i < c->row_count; i++) {
		const char *at = c->row[i];

		for (size_t k = 0; k < c->count; k++) {
			cells[k] = at;
			at += strlen(at) + 1;
		}
		print_row(c, cells);
		free(c->row[i]);
	}
	c->row_count = 0;
	c->begun = true;
}

int columns_put(struct columns *c, const char *const *cells)
{
	size_t bytes = 1;
	char *at;

	if (!c->begun && c->row_count == COLUMNS_ROWS)
		begin(c);
	if (c->begun) {
		print_row(c, cells);
		return 0;
	}
	for (size_t i = 0; i < c->count; i++) {
		size_t len = strlen(cells[i]);

		c->width[i] = max_size(c->width[i], len);
		bytes += len + 1;
	}
	at = malloc(bytes);
	if (!at)
		return -ENOMEM;
	c->row[c->row_count++] = at;
	for (size_t i = 0; i < c->count; i++)
		at = stpcpy(at, cells[i]) + 1;
	return 0;
}

void columns_done(struct columns *c)
{
	if (!c->begun)
		begin(c);
}
