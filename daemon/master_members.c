/*
 * The master's generations: what they say, and how they end.
 */
#include "daemon/log.h"
#include "daemon/master_internal.h"
#include "daemon/master_state.h"
#include "daemon/notify.h"
#include "daemon/tables.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

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

static void take_sockets(struct member *g, struct handoff_received *r)
{
	struct master *m = g->master;
	char *name = text_of(&r->msg);
	struct held_socket like = {
		.opened_by = g->state == MEMBER_STARTING ? g->number : 0,
	};

	if (!name || !notify_name_valid(name) ||
	    (g->state != MEMBER_STARTING && g != m->serving)) {
		/* Opened in the moment of its end: its successor looks, too. */
		free(name);
		member_tell(g, HANDOFF_ACK);
		return;
	}
	for (size_t i = 0; name && i < r->fd_count; i++) {
		int error = held_add(&m->held, take_fd(&r->fds[i]), name,
				     &like);

		if (error < 0 && error != -EEXIST)
			log_line(LOG_LEVEL_ERROR,
				 "a socket of listener \"%s\" cannot be held: "
				 "%s",
				 name, strerror(-error));
	}
	free(name);
	member_tell(g, HANDOFF_ACK);
	if (g->state != MEMBER_STARTING) {
		held_store(&m->held);
		master_use_control(m);
		/* The one that is about to serve has not got them. */
		if (m->candidate)
			(void)master_reload(m);
	}
}

static void take_unclaimed(struct member *g, const struct handoff_msg *msg)
{
	for (size_t i = 0; i < msg->cookie_count; i++) {
		struct held_socket *s;
		uint64_t cookie;

		memcpy(&cookie, (const char *)msg->cookies + i * sizeof(cookie),
		       sizeof(cookie));
		s = held_find(&g->master->held, cookie);
		if (s && !s->from_unit)
			s->unclaimed_by = g->number;
	}
	if (g->state != MEMBER_STARTING)
		master_close_unclaimed(g->master);
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
	g->stopped = true;
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
		if (g != g->master->candidate)
			break;
		g->addresses = text_of(&r->msg);
		master_candidate_accepts(g->master);
		break;
	case HANDOFF_STOPPED:
		take_stopped(g);
		break;
	default: /* of a newer version */
		break;
	}
}

/* Takes all that is there; a process that closes its end must end, too. */
void member_pump(struct member *g)
{
	struct handoff_received *r = &g->master->received;

	while (g->control.fd >= 0) {
		int n = handoff_receive(g->control.fd, r, false);

		if (n == -EAGAIN)
			return;
		if (n == -EBADMSG) {
			log_line(LOG_LEVEL_WARNING,
				 "generation %u: a message makes no sense",
				 g->number);
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
	for (size_t i = 0; i < m->held.count;) {
		struct held_socket *s = &m->held.at[i];
		bool starting = m->candidate &&
				m->candidate->number == s->unclaimed_by;

		if (s->unclaimed_by && !starting &&
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

		if (s->is_unix && !s->unclaimed_by && !s->opened_by)
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

	/* Out of the list first: the next one must not inherit of it. */
	list_remove(&g->link);
	if (g->segment)
		table_totals_add(&m->carried, g->segment, false);
	tell_gone(m, g->number);
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
			member_pump(g); /* its last words */
			bury(m, g, status);
		}
	}
}
