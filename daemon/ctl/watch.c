/*
 * --watch.  A terminal shows the last answer alone; anything else gets all of
 * them, with an empty line in between, or lines of JSON.
 */
#include "daemon/ctl/watch.h"

#include "daemon/ctl/command.h"

#include <time.h>
#include <unistd.h>

static void pause_ms(int64_t ms)
{
	struct timespec left = { .tv_sec = ms / 1000,
				 .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Home, and clear to the end: what every terminal since the VT100 knows. */
static void put_head(const struct args *a)
{
	char text[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(text, sizeof(text), "%F %T", &tm);
	(void)printf("\033[H\033[J%s, every %.3g s: %s\n\n", a->command->name,
		     (double)a->watch_ms / 1000, text);
}

int watch_run(const struct args *a)
{
	bool terminal = isatty(STDOUT_FILENO) && !a->json;
	int status;

	for (bool first = true;; first = false) {
		if (terminal)
			put_head(a);
		else if (!first && !a->json)
			(void)putchar('\n');
		status = command_ask(a);
		if (status != CTL_OK || fflush(stdout) == EOF)
			return status;
		pause_ms(a->watch_ms);
	}
}
