/*
 * Start, signals, end.
 *
 * The order of the start matters: sockets while we may still bind low ports,
 * the log file handed to its later owner, privileges dropped while there is
 * one thread, then the logger and the workers.
 */
#include "daemon/run.h"

#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/privileges.h"
#include "daemon/setup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LISTEN_RETRY_S 2

struct daemon {
	const struct conf *conf;
	const char *user; /* to become, or NULL */
	struct setup setup;
	struct listening listening;
	sigset_t signals;
	size_t cut; /* sessions, at the end */
	pthread_t main_thread;
	atomic_bool down; /* the server has shut down */
};

/* --- Before anything else ----------------------------------------------- */

static void take_signals(struct daemon *d)
{
	static const int wanted[] = { SIGTERM, SIGINT,  SIGHUP,
				      SIGUSR1, SIGUSR2, SIGCHLD };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	(void)sigemptyset(&d->signals);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)sigaddset(&d->signals, wanted[i]);
	(void)pthread_sigmask(SIG_BLOCK, &d->signals, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

/* Under systemd standard error is the journal, which wants levels. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%lu:%lu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

/* --- Privileges --------------------------------------------------------- */

/*
 * Whom to become.  A configuration's user must exist; without a file it is
 * "spliced" where there is one, else "nobody".
 */
static int choose_user(struct daemon *d)
{
	const struct conf *c = d->conf;

	if (geteuid() != 0)
		return 0;
	if (!*c->user) {
		if (c->path) {
			log_line(LOG_LEVEL_WARNING,
				 "serving as root: user = \"spliced\" would "
				 "give that up");
			return 0;
		}
		d->user = privileges_user_exists("spliced") ? "spliced"
							    : "nobody";
		return 0;
	}
	if (!privileges_user_exists(c->user)) {
		log_line(LOG_LEVEL_ERROR,
			 "%s: there is no user \"%s\" (user = ...) on this "
			 "machine",
			 c->path ? c->path : "built-in", c->user);
		return -ENOENT;
	}
	d->user = c->user;
	return 0;
}

/* Somebody else's file, linked to by that name, must not change hands. */
static bool is_plain_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

/* Makes the log file, owned by the user who will write and reopen it. */
static int prepare_log(const struct daemon *d)
{
	const char *path = d->conf->log.path;
	const struct passwd *pw = d->user ? getpwnam(d->user) : NULL;
	CLEANUP(close_fd) int fd = -1;

	if (!path || !pw)
		return 0;
	fd = open(path,
		  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			  O_NONBLOCK,
		  0640);
	if (fd >= 0 && !is_plain_file(fd)) {
		log_line(LOG_LEVEL_ERROR,
			 "the log %s is no plain file of one name", path);
		return -EINVAL;
	}
	if (fd < 0 || fchown(fd, pw->pw_uid, pw->pw_gid) < 0) {
		int r = -errno;

		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s", path,
			 strerror(-r));
		return r;
	}
	return 0;
}

/* Capabilities that sockets made while serving need. */
static uint64_t needed_capabilities(const struct conf *c)
{
	uint64_t keep = 0;

	if (c->outbound.mark || *c->outbound.device)
		keep |= CAPABILITY_BIT(CAP_NET_RAW);
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (!l->optional)
			continue; /* open already */
		keep |= CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
		if (l->mark || *l->device)
			keep |= CAPABILITY_BIT(CAP_NET_RAW);
	}
	return keep;
}

static int drop_privileges(const struct daemon *d)
{
	struct privileges p = { .user = d->user,
				.keep = needed_capabilities(d->conf) };
	char why[256];
	int r = privileges_drop(&p, why, sizeof(why));

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "%s", why);
	return r;
}

static int start_log(const struct conf *c)
{
	static const enum log_level levels[] = {
		[CONF_LOG_ERROR] = LOG_LEVEL_ERROR,
		[CONF_LOG_WARNING] = LOG_LEVEL_WARNING,
		[CONF_LOG_NOTICE] = LOG_LEVEL_NOTICE,
		[CONF_LOG_INFO] = LOG_LEVEL_INFO,
		[CONF_LOG_DEBUG] = LOG_LEVEL_DEBUG,
	};
	struct log_options o = { .path = c->log.path,
				 .level = levels[c->log.level],
				 .prefixes = !c->log.path &&
					     stderr_is_journal() };
	int r = log_start(&o);

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s",
			 c->log.path ? c->log.path : "on standard error",
			 strerror(-r));
	return r;
}

/* --- Start -------------------------------------------------------------- */

static int start(struct daemon *d)
{
	int r = choose_user(d);

	if (r == 0)
		r = setup_init(&d->setup, d->conf);
	if (r == 0)
		r = listening_open(&d->listening, &d->setup);
	if (r == 0)
		r = prepare_log(d);
	if (r == 0)
		r = drop_privileges(d);
	if (r == 0)
		r = start_log(d->conf);
	if (r < 0)
		return r;
	r = tcp_server_start(d->setup.server);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot start the workers: %s",
			 strerror(-r));
	return r;
}

static void tell_ready(const struct daemon *d)
{
	char addresses[1024];
	unsigned workers = tcp_server_workers(d->setup.server);

	listening_format(&d->listening, addresses, sizeof(addresses));
	log_line(LOG_LEVEL_NOTICE,
		 "spliced is ready on %s (%u workers, at most %zu sessions)",
		 addresses, workers, d->setup.max_connections);
	if (d->conf->log.path) /* for who started it by hand */
		(void)fprintf(stderr, "spliced is ready on %s, logging to %s\n",
			      addresses, d->conf->log.path);
	if (!d->conf->path) {
		const struct addr *a = &d->listening.entries[0].addr;
		char text[ADDR_STRLEN];

		(void)addr_format(a, text, sizeof(text));
		log_line(LOG_LEVEL_NOTICE,
			 "no configuration: SOCKS5 and HTTP CONNECT for this "
			 "machine; try: curl -x socks5h://%s "
			 "https://example.org/",
			 text);
	}
	(void)notify_ready(addresses);
}

/* --- End ---------------------------------------------------------------- */

static void *shut_down(void *arg)
{
	struct daemon *d = arg;

	d->cut = tcp_server_shutdown(d->setup.server,
				     d->conf->timeouts.shutdown_ms);
	atomic_store(&d->down, true);
	/* Wakes the thread that waits for signals. */
	(void)pthread_kill(d->main_thread, SIGCHLD);
	return NULL;
}

/*
 * Stops accepting and waits for the sessions, while another signal may end
 * that wait.
 */
static void end(struct daemon *d, bool at_once)
{
	struct tcp_server_stats stats;
	pthread_t thread;

	tcp_server_stats(d->setup.server, &stats);
	log_line(LOG_LEVEL_NOTICE, "ending; open sessions: %ju",
		 (uintmax_t)stats.active);
	(void)notify_stopping("waiting for sessions to end");
	if (at_once)
		tcp_server_halt(d->setup.server);
	d->main_thread = pthread_self();
	if (pthread_create(&thread, NULL, shut_down, d) != 0) {
		d->cut = tcp_server_shutdown(d->setup.server, 0);
	} else {
		while (!atomic_load(&d->down)) {
			int sig = sigwaitinfo(&d->signals, NULL);

			if (sig == SIGTERM || sig == SIGINT)
				tcp_server_halt(d->setup.server);
		}
		(void)pthread_join(thread, NULL);
	}
	if (d->cut)
		log_line(LOG_LEVEL_WARNING, "sessions cut: %zu", d->cut);
	log_line(LOG_LEVEL_NOTICE, "spliced has ended");
}

/* --- Life --------------------------------------------------------------- */

static int next_signal(struct daemon *d)
{
	struct timespec retry = { .tv_sec = LISTEN_RETRY_S };

	if (d->listening.missing)
		return sigtimedwait(&d->signals, NULL, &retry);
	return sigwaitinfo(&d->signals, NULL);
}

static void live(struct daemon *d)
{
	for (;;) {
		switch (next_signal(d)) {
		case SIGTERM:
			end(d, false);
			return;
		case SIGINT:
			end(d, true);
			return;
		case SIGHUP:
			log_line(LOG_LEVEL_WARNING,
				 "SIGHUP: a changed configuration needs a "
				 "restart; the log is opened anew");
			log_reopen();
			break;
		case SIGUSR1:
			log_reopen();
			break;
		default:
			if (d->listening.missing)
				(void)listening_retry(&d->listening);
		}
	}
}

int daemon_run(const struct conf *c)
{
	struct daemon d = { .conf = c };
	int r;

	take_signals(&d);
	r = start(&d);
	if (r == 0) {
		tell_ready(&d);
		live(&d);
	}
	log_stop();
	setup_done(&d.setup);
	listening_done(&d.listening);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
