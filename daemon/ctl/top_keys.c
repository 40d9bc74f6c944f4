/*
 * Keys, by what is going on: a table is looked at, a filter is typed, a
 * question waits for its answer.
 */
#include "daemon/ctl/top_keys.h"

#include <stdio.h>
#include <string.h>

/* --- Moving -------------------------------------------------------------- */

static void note_chosen(struct top *t)
{
	t->chosen[0] = '\0';
	if (t->view == TOP_SESSIONS && t->selected < t->session_count)
		memcpy(t->chosen, t->sessions[t->selected].id,
		       sizeof(t->chosen));
}

static void move_by(struct top *t, int64_t by)
{
	int64_t last = (int64_t)top_rows(t) - 1;
	int64_t to = min_i64((int64_t)t->selected + by, last);

	t->selected = (size_t)max_i64(to, 0);
	note_chosen(t);
}

static bool move(struct top *t, int key)
{
	int64_t page = (int64_t)max_size(t->page, 2) - 1;

	switch (key) {
	case TOP_KEY_UP:
		move_by(t, -1);
		return true;
	case TOP_KEY_DOWN:
		move_by(t, 1);
		return true;
	case TOP_KEY_PAGE_UP:
		move_by(t, -page);
		return true;
	case TOP_KEY_PAGE_DOWN:
		move_by(t, page);
		return true;
	case TOP_KEY_HOME:
		move_by(t, INT32_MIN);
		return true;
	case TOP_KEY_END:
		move_by(t, INT32_MAX);
		return true;
	default:
		return false;
	}
}

static void show(struct top *t, enum top_view view)
{
	t->view = view;
	t->selected = t->first = 0;
	t->chosen[0] = '\0';
}

/* --- Sorting ------------------------------------------------------------- */

static bool sort_by(struct top *t, int key)
{
	static const char keys[] = { [TOP_TRAFFIC] = 't',
				     [TOP_AGE] = 'a',
				     [TOP_IDLE] = 'i',
				     [TOP_CLIENT] = 'c',
				     [TOP_USER] = 'u' };
	size_t i = 0;

	if (key == 's') {
		i = ((size_t)t->sort + 1) % sizeof(keys);
	} else {
		while (i < sizeof(keys) && keys[i] != key)
			i++;
		if (i == sizeof(keys))
			return false;
	}
	t->sort = (enum top_sort)i;
	top_sort(t);
	return true;
}

/* --- A filter ------------------------------------------------------------ */

/* Takes the words of the input; false: one of them is none, and why. */
static bool take_filter(struct top *t)
{
	struct filters *f = &t->filters;
	char why[FILTER_WHY_BYTES], *rest = t->filter_text, *word;

	f->count = 0;
	memcpy(t->filter_text, t->input, sizeof(t->filter_text));
	while ((word = strsep(&rest, " "))) {
		if (!*word || filters_add(f, word, why) == 0)
			continue;
		(void)snprintf(t->message, sizeof(t->message), "%.150s", why);
		f->count = 0;
		t->filter_text[0] = '\0';
		return false;
	}
	return true;
}

static void backspace(char *text)
{
	size_t len = strlen(text);

	if (len)
		text[len - 1] = '\0';
}

static enum top_wish type(struct top *t, int key)
{
	size_t len = strlen(t->input);

	if (key == TOP_KEY_BACKSPACE) {
		backspace(t->input);
	} else if (key == TOP_KEY_ESCAPE) {
		t->mode = TOP_TABLE;
	} else if (key == TOP_KEY_ENTER) {
		t->mode = TOP_TABLE;
		if (!take_filter(t))
			t->input[0] = '\0';
		show(t, t->view);
		return TOP_LOOK;
	} else if (key >= ' ' && key <= '~' && len + 1 < sizeof(t->input)) {
		t->input[len] = (char)key;
		t->input[len + 1] = '\0';
	}
	return TOP_NONE;
}

/* --- Ending a session ---------------------------------------------------- */

static void ask(struct top *t)
{
	if (t->view != TOP_SESSIONS || t->selected >= t->session_count) {
		(void)snprintf(t->message, sizeof(t->message),
			       "choose a session first (1)");
		return;
	}
	memcpy(t->victim, t->sessions[t->selected].id, sizeof(t->victim));
	t->mode = TOP_ASKING;
}

static enum top_wish answer(struct top *t, int key)
{
	t->mode = TOP_TABLE;
	if (key == 'y' || key == 'Y')
		return TOP_KILL;
	t->victim[0] = '\0';
	return TOP_NONE;
}

/* --- All of them --------------------------------------------------------- */

/* The sessions of the user who is selected: as a filter. */
static enum top_wish enter(struct top *t)
{
	const char *name;

	if (t->view != TOP_USERS || t->selected >= t->user_count)
		return TOP_NONE;
	name = t->users[t->selected].name;
	if (!*name || strpbrk(name, " \\"))
		return TOP_NONE;
	(void)snprintf(t->input, sizeof(t->input), "user=%s", name);
	(void)take_filter(t);
	show(t, TOP_SESSIONS);
	return TOP_LOOK;
}

static enum top_wish command(struct top *t, int key)
{
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case 'p':
		t->paused = !t->paused;
		return t->paused ? TOP_NONE : TOP_LOOK;
	case ' ':
		return TOP_LOOK;
	case '1':
	case '2':
	case '3':
		show(t, (enum top_view)(key - '1'));
		break;
	case TOP_KEY_TAB:
		show(t, (enum top_view)((t->view + 1) % 3));
		break;
	case 'f':
	case '/':
		t->mode = TOP_TYPING;
		break;
	case 'k':
		ask(t);
		break;
	case 'h':
	case '?':
		t->mode = TOP_HELP;
		break;
	case TOP_KEY_ENTER:
		return enter(t);
	default:
		break;
	}
	return TOP_NONE;
}

enum top_wish top_press(struct top *t, int key)
{
	t->message[0] = '\0';
	switch (t->mode) {
	case TOP_TYPING:
		return type(t, key);
	case TOP_ASKING:
		return answer(t, key);
	case TOP_HELP:
		t->mode = TOP_TABLE;
		return key == 'q' ? TOP_QUIT : TOP_NONE;
	case TOP_TABLE:
		break;
	}
	if (move(t, key) || sort_by(t, key))
		return TOP_NONE;
	return command(t, key);
}
