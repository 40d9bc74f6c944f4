/*
 * spliced: reads the command line and the configuration, then does what was
 * asked for.
 */
#include "config.h"

#include "conf/conf.h"
#include "daemon/options.h"
#include "daemon/run.h"

#include <stdio.h>
#include <string.h>

/* Loads the file or the default, with --listen put in; says what is wrong. */
static int load(struct conf **ret, const struct options *o)
{
	struct conf_errors errors = { 0 };
	int r = o->config ? conf_load(ret, o->config, &errors)
			  : conf_default(ret);

	if (r == 0 && o->listen_count)
		r = conf_set_listen(*ret, o->listen, o->listen_count, &errors);
	conf_errors_print(&errors, stderr);
	if (r < 0 && !errors.errors)
		(void)fprintf(stderr, "spliced: %s\n", strerror(-r));
	conf_errors_done(&errors);
	return r;
}

static int run(const struct options *o)
{
	struct conf *c = NULL;
	int r = load(&c, o) < 0 ? EXIT_FAILED : EXIT_OK;

	if (r == EXIT_OK && o->verb == VERB_DUMP)
		r = conf_dump(c, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
	else if (r == EXIT_OK && o->verb == VERB_RUN)
		r = daemon_run(c);
	conf_free(c);
	return r;
}

int main(int argc, char **argv)
{
	struct options o;

	if (options_parse(&o, argc, argv) < 0)
		return EXIT_USAGE;
	switch (o.verb) {
	case VERB_HELP:
		options_help();
		return EXIT_OK;
	case VERB_VERSION:
		(void)puts("spliced " PACKAGE_VERSION);
		return EXIT_OK;
	case VERB_RUN:
	case VERB_CHECK:
	case VERB_DUMP:
		break;
	}
	return run(&o);
}
