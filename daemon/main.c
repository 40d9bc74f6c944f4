/*
 * spliced: reads the command line, then becomes what was asked for: a master,
 * one of its generations, or all in one process.
 */
#include "config.h"

#include "daemon/generation.h"
#include "daemon/import.h"
#include "daemon/load.h"
#include "daemon/load_data.h"
#include "daemon/log.h"
#include "daemon/master.h"
#include "daemon/options.h"
#include "daemon/setup.h"
#include "daemon/setup_tls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A signal that comes before there is somebody to take it waits: SIGHUP would
 * end us otherwise.
 */
static void block_signals(sigset_t *ret_before)
{
	static const int wanted[] = { SIGTERM, SIGINT,  SIGHUP,
				      SIGUSR1, SIGUSR2, SIGCHLD };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)sigaddset(&set, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &set, ret_before);
}

static int run(const struct options *o, char **argv)
{
	const char *env = getenv(GENERATION_ENV);

	log_set_prefixes(log_stderr_is_journal());
	if (env)
		return generation_run(o, env);
	return o->single ? generation_run_single(o) : master_run(o, argv);
}

static int check_data(const struct conf *c)
{
	struct conf_errors errors = { 0 };
	int r = load_data_check(c, &errors);

	if (setup_tls_check(c, &errors) < 0)
		r = -EBADMSG;
	if (setup_upstreams_check(c, &errors) < 0)
		r = -EBADMSG;
	conf_errors_print(&errors, stderr);
	conf_errors_done(&errors);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static void unref_policy(struct policy **p)
{
	policy_unref(*p);
}

/* By the files as they are, whatever a daemon that runs has read. */
static int explain_one(const struct options *o, const struct conf *c)
{
	CLEANUP(unref_policy) struct policy *p = NULL;
	char why[LOAD_WHY_BYTES];
	struct explain_query q = { 0 };
	enum explain_verdict verdict;
	int r = explain_parse(&q, &o->explain, c, why);

	if (r < 0) {
		(void)fprintf(stderr, "spliced: %s\n", why);
		return EXIT_USAGE;
	}
	r = setup_policy(&p, c, why, sizeof(why));
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", why);
		return EXIT_FAILED;
	}
	r = explain(p, c, &q, stdout, &verdict);
	if (r < 0)
		return EXIT_FAILED;
	return verdict == EXPLAIN_ALLOWED ? EXIT_OK : EXIT_DENIED;
}

static int check(const struct options *o)
{
	struct conf *c = NULL;
	int r = load_conf(&c, o, NULL, 0) < 0 ? EXIT_FAILED : EXIT_OK;

	if (r == EXIT_OK && o->verb == VERB_CHECK)
		r = check_data(c);
	if (r == EXIT_OK && o->verb == VERB_EXPLAIN)
		r = explain_one(o, c);
	if (r == EXIT_OK && o->verb == VERB_DUMP)
		r = conf_dump(c, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
	conf_free(c);
	return r;
}

int main(int argc, char **argv)
{
	struct options o;
	sigset_t before;

	block_signals(&before);
	if (options_parse(&o, argc, argv) < 0)
		return EXIT_USAGE;
	if (o.verb != VERB_RUN)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	switch (o.verb) {
	case VERB_HELP:
		options_help();
		return EXIT_OK;
	case VERB_VERSION:
		(void)puts("spliced " PACKAGE_VERSION);
		return EXIT_OK;
	case VERB_CHECK:
	case VERB_DUMP:
	case VERB_EXPLAIN:
		return check(&o);
	case VERB_IMPORT:
		return import_danted(o.danted);
	case VERB_INIT:
		return init_run(&o.init);
	case VERB_RUN:
		break;
	}
	return run(&o, argv);
}
