/*
 * spliced-pam: verifies passwords for spliced, whose workers may read neither
 * shadow(5) nor what PAM's modules want.  Started by the first question, it
 * accepts connections from the socket that it is handed (sd_listen_fds(3)) and
 * forks for each, some at a time; those that come while all are at work wait
 * in the socket's queue.  After a while without any it ends.
 */
#include "config.h"

#include "daemon/pam/answer.h"

#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#define CHILDREN_MAX 16
#define IDLE_SECONDS 60

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char usage[] =
	"Usage: spliced-pam [OPTION]...\n"
	"Verifies passwords by PAM and shadow(5) for spliced; a socket unit "
	"starts it.\n"
	"\n"
	"  -u, --user NAME     who may ask, beside root [spliced]\n"
	"  -i, --idle SECONDS  ends after so long without work [60]; 0: never\n"
	"      --version       prints the version and exits\n"
	"  -h, --help          prints this and exits\n"
	"\n"
	"See spliced-pam(8).\n";

struct helper {
	int listening, signals;
	uid_t user; /* who may ask */
	unsigned children;
	int idle_ms;
};

static int failed(const char *what)
{
	(void)fprintf(stderr, "<3>spliced-pam: %s: %s\n", what,
		      strerror(errno));
	return STATUS_FAILED;
}

/* --- Options ------------------------------------------------------------ */

static int find_user(const char *name, uid_t *ret)
{
	const struct passwd *pw = getpwnam(name);

	if (!pw) {
		(void)fprintf(stderr,
			      "<3>spliced-pam: there is no user \"%s\"\n",
			      name);
		return STATUS_FAILED;
	}
	*ret = pw->pw_uid;
	return 0;
}

static int parse_idle(const char *text, int *ret_ms)
{
	char *end;
	long seconds = strtol(text, &end, 10);

	if (end == text || *end || seconds < 0 || seconds > 86400) {
		(void)fputs("spliced-pam: --idle takes 0 to 86400 seconds\n",
			    stderr);
		return STATUS_USAGE;
	}
	*ret_ms = seconds ? (int)seconds * 1000 : -1;
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int parse(struct helper *h, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "user", required_argument, NULL, 'u' },
		{ "idle", required_argument, NULL, 'i' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *user = "spliced";
	int c, r = 0;

	h->idle_ms = IDLE_SECONDS * 1000;
	while (r == 0 &&
	       (c = getopt_long(argc, argv, "u:i:h", longs, NULL)) != -1) {
		switch (c) {
		case 'u':
			user = optarg;
			break;
		case 'i':
			r = parse_idle(optarg, &h->idle_ms);
			break;
		case 'V':
			(void)puts("spliced-pam " PACKAGE_VERSION);
			return 0;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		default:
			r = STATUS_USAGE;
		}
	}
	if (r == 0 && optind < argc) {
		(void)fputs("spliced-pam: it takes no arguments\n", stderr);
		r = STATUS_USAGE;
	}
	if (r == 0)
		r = find_user(user, &h->user);
	return r == 0 ? -1 : r;
}

/* --- Start -------------------------------------------------------------- */

static int take_socket(struct helper *h)
{
	int count = sd_listen_fds(true);

	h->listening = SD_LISTEN_FDS_START;
	if (count == 1 &&
	    sd_is_socket(h->listening, AF_UNIX, SOCK_SEQPACKET, true) > 0)
		return 0;
	(void)fputs("<3>spliced-pam: it is started by spliced-pam.socket, or "
		    "by what else hands it one socket of packets\n",
		    stderr);
	return STATUS_USAGE;
}

/* What it knows for a moment is nobody else's. */
static int protect(void)
{
	const struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return failed("cannot protect itself");
	return 0;
}

static int take_signals(struct helper *h)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return failed("signals");
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? failed("signals") : 0;
}

/* --- Work --------------------------------------------------------------- */

/* Files have modes, but this is what decides. */
static bool may_ask(const struct helper *h, int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	if (who.uid == 0 || who.uid == h->user)
		return true;
	(void)fprintf(stderr, "<4>user %u is not the one who may ask\n",
		      (unsigned)who.uid);
	return false;
}

NO_RETURN static void run_child(const struct helper *h, int fd)
{
	sigset_t none;

	(void)close(h->listening);
	(void)close(h->signals);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)alarm(ANSWER_SECONDS);
	_exit(answer(fd) < 0 ? STATUS_FAILED : 0);
}

static void take_question(struct helper *h)
{
	CLEANUP(close_fd)
	int fd = accept4(h->listening, NULL, NULL, SOCK_CLOEXEC);
	pid_t pid;

	if (fd < 0 || !may_ask(h, fd))
		return;
	pid = fork();
	if (pid == 0)
		run_child(h, fd);
	if (pid < 0)
		(void)failed("fork");
	else
		h->children++;
}

/* Returns whether it is to end. */
static bool take_signal(struct helper *h)
{
	struct signalfd_siginfo info;
	bool end = false;

	while (read(h->signals, &info, sizeof(info)) == sizeof(info))
		end |= info.ssi_signo != SIGCHLD;
	while (h->children && waitpid(-1, NULL, WNOHANG) > 0)
		h->children--;
	return end;
}

/* Whoever is being answered at its end still is: nobody waits for them. */
static int work(struct helper *h)
{
	for (;;) {
		struct pollfd p[2] = {
			{ .fd = h->signals, .events = POLLIN },
			{ .fd = h->children < CHILDREN_MAX ? h->listening : -1,
			  .events = POLLIN },
		};
		int n = poll(p, 2, h->children ? -1 : h->idle_ms);

		if (n < 0 && errno != EINTR)
			return failed("poll");
		if (n == 0)
			return 0;
		if (n > 0 && p[0].revents && take_signal(h))
			return 0;
		if (n > 0 && p[1].revents)
			take_question(h);
	}
}

int main(int argc, char **argv)
{
	struct helper h = { .signals = -1 };
	int r = parse(&h, argc, argv);

	if (r >= 0)
		return r;
	r = take_socket(&h);
	if (r == 0)
		r = protect();
	if (r == 0)
		r = take_signals(&h);
	return r == 0 ? work(&h) : r;
}
