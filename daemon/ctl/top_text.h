/*
 * The screen of `splicedctl top`, line by line, as text.  Pure.
 */
#pragma once

#include "daemon/ctl/top_model.h"

#define TOP_LINE_BYTES 512
#define TOP_LINES_MIN  8 /* fewer show the upper part only */

enum top_style { TOP_PLAIN, TOP_BOLD, TOP_REVERSE, TOP_WARNING };

/* Before the lines of a screen of this height: what is selected is on it. */
void top_layout(struct top *t, size_t lines);

/*
 * Line `y` from 0 of a screen of `lines` lines and `columns` columns: at most
 * so many bytes of printable ASCII into out[TOP_LINE_BYTES].
 */
enum top_style top_line(const struct top *t, size_t y, size_t lines,
			size_t columns, char out[TOP_LINE_BYTES]);
