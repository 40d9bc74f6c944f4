/*
 * A server's listeners and its workers: who accepts on which socket, from
 * when, until when.
 *
 * Each worker has its own sockets, the first, the one `workers` further on,
 * and so on; where there are fewer sockets than workers, all accept on each.
 */
#include "core/server_internal.h"

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
	return 0;
}

/*
 * Closes all sockets of a listener that not every worker accepts on: a socket
 * that nobody accepts on would swallow its share of the connections.  The
 * listener itself stays, for connections that it has brought already.
 */
static void give_up(struct tcp_server *s, struct tcp_listener *l)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)worker_call(&s->worker[i], stop_accepting, l);
	listener_close_all(l);
}

static int accept_everywhere(struct tcp_server *s, struct share share)
{
	for (unsigned i = 0; i < s->worker_count; i++) {
		int r = worker_call(&s->worker[i], accept_on, &share);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Sockets of ours that only are bound do not get in each other's way yet. */
static bool is_taken(struct tcp_server *s, const struct tcp_listener *l)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &s->listeners)
		if (listener_overlaps(
			    l, list_entry(at, struct tcp_listener, link)))
			return true;
	return false;
}

int tcp_server_listen(struct tcp_server *s, const struct tcp_addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret)
{
	struct tcp_listener *l;
	int r = listener_new(&l, a, o, s->worker_count);

	if (r < 0)
		return r;
	l->server = s;
	l->handler = handler;
	l->ctx = ctx;
	if (s->stopped)
		r = -ESHUTDOWN;
	else if (is_taken(s, l))
		r = -EADDRINUSE;
	else if (s->accepting)
		r = listener_listen(l);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	/* From here on the server owns it: acceptors may point at it. */
	list_append(&s->listeners, &l->link);
	if (s->accepting)
		r = accept_everywhere(
			s, (struct share){ .listener = l, .to = l->count });
	if (r < 0)
		give_up(s, l);
	else if (ret)
		*ret = l;
	return r;
}

static int accept_on_all(struct tcp_listener *l)
{
	return accept_everywhere(
		l->server, (struct share){ .listener = l, .to = l->count });
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

void tcp_server_stop_accepting(struct tcp_server *s)
{
	struct list *at, *safe;

	s->accepting = false;
	s->stopped = true;
	for (unsigned i = 0; i < s->worker_count; i++)
		if (s->worker[i].running)
			(void)worker_call(&s->worker[i], stop_accepting, NULL);
	/* What all workers shared, and what nobody accepted on yet. */
	list_for_each_safe (at, safe, &s->listeners)
		listener_close_all(list_entry(at, struct tcp_listener, link));
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

int tcp_listener_adopt(struct tcp_listener *l, int fd)
{
	struct tcp_server *s = l->server;
	struct share share = { .listener = l, .from = l->adopted };
	int r;

	if (!s->accepting || l->count == 0) {
		close_fd(&fd);
		return -ESHUTDOWN;
	}
	r = listener_add(l, fd);
	if (r < 0)
		return r == -EALREADY ? 0 : r;
	share.to = l->adopted;
	r = accept_everywhere(s, share);
	if (r == 0)
		return 0;
	for (unsigned i = 0; i < s->worker_count; i++)
		(void)worker_call(&s->worker[i], stop_socket, &fd);
	listener_close(l, fd);
	return r;
}
