/*
 * The master's generations: what they say, and how they end.
 */
#include "daemon/log.h"
#include "daemon/master_internal.h"
#include "daemon/master_state.h"
#include "daemon/tables.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PUMP_MAX      64   /* messages a turn */
#define ADDRESSES_MAX 1023 /* bytes of HANDOFF_ACCEPTING's text */

/* --- Sending ------------------------------------------------------------ */

static void tell_gone(struct master *m, uint32_t number)
{
	struct handoff_msg msg = { .type = HANDOFF_GONE, .number = number };
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);

		if (g->number != number && g->control.fd >= 0)
			member_sent(g,
				    handoff_send(g->control.fd, &msg, NULL, 0));
	}
}

/* --- Receiving ---------------------------------------------------------- */

static char *text_of(const struct handoff_msg *msg)
{
	char *text = strndup((const char *)msg->text.at, msg->text.len);

	return text ? text : strdup("");
}

/*
 * The same as one line of a bounded length: it goes where lines have a
 * meaning, and where a longer one would be read as two.
 */
static char *line_of(const struct handoff_msg *msg)
{
	char *text = strndup((const char *)msg->text.at,
			     min_size(msg->text.len, ADDRESSES_MAX));

	for (char *at = text; at && *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	return text;
}

/*
 * Whoever serves or is about to; one that serves may have been broken into:
 * it brings no control socket, and UNIX sockets by the name of a listener's
 * only.
 */
static bool may_bring(const struct member *g, const char *name, int fd)
{
	const struct master *m = g->master;
	int listening = 0, domain = 0;
	socklen_t len = sizeof(int);

	if (g == m->candidate)
		return true;
	return g == m->serving && strcmp(name, HELD_CONTROL) != 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) ==
		       0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       listening && (domain != AF_UNIX || !strcmp(name, HELD_UNIX));
}

static void take_socket(struct member *g, const char *name, int fd)
{
	struct master *m = g->master;
	const struct held_socket like = {
		.opened_by = g == m->candidate ? g->number : 0,
		.late = m->candidate && g != m->candidate,
	};
	int r = held_add(&m->held, fd, name, &like);

	if (r < 0 && r != -EEXIST)
		log_line(LOG_LEVEL_ERROR,
			 "a socket of generation %u cannot be held: %s",
			 g->number, strerror(-r));
}

/* What is not held ends with its generation, and its successor looks, too. */
static void take_sockets(struct member *g, struct handoff_received *r)
{
	struct master *m = g->master;
	char *name = text_of(&r->msg);

	for (size_t i = 0; name && i < r->fd_count; i++)
		if (may_bring(g, name, r->fds[i]))
			take_socket(g, name, take_fd(&r->fds[i]));
	free(name);
	member_tell(g, HANDOFF_ACK);
	if (g == m->candidate)
		return;
	held_store(&m->held);
	/* The one that is about to serve was not passed them. */
	if (g == m->serving && m->candidate)
		(void)master_reload(m);
}

static void take_unclaimed(struct member *g, const struct handoff_msg *msg)
{
	struct master *m = g->master;

	if (g != m->candidate && g != m->serving)
		return;
	for (size_t i = 0; i < msg->cookie_count; i++) {
		struct held_socket *s = held_find(&m->held,
						  handoff_cookie(msg, i));

		if (!s || s->from_unit)
			continue;
		if (g == m->candidate)
			s->disclaimed = true;
		else if (!s->is_control)
			s->unclaimed_by = g->number;
	}
	master_close_unclaimed(m);
}

static void take_prepared(struct member *g, const struct handoff_msg *msg)
{
	if (g != g->master->candidate || g->prepared)
		return;
	g->settings = msg->settings;
	if (g->settings.generations < 1)
		g->settings.generations = 1;
	g->prepared = true;
	member_tell(g, HANDOFF_GO);
}

static void take_stopped(struct member *g)
{
	struct master *m = g->master;

	g->stopped = true;
	if (g == m->serving && !m->stopping) {
		/* Somebody has told it to end: clients wait. */
		m->serving = NULL;
		g->state = MEMBER_DRAINING;
		master_recover(m);
	}
	master_close_unclaimed(g->master);
	master_close_when_stopped(g->master);
}

static void take_message(struct member *g, struct handoff_received *r)
{
	switch (r->msg.type) {
	case HANDOFF_SEGMENT:
		if (r->fd_count && !g->segment)
			member_take_segment(g, take_fd(&r->fds[0]));
		break;
	case HANDOFF_SOCKETS:
		take_sockets(g, r);
		break;
	case HANDOFF_UNCLAIMED:
		take_unclaimed(g, &r->msg);
		break;
	case HANDOFF_PREPARED:
		take_prepared(g, &r->msg);
		break;
	case HANDOFF_FAILED:
		free(g->failure);
		g->failure = text_of(&r->msg);
		break;
	case HANDOFF_ACCEPTING:
		if (g != g->master->candidate || g->dead)
			break;
		free(g->addresses);
		g->addresses = line_of(&r->msg);
		master_candidate_accepts(g->master);
		break;
	case HANDOFF_STOPPED:
		take_stopped(g);
		break;
	case HANDOFF_KEYS:
		master_take_keys(g, &r->msg);
		break;
	case HANDOFF_LOOK:
		master_show(g);
		break;
	default: /* of a newer version */
		break;
	}
}

/* Takes all that is there; a process that closes its end must end, too. */
void member_pump(struct member *g)
{
	struct handoff_received *r = &g->master->received;

	/* Level-triggered: what is left brings the next event. */
	for (int i = 0; i < PUMP_MAX && g->control.fd >= 0; i++) {
		int n = handoff_receive(g->control.fd, r, false);

		if (n == -EAGAIN)
			return;
		if (n == -EBADMSG) {
			if (!g->babbles)
				log_line(LOG_LEVEL_WARNING,
					 "generation %u: a message makes no "
					 "sense",
					 g->number);
			g->babbles = true;
			continue;
		}
		if (n <= 0) {
			member_close_control(g);
			member_set_patience(g, 5000);
			return;
		}
		take_message(g, r);
		handoff_received_done(r);
	}
}

/* --- Sockets ------------------------------------------------------------ */

size_t master_alive(const struct master *m)
{
	const struct list *at;
	size_t count = 0;

	for (at = m->members.next; at != &m->members; at = at->next)
		count++;
	return count;
}

static bool somebody_older_accepts(const struct master *m, uint32_t number)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);

		if (g->number < number && !g->stopped &&
		    g->state != MEMBER_STARTING)
			return true;
	}
	return false;
}

void master_close_unclaimed(struct master *m)
{
	/* One that is starting was passed them and may want them. */
	if (m->candidate)
		return;
	for (size_t i = 0; i < m->held.count;) {
		struct held_socket *s = &m->held.at[i];

		if (s->unclaimed_by &&
		    !somebody_older_accepts(m, s->unclaimed_by))
			held_close(&m->held, s);
		else
			i++;
	}
	held_store(&m->held);
}

void master_close_when_stopped(struct master *m)
{
	struct list *at, *safe;

	if (!m->stopping)
		return;
	list_for_each_safe (at, safe, &m->members)
		if (!list_entry(at, struct member, link)->stopped)
			return;
	/* Whoever stops a service may start it again; a drain is for good. */
	if (m->drained)
		held_unstore(&m->held);
	held_let_go(&m->held);
}

void master_use_control(struct master *m)
{
	int fd = -1, r;

	for (size_t i = 0; i < m->held.count; i++) {
		const struct held_socket *s = &m->held.at[i];

		if (s->is_control && !s->unclaimed_by && !s->opened_by)
			fd = s->fd;
	}
	r = control_listen(m->control, fd);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "the control socket fails: %s",
			 strerror(-r));
}

/* --- The end of one ----------------------------------------------------- */

static const char *how_it_ended(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(out, size, "was ended by SIG%s",
			       sigabbrev_np(WTERMSIG(status))
				       ? sigabbrev_np(WTERMSIG(status))
				       : "?");
	else
		(void)snprintf(out, size, "ended with status %d",
			       WEXITSTATUS(status));
	return out;
}

static uint64_t sessions_of(const struct member *g)
{
	struct table_totals t = { 0 };

	if (g->segment)
		table_totals_add(&t, g->segment, true);
	return t.active;
}

static void report_end(struct master *m, const struct member *g, int status)
{
	char how[64];
	bool crash = WIFSIGNALED(status) || WEXITSTATUS(status) != 0;

	(void)how_it_ended(status, how, sizeof(how));
	if (m->stopping && !g->addresses)
		return; /* given up before it served */
	if (crash || (g == m->serving && !m->stopping))
		log_line(LOG_LEVEL_ERROR,
			 "generation %u (process %d) %s; sessions lost: %ju",
			 g->number, (int)g->pid, how,
			 (uintmax_t)sessions_of(g));
}

/* What is left to do when a generation is gone. */
static void bury(struct master *m, struct member *g, int status)
{
	bool was_serving = g == m->serving;
	bool was_candidate = g == m->candidate;

	if (g->segment) {
		table_totals_add(&m->carried, g->segment, false);
		master_bury_counts(m, g->segment);
	}
	tell_gone(m, g->number);
	/* Out of the list now: the next one must not inherit of it. */
	list_remove(&g->link);
	if (was_candidate) {
		char how[64];

		m->candidate = NULL;
		master_candidate_failed(
			m, g,
			g->failure ? g->failure
				   : how_it_ended(status, how, sizeof(how)),
			WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	} else {
		report_end(m, g, status);
	}
	if (was_serving) {
		m->serving = NULL;
		if (!m->stopping) {
			m->crashes++;
			master_recover(m);
		}
	}
	member_free(g);
	master_close_unclaimed(m);
	master_close_when_stopped(m);
	master_tell_status(m);
	master_check_end(m);
}

static struct member *find(struct master *m, pid_t pid)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members)
		if (list_entry(at, struct member, link)->pid == pid)
			return list_entry(at, struct member, link);
	return NULL;
}

void master_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct member *g = find(m, pid);

		if (pid == m->trial) {
			master_tried(m, status);
		} else if (g) {
			g->dead = true;
			member_pump(g); /* its last words */
			bury(m, g, status);
		}
	}
}
