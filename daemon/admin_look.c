/*
 * What the master says of all generations.  The main thread takes its answer
 * and posts it here.  One question is under way at a time, for all who had come
 * when it was sent: answers to as many as clients like to ask would fill the
 * way by which the master gives its orders.
 */
#include "daemon/admin_internal.h"

#include "core/task.h"
#include "daemon/answer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS 1000 /* an answer that takes longer is lost */

/* A request that waits, on its task's stack. */
struct waiter {
	struct list link;
	struct task *task;
	struct admin_view *view;
	bool asked; /* the question under way was sent after he came */
};

/* The master's answer on its way to the admin's thread. */
struct seen {
	struct mail mail;
	struct admin *admin;
	struct admin_view *view;
};

static struct admin_view *view_new(struct span text)
{
	struct admin_view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->references = 1;
	v->status = json_loadb((const char *)text.at, text.len, 0, NULL);
	if (v->status)
		return v;
	free(v);
	return NULL;
}

void admin_view_put(struct admin_view *v)
{
	if (!v || --v->references)
		return;
	for (size_t i = 0; i < v->count; i++)
		segment_free(v->segments[i]);
	json_decref(v->status);
	free(v);
}

/* --- The question --------------------------------------------------------- */

/* Asks for all who wait.  -errno of handoff_tell(). */
static int ask(struct admin *a)
{
	struct list *at, *safe;
	int r = handoff_tell(a->control, HANDOFF_LOOK);

	if (r < 0)
		return r;
	a->asked_until = tcp_deadline(ASK_MS);
	list_for_each_safe (at, safe, &a->waiting)
		list_entry(at, struct waiter, link)->asked = true;
	return 0;
}

/* --- The answer ---------------------------------------------------------- */

static void take_view(struct mail *m)
{
	struct seen *s = container_of(m, struct seen, mail);
	struct admin *a = s->admin;
	struct list *at, *safe;

	list_for_each_safe (at, safe, &a->waiting) {
		struct waiter *w = list_entry(at, struct waiter, link);

		if (!w->asked)
			continue;
		list_remove(&w->link);
		if (s->view)
			s->view->references++;
		w->view = s->view;
		task_wake(w->task, 0);
	}
	admin_view_put(s->view);
	free(s);
	a->asked_until = 0;
	/* Those who came meanwhile; if it fails they give up after a while. */
	if (!list_empty(&a->waiting))
		(void)!ask(a);
}

/* All of them or nothing: else counters would seem to go back. */
static struct admin_view *take_segments(struct admin_view *v,
					struct handoff_received *r)
{
	for (size_t i = 0; v && i < r->fd_count; i++) {
		if (segment_open(&v->segments[i], take_fd(&r->fds[i])) < 0) {
			admin_view_put(v);
			return NULL;
		}
		v->count++;
	}
	return v;
}

void admin_seen(struct admin *a, struct handoff_received *r)
{
	struct admin_view *v;
	struct seen *s;

	if (!a || !a->running)
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return; /* whoever waits gives up after a while */
	v = take_segments(view_new(r->msg.text), r);
	*s = (struct seen){ { .run = take_view }, a, v };
	loop_post(a->loop, &s->mail);
}

/* --- Without a master ---------------------------------------------------- */

static struct admin_view *look_at_ourselves(struct admin *a)
{
	const struct segment *own = a->setup->published.segment;
	bool draining = __atomic_load_n(&a->draining, __ATOMIC_RELAXED);
	struct view_generation g = { .pid = getpid(),
				     .state = draining ? "draining" : "serving",
				     .started_us = a->started_us,
				     .segment = own };
	char addresses[1024];
	struct view v = { .state = draining ? "stopping" : "serving",
			  .started_us = a->started_us,
			  .addresses = addresses,
			  .generations = &g,
			  .generation_count = 1 };
	struct admin_view *view;
	struct timespec now;
	char *text;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	admin_lock(a);
	listening_format(a->proxy, addresses, sizeof(addresses));
	admin_unlock(a);
	text = answer_overview(&v, (int64_t)now.tv_sec * 1000000 +
					   now.tv_nsec / 1000);
	if (!text)
		return NULL;
	view = view_new((struct span){ (const uint8_t *)text, strlen(text) });
	free(text);
	if (view &&
	    segment_open(&view->segments[0],
			 fcntl(segment_fd(own), F_DUPFD_CLOEXEC, 3)) < 0) {
		admin_view_put(view);
		return NULL;
	}
	if (view)
		view->count = 1;
	return view;
}

/* --- Asking -------------------------------------------------------------- */

struct admin_view *admin_look(struct admin *a, int64_t deadline)
{
	struct waiter w = { .task = task_self() };
	int r;

	if (a->control < 0)
		return a->setup->generation ? NULL : look_at_ourselves(a);
	list_append(&a->waiting, &w.link);
	r = tcp_deadline(0) < a->asked_until ? 0 : ask(a);
	if (r == 0)
		r = task_wait(deadline);
	list_remove(&w.link);
	if (r < 0) {
		admin_view_put(w.view);
		return NULL;
	}
	return w.view;
}
