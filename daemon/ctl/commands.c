/*
 * The table of commands, and what the simple ones consist of.
 */
#include "daemon/ctl/command.h"

#include "daemon/ctl/human.h"
#include "daemon/ctl/kill.h"
#include "daemon/ctl/passwd.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/show_limits.h"
#include "daemon/ctl/show_quotas.h"
#include "daemon/ctl/show_sessions.h"
#include "daemon/ctl/top.h"

#include "daemon/line_word.h"

#include <string.h>

#define RELOAD_PATIENCE_MS  630000 /* longer than the daemon's own */
#define REFRESH_PATIENCE_MS 120000 /* files may lie on slow disks */

/* --- What stands behind the verb ----------------------------------------- */

/* FROM TO [USER] */
static char **take_question(struct args *a, char **words)
{
	if (!words[0] || !words[1]) {
		(void)fputs("splicedctl: explain wants FROM and TO\n", stderr);
		return NULL;
	}
	a->explain.from = words[0];
	a->explain.to = words[1];
	if (words[2])
		a->explain.user = words[2];
	return words + (words[2] ? 3 : 2);
}

/* USER */
static char **take_user(struct args *a, char **words)
{
	if (!words[0]) {
		(void)fputs("splicedctl: passwd wants a user's name\n", stderr);
		return NULL;
	}
	a->passwd.user = words[0];
	return words + 1;
}

/* At most one word. */
static char **take_word(struct args *a, char **words)
{
	a->word = *words;
	return words + (*words != NULL);
}

/* [LISTENER] */
static char **take_listener(struct args *a, char **words)
{
	if (a->off && !*words) {
		(void)fputs("splicedctl: drain --off wants a listener\n",
			    stderr);
		return NULL;
	}
	return take_word(a, words);
}

/* [USER] */
static char **take_quota_user(struct args *a, char **words)
{
	if (a->reset && !*words) {
		(void)fputs("splicedctl: quotas --reset wants a user's name\n",
			    stderr);
		return NULL;
	}
	return take_word(a, words);
}

/* --- The daemon's line --------------------------------------------------- */

static const char *ask_reload(const struct args *a,
			      char room[COMMAND_LINE_BYTES] UNUSED)
{
	return a->wait ? "reload wait" : "reload";
}

static const char *ask_refresh(const struct args *a,
			       char room[COMMAND_LINE_BYTES] UNUSED)
{
	return a->enforce ? "refresh enforce" : "refresh";
}

static const char *ask_explain(const struct args *a,
			       char room[COMMAND_LINE_BYTES])
{
	char *at = stpcpy(room, "explain ");

	return explain_format(&a->explain, at,
			      COMMAND_LINE_BYTES - (size_t)(at - room))
		       ? room
		       : NULL;
}

/* VERB WORD, escaped. */
static const char *ask_word(const char *verb, const char *word,
			    char room[COMMAND_LINE_BYTES])
{
	FILE *f = fmemopen(room, COMMAND_LINE_BYTES, "w");
	bool fits;

	if (!f)
		return NULL;
	(void)setvbuf(f, NULL, _IONBF, 0);
	(void)fprintf(f, "%s ", verb);
	line_word_put(f, word);
	fits = fputc('\0', f) != EOF && !ferror(f);
	(void)fclose(f);
	return fits ? room : NULL;
}

static const char *ask_drain(const struct args *a,
			     char room[COMMAND_LINE_BYTES])
{
	if (!a->word)
		return "drain";
	return ask_word(a->off ? "drain off" : "drain on", a->word, room);
}

static const char *ask_log_level(const struct args *a,
				 char room[COMMAND_LINE_BYTES])
{
	return a->word ? ask_word("log-level", a->word, room) : "log-level";
}

static const char *ask_quotas(const struct args *a,
			      char room[COMMAND_LINE_BYTES])
{
	if (!a->word)
		return "quotas";
	return ask_word(a->reset ? "quotas reset" : "quotas", a->word, room);
}

/* --- Answers ------------------------------------------------------------- */

static int put_status(FILE *out, const struct args *a UNUSED, struct reply *r)
{
	show_status(out, r);
	return 0;
}

static int put_generations(FILE *out, const struct args *a UNUSED,
			   struct reply *r)
{
	return show_generations(out, r);
}

static int put_sessions(FILE *out, const struct args *a, struct reply *r)
{
	return show_sessions(out, r, &a->filters, a->json);
}

static int put_limits(FILE *out, const struct args *a, struct reply *r)
{
	return show_limits(out, r, a->json);
}

static int put_reload(FILE *out, const struct args *a, struct reply *r)
{
	show_reload(out, r, a->wait);
	return 0;
}

static int put_refresh(FILE *out, const struct args *a UNUSED, struct reply *r)
{
	show_refresh(out, r);
	return 0;
}

static int put_explain(FILE *out, const struct args *a UNUSED, struct reply *r)
{
	show_explain(out, r);
	return 0;
}

static int explain_status(const struct reply *r)
{
	return show_allows(r) ? CTL_OK : CTL_DENIED;
}

static int put_drain(FILE *out, const struct args *a, struct reply *r UNUSED)
{
	char name[256];

	if (!a->word)
		(void)fputs("the daemon ends when its last session has\n", out);
	else
		(void)fprintf(out, "listener %s %s\n",
			      human_text(a->word, name, sizeof(name)),
			      a->off ? "serves again"
				     : "is drained; drain --off ends that");
	return 0;
}

static int put_log_level(FILE *out, const struct args *a UNUSED,
			 struct reply *r)
{
	show_log_level(out, r);
	return 0;
}

static int put_quotas(FILE *out, const struct args *a, struct reply *r)
{
	if (!a->reset)
		return show_quotas(out, r);
	(void)fputs("it counts from zero\n", out);
	return 0;
}

static int put_version(FILE *out, const struct args *a UNUSED, struct reply *r)
{
	show_version(out, r);
	return 0;
}

/* --- The table ----------------------------------------------------------- */

static const char *const log_levels[] = { "error", "warning", "notice",
					  "info",  "debug",   NULL };

static const struct command commands[] = {
	{
		.name = "status",
		.usage =
			"  status               what it is doing, and how much "
			"of it\n",
		.says = "what it is doing",
		.options = ARGS_WATCH,
		.line = "status",
		.show = put_status,
	},
	{
		.name = "generations",
		.usage = "  generations          its processes that serve or "
			 "drain\n",
		.says = "its processes",
		.options = ARGS_WATCH,
		.line = "generations",
		.show = put_generations,
	},
	{
		.name = "sessions",
		.usage = "  sessions [FILTER]... what passes through it now\n",
		.says = "what passes through it now",
		.options = ARGS_WATCH,
		.take = args_take_filters,
		.line = "sessions",
		.show = put_sessions,
		.shows_json = true,
	},
	{
		.name = "limits",
		.usage =
			"  limits               what counts against the bounds "
			"of sessions\n",
		.says = "what counts against bounds",
		.options = ARGS_WATCH,
		.line = "sessions", /* the same descriptors */
		.show = put_limits,
		.shows_json = true,
	},
	{
		.name = "quotas",
		.usage = "  quotas [USER]        what users have used of their "
			 "quotas\n"
			 "  quotas USER --reset  he has used nothing\n",
		.says = "what users have used of their quotas",
		.options = ARGS_WATCH | ARGS_RESET,
		.take = take_quota_user,
		.ask = ask_quotas,
		.show = put_quotas,
	},
	{
		.name = "kill",
		.usage =
			"  kill ID...           end these sessions\n"
			"  kill FILTER...       end those that all filters "
			"hold "
			"for; asks\n"
			"                       before, unless --yes says so\n",
		.says = "end sessions",
		.options = ARGS_YES,
		.take = kill_take,
		.run = kill_run,
	},
	{
		.name = "reload",
		.usage = "  reload [--wait]      read the configuration anew; "
			 "with --wait, tell\n"
			 "                       how it went\n",
		.says = "read the configuration anew",
		.options = ARGS_WAIT,
		.patience_ms = RELOAD_PATIENCE_MS,
		.ask = ask_reload,
		.show = put_reload,
	},
	{
		.name = "refresh",
		.usage = "  refresh [--enforce]  read users, groups and lists "
			 "anew; with --enforce,\n"
			 "                       end the sessions of users who "
			 "are gone\n",
		.says = "read users, groups and lists anew",
		.options = ARGS_ENFORCE,
		.patience_ms = REFRESH_PATIENCE_MS,
		.ask = ask_refresh,
		.show = put_refresh,
	},
	{
		.name = "explain",
		.usage = "  explain FROM TO [USER]\n"
			 "                       which rule decides about a "
			 "client's request, and\n"
			 "                       why: FROM its address, TO its "
			 "target, HOST:PORT\n",
		.says = "which rule decides, and why",
		.options = ARGS_QUESTION,
		.take = take_question,
		.ask = ask_explain,
		.show = put_explain,
		.status = explain_status,
	},
	{
		.name = "passwd",
		.usage = "  passwd USER          set a user's password in the "
			 "file of users\n",
		.says = "set a user's password",
		.options = ARGS_FILE,
		.take = take_user,
		.run = passwd_run,
	},
	{
		.name = "drain",
		.usage = "  drain                stop accepting, end when the "
			 "last session has\n"
			 "  drain LISTENER       answer new requests there by "
			 "\"in maintenance\";\n"
			 "                       --off: no more\n",
		.says = "stop accepting, or put a listener out of service",
		.options = ARGS_OFF,
		.take = take_listener,
		.ask = ask_drain,
		.show = put_drain,
	},
	{
		.name = "log-level",
		.usage = "  log-level [LEVEL]    what the log takes, or from "
			 "now "
			 "on shall take, until\n"
			 "                       the configuration is read "
			 "anew\n",
		.says = "what the log takes",
		.words = log_levels,
		.take = take_word,
		.ask = ask_log_level,
		.show = put_log_level,
	},
	{
		.name = "top",
		.usage = "  top                  sessions, users and "
			 "generations "
			 "as they go; a terminal\n",
		.says = "what passes through, as it goes",
		.run = top_run,
	},
	{
		.name = "version",
		.usage = "  version              its version\n",
		.says = "the version of the daemon",
		.line = "version",
		.show = put_version,
	},
};

const struct command *command_at(size_t i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

const struct command *command_find(const char *name, char hint[CONF_HINT_BYTES])
{
	struct conf_nearest n;

	conf_nearest_init(&n, name);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		conf_nearest_try(&n, commands[i].name);
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	(void)conf_nearest_hint(&n, hint);
	return NULL;
}
