/*
 * The command line, by getopt_long(3); options may stand behind the verb, as
 * in "reload --wait".
 */
#include "config.h"

#include "daemon/ctl/args.h"

#include "conf/quantity.h"
#include "daemon/ctl/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "Usage: splicedctl [OPTION]... COMMAND\n"
			    "Looks into a running spliced, and steers it.\n"
			    "\n";

static const char options[] =
	"\n"
	"  -s, --socket PATH    its control socket (or $" ARGS_SOCKET_ENV ";\n"
	"                       " ARGS_SOCKET ")\n"
	"  -j, --json           lines of JSON instead of tables\n"
	"      --watch[=TIME]   with status, generations, sessions, limits: "
	"again\n"
	"                       and again, every 2s or as told\n"
	"  -w, --wait           with reload: until the new generation accepts\n"
	"      --enforce        with refresh, see there\n"
	"      --off            with drain: the listener serves again\n"
	"      --yes            with kill: do not ask\n"
	"      --reset          with quotas: USER has used nothing\n"
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

/* --- Options ------------------------------------------------------------ */

#define OPT_FIRST 256

/* A switch or a text in struct args; `of`: whose, 0: of every command. */
static const struct option_row {
	const char *name;
	char letter;
	bool text;
	uint16_t at;
	unsigned of;
} rows[] = {
#define SWITCH(f) false, offsetof(struct args, f)
#define TEXT(f)   true, offsetof(struct args, f)
	{ "socket", 's', TEXT(socket), 0 },
	{ "json", 'j', SWITCH(json), 0 },
	{ "wait", 'w', SWITCH(wait), ARGS_WAIT },
	{ "enforce", 0, SWITCH(enforce), ARGS_ENFORCE },
	{ "off", 0, SWITCH(off), ARGS_OFF },
	{ "yes", 0, SWITCH(yes), ARGS_YES },
	{ "reset", 0, SWITCH(reset), ARGS_RESET },
	{ "address", 0, TEXT(explain.address), ARGS_QUESTION },
	{ "at", 0, TEXT(explain.at), ARGS_QUESTION },
	{ "command", 0, TEXT(explain.command), ARGS_QUESTION },
	{ "listener", 0, TEXT(explain.listener), ARGS_QUESTION },
	{ "protocol", 0, TEXT(explain.protocol), ARGS_QUESTION },
	{ "file", 0, TEXT(passwd.file), ARGS_FILE },
	{ "remove", 0, SWITCH(passwd.remove), ARGS_FILE },
};

enum {
	OPT_WATCH = OPT_FIRST + ARRAY_SIZE(rows),
	OPT_VERSION,
};

#define SHOWS (1u << 15) /* help or version: nothing else counts then */

/* What was given, to be held against the command when that is known. */
struct given {
	unsigned of;           /* bits */
	const char *names[16]; /* the first of each, by bit */
};

static void note(struct given *g, unsigned of, const char *name)
{
	if (!of || g->of & of)
		return;
	g->of |= of;
	g->names[__builtin_ctz(of)] = name;
}

static void make_longs(struct option *longs)
{
	size_t i = 0;

	for (; i < ARRAY_SIZE(rows); i++)
		longs[i] = (struct option){ rows[i].name,
					    rows[i].text ? required_argument
							 : no_argument,
					    NULL, OPT_FIRST + (int)i };
	longs[i++] = (struct option){ "watch", optional_argument, NULL,
				      OPT_WATCH };
	longs[i++] = (struct option){ "version", no_argument, NULL,
				      OPT_VERSION };
	longs[i++] = (struct option){ "help", no_argument, NULL, 'h' };
	longs[i] = (struct option){ 0 };
}

static bool begins_with_digit(const char *text)
{
	return text && *text >= '0' && *text <= '9';
}

/* "2" is seconds; "500ms" and the like are what they say. */
static int take_watch(struct args *a, char **argv)
{
	const char *text = optarg;
	int64_t ms = ARGS_WATCH_MS;
	int r = 0;

	/* "--watch 5": neither a command nor a filter begins like that. */
	if (!text && begins_with_digit(argv[optind]))
		text = argv[optind++];
	if (text && strspn(text, "0123456789") == strlen(text)) {
		r = conf_number_parse(&ms, text);
		ms = r == 0 && ms < 86400 ? ms * 1000 : -1;
	} else if (text) {
		r = conf_duration_parse(&ms, text);
	}
	if (r < 0 || ms < ARGS_WATCH_MIN || ms > 86400000) {
		(void)fprintf(stderr,
			      "splicedctl: --watch takes a time from 100ms to "
			      "1d, not '%.100s'\n",
			      text);
		return -EINVAL;
	}
	a->watch_ms = ms;
	return 0;
}

static int take_row(struct args *a, const struct option_row *row,
		    struct given *g)
{
	void *field = (char *)a + row->at;

	note(g, row->of, row->name);
	if (row->text)
		*(const char **)field = optarg;
	else
		*(bool *)field = true;
	return 0;
}

static int take_option(struct args *a, int option, char **argv, struct given *g)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (option == OPT_FIRST + (int)i ||
		    (rows[i].letter && option == rows[i].letter))
			return take_row(a, &rows[i], g);
	switch (option) {
	case OPT_WATCH:
		note(g, ARGS_WATCH, "watch");
		return take_watch(a, argv);
	case OPT_VERSION:
	case 'h':
		a->help = option == 'h';
		note(g, SHOWS, "help");
		return 0;
	default: /* getopt_long() has said what is wrong */
		return -EINVAL;
	}
}

/* An option that belongs to another command. */
static int check_options(const struct args *a, const struct given *g)
{
	unsigned wrong = g->of & ~a->command->options;

	if (!wrong)
		return 0;
	(void)fprintf(stderr, "splicedctl: %s does not know --%s\n",
		      a->command->name, g->names[__builtin_ctz(wrong)]);
	return -EINVAL;
}

/* --- Words -------------------------------------------------------------- */

char **args_take_filters(struct args *a, char **words)
{
	char why[FILTER_WHY_BYTES];

	a->filter_words = words;
	for (; *words; words++) {
		if (filters_add(&a->filters, *words, why) == 0)
			continue;
		(void)fprintf(stderr, "splicedctl: %s\n", why);
		return NULL;
	}
	return words;
}

static int take_words(struct args *a, char **words)
{
	char hint[CONF_HINT_BYTES];

	if (!*words) {
		(void)fputs("splicedctl: a command is missing\n", stderr);
		return -EINVAL;
	}
	a->command = command_find(*words, hint);
	if (!a->command) {
		(void)fprintf(stderr,
			      "splicedctl: there is no command '%.100s'%s\n",
			      *words, hint);
		return -EINVAL;
	}
	words++;
	if (a->command->take)
		words = a->command->take(a, words);
	if (!words)
		return -EINVAL;
	if (!*words)
		return 0;
	(void)fprintf(stderr, "splicedctl: unexpected argument '%.100s'\n",
		      *words);
	return -EINVAL;
}

int args_parse(struct args *ret, int argc, char **argv)
{
	const char *path = getenv(ARGS_SOCKET_ENV);
	struct option longs[ARRAY_SIZE(rows) + 4];
	struct given g = { 0 };
	int option, r = 0;
	bool shows;

	*ret = (struct args){ .socket = path && *path ? path : ARGS_SOCKET };
	make_longs(longs);
	optind = 1;
	while (r == 0 &&
	       (option = getopt_long(argc, argv, "s:jwh", longs, NULL)) != -1)
		r = take_option(ret, option, argv, &g);
	shows = g.of & SHOWS;
	if (r == 0 && !shows)
		r = take_words(ret, argv + optind);
	if (r == 0 && !shows)
		r = check_options(ret, &g);
	if (r < 0)
		(void)fputs("Try 'splicedctl --help'.\n", stderr);
	return r;
}

void args_help(void)
{
	const struct command *c;

	(void)fputs(usage, stdout);
	for (size_t i = 0; (c = command_at(i)); i++)
		(void)fputs(c->usage, stdout);
	(void)fputs(options, stdout);
	filters_help(stdout);
	(void)fputs(exits, stdout);
}
