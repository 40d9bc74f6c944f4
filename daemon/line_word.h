/*
 * Words in a line of the control socket, which is printable ASCII and has
 * blanks between its words: other bytes stand as %XX, as in URLs.
 */
#pragma once

#include "core/base.h"

#include <stdio.h>

/* Writes a word; errors stay in the stream. */
void line_word_put(FILE *out, const char *word);

/* The opposite, in its place; false: a %XX makes no sense, or means NUL. */
bool line_word_read(char *word);
