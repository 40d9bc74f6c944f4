/*
 * The command line, by getopt_long(3).
 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
	"Usage: spliced [OPTION]...\n"
	"A SOCKS and HTTP proxy.\n"
	"\n"
	"  -c, --config FILE    read the configuration from FILE; without it\n"
	"                       serve this machine on 127.0.0.1:1080 and\n"
	"                       [::1]:1080\n"
	"  -l, --listen ADDR    listen on ADDR (IP:PORT, [IP6]:PORT or\n"
	"                       INTERFACE:PORT; may be repeated) instead of "
	"the\n"
	"                       first listener's addresses\n"
	"      --check          report every error of the configuration and "
	"exit\n"
	"      --dump           print the effective configuration and exit\n"
	"      --explain FROM TO [USER]\n"
	"                       tell which rule decides about a request of "
	"the\n"
	"                       client FROM (an address) for TO (HOST:PORT), "
	"and\n"
	"                       why; with --command, --listener and "
	"--protocol\n"
	"                       if it is not a CONNECT of SOCKS5 to the "
	"first\n"
	"                       listener, --address for where a name leads, "
	"and\n"
	"                       --at for another time than now (\"mon "
	"14:00\")\n"
	"      --init           write a first configuration, after some\n"
	"                       questions on a terminal; or from --listen "
	"ADDR,\n"
	"                       --allow PREFIX, --protocol NAME, --user "
	"NAME,\n"
	"                       --tls PEMFILE, --log TARGET; to --output "
	"FILE,\n"
	"                       with --force over one that is there\n"
	"      --import-danted FILE\n"
	"                       print the configuration that a danted.conf "
	"becomes,\n"
	"                       and on standard error what differs\n"
	"      --single         serve in this one process, which cannot "
	"reload: "
	"for\n"
	"                       debuggers\n"
	"      --version        print the version and exit\n"
	"  -h, --help           print this and exit\n"
	"\n"
	"SIGHUP serves by the configuration as it is now and lets old "
	"sessions\n"
	"go on, SIGUSR2 replaces the program as well, SIGUSR1 reopens the log\n"
	"file.  SIGTERM lets sessions finish, a second one or SIGINT ends at\n"
	"once.\n"
	"\n"
	"Exit status: 0 all is well, 1 the configuration or the start failed,\n"
	"2 the command line is wrong, 3 something of a danted.conf was lost,\n"
	"4 what --explain was asked is not allowed.\n"
	"\n"
	"See spliced(8) and spliced.conf(5).\n";

enum {
	OPT_CHECK = 256,
	OPT_DUMP,
	OPT_EXPLAIN,
	OPT_ADDRESS,
	OPT_AT,
	OPT_IMPORT,
	OPT_INIT,
	OPT_ALLOW,
	OPT_USER,
	OPT_TLS,
	OPT_LOG,
	OPT_OUTPUT,
	OPT_FORCE,
	OPT_COMMAND,
	OPT_LISTENER,
	OPT_PROTOCOL,
	OPT_SINGLE,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "dump", no_argument, NULL, OPT_DUMP },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "address", required_argument, NULL, OPT_ADDRESS },
	{ "at", required_argument, NULL, OPT_AT },
	{ "command", required_argument, NULL, OPT_COMMAND },
	{ "listener", required_argument, NULL, OPT_LISTENER },
	{ "protocol", required_argument, NULL, OPT_PROTOCOL },
	{ "import-danted", required_argument, NULL, OPT_IMPORT },
	{ "init", no_argument, NULL, OPT_INIT },
	{ "allow", required_argument, NULL, OPT_ALLOW },
	{ "user", required_argument, NULL, OPT_USER },
	{ "tls", required_argument, NULL, OPT_TLS },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "single", no_argument, NULL, OPT_SINGLE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int take_allow(struct init_plan *p)
{
	if (p->allow_count == INIT_LIST_MAX) {
		(void)fprintf(stderr, "spliced: at most %d --allow\n",
			      INIT_LIST_MAX);
		return -EINVAL;
	}
	p->allow[p->allow_count++] = optarg;
	return 0;
}

/* For --explain the last one counts, --init makes a list of them. */
static int take_protocol(struct options *o)
{
	if (o->init.protocol_count == INIT_LIST_MAX) {
		(void)fprintf(stderr, "spliced: at most %d --protocol\n",
			      INIT_LIST_MAX);
		return -EINVAL;
	}
	o->init.protocols[o->init.protocol_count++] = optarg;
	o->explain.protocol = optarg;
	return 0;
}

/* Those of --init; 1: it is none of them. */
static int take_init(struct init_plan *p, int option)
{
	switch (option) {
	case OPT_ALLOW:
		return take_allow(p);
	case OPT_USER:
		p->user = optarg;
		return 0;
	case OPT_TLS:
		p->certificate = optarg;
		return 0;
	case OPT_LOG:
		p->log = optarg;
		return 0;
	case OPT_OUTPUT:
		p->output = optarg;
		return 0;
	case OPT_FORCE:
		p->force = true;
		return 0;
	default:
		return 1;
	}
}

/* What belongs to --init, and the addresses, which others have, too. */
static int check_init(struct options *o)
{
	struct init_plan *p = &o->init;

	if (o->verb != VERB_INIT) {
		if (!p->allow_count && !p->user && !p->certificate && !p->log &&
		    !p->output && !p->force)
			return 0;
		(void)fputs("spliced: --allow, --user, --tls, --log, --output "
			    "and --force belong to --init\n",
			    stderr);
		return -EINVAL;
	}
	if (o->config) {
		(void)fputs("spliced: --init reads no --config; --output says "
			    "where it writes\n",
			    stderr);
		return -EINVAL;
	}
	if (o->listen_count > INIT_LIST_MAX) {
		(void)fprintf(stderr, "spliced: at most %d --listen\n",
			      INIT_LIST_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < o->listen_count; i++)
		p->listen[p->listen_count++] = o->listen[i];
	return 0;
}

static int take(struct options *o, int option)
{
	int r = take_init(&o->init, option);

	if (r <= 0)
		return r;
	switch (option) {
	case 'c':
		o->config = optarg;
		return 0;
	case 'l':
		if (o->listen_count == OPTIONS_LISTEN_MAX) {
			(void)fprintf(stderr, "spliced: at most %d --listen\n",
				      OPTIONS_LISTEN_MAX);
			return -EINVAL;
		}
		o->listen[o->listen_count++] = optarg;
		return 0;
	case OPT_CHECK:
		o->verb = VERB_CHECK;
		return 0;
	case OPT_DUMP:
		o->verb = VERB_DUMP;
		return 0;
	case OPT_EXPLAIN:
		o->verb = VERB_EXPLAIN;
		return 0;
	case OPT_ADDRESS:
		o->explain.address = optarg;
		return 0;
	case OPT_AT:
		o->explain.at = optarg;
		return 0;
	case OPT_COMMAND:
		o->explain.command = optarg;
		return 0;
	case OPT_LISTENER:
		o->explain.listener = optarg;
		return 0;
	case OPT_PROTOCOL:
		return take_protocol(o);
	case OPT_IMPORT:
		o->verb = VERB_IMPORT;
		o->danted = optarg;
		return 0;
	case OPT_INIT:
		o->verb = VERB_INIT;
		return 0;
	case OPT_SINGLE:
		o->single = true;
		return 0;
	case OPT_VERSION:
		o->verb = VERB_VERSION;
		return 0;
	case 'h':
		o->verb = VERB_HELP;
		return 0;
	default: /* getopt_long() has said what is wrong */
		return -EINVAL;
	}
}

/* FROM TO [USER]; 0 or -EINVAL after a sentence. */
static int take_question(struct options *o, char **words, int count)
{
	struct explain_words *w = &o->explain;

	if (o->verb != VERB_EXPLAIN) {
		bool protocol = w->protocol && o->verb != VERB_INIT;

		if (!w->address && !w->command && !w->listener && !protocol &&
		    !w->at)
			return 0;
		(void)fputs("spliced: --address, --at, --command and "
			    "--listener belong to --explain,\n--protocol to "
			    "--explain or --init\n",
			    stderr);
		return -EINVAL;
	}
	if (count < 2) {
		(void)fputs("spliced: --explain wants FROM and TO\n", stderr);
		return -EINVAL;
	}
	w->from = words[0];
	w->to = words[1];
	w->user = count > 2 ? words[2] : NULL;
	optind += count > 2 ? 3 : 2;
	return 0;
}

int options_parse(struct options *ret, int argc, char **argv)
{
	struct options o = { .verb = VERB_RUN };
	int option, r = 0;

	optind = 1;
	while (r == 0 &&
	       (option = getopt_long(argc, argv, "c:l:h", longs, NULL)) != -1)
		r = take(&o, option);
	if (r == 0)
		r = take_question(&o, argv + optind, argc - optind);
	if (r == 0)
		r = check_init(&o);
	if (r == 0 && optind < argc) {
		(void)fprintf(stderr, "spliced: unexpected argument '%s'\n",
			      argv[optind]);
		r = -EINVAL;
	}
	if (r < 0)
		(void)fputs("Try 'spliced --help'.\n", stderr);
	else
		*ret = o;
	return r;
}

void options_help(void)
{
	(void)fputs(help, stdout);
}
