/*
 * A generation's process from outside: its control socket, its segment, and
 * for how long it is waited for.
 */
#include "daemon/member.h"

#include "daemon/log.h"
#include "daemon/master_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS    90000 /* until a configuration says otherwise */
#define WORKERS_MAX 1024u /* more make no sense, whatever a segment says */

/* --- Sending ------------------------------------------------------------ */

void member_sent(const struct member *g, int r)
{
	if (r == 0 || r == -EPIPE || r == -ECONNRESET)
		return; /* its end is told by SIGCHLD */
	log_line(LOG_LEVEL_WARNING, "generation %u does not listen: %s",
		 g->number, strerror(-r));
}

void member_tell(struct member *g, enum handoff_type type)
{
	if (g->control.fd >= 0)
		member_sent(g, handoff_tell(g->control.fd, type));
}

void member_take_segment(struct member *g, int fd)
{
	if (segment_open(&g->segment, fd) < 0) {
		log_line(LOG_LEVEL_WARNING,
			 "generation %u: its counters cannot be read",
			 g->number);
		return;
	}
	if (!segment_table(g->segment, "workers",
			   sizeof(struct tcp_worker_counts), &g->workers))
		return;
	g->workers = (uint32_t)min_size(g->workers, WORKERS_MAX);
	g->ticks = calloc(g->workers + 1, sizeof(*g->ticks));
	g->silences = calloc(g->workers + 1, sizeof(*g->silences));
}

void member_close_control(struct member *g)
{
	if (g->control.fd < 0)
		return;
	watch_remove(g->master->loop, &g->control);
	close_fd(&g->control.fd);
}

static void readable(struct watch *w)
{
	w->ready = 0;
	member_pump(container_of(w, struct member, control));
}

/* --- Making one --------------------------------------------------------- */

static void out_of_patience(struct timer *t)
{
	struct member *g = container_of(t, struct member, patience);

	if (g->state == MEMBER_STARTING) {
		free(g->failure);
		if (asprintf(&g->failure,
			     "not ready in time (timeouts.start): killed") < 0)
			g->failure = NULL;
	}
	log_line(LOG_LEVEL_WARNING, "generation %u took too long to %s: killed",
		 g->number, g->state == MEMBER_STARTING ? "start" : "end");
	(void)kill(g->pid, SIGKILL);
}

void member_set_patience(struct member *g, int64_t ms)
{
	struct loop *l = g->master->loop;

	/* Without memory for a timer nobody is killed. */
	(void)!timer_set(l, &g->patience, loop_now(l) + ms);
}

struct member *member_new(struct master *m, pid_t pid, int control_fd,
			  uint32_t number)
{
	struct member *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->master = m;
	g->pid = pid;
	g->number = number;
	g->control = (struct watch){ .notify = readable, .fd = control_fd };
	g->patience.fire = out_of_patience;
	g->settings.start_ms = START_MS;
	g->settings.shutdown_ms = START_MS;
	g->settings.generations = UINT32_MAX;
	if (watch_add(m->loop, &g->control, EPOLLIN) < 0) {
		free(g);
		return NULL;
	}
	list_append(&m->members, &g->link);
	return g;
}

void member_free(struct member *g)
{
	list_remove(&g->link);
	timer_stop(g->master->loop, &g->patience);
	member_close_control(g);
	segment_free(g->segment);
	free(g->addresses);
	free(g->failure);
	free(g->ticks);
	free(g->silences);
	free(g);
}
