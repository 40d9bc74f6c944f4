/*
 * Who accepts on which socket, from when, until when.
 *
 * Each worker has its own sockets, the first, the one `workers` further on,
 * and so on; where there are fewer sockets than workers, all accept on each.
 */
#include "core/server_internal.h"

#include "core/arrival.h"

struct share {
	struct tcp_listener *listener;
	size_t from, to; /* of its sockets */
};

/* A worker's share of some sockets: all, or each one that has its turn. */
static int accept_on(struct worker *w, void *arg)
{
	const struct share *share = arg;
	struct tcp_listener *l = share->listener;

	for (size_t i = share->from; i < share->to; i++) {
		int r;

		if (!l->shared && i % w->server->worker_count != w->number)
			continue;
		r = acceptor_new(NULL, w, l, l->fd[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int server_accept_on(struct tcp_listener *l, size_t from, size_t to)
{
	struct share share = { .listener = l, .from = from, .to = to };
	struct tcp_server *s = l->server;

	for (unsigned i = 0; i < s->worker_count; i++) {
		int r = worker_call(&s->worker[i], accept_on, &share);

		if (r < 0)
			return r;
	}
	return 0;
}

static int accept_on_all(struct tcp_listener *l)
{
	return server_accept_on(l, 0, l->count);
}

/*
 * What may fail for a reason from outside goes first, for all of them: whoever
 * fails must not have touched what others accept on, nor taken a client.
 */
int server_accept(struct tcp_server *s)
{
	static int (*const steps[])(struct tcp_listener * l) = {
		listener_listen_fresh, listener_listen, accept_on_all
	};
	struct list *at, *safe;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		list_for_each_safe (at, safe, &s->listeners) {
			int r = steps[i](
				list_entry(at, struct tcp_listener, link));

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* --- The end of it ------------------------------------------------------ */

static void stop_acceptor(struct acceptor *a)
{
	struct tcp_listener *l = a->listener;
	int fd = a->watch.fd;

	acceptor_free(a);
	/* At once: what comes from here on nobody accepts. */
	if (!l->shared)
		listener_close(l, fd);
}

/* Of one listener, or of all. */
static int stop_accepting(struct worker *w, void *arg)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &w->acceptors) {
		struct acceptor *a = list_entry(at, struct acceptor, link);

		if (!arg || a->listener == arg)
			stop_acceptor(a);
	}
	if (!arg)
		arrivals_drain(&w->net);
	return 0;
}

static void stop_everywhere(struct tcp_server *s, struct tcp_listener *l)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->worker[i].running)
			(void)worker_call(&s->worker[i], stop_accepting, l);
}

void server_give_up(struct tcp_listener *l)
{
	stop_everywhere(l->server, l);
	listener_close_all(l);
}

static void stop(struct tcp_server *s)
{
	struct list *at, *safe;

	s->accepting = false;
	s->stopped = true;
	/* Who cannot find us any more need not be turned away. */
	list_for_each_safe (at, safe, &s->listeners)
		listener_remove_file(list_entry(at, struct tcp_listener, link));
	stop_everywhere(s, NULL);
	/* What all workers shared, and what nobody accepted on yet. */
	list_for_each_safe (at, safe, &s->listeners)
		listener_close_all(list_entry(at, struct tcp_listener, link));
}

void tcp_server_stop_accepting(struct tcp_server *s)
{
	(void)pthread_mutex_lock(&s->control);
	stop(s);
	(void)pthread_mutex_unlock(&s->control);
}

/* --- Its sockets -------------------------------------------------------- */

size_t tcp_listener_sockets(const struct tcp_listener *l, const int **ret)
{
	size_t count;

	(void)pthread_mutex_lock(&l->server->control);
	*ret = l->fd;
	count = l->count;
	(void)pthread_mutex_unlock(&l->server->control);
	return count;
}

size_t tcp_listener_adopted(const struct tcp_listener *l)
{
	size_t count;

	(void)pthread_mutex_lock(&l->server->control);
	count = l->adopted;
	(void)pthread_mutex_unlock(&l->server->control);
	return count;
}

/* --- One more socket ---------------------------------------------------- */

static int stop_socket(struct worker *w, void *arg)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &w->acceptors) {
		struct acceptor *a = list_entry(at, struct acceptor, link);

		if (a->watch.fd == *(int *)arg)
			acceptor_free(a);
	}
	return 0;
}

static int adopt(struct tcp_listener *l, int fd)
{
	struct tcp_server *s = l->server;
	size_t before = l->adopted;
	int r;

	if (!s->accepting || l->count == 0) {
		close_fd(&fd);
		return -ESHUTDOWN;
	}
	r = listener_add(l, fd);
	if (r < 0)
		return r == -EALREADY ? 0 : r;
	r = server_accept_on(l, before, l->adopted);
	if (r == 0)
		return 0;
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)worker_call(&s->worker[i], stop_socket, &fd);
	listener_close(l, fd);
	return r;
}

int tcp_listener_adopt(struct tcp_listener *l, int fd)
{
	int r;

	(void)pthread_mutex_lock(&l->server->control);
	r = adopt(l, fd);
	(void)pthread_mutex_unlock(&l->server->control);
	return r;
}
