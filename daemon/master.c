/*
 * The master's life: signals, the end, and what it is made of.  All of it
 * runs on one loop in one thread.
 */
#include "daemon/master.h"

#include "daemon/log.h"
#include "daemon/master_control.h"
#include "daemon/master_state.h"
#include "daemon/notify.h"
#include "daemon/spawn.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

/* --- The end ------------------------------------------------------------ */

void master_check_end(struct master *m)
{
	if (m->stopping && list_empty(&m->members))
		loop_stop(m->loop);
}

static void give_up_candidate(struct master *m)
{
	struct member *g = m->candidate;

	if (!g)
		return;
	/* One that was told to go may have accepted somebody. */
	if (!g->prepared)
		(void)kill(g->pid, SIGKILL);
	timer_stop(m->loop, &g->patience);
	g->state = MEMBER_ENDING;
	m->candidate = NULL;
}

/* Whoever waits for a reload waits in vain. */
static void give_up_reloads(struct master *m)
{
	const struct view_reload none = { .error = "the daemon ends" };

	control_reloaded(m->control, UINT64_MAX, &none);
	m->reload = 0;
	m->reload_again = m->reexec_wanted = false;
}

static void end_member(struct master *m, struct member *g, bool bound)
{
	g->state = MEMBER_ENDING;
	member_tell(g, m->halting ? HANDOFF_HALT
		       : bound    ? HANDOFF_SHUTDOWN
				  : HANDOFF_DRAIN);
	if (m->halting)
		member_set_patience(g, 5000);
	else if (bound)
		member_set_patience(g, g->settings.shutdown_ms + 5000);
}

static void end_all(struct master *m, bool bound)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members)
		end_member(m, list_entry(at, struct member, link), bound);
}

void master_stop(struct master *m, bool bound)
{
	if (m->stopping && (!bound || !m->drained))
		return;
	if (!m->stopping)
		log_line(LOG_LEVEL_NOTICE, "ending: %zu generations",
			 master_alive(m));
	m->stopping = true;
	m->drained = !bound;
	timer_stop(m->loop, &m->retry);
	/* After a drain "stop" must still mean to stop: no word of it. */
	if (bound)
		(void)notify_stopping("waiting for sessions to end");
	give_up_candidate(m);
	give_up_reloads(m);
	end_all(m, bound);
	master_check_end(m);
}

void master_halt(struct master *m)
{
	if (!m->stopping)
		(void)notify_stopping("ending at once");
	m->stopping = m->halting = true;
	timer_stop(m->loop, &m->retry);
	give_up_candidate(m);
	give_up_reloads(m);
	end_all(m, true);
	master_check_end(m);
}

/* --- Signals ------------------------------------------------------------ */

static void reopen_logs(struct master *m)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members)
		member_tell(list_entry(at, struct member, link),
			    HANDOFF_REOPEN);
}

static void take_signal(struct master *m, int signal)
{
	switch (signal) {
	case SIGCHLD:
		master_reap(m);
		break;
	case SIGHUP:
		log_line(LOG_LEVEL_NOTICE, "SIGHUP: reloading");
		(void)master_reload(m);
		break;
	case SIGUSR1:
		reopen_logs(m);
		break;
	case SIGUSR2:
		if (m->stopping)
			break;
		m->reexec_wanted = true;
		if (!m->candidate)
			master_reexec(m);
		break;
	case SIGTERM:
		if (m->stopping && !m->drained)
			master_halt(m);
		else
			master_stop(m, true);
		break;
	case SIGINT:
		master_halt(m);
		break;
	default:
		break;
	}
}

static void signalled(struct watch *w)
{
	struct master *m = container_of(w, struct master, signals);
	struct signalfd_siginfo info;

	w->ready = 0;
	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		take_signal(m, (int)info.ssi_signo);
}

static int watch_signals(struct master *m)
{
	static const int wanted[] = { SIGTERM, SIGINT,  SIGHUP,
				      SIGUSR1, SIGUSR2, SIGCHLD };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)sigaddset(&set, wanted[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	m->signals.notify = signalled;
	m->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signals.fd < 0)
		return -errno;
	return watch_add(m->loop, &m->signals, EPOLLIN);
}

/* --- Making it ---------------------------------------------------------- */

static int make(struct master *m)
{
	struct timespec now;
	int r = loop_new(&m->loop);

	if (r == 0)
		r = watch_signals(m);
	if (r == 0)
		r = control_new(&m->control, m->loop, &master_control_ops, m);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	m->started_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	m->retry.fire = master_retry;
	m->tick.fire = master_tick;
	m->last.error = "";
	if (r == 0)
		r = timer_set(m->loop, &m->tick, loop_now(m->loop) + 250);
	return r;
}

static void unmake(struct master *m)
{
	while (!list_empty(&m->members))
		member_free(list_first(&m->members, struct member, link));
	control_free(m->control);
	held_done(&m->held);
	segment_free(m->look.buried);
	close_fd(&m->signals.fd);
	loop_free(m->loop);
	free(m->last_error);
	free(m->shown);
}

/* --- Start -------------------------------------------------------------- */

/* What an earlier image of this process left, or what systemd passed. */
static int take_over(struct master *m)
{
	const char *state = getenv(MASTER_STATE_ENV);
	int r;

	if (!state) {
		r = held_take_passed(&m->held);
		if (r < 0)
			log_line(LOG_LEVEL_ERROR,
				 "the service manager's sockets cannot be "
				 "taken: %s",
				 strerror(-r));
		return r;
	}
	r = master_restore(m, (int)strtol(state, NULL, 10));
	(void)unsetenv(MASTER_STATE_ENV);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR,
			 "the state of the program before cannot be read: %s",
			 strerror(-r));
	return r;
}

static int start(struct master *m)
{
	int r = spawn_path(m->argv[0], m->path, sizeof(m->path));

	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "cannot find %s: %s", m->argv[0],
			 strerror(-r));
		return r;
	}
	r = make(m);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "cannot start: %s", strerror(-r));
		return r;
	}
	r = take_over(m);
	if (r < 0)
		return r;
	if (!m->served)
		return master_start_generation(m);
	master_reap(m); /* SIGCHLD of before may be gone */
	if (!m->serving) {
		master_recover(m);
		return 0;
	}
	log_line(LOG_LEVEL_NOTICE, "the program was replaced: reloading");
	(void)master_reload(m);
	return 0;
}

int master_run(const struct options *o UNUSED, char **argv)
{
	struct master *m = calloc(1, sizeof(*m));
	int code;

	if (!m)
		return EXIT_FAILED;
	m->argv = argv;
	m->signals.fd = -1;
	list_init(&m->members);
	if (start(m) == 0)
		loop_run(m->loop);
	else
		m->exit_code = EXIT_FAILED;
	unmake(m);
	code = m->exit_code;
	if (m->stopping)
		log_line(LOG_LEVEL_NOTICE, "spliced has ended");
	free(m);
	return code;
}
