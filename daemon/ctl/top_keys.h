/*
 * What keys do to `splicedctl top`.  Pure.
 */
#pragma once

#include "daemon/ctl/top_model.h"

/* Keys that are no characters. */
enum top_key {
	TOP_KEY_UP = 0x1000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_BACKSPACE,
	TOP_KEY_ENTER,
	TOP_KEY_ESCAPE,
	TOP_KEY_TAB,
};

/* What is left for the caller to do. */
enum top_wish {
	TOP_NONE,
	TOP_QUIT,
	TOP_LOOK, /* take a sample now */
	TOP_KILL, /* t->victim */
};

enum top_wish top_press(struct top *t, int key);
