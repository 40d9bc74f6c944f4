/*
 * The command line, by getopt_long(3); options may stand behind the verb, as
 * in "reload --wait".
 */
#include "config.h"

#include "daemon/ctl/args.h"

#include "conf/nearest.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: splicedctl [OPTION]... COMMAND\n"
	"Looks into a running spliced, and steers it.\n"
	"\n"
	"  status               what it is doing, and how much of it\n"
	"  generations          its processes that serve or drain\n"
	"  sessions [FILTER]... what passes through it now\n"
	"  limits               what counts against the bounds of sessions\n"
	"  reload [--wait]      read the configuration anew; with --wait, "
	"tell\n"
	"                       how it went\n"
	"  refresh [--enforce]  read users, groups and lists anew; with "
	"--enforce,\n"
	"                       end the sessions of users who are gone\n"
	"  explain FROM TO [USER]\n"
	"                       which rule decides about a client's request, "
	"and\n"
	"                       why: FROM its address, TO its target, "
	"HOST:PORT\n"
	"  passwd USER          set a user's password in the file of users\n"
	"  drain                stop accepting, end when the last session has\n"
	"  version              its version\n"
	"\n"
	"  -s, --socket PATH    its control socket (or $" ARGS_SOCKET_ENV ";\n"
	"                       " ARGS_SOCKET ")\n"
	"  -j, --json           lines of JSON instead of tables\n"
	"  -w, --wait           with reload: until the new generation accepts\n"
	"      --enforce        with refresh, see there\n"
	"      --address ADDR   with explain: where the name in TO leads\n"
	"      --at TIME        with explain: another time than now, "
	"\"mon 14:00\"\n"
	"      --command WORD   with explain: connect (the default), bind or "
	"udp\n"
	"      --listener NAME  with explain: where the client comes in\n"
	"      --protocol WORD  with explain: socks5 (the default), socks4 or "
	"http\n"
	"      --file PATH      with passwd: the file, if it is not\n"
	"                       " SYSCONFDIR "/spliced/users\n"
	"      --remove         with passwd: remove the user\n"
	"      --version        print the version of splicedctl and exit\n"
	"  -h, --help           print this and exit\n"
	"\n"
	"Filters, all of which must hold:\n";

static const char exits[] =
	"\n"
	"Exit status: 0 done, 1 the daemon said no, 2 the command line is\n"
	"wrong, 3 no daemon answers, 4 what was to be\n"
	"explained is not allowed.\n"
	"\n"
	"See splicedctl(8).\n";

enum {
	OPT_VERSION = 256,
	OPT_ENFORCE,
	OPT_ADDRESS,
	OPT_AT,
	OPT_COMMAND,
	OPT_LISTENER,
	OPT_PROTOCOL,
	OPT_FILE,
	OPT_REMOVE,
};

static const struct option longs[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "wait", no_argument, NULL, 'w' },
	{ "enforce", no_argument, NULL, OPT_ENFORCE },
	{ "address", required_argument, NULL, OPT_ADDRESS },
	{ "at", required_argument, NULL, OPT_AT },
	{ "command", required_argument, NULL, OPT_COMMAND },
	{ "listener", required_argument, NULL, OPT_LISTENER },
	{ "protocol", required_argument, NULL, OPT_PROTOCOL },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "remove", no_argument, NULL, OPT_REMOVE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	const char *word;
	enum command_verb verb;
} verbs[] = {
	{ "status", CTL_STATUS },       { "generations", CTL_GENERATIONS },
	{ "sessions", CTL_SESSIONS },   { "limits", CTL_LIMITS },
	{ "reload", CTL_RELOAD },       { "refresh", CTL_REFRESH },
	{ "explain", CTL_EXPLAIN },     { "drain", CTL_DRAIN },
	{ "version", CTL_ASK_VERSION }, { "passwd", CTL_PASSWD },
};

static int take_verb(struct args *a, const char *word)
{
	char hint[CONF_HINT_BYTES];
	struct conf_nearest n;

	conf_nearest_init(&n, word);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		conf_nearest_try(&n, verbs[i].word);
		if (strcmp(verbs[i].word, word))
			continue;
		a->verb = verbs[i].verb;
		return 0;
	}
	(void)fprintf(stderr, "splicedctl: there is no command '%.100s'%s\n",
		      word, conf_nearest_hint(&n, hint));
	return -EINVAL;
}

static int take_filters(struct args *a, char **words)
{
	char why[FILTER_WHY_BYTES];

	for (; *words; words++) {
		if (a->verb != CTL_SESSIONS) {
			(void)fprintf(stderr,
				      "splicedctl: unexpected argument '%s'\n",
				      *words);
			return -EINVAL;
		}
		if (filters_add(&a->filters, *words, why) < 0) {
			(void)fprintf(stderr, "splicedctl: %s\n", why);
			return -EINVAL;
		}
	}
	return 0;
}

/* FROM TO [USER]; returns what is left, or NULL after a sentence. */
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

/* USER; returns what is left, or NULL after a sentence. */
static char **take_user(struct args *a, char **words)
{
	if (!words[0]) {
		(void)fputs("splicedctl: passwd wants a user's name\n", stderr);
		return NULL;
	}
	a->passwd.user = words[0];
	return words + 1;
}

/* An option that belongs to another command. */
static int check_options(const struct args *a)
{
	const struct explain_words *w = &a->explain;
	const char *only = NULL;

	if (a->wait && a->verb != CTL_RELOAD)
		only = "only reload knows --wait";
	else if (a->enforce && a->verb != CTL_REFRESH)
		only = "only refresh knows --enforce";
	else if (a->verb != CTL_EXPLAIN &&
		 (w->address || w->command || w->listener || w->protocol ||
		  w->at))
		only = "only explain knows --address, --at, --command, "
		       "--listener and --protocol";
	else if (a->verb != CTL_PASSWD && (a->passwd.file || a->passwd.remove))
		only = "only passwd knows --file and --remove";
	if (!only)
		return 0;
	(void)fprintf(stderr, "splicedctl: %s\n", only);
	return -EINVAL;
}

static int take_words(struct args *a, char **words)
{
	int r;

	if (a->verb == CTL_SHOW_HELP || a->verb == CTL_SHOW_VERSION)
		return 0;
	if (!*words) {
		(void)fputs("splicedctl: a command is missing\n", stderr);
		return -EINVAL;
	}
	r = take_verb(a, *words++);
	if (r == 0 && a->verb == CTL_EXPLAIN)
		words = take_question(a, words);
	if (r == 0 && a->verb == CTL_PASSWD)
		words = take_user(a, words);
	if (!words)
		return -EINVAL;
	if (r == 0)
		r = take_filters(a, words);
	return r == 0 ? check_options(a) : r;
}

static int take_option(struct args *a, int option)
{
	switch (option) {
	case 's':
		a->socket = optarg;
		return 0;
	case 'j':
		a->json = true;
		return 0;
	case 'w':
		a->wait = true;
		return 0;
	case OPT_ENFORCE:
		a->enforce = true;
		return 0;
	case OPT_ADDRESS:
		a->explain.address = optarg;
		return 0;
	case OPT_AT:
		a->explain.at = optarg;
		return 0;
	case OPT_COMMAND:
		a->explain.command = optarg;
		return 0;
	case OPT_LISTENER:
		a->explain.listener = optarg;
		return 0;
	case OPT_PROTOCOL:
		a->explain.protocol = optarg;
		return 0;
	case OPT_FILE:
		a->passwd.file = optarg;
		return 0;
	case OPT_REMOVE:
		a->passwd.remove = true;
		return 0;
	case OPT_VERSION:
		a->verb = CTL_SHOW_VERSION;
		return 0;
	case 'h':
		a->verb = CTL_SHOW_HELP;
		return 0;
	default: /* getopt_long() has said what is wrong */
		return -EINVAL;
	}
}

int args_parse(struct args *ret, int argc, char **argv)
{
	const char *path = getenv(ARGS_SOCKET_ENV);
	int option, r = 0;

	*ret = (struct args){ .socket = path && *path ? path : ARGS_SOCKET };
	optind = 1;
	while (r == 0 &&
	       (option = getopt_long(argc, argv, "s:jwh", longs, NULL)) != -1)
		r = take_option(ret, option);
	if (r == 0)
		r = take_words(ret, argv + optind);
	if (r < 0)
		(void)fputs("Try 'splicedctl --help'.\n", stderr);
	return r;
}

void args_help(void)
{
	(void)fputs(usage, stdout);
	filters_help(stdout);
	(void)fputs(exits, stdout);
}
