/*
 * By itself, since the names that term.h takes are wanted elsewhere.
 */
#include "daemon/ctl/top_draw.h"

#include <ncurses.h>
#include <term.h>
#include <unistd.h>

bool top_terminal_is_known(void)
{
	int error;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	(void)del_curterm(cur_term);
	return true;
}
