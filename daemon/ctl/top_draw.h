/*
 * The terminal of `splicedctl top`: ncurses, and nothing else of it elsewhere.
 */
#pragma once

#include "daemon/ctl/top_keys.h"

/*
 * Takes the terminal over.  -ENOTTY: there is none; -ENODEV: $TERM says none
 * that is known.
 */
int top_draw_begin(void) MUST_CHECK;

/* Gives it back; harmless twice. */
void top_draw_end(void);

void top_draw(struct top *t);

/*
 * Waits for a key, at most so long: a character, enum top_key, 0: nothing
 * that counts (a change of size, for instance, or a signal); -1: the terminal
 * is gone.
 */
int top_draw_key(int64_t ms);

/* Tells whether $TERM is described; newterm() loses memory where it is not. */
bool top_terminal_is_known(void);
