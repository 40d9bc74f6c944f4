/*
 * What clients of the control socket want done by the master.  Whoever steers
 * is in the log.
 */
#include "daemon/master_control.h"

#include "daemon/log.h"
#include "daemon/peer.h"
#include "daemon/tables.h"

#include <string.h>

static uint64_t ask_reload(void *ctx, int fd)
{
	char who[PEER_BYTES];

	log_line(LOG_LEVEL_NOTICE, "reloading, as %s asks",
		 peer_format(fd, who));
	return master_reload(ctx);
}

static void ask_drain(void *ctx, int fd)
{
	char who[PEER_BYTES];

	log_line(LOG_LEVEL_NOTICE, "draining, as %s asks",
		 peer_format(fd, who));
	master_stop(ctx, false);
}

/* --- Listeners ----------------------------------------------------------- */

void master_tell_drained(struct master *m, struct member *g)
{
	char text[DRAINED_TEXT_BYTES];
	struct handoff_msg msg = {
		.type = HANDOFF_DRAINED,
		.text = { (const uint8_t *)text,
			  drained_format(&m->drained_listeners, text) },
	};

	if (g->control.fd >= 0)
		member_sent(g, handoff_send(g->control.fd, &msg, NULL, 0));
}

static bool has_listener(const struct segment *s, const char *name)
{
	struct table_name listener;
	uint32_t count = 0;

	(void)segment_table(s, "listeners", sizeof(listener), &count);
	for (unsigned i = 1; i <= count && i <= UINT16_MAX; i++) {
		table_name_read(&listener, s, "listeners", i);
		if (strcmp(listener.text, name) == 0)
			return true;
	}
	return false;
}

/* One that was drained may be gone from the configuration. */
static int ask_drain_listener(void *ctx, const char *name, bool on, int fd)
{
	struct master *m = ctx;
	struct list *at, *safe;
	char who[PEER_BYTES];
	int r;

	if (on && (!*name || !m->serving || !m->serving->segment ||
		   !has_listener(m->serving->segment, name)))
		return -ENOENT;
	r = drained_set(&m->drained_listeners, name, on);
	if (r < 0)
		return r;
	log_line(LOG_LEVEL_NOTICE, "listener \"%s\" %s, as %s asks", name,
		 on ? "is drained: requests are answered by maintenance"
		    : "serves again",
		 peer_format(fd, who));
	list_for_each_safe (at, safe, &m->members)
		master_tell_drained(m, list_entry(at, struct member, link));
	return 0;
}

/* --- Generations --------------------------------------------------------- */

static struct member *member_of(struct master *m, uint32_t to)
{
	struct list *at, *safe;

	if (to == CONTROL_TO_SERVING || to == CONTROL_TO_ALL)
		return m->serving;
	list_for_each_safe (at, safe, &m->members)
		if (list_entry(at, struct member, link)->number == to)
			return list_entry(at, struct member, link);
	return NULL;
}

/* See struct control_ops; -errno of handoff_send(). */
static int ask_generations(void *ctx, const char *line, int fd, uint32_t to)
{
	struct master *m = ctx;
	struct member *who = member_of(m, to);
	struct handoff_msg msg = {
		.type = HANDOFF_ASK,
		.text = { (const uint8_t *)line, strlen(line) },
	};
	struct list *at, *safe;
	int r;

	if (!who || who->control.fd < 0)
		return -ESRCH;
	r = handoff_send(who->control.fd, &msg, &fd, 1);
	if (r < 0 || to != CONTROL_TO_ALL)
		return r;
	list_for_each_safe (at, safe, &m->members) {
		struct member *g = list_entry(at, struct member, link);

		if (g != who && g->control.fd >= 0)
			member_sent(g,
				    handoff_send(g->control.fd, &msg, NULL, 0));
	}
	return 0;
}

const struct control_ops master_control_ops = {
	.view = master_view,
	.reload = ask_reload,
	.drain = ask_drain,
	.drain_listener = ask_drain_listener,
	.pass_on = ask_generations,
};
