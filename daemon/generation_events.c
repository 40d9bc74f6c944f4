/*
 * What reaches the main thread of a generation: signals and its master's
 * messages.  The end of that connection is the end of the master: a
 * generation without one drains, so that no orphan keeps a part of a port.
 */
#include "daemon/drained.h"
#include "daemon/generation_internal.h"
#include "daemon/log.h"
#include "daemon/quotas.h"
#include "daemon/report.h"
#include "daemon/tls_contexts.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

int generation_take_signals(struct generation *g)
{
	static const int wanted[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1,
				      SIGUSR2 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)sigaddset(&set, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return g->signals < 0 ? -errno : 0;
}

static void give_order(struct generation *g, enum order order)
{
	if (order > g->order)
		g->order = order;
}

/* --- Signals ------------------------------------------------------------ */

static void take_signal(struct generation *g, unsigned signal)
{
	switch (signal) {
	case SIGTERM:
		give_order(g, g->order >= ORDER_SHUTDOWN ? ORDER_HALT
							 : ORDER_SHUTDOWN);
		break;
	case SIGINT:
		give_order(g, ORDER_HALT);
		break;
	case SIGHUP:
		if (g->number)
			break; /* the master's matter */
		log_line(LOG_LEVEL_WARNING,
			 "SIGHUP: with --single a changed configuration needs "
			 "a restart; the log is opened anew");
		log_reopen();
		break;
	case SIGUSR1:
		log_reopen();
		break;
	default:
		break;
	}
}

static void take_signals(struct generation *g)
{
	struct signalfd_siginfo info;

	while (read(g->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		take_signal(g, info.ssi_signo);
}

/* --- Messages ----------------------------------------------------------- */

static void lose_master(struct generation *g, const char *why)
{
	log_line(LOG_LEVEL_WARNING, "the master is gone%s%s", *why ? ": " : "",
		 why);
	close_fd(&g->control);
	give_order(g, ORDER_DRAIN);
}

/* Where nobody accepts nobody shall wait: the master closes what we refuse. */
static void adopt_socket(struct generation *g, int fd)
{
	const struct span *name = &g->received.msg.text;
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int r = -ESHUTDOWN;

	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	if (g->serving && g->order == ORDER_NONE)
		r = listening_adopt(&g->listening, fd);
	else
		close_fd(&fd);
	if (r == 0)
		return;
	log_line(LOG_LEVEL_WARNING,
		 "a socket of \"%.*s\" cannot be taken over: %s",
		 (int)min_size(name->len, 64), (const char *)name->at,
		 strerror(-r));
	(void)!report_unclaimed_cookie(g->control, cookie);
}

/* Accepts on what a newer generation leaves behind. */
static void adopt_sockets(struct generation *g)
{
	struct handoff_received *in = &g->received;

	for (size_t i = 0; i < in->fd_count; i++)
		adopt_socket(g, take_fd(&in->fds[i]));
}

static bool is_refresh(struct span line)
{
	static const char verb[] = "refresh";
	size_t at = 0;

	while (at < line.len && line.at[at] == ' ')
		at++;
	return line.len - at >= sizeof(verb) - 1 &&
	       memcmp(line.at + at, verb, sizeof(verb) - 1) == 0;
}

/*
 * Who does not serve yet may have read its files before they changed, and reads
 * them again when it does; of several lines by that which says most.  Nothing
 * else is for one that is new.
 */
static void ask(struct generation *g)
{
	const struct span *line = &g->received.msg.text;
	bool wanted = g->received.fd_count > 0;

	if (g->refresh || wanted)
		refresh_ask(g->refresh, *line,
			    wanted ? take_fd(&g->received.fds[0]) : -1);
	else if (is_refresh(*line) && line->len > strlen(g->asked) &&
		 line->len < sizeof(g->asked))
		memcpy(g->asked, line->at, line->len);
}

/* All that are drained; the others serve. */
static void take_drained(struct generation *g)
{
	struct drained d;

	drained_parse(&d, g->received.msg.text);
	for (size_t i = 0; i < g->conf->listener_count; i++)
		__atomic_store_n(&g->setup.listeners[i].drained,
				 drained_has(&d, g->conf->listeners[i].name),
				 __ATOMIC_RELAXED);
}

/* Those of another version are none: it is as if there were none before. */
static void take_keys(struct generation *g)
{
	const struct span *bytes = &g->received.msg.text;

	if (tls_contexts_take_keys(g->setup.tls, *bytes) < 0)
		log_line(LOG_LEVEL_NOTICE,
			 "TLS clients cannot resume what they began before");
	explicit_bzero(g->received.bytes, sizeof(g->received.bytes));
}

static void obey(struct generation *g)
{
	const struct handoff_msg *m = &g->received.msg;

	switch (m->type) {
	case HANDOFF_ACK:
		g->acked = true;
		break;
	case HANDOFF_GO:
		g->going = true;
		break;
	case HANDOFF_DRAIN:
		give_order(g, ORDER_DRAIN);
		break;
	case HANDOFF_FINISH:
		give_order(g, ORDER_FINISH);
		break;
	case HANDOFF_SHUTDOWN:
		give_order(g, ORDER_SHUTDOWN);
		break;
	case HANDOFF_HALT:
		give_order(g, ORDER_HALT);
		break;
	case HANDOFF_REOPEN:
		log_reopen();
		break;
	case HANDOFF_ADOPT:
		adopt_sockets(g);
		break;
	case HANDOFF_GONE:
		siblings_gone(&g->siblings, m->number);
		quota_keeper_gone(g->quotas, m->number);
		break;
	case HANDOFF_ASK:
		ask(g);
		break;
	case HANDOFF_KEYS_BEFORE:
		take_keys(g);
		break;
	case HANDOFF_SEEN:
		/* Another one serves, by its own configuration. */
		if (g->order == ORDER_DRAIN && m->number &&
		    m->number != g->number)
			admin_stop(g->admin);
		admin_seen(g->admin, &g->received);
		break;
	case HANDOFF_DRAINED:
		take_drained(g);
		break;
	case HANDOFF_SEGMENT:
	case HANDOFF_SOCKETS:
	case HANDOFF_UNCLAIMED:
	case HANDOFF_PREPARED:
	case HANDOFF_FAILED:
	case HANDOFF_ACCEPTING:
	case HANDOFF_STOPPED:
	case HANDOFF_KEYS:
	case HANDOFF_LOOK:
		break; /* ours; or one of a later version, not known here */
	}
}

static void take_messages(struct generation *g)
{
	while (g->control >= 0) {
		int r = handoff_receive(g->control, &g->received, false);

		if (r == -EAGAIN)
			return;
		if (r == -EBADMSG) {
			log_line(LOG_LEVEL_WARNING,
				 "the master sent what is no message");
			continue;
		}
		if (r <= 0) {
			lose_master(g, r < 0 ? strerror(-r) : "");
			return;
		}
		obey(g);
		handoff_received_done(&g->received);
	}
}

/* --- Waiting ------------------------------------------------------------ */

void generation_turn(struct generation *g, int64_t ms)
{
	struct pollfd fds[] = {
		{ .fd = g->signals, .events = POLLIN },
		{ .fd = g->control, .events = POLLIN },
	};

	if (poll(fds, ARRAY_SIZE(fds), ms < 0 ? -1 : (int)ms) <= 0)
		return;
	if (fds[0].revents)
		take_signals(g);
	if (fds[1].revents)
		take_messages(g);
}
