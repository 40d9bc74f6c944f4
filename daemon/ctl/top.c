/*
 * The loop: a sample, the screen, keys until the next is due.  A daemon that
 * is gone is waited for.
 */
#include "daemon/ctl/top.h"

#include "core/clock.h"
#include "daemon/ctl/ask.h"
#include "daemon/ctl/kill.h"
#include "daemon/ctl/top_draw.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_MS   1000
#define PATIENCE_MS 2000
#define WORKERS_MAX 4096u /* as in tables.c */

static volatile sig_atomic_t ending;

static void end_soon(int signal UNUSED)
{
	ending = 1;
}

static void take_signals(void)
{
	struct sigaction act = { .sa_handler = end_soon };

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	(void)sigaction(SIGHUP, &act, NULL);
}

/* --- A sample ------------------------------------------------------------ */

static int add_row(void *ctx, const struct row *r)
{
	return top_add_row(ctx, r);
}

static uint32_t ms_of(const uint64_t *ms)
{
	uint64_t n = __atomic_load_n(ms, __ATOMIC_RELAXED);

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static int add_workers(struct top *t, const struct segment *s, int64_t now)
{
	const struct tcp_worker_counts *n;
	const struct tcp_worker_usage *u;
	struct table_about about;
	uint32_t count = 0, used = 0;
	int r = 0;

	n = segment_table(s, "workers", sizeof(*n), &count);
	u = segment_table(s, "usage", sizeof(*u), &used);
	if (!n || !table_about_read(&about, s))
		return 0;
	for (uint32_t i = 0; r == 0 && i < count && i < WORKERS_MAX; i++) {
		int64_t tick = __atomic_load_n(&n[i].tick_ms, __ATOMIC_RELAXED);
		struct top_worker w = {
			.generation = about.generation,
			.number = i,
			.active = __atomic_load_n(&n[i].active,
						  __ATOMIC_RELAXED),
			.silent_ms = tick > 0 ? max_i64(now - tick, 0) : -1,
		};

		if (u && i < used) {
			w.lag_ms = ms_of(&u[i].lag_ms);
			w.accept_ms = ms_of(&u[i].accept_ms);
		}
		r = top_add_worker(t, &w);
	}
	return r;
}

/* Takes the descriptor; one that cannot be read is left out. */
static int add_segment(struct top *t, int fd)
{
	struct segment *s = NULL;
	int64_t now = clock_ms();
	int r = segment_open(&s, fd);

	if (r == 0)
		r = rows_each(s, now, add_row, t);
	if (r == 0)
		r = add_workers(t, s, now);
	segment_free(s);
	return r == -ENOMEM ? r : 0;
}

static int ask(struct reply *ret, const char *path, const char *line)
{
	int r = ask_daemon(ret, path, line, PATIENCE_MS);

	if (r < 0 || ret->ok)
		return r;
	reply_done(ret);
	return -EBADMSG;
}

static int sample_generations(struct top *t, const char *path)
{
	struct reply reply;
	const json_t *line;
	size_t i;
	int r = ask(&reply, path, "generations");

	if (r < 0)
		return r;
	json_array_foreach(reply.lines, i, line)
	{
		if (r == 0 && line != reply.last)
			r = top_add_generation(t, line);
	}
	reply_done(&reply);
	return r;
}

static int sample_sessions(struct top *t, const char *path)
{
	struct reply reply;
	int r = ask(&reply, path, "sessions");

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < reply.fd_count; i++)
		r = add_segment(t, take_fd(&reply.fds[i]));
	reply_done(&reply);
	return r;
}

static void sample(struct top *t, const char *path)
{
	struct reply reply;
	char why[512];
	int r;

	top_begin(t, clock_ms());
	r = ask(&reply, path, "status");
	if (r == 0) {
		top_add_status(t, reply.last);
		reply_done(&reply);
		r = sample_generations(t, path);
	}
	if (r == 0)
		r = sample_sessions(t, path);
	if (r == 0)
		top_end(t);
	else
		top_lost(t, ask_why(r, path, why, sizeof(why)));
}

/* --- Keys ---------------------------------------------------------------- */

static void end_session(struct top *t, const char *path)
{
	char why[512];
	int r = kill_one(path, t->victim);

	if (r > 0)
		(void)snprintf(t->message, sizeof(t->message),
			       "session %s was ended", t->victim);
	else if (r == 0)
		(void)snprintf(t->message, sizeof(t->message),
			       "session %s was gone", t->victim);
	else
		(void)snprintf(t->message, sizeof(t->message),
			       "session %s was not ended: %.100s", t->victim,
			       r == -ESRCH
				       ? "its generation is gone"
				       : ask_why(r, path, why, sizeof(why)));
	t->victim[0] = '\0';
}

/* Until a sample is due; false: that was it. */
static bool take_keys(struct top *t, const char *path, int64_t due)
{
	for (;;) {
		int64_t left = due - clock_ms();
		int key;

		if (ending)
			return false;
		if (left <= 0)
			return true;
		key = top_draw_key(left);
		if (key < 0)
			return false;
		if (key == 0) { /* perhaps the screen has another size */
			top_draw(t);
			continue;
		}
		switch (top_press(t, key)) {
		case TOP_NONE:
			break;
		case TOP_QUIT:
			return false;
		case TOP_LOOK:
			return true;
		case TOP_KILL:
			end_session(t, path);
			return true;
		}
		top_draw(t);
	}
}

static void run(struct top *t, const char *path)
{
	bool wanted = true; /* by a key, though it is paused */
	int64_t due;

	do {
		if (wanted || !t->paused)
			sample(t, path);
		top_draw(t);
		due = clock_deadline(SAMPLE_MS);
		if (!take_keys(t, path, due))
			return;
		wanted = clock_ms() < due;
	} while (!ending);
}

int top_run(const struct args *a)
{
	static struct top t; /* it is large */
	int r;

	if (a->json) {
		(void)fputs("splicedctl: top is for people; for programs there "
			    "is --json status --watch\n",
			    stderr);
		return CTL_USAGE;
	}
	take_signals(); /* before ncurses has its own */
	r = top_draw_begin();
	if (r < 0) {
		(void)fprintf(stderr, "splicedctl: top needs a terminal%s\n",
			      r == -ENODEV ? " that $TERM knows" : "");
		return CTL_USAGE;
	}
	run(&t, a->socket);
	top_draw_end();
	top_done(&t);
	return CTL_OK;
}
