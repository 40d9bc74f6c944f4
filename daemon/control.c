/*
 * The control socket: places for clients, and what the verbs do.
 *
 * Who may connect is the matter of the socket's mode alone: the ids of a peer
 * read as nobody's where the daemon has user ids of its own.
 */
#include "daemon/control.h"

#include "daemon/answer.h"
#include "daemon/control_client.h"
#include "daemon/handoff_msg.h"

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

static void do_version(struct control_client *c, bool wait UNUSED)
{
	control_client_answer(c, answer_version());
}

static void do_status(struct control_client *c, bool wait UNUSED)
{
	struct view v = { 0 };

	c->control->ops->view(c->control->ctx, &v);
	control_client_answer(c, answer_status(&v, realtime_us()));
}

static void do_generations(struct control_client *c, bool wait UNUSED)
{
	struct view v = { 0 };

	c->control->ops->view(c->control->ctx, &v);
	control_client_answer(c, answer_generations(&v, realtime_us()));
}

/* The newest first in what fits, but in their order. */
static void do_sessions(struct control_client *c, bool wait UNUSED)
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

static void do_reload(struct control_client *c, bool wait)
{
	struct control *control = c->control;
	uint64_t number = control->ops->reload(control->ctx);

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

static void do_drain(struct control_client *c, bool wait UNUSED)
{
	c->control->ops->drain(c->control->ctx);
	control_client_answer(c, answer_ok());
}

static const struct verb_row {
	const char *name;
	void (*run)(struct control_client *c, bool wait);
	bool may_wait;
} verbs[] = {
	{ "version", do_version, false },
	{ "status", do_status, false },
	{ "generations", do_generations, false },
	{ "sessions", do_sessions, false },
	{ "reload", do_reload, true },
	{ "drain", do_drain, false },
};

/* What a generation answers; `all`: each does what is said. */
static const struct passed_row {
	const char *name;
	bool all;
} passed[] = {
	{ "refresh", true },
	{ "explain", false },
};

/* The client is closed here; the generation has its descriptor, too. */
static void pass_on(struct control_client *c, const char *line, bool all)
{
	struct control *control = c->control;
	int r = control->ops->pass_on(control->ctx, line, c->watch.fd, all);

	if (r == 0)
		control_client_close(c);
	else
		control_client_answer(
			c, answer_error(r == -ESRCH ? "no generation serves"
						    : strerror(-r)));
}

static const struct passed_row *find_passed(const char *line)
{
	const char *word = line + strspn(line, " ");
	size_t len = strcspn(word, " ");

	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (strlen(passed[i].name) == len &&
		    strncmp(passed[i].name, word, len) == 0)
			return &passed[i];
	return NULL;
}

/* Words are separated by blanks. */
static void asked(struct control_client *c, char *line)
{
	const struct passed_row *p = find_passed(line);
	char *rest = line, *word[3];
	size_t count = 0;
	bool wait;

	if (p) {
		pass_on(c, line, p->all);
		return;
	}
	while (count < ARRAY_SIZE(word) && (word[count] = strsep(&rest, " ")))
		count += *word[count] != '\0';
	wait = count == 2 && !strcmp(word[1], "wait");
	for (size_t i = 0; count && i < ARRAY_SIZE(verbs); i++) {
		const struct verb_row *v = &verbs[i];

		if (strcmp(word[0], v->name))
			continue;
		if (count == 1 || (wait && v->may_wait))
			v->run(c, wait);
		else
			control_client_answer(c,
					      answer_error("too many words"));
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
