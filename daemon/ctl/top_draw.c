/*
 * Drawing.  What marks a line must be seen without colours, too: bold, reverse.
 * With NO_COLOR in the environment there are none (no-color.org).
 */
#include "daemon/ctl/top_draw.h"

#include "daemon/ctl/top_text.h"

#include <ncurses.h>
#include <stdlib.h>

#define PAIR_WARNING 1

static SCREEN *screen;
static bool coloured;

int top_draw_begin(void)
{
	const char *plain = getenv("NO_COLOR");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	screen = top_terminal_is_known() ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen)
		return -ENODEV;
	(void)cbreak();
	(void)noecho();
	(void)keypad(stdscr, TRUE);
	(void)curs_set(0);
	(void)set_escdelay(50);
	coloured = !(plain && *plain) && has_colors() && start_color() == OK &&
		   use_default_colors() == OK &&
		   init_pair(PAIR_WARNING, COLOR_RED, -1) == OK;
	return 0;
}

void top_draw_end(void)
{
	if (!screen)
		return;
	/* Without a second screen what follows is written over this line. */
	(void)move(getmaxy(stdscr) - 1, 0);
	(void)clrtoeol();
	(void)refresh();
	(void)endwin();
	delscreen(screen);
	screen = NULL;
}

static attr_t attribute(enum top_style style)
{
	switch (style) {
	case TOP_PLAIN:
		break;
	case TOP_BOLD:
		return A_BOLD;
	case TOP_REVERSE:
		return A_REVERSE;
	case TOP_WARNING:
		return coloured ? A_BOLD | (attr_t)COLOR_PAIR(PAIR_WARNING)
				: A_BOLD;
	}
	return A_NORMAL;
}

/* A reversed line is so to its end. */
static void put(int y, const char *text, enum top_style style, int columns)
{
	(void)attrset(attribute(style));
	if (style == TOP_REVERSE)
		(void)mvprintw(y, 0, "%-*s", columns, text);
	else
		(void)mvaddstr(y, 0, text);
}

void top_draw(struct top *t)
{
	int lines = getmaxy(stdscr), columns = getmaxx(stdscr);
	char text[TOP_LINE_BYTES];

	top_layout(t, (size_t)max_i64(lines, 0));
	(void)erase();
	for (int y = 0; y < lines; y++) {
		enum top_style style = top_line(t, (size_t)y, (size_t)lines,
						(size_t)max_i64(columns, 0),
						text);

		put(y, text, style, columns);
	}
	(void)attrset(A_NORMAL);
	(void)refresh();
}

static int key_of(int c)
{
	switch (c) {
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_BACKSPACE:
	case '\b':
	case 0x7f:
		return TOP_KEY_BACKSPACE;
	case KEY_ENTER:
	case '\n':
	case '\r':
		return TOP_KEY_ENTER;
	case 0x1b:
		return TOP_KEY_ESCAPE;
	case '\t':
		return TOP_KEY_TAB;
	default:
		return c >= ' ' && c <= '~' ? c : 0;
	}
}

int top_draw_key(int64_t ms)
{
	int c;

	timeout((int)ms);
	errno = 0;
	c = getch();
	if (c == ERR)
		return errno == EIO ? -1 : 0;
	return key_of(c);
}
