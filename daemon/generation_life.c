/*
 * Serving and ending, in the main thread, which has little to do: it looks
 * again for addresses that were missing, shares the limit of sessions with
 * other generations, and at the end waits until the workers have none left.
 */
#include "daemon/generation_internal.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/quotas.h"
#include "daemon/report.h"
#include "daemon/tls_contexts.h"
#include "daemon/tls_keys.h"

#include <string.h>
#include <time.h>

#define LISTEN_RETRY_MS 2000
#define KEYS_RETRY_MS   60000
#define KEYS_TELL_MS    1000 /* until the master has heard of them */
#define SHARE_MS        100  /* between looks at the other generations */
#define ADMIN_MS        1000 /* for answers that are under way */
#define LOOK_MS         20   /* at what is left; then rarer and rarer */
#define LOOK_RARELY_MS  250

static int64_t clock_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- Serving ------------------------------------------------------------ */

void generation_share_limit(struct generation *g)
{
	size_t others = siblings_active(&g->siblings);
	size_t max = g->setup.max_connections;

	tcp_server_set_max_connections(g->setup.server,
				       max > others ? max - others : 0);
}

/* The admin's thread shows where clients are served. */
static size_t retry_listening(struct generation *g)
{
	size_t opened;

	admin_lock(g->admin);
	opened = listening_retry(&g->listening);
	admin_unlock(g->admin);
	return opened;
}

/* Those that optional listeners have opened late. */
static void tell_sockets(struct generation *g)
{
	const char *name;
	const int *fds;
	size_t count;

	while ((count = listening_untold(&g->listening, HANDOFF_FDS_MAX, &name,
					 &fds))) {
		int r = report_sockets(g->control, name, fds, count);

		if (r < 0)
			log_line(LOG_LEVEL_WARNING,
				 "sockets of \"%s\" will end with this "
				 "generation, the master does not take them: "
				 "%s",
				 name, strerror(-r));
	}
}

/*
 * Makes a new key for TLS tickets if one is due, and tells the master what the
 * next generation has to know; unless *told even if nothing is new.  Says when
 * to come again.
 */
static int64_t turn_keys(struct generation *g, bool *told, int64_t now)
{
	uint8_t bytes[TLS_KEYS_BYTES];
	int r = tls_contexts_turn_keys(g->setup.tls, now);
	size_t len;

	if (r < 0)
		log_line(LOG_LEVEL_WARNING,
			 "no new key for TLS tickets, the old one stays: %s",
			 strerror(-r));
	if (r > 0)
		*told = false;
	if (!*told) {
		len = tls_contexts_tell_keys(g->setup.tls, bytes);
		r = len ? report_keys(g->control, bytes, len) : 0;
		explicit_bzero(bytes, sizeof(bytes));
		/* Without a master there is nobody to come after us. */
		*told = r == 0 || r == -EPIPE;
	}
	if (!*told)
		return now + KEYS_TELL_MS;
	return max_i64(tls_contexts_keys_due(g->setup.tls),
		       now + KEYS_RETRY_MS);
}

static void serve(struct generation *g)
{
	int64_t retry = 0, share = 0, keys = 0;
	bool sharing = g->siblings.count > 0, told = false;

	while (g->order == ORDER_NONE) {
		int64_t now = clock_ms(), wake = INT64_MAX;

		if (sharing && now >= share) {
			generation_share_limit(g);
			sharing = g->siblings.count > 0;
			share = now + SHARE_MS;
		}
		if (g->listening.missing && now >= retry) {
			if (retry && retry_listening(g))
				tell_sockets(g);
			retry = now + LISTEN_RETRY_MS;
		}
		if (now >= keys)
			keys = turn_keys(g, &told, now);
		wake = keys;
		if (sharing)
			wake = min_i64(wake, share);
		if (g->listening.missing)
			wake = min_i64(wake, retry);
		generation_turn(g, wake == INT64_MAX ? -1
						     : max_i64(wake - now, 0));
	}
}

/* --- Ending ------------------------------------------------------------- */

/* Who has sent nothing for so long is cut, when so much time is over. */
static const struct {
	int64_t after_ms, idle_ms;
} finish_steps[] = {
	{ 0, 60000 }, { 250, 10000 }, { 500, 1000 }, { 750, 100 }
};

#define FINISH_MS 1000

struct ending {
	enum order order; /* that is being followed */
	int64_t since_ms; /* when it came */
	size_t step;      /* of finish_steps */
	size_t cut;       /* sessions */
};

static uint64_t open_sessions(const struct generation *g)
{
	struct tcp_server_stats stats;

	tcp_server_stats(g->setup.server, &stats);
	return stats.active;
}

static bool is_over(const struct generation *g)
{
	struct tcp_server_stats stats;

	tcp_server_stats(g->setup.server, &stats);
	return stats.active + stats.tasks + stats.relays == 0;
}

/* How long sessions have under an order; negative: without end. */
static int64_t patience(const struct generation *g, enum order order)
{
	switch (order) {
	case ORDER_NONE:
		break;
	case ORDER_DRAIN:
		return g->conf->timeouts.drain_ms ? g->conf->timeouts.drain_ms
						  : -1;
	case ORDER_SHUTDOWN:
		return g->conf->timeouts.shutdown_ms;
	case ORDER_FINISH:
		return FINISH_MS;
	case ORDER_HALT:
		return 0;
	}
	return -1;
}

static void tell_order(const struct generation *g, enum order order)
{
	static const char *const words[] = {
		[ORDER_NONE] = "",
		[ORDER_DRAIN] = "draining",
		[ORDER_SHUTDOWN] = "ending",
		[ORDER_FINISH] = "too many generations: ending",
		[ORDER_HALT] = "ending at once",
	};
	uintmax_t open = open_sessions(g);

	if (g->number)
		log_line(LOG_LEVEL_NOTICE,
			 "generation %u: %s; open sessions: %ju", g->number,
			 words[order], open);
	else
		log_line(LOG_LEVEL_NOTICE, "%s; open sessions: %ju",
			 words[order], open);
}

/* Begins to follow an order, be it the first or a stronger one. */
static void follow(struct generation *g, struct ending *e)
{
	e->order = g->order;
	e->since_ms = clock_ms();
	e->step = 0;
	tell_order(g, e->order);
}

/* What is due under the present order; how long nothing else will be. */
static int64_t cut_idle(struct generation *g, struct ending *e, int64_t age)
{
	if (e->order != ORDER_FINISH)
		return INT64_MAX;
	while (e->step < ARRAY_SIZE(finish_steps) &&
	       age >= finish_steps[e->step].after_ms)
		e->cut += tcp_server_cut_idle(g->setup.server,
					      finish_steps[e->step++].idle_ms);
	return e->step < ARRAY_SIZE(finish_steps)
		       ? finish_steps[e->step].after_ms - age
		       : INT64_MAX;
}

/* Waits until no session is left or their time is over. */
static void wait_for_sessions(struct generation *g, struct ending *e)
{
	int64_t look = LOOK_MS;

	while (!is_over(g)) {
		int64_t age, left, next;

		if (g->order != e->order) {
			follow(g, e);
			look = LOOK_MS;
		}
		age = clock_ms() - e->since_ms;
		left = patience(g, e->order);
		if (left >= 0 && age >= left)
			return;
		next = min_i64(cut_idle(g, e, age), look);
		if (left >= 0)
			next = min_i64(next, left - age);
		generation_turn(g, next);
		/* A drain may take days. */
		if (e->order == ORDER_DRAIN)
			look = min_i64(look + 1, LOOK_RARELY_MS);
	}
}

static void stop_accepting(struct generation *g)
{
	int r;

	tcp_server_stop_accepting(g->setup.server);
	r = report_text(g->control, HANDOFF_STOPPED, "");
	if (r < 0 && r != -EPIPE)
		log_line(LOG_LEVEL_WARNING, "the master does not listen: %s",
			 strerror(-r));
}

/* They get their answers, for which we may have to ask the master. */
static void wait_for_admin(struct generation *g)
{
	int64_t until = clock_ms() + ADMIN_MS;

	while (admin_is_busy(g->admin) && g->order != ORDER_HALT &&
	       clock_ms() < until)
		generation_turn(g, LOOK_MS);
}

static void end(struct generation *g)
{
	struct ending e = { 0 };

	siblings_done(&g->siblings);
	if (!g->number)
		(void)notify_stopping("waiting for sessions to end");
	follow(g, &e);
	admin_draining(g->admin);
	if (e.order != ORDER_HALT)
		stop_accepting(g);
	wait_for_sessions(g, &e);
	wait_for_admin(g);
	refresh_free(TAKE_PTR(g->refresh));
	e.cut += tcp_server_shutdown(g->setup.server, 0);
	quota_keeper_free(TAKE_PTR(g->quotas));
	if (e.cut && e.order == ORDER_FINISH)
		log_line(LOG_LEVEL_WARNING,
			 "too many generations: sessions cut: %zu", e.cut);
	else if (e.cut)
		log_line(LOG_LEVEL_WARNING, "sessions cut: %zu", e.cut);
	if (g->number)
		log_line(LOG_LEVEL_NOTICE, "generation %u has ended",
			 g->number);
	else
		log_line(LOG_LEVEL_NOTICE, "spliced has ended");
}

void generation_live(struct generation *g)
{
	serve(g);
	end(g);
}
