/*
 * The start of a generation.
 *
 * The order matters: sockets while we may still bind low ports, the log file
 * handed to its later owner, rights given up while there is one thread, then
 * the logger and the workers.  Until the master says so nothing is done that
 * an older generation could notice: new sockets are bound but do not listen,
 * those that both have keep their options.
 */
#include "daemon/generation_internal.h"

#include "conf/file_advice.h"
#include "daemon/control.h"
#include "daemon/load.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/prepare.h"
#include "daemon/quotas.h"
#include "daemon/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#define CONTROL_NAME  "control"
#define CONTROL_AUTO  "auto"
#define CONTROL_PATH  "/run/spliced/control"
#define CONTROL_GROUP "spliced"

/* --- What the master has put into the environment ------------------------ */

static int number_at(const char **at, unsigned long max, unsigned long *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoul(*at, &end, 10);
	if (errno || *ret > max || (*end && *end != ' '))
		return -EINVAL;
	*at = *end ? end + 1 : end;
	return 0;
}

/* "NUMBER CONTROL-FD COUNT". */
static int read_env(struct generation *g, const char *env,
		    unsigned long *ret_count)
{
	unsigned long number, control;
	int type = 0;
	socklen_t len = sizeof(type);

	if (number_at(&env, UINT32_MAX, &number) < 0 || number == 0 ||
	    number_at(&env, 1 << 20, &control) < 0 ||
	    number_at(&env, 1 << 20, ret_count) < 0 || *env ||
	    control < SD_LISTEN_FDS_START)
		return -EINVAL;
	if (getsockopt((int)control, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	if (fcntl((int)control, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	g->number = (uint32_t)number;
	g->control = (int)control;
	return 0;
}

static int take_passed(struct generation *g, long promised)
{
	int r = adopt_from_environment(&g->passed, promised);

	if (r == -EBADMSG)
		log_line(LOG_LEVEL_ERROR,
			 "the master promised %ld descriptors, and not so many "
			 "came",
			 promised);
	else if (r < 0)
		log_line(LOG_LEVEL_ERROR,
			 "the descriptors that were passed on cannot be "
			 "taken: %s",
			 strerror(-r));
	return r;
}

/* --- Sockets ------------------------------------------------------------ */

/* Waits for what the master has to say; -ECANCELED when we are to end. */
static int await(struct generation *g, const bool *said)
{
	while (!*said && g->order == ORDER_NONE)
		generation_turn(g, -1);
	if (g->order == ORDER_NONE)
		return 0;
	log_line(LOG_LEVEL_ERROR, "told to end before it served");
	return -ECANCELED;
}

/* What the master is told goes out, or there is no use in going on. */
static int told(int r)
{
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot talk to the master: %s",
			 strerror(-r));
	return r;
}

static int give_sockets(struct generation *g, const char *name, const int *fds,
			size_t count)
{
	int r;

	if (g->control < 0)
		return 0;
	g->acked = false;
	r = told(report_sockets(g->control, name, fds, count));
	return r < 0 ? r : await(g, &g->acked);
}

static int give_opened(struct generation *g, struct listening *l)
{
	const char *name;
	const int *fds;
	size_t count;
	int r = 0;

	while (r == 0 && l &&
	       (count = listening_untold(l, HANDOFF_FDS_MAX, &name, &fds)))
		r = give_sockets(g, name, fds, count);
	return r;
}

/* The master serves it; we open it where it is not open. */
static int open_control(struct generation *g)
{
	const char *path = g->conf->admin.socket;
	bool may_lack = strcmp(path, CONTROL_AUTO) == 0;
	int fd, r;

	if (!*path || g->control < 0)
		return 0;
	if (may_lack)
		path = CONTROL_PATH;
	if (adopt_unix(&g->passed, path))
		return 0;
	fd = control_open(path, CONTROL_GROUP);
	if (fd < 0) {
		log_line(may_lack ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR,
			 "the control socket %s cannot be opened: %s%s%s", path,
			 strerror(-fd),
			 fd == -EADDRINUSE ? " (another daemon has it: "
					     "admin.socket names another path)"
					   : file_write_advice(fd),
			 may_lack ? "; splicedctl will not work" : "");
		return may_lack ? 0 : fd;
	}
	r = give_sockets(g, CONTROL_NAME, &fd, 1);
	close_fd(&fd);
	return r;
}

/* Where the service manager's socket has no listener clients would hang. */
static void tell_unclaimed(const struct generation *g)
{
	const struct adopt_socket *s = NULL;
	char text[sizeof(s->path)];
	bool first = g->number <= 1;

	while ((s = adopt_unclaimed(&g->passed, s)))
		log_line(first ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
			 "the socket \"%s\" %s is %s", s->name,
			 adopt_format(s, text, sizeof(text)),
			 first ? "no listener's: nobody will answer there"
			       : "no listener's any more");
}

static int open_sockets(struct generation *g)
{
	int r = listening_open(&g->listening, &g->setup, &g->passed);

	if (r == 0)
		r = admin_open(g->admin, &g->passed);
	if (r == 0)
		r = give_opened(g, &g->listening);
	if (r == 0)
		r = give_opened(g, admin_listening(g->admin));
	if (r == 0)
		r = open_control(g);
	if (r < 0)
		return r;
	tell_unclaimed(g);
	r = told(report_unclaimed(g->control, &g->passed));
	adopt_done(&g->passed);
	return r;
}

/* --- Start -------------------------------------------------------------- */

static int make(struct generation *g)
{
	int r = load_conf(&g->conf, g->o, g->failure, sizeof(g->failure));

	if (r < 0)
		return r;
	r = prepare_user(g->conf, &g->user);
	if (r == 0)
		r = data_files_init(&g->files, g->conf);
	if (r == 0)
		r = siblings_init(&g->siblings, &g->passed);
	if (r == 0)
		r = setup_init(&g->setup, g->conf, g->number);
	if (r == 0)
		r = siblings_join(&g->siblings, proxy_limits(g->setup.proxy));
	if (r == 0)
		r = admin_new(&g->admin, &g->setup, g->control, &g->listening);
	if (r == 0)
		r = told(report_segment(
			g->control, segment_fd(g->setup.published.segment)));
	return r;
}

static int start_threads(struct generation *g)
{
	int r = prepare_log(g->conf);

	if (r < 0)
		return r;
	r = tcp_server_prepare(g->setup.server);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot start the workers: %s",
			 strerror(-r));
	return r < 0 ? r : admin_prepare(g->admin);
}

/* All that may fail and that nobody outside notices. */
static int prepare(struct generation *g)
{
	int r = make(g);

	if (r == 0)
		r = open_sockets(g);
	if (r == 0)
		r = prepare_log_file(g->conf, g->user);
	if (r == 0)
		r = quota_state_prepare(g->conf, g->user);
	if (r == 0)
		r = prepare_rights(g->conf, g->user, &g->files);
	if (r == 0)
		r = start_threads(g);
	return r;
}

static int accept_clients(struct generation *g)
{
	int r = quota_keeper_new(&g->quotas, &g->setup, g->siblings.list,
				 g->siblings.count);

	if (r == 0)
		r = refresh_new(&g->refresh, &g->setup, &g->files, g->quotas);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "cannot watch the files of data: %s",
			 strerror(-r));
		return r;
	}
	if (*g->asked)
		refresh_ask(g->refresh,
			    (struct span){ (const uint8_t *)g->asked,
					   strlen(g->asked) },
			    -1);
	if (g->siblings.count)
		generation_share_limit(g);
	r = listening_begin(&g->listening);
	if (r == 0)
		r = tcp_server_start(g->setup.server);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "cannot accept connections: %s",
			 strerror(-r));
		return r;
	}
	g->serving = true;
	return admin_start(g->admin);
}

static void tell_ready(const struct generation *g, const char *addresses)
{
	const struct conf *c = g->conf;
	char which[32] = "";

	if (g->number > 1)
		(void)snprintf(which, sizeof(which), ", generation %u",
			       g->number);
	log_line(LOG_LEVEL_NOTICE,
		 "spliced is ready on %s (%u workers, at most %zu "
		 "sessions%s)",
		 addresses, g->setup.workers, g->setup.max_connections, which);
	if (g->number > 1)
		return;
	/* For who started it by hand. */
	if (c->log.path || (c->log.journal && !getenv("JOURNAL_STREAM")))
		(void)fprintf(stderr, "spliced is ready on %s, logging to %s\n",
			      addresses,
			      c->log.path ? c->log.path : "the journal");
	if (!c->path) {
		char text[TCPSERVER_ADDR_STRLEN];

		log_line(LOG_LEVEL_NOTICE,
			 "no configuration: SOCKS and HTTP for this machine; "
			 "try: curl -x socks5h://%s https://example.org/",
			 tcp_addr_format(&g->listening.entries[0].addr, text,
					 sizeof(text)));
	}
}

/* --- All of it ---------------------------------------------------------- */

static struct generation *generation_new(const struct options *o)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->o = o;
	g->control = g->signals = -1;
	return g;
}

static void generation_free(struct generation *g)
{
	refresh_free(TAKE_PTR(g->refresh));
	data_files_done(&g->files);
	admin_free(TAKE_PTR(g->admin));
	if (g->setup.server) /* prepared, but never told to go */
		(void)tcp_server_shutdown(g->setup.server, 0);
	quota_keeper_free(TAKE_PTR(g->quotas));
	log_stop();
	listening_done(&g->listening);
	siblings_done(&g->siblings);
	setup_done(&g->setup);
	adopt_done(&g->passed);
	conf_free(g->conf);
	close_fd(&g->signals);
	close_fd(&g->control);
	free(g);
}

/* Serves to the end, or reports why not. */
static int generation_serve(struct generation *g, int r)
{
	char addresses[1024];

	if (r == 0)
		r = prepare(g);
	if (r == 0)
		r = told(report_prepared(g->control, g->conf));
	if (r == 0 && g->control >= 0)
		r = await(g, &g->going);
	if (r == 0)
		r = accept_clients(g);
	log_copy_errors(NULL, 0);
	if (r < 0) {
		(void)!report_text(g->control, HANDOFF_FAILED,
				   *g->failure ? g->failure : strerror(-r));
		return EXIT_FAILED;
	}
	listening_format(&g->listening, addresses, sizeof(addresses));
	tell_ready(g, addresses);
	if (g->number)
		(void)!report_text(g->control, HANDOFF_ACCEPTING, addresses);
	else
		(void)notify_ready(addresses);
	generation_live(g);
	return EXIT_OK;
}

int generation_run(const struct options *o, const char *env)
{
	struct generation *g = generation_new(o);
	unsigned long count = 0;
	int r, code;

	if (!g)
		return EXIT_FAILED;
	log_copy_errors(g->failure, sizeof(g->failure));
	r = read_env(g, env, &count);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR,
			 GENERATION_ENV "=\"%.64s\" is not of a master: %s",
			 env, strerror(-r));
	if (r == 0)
		r = generation_take_signals(g);
	if (r == 0)
		r = take_passed(g, (long)count);
	(void)unsetenv(GENERATION_ENV);
	code = generation_serve(g, r);
	generation_free(g);
	return code;
}

int generation_run_single(const struct options *o)
{
	struct generation *g = generation_new(o);
	int r, code;

	if (!g)
		return EXIT_FAILED;
	r = generation_take_signals(g);
	if (r == 0)
		r = take_passed(g, -1);
	code = generation_serve(g, r);
	generation_free(g);
	return code;
}
