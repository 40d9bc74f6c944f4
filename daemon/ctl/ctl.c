/*
 * A command: ask the daemon, show the answer, and make of both the exit
 * status.
 */
#include "config.h"

#include "daemon/ctl/ctl.h"

#include "daemon/ctl/args.h"
#include "daemon/ctl/passwd.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/show_limits.h"
#include "daemon/ctl/show_sessions.h"

#include <string.h>

#define PATIENCE_MS         20000
#define RELOAD_PATIENCE_MS  630000 /* longer than the daemon's own */
#define REFRESH_PATIENCE_MS 120000 /* files may lie on slow disks */

#define REQUEST_BYTES 511 /* without the line feed */

static const char *explain_request(const struct args *a, char *room)
{
	char *at = stpcpy(room, "explain ");

	return explain_format(&a->explain, at,
			      REQUEST_BYTES - (size_t)(at - room))
		       ? room
		       : NULL;
}

/* What stands in `room` where it is made up; NULL: it is too long. */
static const char *request_of(const struct args *a, char *room)
{
	switch (a->verb) {
	case CTL_STATUS:
		return "status";
	case CTL_GENERATIONS:
		return "generations";
	case CTL_SESSIONS:
	case CTL_LIMITS: /* the same descriptors */
		return "sessions";
	case CTL_RELOAD:
		return a->wait ? "reload wait" : "reload";
	case CTL_DRAIN:
		return "drain";
	case CTL_REFRESH:
		return a->enforce ? "refresh enforce" : "refresh";
	case CTL_EXPLAIN:
		return explain_request(a, room);
	case CTL_ASK_VERSION:
		return "version";
	case CTL_PASSWD:
	case CTL_SHOW_HELP:
	case CTL_SHOW_VERSION:
		break;
	}
	return "";
}

static int show(const struct args *a, struct reply *r)
{
	switch (a->verb) {
	case CTL_STATUS:
		show_status(stdout, r);
		break;
	case CTL_GENERATIONS:
		return show_generations(stdout, r);
	case CTL_RELOAD:
		show_reload(stdout, r, a->wait);
		break;
	case CTL_DRAIN:
		(void)puts("the daemon ends when its last session has");
		break;
	case CTL_REFRESH:
		show_refresh(stdout, r);
		break;
	case CTL_EXPLAIN:
		show_explain(stdout, r);
		break;
	case CTL_ASK_VERSION:
		show_version(stdout, r);
		break;
	case CTL_PASSWD:
	case CTL_SESSIONS:
	case CTL_LIMITS:
	case CTL_SHOW_HELP:
	case CTL_SHOW_VERSION:
		break;
	}
	return 0;
}

/* -EBADMSG has been told of where it was found. */
static int show_reply(const struct args *a, struct reply *r)
{
	int bad;

	if (a->verb == CTL_SESSIONS && r->ok)
		bad = show_sessions(stdout, r, &a->filters, a->json);
	else if (a->verb == CTL_LIMITS && r->ok)
		bad = show_limits(stdout, r, a->json);
	else if (a->json)
		bad = show_json(stdout, r);
	else
		bad = r->ok ? show(a, r) : 0;
	if (bad < 0 && bad != -EBADMSG && bad != -EIO)
		(void)fprintf(stderr, "splicedctl: %s\n", strerror(-bad));
	if (!r->ok)
		show_error(stderr, r);
	if (bad < 0 || !r->ok)
		return CTL_REFUSED;
	return a->verb == CTL_EXPLAIN && !show_allows(r) ? CTL_DENIED : CTL_OK;
}

static int run(const struct args *a)
{
	int64_t patience = a->wait                  ? RELOAD_PATIENCE_MS
			   : a->verb == CTL_REFRESH ? REFRESH_PATIENCE_MS
						    : PATIENCE_MS;
	char room[REQUEST_BYTES], why[512];
	const char *request = request_of(a, room);
	struct reply reply;
	int status, r;

	if (!request) {
		(void)fputs("splicedctl: that is more than fits into a "
			    "question\n",
			    stderr);
		return CTL_USAGE;
	}
	r = ask_daemon(&reply, a->socket, request, patience);
	if (r < 0) {
		(void)fprintf(stderr, "splicedctl: %s\n",
			      ask_why(r, a->socket, why, sizeof(why)));
		return CTL_NO_DAEMON;
	}
	status = show_reply(a, &reply);
	reply_done(&reply);
	return status;
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
	switch (a.verb) {
	case CTL_SHOW_HELP:
		args_help();
		return close_output(CTL_OK);
	case CTL_SHOW_VERSION:
		(void)puts("splicedctl " PACKAGE_VERSION);
		return close_output(CTL_OK);
	case CTL_PASSWD:
		return close_output(passwd_run(&a));
	case CTL_STATUS:
	case CTL_GENERATIONS:
	case CTL_SESSIONS:
	case CTL_LIMITS:
	case CTL_RELOAD:
	case CTL_DRAIN:
	case CTL_REFRESH:
	case CTL_EXPLAIN:
	case CTL_ASK_VERSION:
		break;
	}
	return close_output(run(&a));
}
