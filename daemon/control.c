/*
 * The control socket: places for clients, and what the verbs do.
 *
 * Who may connect is the matter of the socket's mode and group alone: the ids
 * of a peer, which the log has of what was steered, read as nobody's where the
 * daemon has user ids of its own.
 */
#include "daemon/control.h"

#include "daemon/answer.h"
#include "daemon/control_client.h"
#include "daemon/handoff_msg.h"
#include "daemon/line_word.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PAUSE_MS 100 /* without descriptors nobody is accepted */

struct control {
	struct loop *loop;
	const struct control_ops *ops;
	void *ctx;
	struct control_patience patience;
	struct watch listener; /* fd -1: none */
	struct timer pause;
	/* The last reload that ended, for who asks while it does. */
	uint64_t last_number;
	char *last_answer;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

static int64_t realtime_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- Verbs -------------------------------------------------------------- */

static void do_version(struct control_client *c, char *words UNUSED)
{
	control_client_answer(c, answer_version());
}

static void do_status(struct control_client *c, char *words UNUSED)
{
	struct view v = { 0 };

	c->control->ops->view(c->control->ctx, &v);
	control_client_answer(c, answer_status(&v, realtime_us()));
}

static void do_generations(struct control_client *c, char *words UNUSED)
{
	struct view v = { 0 };

	c->control->ops->view(c->control->ctx, &v);
	control_client_answer(c, answer_generations(&v, realtime_us()));
}

/* The newest first in what fits, but in their order. */
static void do_sessions(struct control_client *c, char *words UNUSED)
{
	uint32_t numbers[HANDOFF_FDS_MAX];
	int fds[HANDOFF_FDS_MAX];
	struct view v = { 0 };
	size_t at = HANDOFF_FDS_MAX, count;

	c->control->ops->view(c->control->ctx, &v);
	for (size_t i = v.generation_count; i > 0 && at > 0; i--) {
		const struct view_generation *g = &v.generations[i - 1];

		if (!g->segment)
			continue;
		at--;
		numbers[at] = g->number;
		fds[at] = segment_fd(g->segment);
	}
	count = HANDOFF_FDS_MAX - at;
	control_client_answer_fds(c,
				  answer_sessions(numbers + at, count,
						  v.generation_count - count),
				  fds + at, count);
}

static void do_reload(struct control_client *c, char *words)
{
	struct control *control = c->control;
	bool wait = strcmp(words, "wait") == 0;
	uint64_t number;

	if (*words && !wait) {
		control_client_answer(c, answer_error("too many words"));
		return;
	}
	number = control->ops->reload(control->ctx, c->watch.fd);

	if (number == 0) {
		control_client_answer(c, answer_error("the daemon ends"));
		return;
	}
	if (!wait) {
		control_client_answer(c, answer_reload(number));
		return;
	}
	if (control->last_answer && number <= control->last_number) {
		control_client_answer(c, strdup(control->last_answer));
		return;
	}
	control_client_wait(c, number);
}

static const char *why_not_drained(int r)
{
	switch (r) {
	case -ENOENT:
		return "the generation that serves has no such listener";
	case -EALREADY:
		return "that is so";
	case -ENOSPC:
		return "too many listeners are drained";
	default:
		return "that is no name of a listener";
	}
}

/* "": the daemon; "on NAME", "off NAME": a listener. */
static void do_drain(struct control_client *c, char *words)
{
	const struct control_ops *ops = c->control->ops;
	char *name = words, *what = strsep(&name, " ");
	bool on = strcmp(what, "on") == 0;
	int r;

	if (name)
		name += strspn(name, " ");

	if (!*what) {
		ops->drain(c->control->ctx, c->watch.fd);
		control_client_answer(c, answer_ok());
		return;
	}
	if (!name || (!on && strcmp(what, "off") != 0)) {
		control_client_answer(
			c, answer_error("drain takes nothing, or on or off "
					"and a listener"));
		return;
	}
	r = line_word_read(name) ? ops->drain_listener(c->control->ctx, name,
						       on, c->watch.fd)
				 : -EINVAL;
	control_client_answer(c, r < 0 ? answer_error(why_not_drained(r))
				       : answer_ok());
}

static const struct verb_row {
	const char *name;
	void (*run)(struct control_client *c, char *words);
	bool takes_words;
} verbs[] = {
	{ "version", do_version, false },
	{ "status", do_status, false },
	{ "generations", do_generations, false },
	{ "sessions", do_sessions, false },
	{ "reload", do_reload, true },
	{ "drain", do_drain, true },
};

/* What generations answer. */
enum passed_to {
	PASSED_SERVING,
	PASSED_ALL,   /* the one that serves; each does what is said */
	PASSED_NAMED, /* the one whose number is the first word */
};

static const struct passed_row {
	const char *name;
	enum passed_to to;
} passed[] = {
	{ "refresh", PASSED_ALL },    { "explain", PASSED_SERVING },
	{ "quotas", PASSED_SERVING }, { "log-level", PASSED_ALL },
	{ "kill", PASSED_NAMED },
};

/* Of the generation that is meant; false: the line names none. */
static bool passed_number(const struct passed_row *p, const char *words,
			  uint32_t *ret)
{
	char *end;
	unsigned long n;

	*ret = p->to == PASSED_ALL ? CONTROL_TO_ALL : CONTROL_TO_SERVING;
	if (p->to != PASSED_NAMED)
		return true;
	n = *words >= '1' && *words <= '9' ? strtoul(words, &end, 10) : 0;
	*ret = (uint32_t)n;
	return n > 0 && n < CONTROL_TO_ALL && (!*end || *end == ' ');
}

/* The client is closed here; the generation has its descriptor, too. */
static void pass_on(struct control_client *c, const struct passed_row *p,
		    const char *line, const char *words)
{
	struct control *control = c->control;
	uint32_t to;
	int r;

	if (!passed_number(p, words, &to)) {
		control_client_answer(
			c, answer_error("the number of a generation is "
					"missing"));
		return;
	}
	r = control->ops->pass_on(control->ctx, line, c->watch.fd, to);
	if (r == 0)
		control_client_close(c);
	else if (r == -ESRCH)
		control_client_answer(
			c, answer_error(p->to == PASSED_NAMED
						? "there is no such generation"
						: "no generation serves"));
	else
		control_client_answer(c, answer_error(strerror(-r)));
}

/* Words are separated by blanks; the first is the verb. */
static void asked(struct control_client *c, char *line)
{
	const char *verb = line + strspn(line, " ");
	size_t len = strcspn(verb, " ");
	char *words = line + (verb - line) + len;
	char *end = words + strlen(words);

	words += strspn(words, " ");
	while (end > words && end[-1] == ' ')
		*--end = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		if (strlen(passed[i].name) != len ||
		    strncmp(verb, passed[i].name, len) != 0)
			continue;
		pass_on(c, &passed[i], line, words);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const struct verb_row *v = &verbs[i];

		if (strlen(v->name) != len || strncmp(verb, v->name, len) != 0)
			continue;
		if (*words && !v->takes_words)
			control_client_answer(c,
					      answer_error("too many words"));
		else
			v->run(c, words);
		return;
	}
	control_client_answer(c, answer_error("no such verb"));
}

/* --- The socket --------------------------------------------------------- */

/* Says why a client without a place is closed; takes its descriptor. */
static void turn_away(int fd)
{
	char *why = answer_error("too many clients");

	if (why)
		(void)!send(fd, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(why);
	close_fd(&fd);
}

/* Gives a client a place; takes the descriptor. */
static void take_client(struct control *control, int fd)
{
	struct control_client *c = control->clients;
	const struct control_client *end = c + ARRAY_SIZE(control->clients);

	while (c < end && control_client_is_open(c))
		c++;
	if (c < end)
		control_client_begin(c, fd);
	else
		turn_away(fd);
}

/*
 * One client at a time: a socket from elsewhere may be one that blocks, and a
 * level-triggered watch tells of the next.
 */
static void listener_event(struct watch *w)
{
	struct control *c = container_of(w, struct control, listener);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	w->ready = 0;
	if (fd >= 0) {
		take_client(c, fd);
		return;
	}
	if (err_is_transient(-errno) || errno == ECONNABORTED)
		return;
	/* Without the timer it would stay deaf: better to be asked again. */
	if (timer_set(c->loop, &c->pause, loop_now(c->loop) + PAUSE_MS) == 0)
		(void)!watch_modify(c->loop, w, 0);
}

static void pause_ends(struct timer *t)
{
	struct control *c = container_of(t, struct control, pause);

	(void)!watch_modify(c->loop, &c->listener, EPOLLIN);
}

int control_listen(struct control *c, int fd)
{
	if (c->listener.fd >= 0) {
		timer_stop(c->loop, &c->pause);
		watch_remove(c->loop, &c->listener);
	}
	c->listener.fd = fd;
	c->listener.ready = 0;
	if (fd >= 0) {
		int r = watch_add(c->loop, &c->listener, EPOLLIN);

		if (r < 0) {
			c->listener.fd = -1;
			return r;
		}
	}
	return 0;
}

void control_reloaded(struct control *c, uint64_t number,
		      const struct view_reload *result)
{
	char *text = answer_reloaded(number, result);

	for (size_t i = 0; i < ARRAY_SIZE(c->clients); i++) {
		struct control_client *who = &c->clients[i];

		if (control_client_is_open(who) &&
		    who->stage == CONTROL_RELOAD && who->number <= number)
			control_client_answer(who, text ? strdup(text) : NULL);
	}
	free(c->last_answer);
	c->last_answer = text;
	c->last_number = number;
}

void control_set_patience(struct control *c, const struct control_patience *p)
{
	c->patience = *p;
}

int control_new(struct control **ret, struct loop *l,
		const struct control_ops *ops, void *ctx)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->loop = l;
	c->ops = ops;
	c->ctx = ctx;
	c->patience = (struct control_patience){ 10000, 10000, 600000 };
	c->listener.fd = -1;
	c->listener.notify = listener_event;
	c->pause.fire = pause_ends;
	for (size_t i = 0; i < ARRAY_SIZE(c->clients); i++) {
		struct control_client *who = &c->clients[i];

		who->control = c;
		who->loop = l;
		who->patience = &c->patience;
		who->asked = asked;
		who->watch.fd = -1;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(c->clients); i++)
		control_client_close(&c->clients[i]);
	(void)!control_listen(c, -1);
	free(c->last_answer);
	free(c);
}
