/*
 * A new generation beside the old one: reloads, one at a time, and recovery
 * after a crash.
 */
#include "daemon/log.h"
#include "daemon/master_control.h"
#include "daemon/master_state.h"
#include "daemon/notify.h"
#include "daemon/spawn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BACK_OFF_MIN_MS 100
#define BACK_OFF_MAX_MS 30000
#define STEADY_MS       60000 /* served for so long: the next crash is new */

/* --- Starting one ------------------------------------------------------- */

/* What a generation gets: all sockets, and the segments of the living. */
struct luggage {
	int *fds;
	const char **names;
	size_t count;
};

static int pack(const struct master *m, struct luggage *l)
{
	size_t most = m->held.count + master_alive(m) + 1;
	struct list *at;

	l->fds = calloc(most, sizeof(*l->fds));
	l->names = calloc(most, sizeof(*l->names));
	if (!l->fds || !l->names)
		return -ENOMEM;
	for (size_t i = 0; i < m->held.count; i++) {
		l->fds[l->count] = m->held.at[i].fd;
		l->names[l->count++] = m->held.at[i].name;
	}
	for (at = m->members.next; at != &m->members; at = at->next) {
		const struct member *g = list_entry(at, struct member, link);

		if (!g->segment)
			continue;
		l->fds[l->count] = segment_fd(g->segment);
		l->names[l->count++] = "segment";
	}
	return 0;
}

static void unpack(struct luggage *l)
{
	free(l->fds);
	free(l->names);
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Forks; `pair` is the control socketpair, of which [0] is ours. */
static int start_with(struct master *m, const struct luggage *l, int pair[2])
{
	struct spawn s = {
		.path = m->path,
		.argv = m->argv,
		.number = m->last_number + 1,
		.control = pair[1],
		.fds = l->fds,
		.names = l->names,
		.count = l->count,
	};
	pid_t pid = spawn_generation(&s);
	struct member *g;

	if (pid < 0)
		return (int)pid;
	g = member_new(m, pid, pair[0], s.number);
	if (!g) /* it finds the other end closed, and ends */
		return -ENOMEM;
	pair[0] = -1;
	m->last_number = s.number;
	g->started_us = now_us();
	if (m->served)
		g->settings = m->settings;
	m->candidate = g;
	member_set_patience(g, g->settings.start_ms);
	master_give_keys(m, g);
	if (m->drained_listeners.count)
		master_tell_drained(m, g);
	return 0;
}

int master_start_generation(struct master *m)
{
	struct luggage l = { 0 };
	int pair[2] = { -1, -1 };
	int r = pack(m, &l);

	if (r == 0)
		r = handoff_pair(pair);
	if (r == 0)
		r = start_with(m, &l, pair);
	unpack(&l);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot start a generation: %s",
			 strerror(-r));
	return r;
}

/* --- Reloads ------------------------------------------------------------ */

/* Tells everybody who asked how it went. */
static void settle(struct master *m, bool ok, const char *why)
{
	if (!m->reload)
		return;
	free(m->last_error);
	m->last_error = strdup(why);
	m->last = (struct view_reload){
		.ok = ok,
		.generation = m->serving ? m->serving->number : 0,
		.ms = loop_now(m->loop) - m->reload_began_ms,
		.error = m->last_error ? m->last_error : "",
	};
	if (ok)
		m->reloads++;
	else
		m->failed_reloads++;
	master_note_reload(m);
	control_reloaded(m->control, m->reload, &m->last);
	m->reload = 0;
}

static void begin_reload(struct master *m)
{
	int r;

	m->reload = ++m->last_reload;
	m->reload_began_ms = loop_now(m->loop);
	m->reloading_told = notify_reloading("reloading") > 0;
	timer_stop(m->loop, &m->retry);
	r = master_start_generation(m);
	if (r == 0)
		return;
	settle(m, false, strerror(-r));
	master_tell_status(m);
	if (!m->serving)
		master_recover(m);
}

uint64_t master_reload(struct master *m)
{
	if (m->stopping)
		return 0;
	if (m->candidate || m->trial) {
		/* It may have read the files before they changed. */
		m->reload_again = true;
		return m->last_reload + 1;
	}
	begin_reload(m);
	return m->last_reload;
}

/* What waited for the candidate to become one thing or the other. */
static void go_on(struct master *m)
{
	if (m->stopping || m->candidate)
		return;
	if (m->reexec_wanted)
		master_reexec(m);
	if (m->reload_again && !m->trial) {
		m->reload_again = false;
		begin_reload(m);
	}
}

/* --- Success ------------------------------------------------------------ */

static void drain_others(struct master *m)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);

		if (g == m->serving || g->state != MEMBER_SERVING)
			continue;
		g->state = MEMBER_DRAINING;
		member_tell(g, HANDOFF_DRAIN);
	}
}

/* The oldest give way where there are more than there may be. */
static void thin_out(struct master *m)
{
	size_t alive = master_alive(m), most = m->serving->settings.generations;
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);

		if (alive <= most)
			return;
		if (g == m->serving)
			continue;
		alive--;
		if (g->state != MEMBER_DRAINING)
			continue;
		log_line(LOG_LEVEL_WARNING,
			 "more than %zu generations (limits.generations): "
			 "generation %u has to end",
			 most, g->number);
		g->state = MEMBER_ENDING;
		member_tell(g, HANDOFF_FINISH);
		member_set_patience(g, 5000);
	}
}

void master_candidate_accepts(struct master *m)
{
	struct member *g = m->candidate;
	bool first = !m->served;

	timer_stop(m->loop, &g->patience);
	g->state = MEMBER_SERVING;
	m->candidate = NULL;
	m->serving = g;
	m->served = true;
	m->settings = g->settings;
	for (size_t i = 0; i < m->held.count; i++) {
		struct held_socket *s = &m->held.at[i];

		s->unclaimed_by = s->disclaimed || s->late ? g->number : 0;
		s->disclaimed = s->late = false;
		s->opened_by = 0;
	}
	master_use_control(m);
	drain_others(m);
	thin_out(m);
	master_close_unclaimed(m);
	held_store(&m->held);
	settle(m, true, "");
	if (first)
		(void)notify_ready(g->addresses);
	master_tell_status(m);
	go_on(m);
}

/* --- Failure ------------------------------------------------------------ */

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/* Somebody may wait in this socket's queue already. */
static void hand_over(struct master *m, struct held_socket *s)
{
	struct handoff_msg msg = {
		.type = HANDOFF_ADOPT,
		.text = { .at = (const uint8_t *)s->name,
			  .len = strlen(s->name) },
	};

	s->opened_by = 0;
	if (m->serving && m->serving->control.fd >= 0)
		member_sent(m->serving, handoff_send(m->serving->control.fd,
						     &msg, &s->fd, 1));
}

/* What a failed generation has brought goes; what it disdained stays. */
static void undo(struct master *m, uint32_t number)
{
	for (size_t i = 0; i < m->held.count;) {
		struct held_socket *s = &m->held.at[i];

		s->disclaimed = s->late = false;
		if (s->opened_by == number && !s->is_control &&
		    is_listening(s->fd)) {
			hand_over(m, s);
		} else if (s->opened_by == number) {
			held_close(&m->held, s);
			continue;
		}
		i++;
	}
}

/* The log takes a line; a reason may have several. */
static void log_reason(uint32_t number, const char *why)
{
	while (*why) {
		size_t len = strcspn(why, "\n");

		if (len)
			log_line(LOG_LEVEL_ERROR,
				 "generation %u did not start: %.*s", number,
				 (int)min_size(len, 1000), why);
		why += len + (why[len] == '\n');
	}
}

void master_candidate_failed(struct master *m, struct member *g,
			     const char *why, int code)
{
	undo(m, g->number);
	if (!m->served && !m->stopping) {
		/* One that failed in order has said why by itself. */
		if (code < 0 || code == 127)
			log_reason(g->number, why);
		/* What came from outside may not come again. */
		m->exit_code = code < 0                 ? EXIT_KILLED
			       : code > 0 && code < 127 ? code
							: EXIT_FAILED;
		loop_stop(m->loop);
		return;
	}
	log_reason(g->number, why);
	if (m->reload && m->serving)
		log_line(LOG_LEVEL_ERROR,
			 "the reload failed, generation %u goes on",
			 m->serving->number);
	settle(m, false, why);
	if (m->stopping)
		return;
	if (!m->serving && !m->reload_again)
		master_recover(m);
	go_on(m);
}

void master_recover(struct master *m)
{
	int64_t now = loop_now(m->loop);

	if (m->candidate || m->stopping || timer_armed(&m->retry))
		return;
	if (now - m->crashed_ms > STEADY_MS)
		m->back_off_ms = 0;
	m->crashed_ms = now;
	if (!m->back_off_ms && master_start_generation(m) == 0) {
		m->back_off_ms = BACK_OFF_MIN_MS;
		return;
	}
	if (m->back_off_ms < BACK_OFF_MIN_MS)
		m->back_off_ms = BACK_OFF_MIN_MS;
	log_line(LOG_LEVEL_WARNING, "the next start is tried in %jd ms",
		 (intmax_t)m->back_off_ms);
	(void)!timer_set(m->loop, &m->retry, now + m->back_off_ms);
	m->back_off_ms = min_i64(m->back_off_ms * 2, BACK_OFF_MAX_MS);
}

void master_retry(struct timer *t)
{
	struct master *m = container_of(t, struct master, retry);

	if (m->serving || m->candidate || m->stopping)
		return;
	if (master_start_generation(m) < 0)
		master_recover(m);
}
