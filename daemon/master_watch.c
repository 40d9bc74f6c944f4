/*
 * What the master looks at by itself: do the loops of its generations run,
 * and what is there to tell.
 */
#include "daemon/log.h"
#include "daemon/master_internal.h"
#include "daemon/notify.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACE_MIN_MS    100
#define PACE_MAX_MS    1000
#define LOOKS          4u /* per watchdog period, as often as loops tick */
#define EXTEND_EACH_MS 2000
#define EXTEND_US      INT64_C(10000000)

/* --- Loops -------------------------------------------------------------- */

/*
 * Looks whether every loop has ticked since the last look.  By what has
 * changed and not by the clock, so that a machine that stood still as a whole
 * hangs nobody.
 */
static void look(struct member *g)
{
	const struct tcp_worker_counts *counts;
	uint32_t count;

	counts = segment_table(g->segment, "workers", sizeof(*counts), &count);
	g->silent = 0;
	for (uint32_t i = 0; i < g->workers; i++) {
		int64_t tick = __atomic_load_n(&counts[i].tick_ms,
					       __ATOMIC_RELAXED);

		if (tick == 0 || tick != g->ticks[i])
			g->silences[i] = 0;
		else if (g->silences[i] < UINT8_MAX)
			g->silences[i]++;
		g->ticks[i] = tick;
		g->silent = max_size(g->silent, g->silences[i]);
	}
	if (g->silent <= LOOKS)
		return;
	log_line(LOG_LEVEL_ERROR,
		 "generation %u hangs, a loop of it was silent for %jd ms "
		 "(timeouts.watchdog): killed",
		 g->number, (intmax_t)g->settings.watchdog_ms);
	(void)kill(g->pid, SIGKILL);
	memset(g->silences, 0, g->workers);
}

static int64_t look_interval(const struct member *g)
{
	if (!g->ticks || !g->silences || g->state == MEMBER_STARTING ||
	    g->settings.watchdog_ms <= 0)
		return 0;
	return max_i64(g->settings.watchdog_ms / LOOKS, PACE_MIN_MS);
}

static void look_at_all(struct master *m, int64_t now, int64_t *pace)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);
		int64_t interval = look_interval(g);

		if (!interval)
			continue;
		*pace = min_i64(*pace, interval);
		if (now - g->looked_ms < interval)
			continue;
		g->looked_ms = now;
		look(g);
	}
}

/* --- The service manager ------------------------------------------------ */

static void feed(struct master *m, int64_t now, int64_t *pace)
{
	int64_t interval = notify_watchdog_usec() / 1000 / 2;

	if (interval <= 0)
		return;
	*pace = min_i64(*pace, max_i64(interval / 2, PACE_MIN_MS));
	/* Fed while somebody serves or is being started, or nobody should. */
	if (!m->stopping && !m->serving && !m->candidate &&
	    !timer_armed(&m->retry))
		return;
	if (now - m->watchdog_fed_ms < interval - *pace)
		return;
	m->watchdog_fed_ms = now;
	(void)notify_watchdog();
}

static void totals(const struct master *m, struct table_totals *ret)
{
	const struct list *at;

	*ret = m->carried;
	for (at = m->members.next; at != &m->members; at = at->next) {
		const struct member *g = list_entry(at, struct member, link);

		if (g->segment)
			table_totals_add(ret, g->segment, true);
	}
}

static void format_status(struct master *m, char *out, size_t size)
{
	size_t others = master_alive(m) - (m->serving ? 1 : 0) -
			(m->candidate ? 1 : 0);
	struct table_totals t;

	totals(m, &t);
	if (m->stopping)
		(void)snprintf(out, size, "Ending, open sessions: %ju",
			       (uintmax_t)t.active);
	else if (!m->serving)
		(void)snprintf(out, size, "Down: no generation serves");
	else
		(void)snprintf(
			out, size,
			"Serving on %.200s; generation %u, draining: %zu; "
			"sessions: %ju%s%.100s",
			m->serving->addresses, m->serving->number, others,
			(uintmax_t)t.active,
			*m->last.error ? "; last reload failed: " : "",
			m->last.error);
}

void master_tell_status(struct master *m)
{
	char status[sizeof(m->status)];

	format_status(m, status, sizeof(status));
	if (strcmp(status, m->status) == 0 && !m->reloading_told)
		return;
	memcpy(m->status, status, sizeof(status));
	if (m->stopping || !m->served) {
		(void)notify_status("%s", status);
		return;
	}
	/* After a reload, failed or not, the manager waits for this. */
	if (m->reloading_told && !m->reload) {
		m->reloading_told = false;
		(void)notify_ready(status);
	} else {
		(void)notify_status("%s", status);
	}
}

void master_tick(struct timer *t)
{
	struct master *m = container_of(t, struct master, tick);
	int64_t now = loop_now(m->loop), pace = PACE_MAX_MS;

	look_at_all(m, now, &pace);
	feed(m, now, &pace);
	if (m->stopping && !m->drained &&
	    now - m->extended_ms >= EXTEND_EACH_MS) {
		m->extended_ms = now;
		format_status(m, m->status, sizeof(m->status));
		(void)notify_extend(EXTEND_US, m->status);
	} else if (!m->candidate) {
		master_tell_status(m);
	}
	/* It was armed before, so there is room for it. */
	(void)!timer_set(m->loop, t, now + pace);
}

/* --- For the control socket --------------------------------------------- */

static const char *state_word(const struct member *g)
{
	switch (g->state) {
	case MEMBER_STARTING:
		return "starting";
	case MEMBER_SERVING:
		return "serving";
	case MEMBER_DRAINING:
		return "draining";
	case MEMBER_ENDING:
		return "ending";
	}
	return "";
}

static size_t show_members(struct master *m)
{
	const struct list *at;
	size_t count = 0;

	free(m->shown);
	m->shown = calloc(master_alive(m) + 1, sizeof(*m->shown));
	for (at = m->members.next; m->shown && at != &m->members;
	     at = at->next) {
		const struct member *g = list_entry(at, struct member, link);

		m->shown[count++] = (struct view_generation){
			.number = g->number,
			.pid = g->pid,
			.state = state_word(g),
			.started_us = g->started_us,
			.segment = g->segment,
		};
	}
	return count;
}

void master_view(void *ctx, struct view *ret)
{
	struct master *m = ctx;

	*ret = (struct view){
		.state = m->stopping  ? "stopping"
			 : m->serving ? "serving"
			 : m->served  ? "down"
				      : "starting",
		.serving = m->serving ? m->serving->number : 0,
		.started_us = m->started_us,
		.addresses = m->serving ? m->serving->addresses : "",
		.reloads = m->reloads,
		.failed_reloads = m->failed_reloads,
		.crashes = m->crashes,
		.reloaded = m->reloads + m->failed_reloads > 0,
		.last = m->last,
		.past = m->look.past,
		.past_count = m->look.past_count,
		.carried = m->carried,
		.drained = &m->drained_listeners,
		.generation_count = show_members(m),
	};
	ret->generations = m->shown;
}
