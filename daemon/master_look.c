/*
 * What the master knows and lets others look at: the last reloads, what dead
 * generations have counted, and both of them, with the segments of those that
 * live, for a generation that asks on behalf of its clients.
 */
#include "daemon/answer.h"
#include "daemon/log.h"
#include "daemon/master_internal.h"
#include "daemon/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t realtime_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- The last reloads ---------------------------------------------------- */

static void keep(struct master *m, const struct view_past_reload *r)
{
	if (m->look.past_count == VIEW_PAST_RELOADS) {
		memmove(m->look.past, m->look.past + 1,
			(VIEW_PAST_RELOADS - 1) * sizeof(*m->look.past));
		m->look.past_count--;
	}
	m->look.past[m->look.past_count++] = *r;
}

void master_note_reload(struct master *m)
{
	struct view_past_reload r = { .at_us = realtime_us(),
				      .ok = m->last.ok,
				      .generation = m->last.generation,
				      .ms = m->last.ms };

	if (!r.ok)
		(void)snprintf(r.error, sizeof(r.error), "%s", m->last.error);
	keep(m, &r);
}

/* --- The dead ------------------------------------------------------------ */

void master_bury_counts(struct master *m, const struct segment *dead)
{
	struct segment *fresh = NULL;
	int r = metrics_bury(&fresh, m->look.buried, dead);

	if (r < 0)
		log_line(LOG_LEVEL_WARNING,
			 "what a generation has counted is lost: %s",
			 strerror(-r));
	if (!fresh)
		return;
	segment_free(m->look.buried);
	m->look.buried = fresh;
}

/* --- Over an upgrade ----------------------------------------------------- */

void master_look_write(const struct master *m, FILE *f)
{
	for (size_t i = 0; i < m->look.past_count; i++) {
		const struct view_past_reload *r = &m->look.past[i];
		char error[sizeof(r->error)];
		size_t len = strlen(r->error);

		for (size_t k = 0; k <= len; k++)
			error[k] = r->error[k] == '\n' ? '\t' : r->error[k];
		(void)fprintf(f, "reload %" PRId64 " %d %u %" PRId64 " %s\n",
			      r->at_us, r->ok, r->generation, r->ms, error);
	}
	if (m->look.buried)
		(void)fprintf(f, "buried %d\n", segment_fd(m->look.buried));
}

bool master_look_read(struct master *m, const char *line)
{
	struct view_past_reload r = { 0 };
	int ok, text = 0, fd;

	if (sscanf(line, "buried %d", &fd) == 1) {
		segment_free(TAKE_PTR(m->look.buried));
		return segment_open(&m->look.buried, fd) == 0;
	}
	if (sscanf(line, "reload %" SCNd64 " %d %u %" SCNd64 " %n", &r.at_us,
		   &ok, &r.generation, &r.ms, &text) != 4 ||
	    !text)
		return false;
	r.ok = ok;
	(void)snprintf(r.error, sizeof(r.error), "%s", line + text);
	for (char *at = r.error; *at; at++)
		if (*at == '\t')
			*at = '\n';
	keep(m, &r);
	return true;
}

void master_look_over_exec(const struct master *m, bool keep_open)
{
	if (m->look.buried)
		(void)fcntl(segment_fd(m->look.buried), F_SETFD,
			    keep_open ? 0 : FD_CLOEXEC);
}

/* --- For a generation ---------------------------------------------------- */

/* The oldest are left out where there are too many. */
static size_t collect(const struct master *m, const struct view *v, int *fds)
{
	size_t at = HANDOFF_FDS_MAX, room = m->look.buried ? 1 : 0;

	for (size_t i = v->generation_count; i > 0 && at > room; i--)
		if (v->generations[i - 1].segment)
			fds[--at] = segment_fd(v->generations[i - 1].segment);
	if (m->look.buried)
		fds[--at] = segment_fd(m->look.buried);
	memmove(fds, fds + at, (HANDOFF_FDS_MAX - at) * sizeof(*fds));
	return HANDOFF_FDS_MAX - at;
}

void master_show(struct member *g)
{
	struct master *m = g->master;
	struct handoff_msg msg = { .type = HANDOFF_SEEN };
	int fds[HANDOFF_FDS_MAX];
	struct view v;
	char *text;

	master_view(m, &v);
	text = answer_overview(&v, realtime_us());
	if (text && strlen(text) > HANDOFF_TEXT_MAX) {
		free(text);
		v.past_count = 0; /* what may be long */
		text = answer_overview(&v, realtime_us());
	}
	if (!text || strlen(text) > HANDOFF_TEXT_MAX) {
		free(text);
		return; /* whoever asks gives up after a while */
	}
	msg.number = v.serving;
	msg.text = (struct span){ (const uint8_t *)text, strlen(text) };
	member_sent(
		g, handoff_send(g->control.fd, &msg, fds, collect(m, &v, fds)));
	free(text);
}
