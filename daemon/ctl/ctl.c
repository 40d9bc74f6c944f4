/*
 * A command: ask the daemon, show the answer, and make of both the exit
 * status.
 */
#include "config.h"

#include "daemon/ctl/ctl.h"

#include "daemon/ctl/command.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/watch.h"

#include <string.h>

#define PATIENCE_MS 20000

static int show(const struct args *a, struct reply *r)
{
	const struct command *c = a->command;

	if (r->ok && c->show && (!a->json || c->shows_json))
		return c->show(stdout, a, r);
	return a->json ? show_json(stdout, r) : 0;
}

static int show_reply(const struct args *a, struct reply *r)
{
	int bad = show(a, r);

	if (bad < 0 && bad != -EBADMSG && bad != -EIO)
		(void)fprintf(stderr, "splicedctl: %s\n", strerror(-bad));
	if (!r->ok)
		show_error(stderr, r);
	if (bad < 0 || !r->ok)
		return CTL_REFUSED;
	return a->command->status ? a->command->status(r) : CTL_OK;
}

int command_ask(const struct args *a)
{
	const struct command *c = a->command;
	char room[COMMAND_LINE_BYTES], why[512];
	const char *line = c->line ? c->line : c->ask(a, room);
	struct reply reply;
	int status, r;

	if (!line) {
		(void)fputs("splicedctl: that is more than fits into a "
			    "question\n",
			    stderr);
		return CTL_USAGE;
	}
	r = ask_daemon(&reply, a->socket, line,
		       c->patience_ms ? c->patience_ms : PATIENCE_MS);
	if (r < 0) {
		(void)fprintf(stderr, "splicedctl: %s\n",
			      ask_why(r, a->socket, why, sizeof(why)));
		return CTL_NO_DAEMON;
	}
	status = show_reply(a, &reply);
	reply_done(&reply);
	return status;
}

static int run(const struct args *a)
{
	if (!a->command) {
		if (a->help)
			args_help();
		else
			(void)puts("splicedctl " PACKAGE_VERSION);
		return CTL_OK;
	}
	if (a->command->run)
		return a->command->run(a);
	return a->watch_ms ? watch_run(a) : command_ask(a);
}

/* A full disk is noticed at the end only. */
static int close_output(int status)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return status;
	(void)fprintf(stderr, "splicedctl: cannot write: %s\n",
		      strerror(errno ? errno : EIO));
	return status == CTL_OK ? CTL_REFUSED : status;
}

int ctl_run(int argc, char **argv)
{
	struct args a;

	if (args_parse(&a, argc, argv) < 0)
		return CTL_USAGE;
	return close_output(run(&a));
}
