/*
 * A server's listeners: making them, before it runs and while it does, and
 * what can be changed of them then.
 */
#include "core/listen_unix.h"
#include "core/server_internal.h"

#include <string.h>

struct wanted {
	const struct tcp_addr *addr; /* NULL: a UNIX socket */
	const char *unix_name;
	const struct tcp_listen_options *options;
	tcp_handler *handler;
	void *ctx;
};

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

/* Asked before: our own file would be taken for one that was left over. */
static bool is_name_taken(struct tcp_server *s, const char *name)
{
	struct listen_unix un;
	struct tcp_listener l = { .un = &un, .count = 1 };

	return listen_unix_init(&un, name) == 0 && is_taken(s, &l);
}

static int make(struct tcp_server *s, const struct wanted *w,
		struct tcp_listener **ret)
{
	const struct tcp_listen_options *o = w->options;
	int r = 0;

	if (s->stopped)
		r = -ESHUTDOWN;
	else if (!w->addr && is_name_taken(s, w->unix_name))
		r = -EADDRINUSE;
	if (r < 0) {
		listener_close_adopted(o);
		return r;
	}
	r = w->addr ? listener_new(ret, w->addr, o, s->worker_count)
		    : listener_new_unix(ret, w->unix_name, o, s->worker_count);
	if (r < 0)
		return r;
	(*ret)->server = s;
	(*ret)->handler = w->handler;
	(*ret)->ctx = w->ctx;
	(*ret)->pooled = o->user_bytes > 0 || s->options.prealloc > 0;
	return 0;
}

static int reserve(struct worker *w, void *arg)
{
	return worker_reserve(w, arg);
}

/* Workers that start later do it by themselves. */
static int reserve_everywhere(struct tcp_server *s, struct tcp_listener *l)
{
	int r = 0;

	for (unsigned i = 0; s->running && i < s->worker_count && r == 0; i++)
		r = worker_call(&s->worker[i], reserve, l);
	return r;
}

static int add(struct tcp_server *s, const struct wanted *w,
	       struct tcp_listener **ret)
{
	struct tcp_listener *l;
	int r = make(s, w, &l);

	if (r < 0)
		return r;
	if (is_taken(s, l))
		r = -EADDRINUSE;
	else if (s->accepting)
		r = listener_listen(l);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	/* From here on the server owns it: acceptors may point at it. */
	list_append(&s->listeners, &l->link);
	r = reserve_everywhere(s, l);
	if (r == 0 && s->accepting)
		r = server_accept_on(l, 0, l->count);
	if (r < 0)
		server_give_up(l);
	else if (ret)
		*ret = l;
	return r;
}

static int add_one(struct tcp_server *s, struct wanted w,
		   struct tcp_listener **ret)
{
	static const struct tcp_listen_options usual;
	int r;

	if (!w.options)
		w.options = &usual;
	(void)pthread_mutex_lock(&s->control);
	r = add(s, &w, ret);
	(void)pthread_mutex_unlock(&s->control);
	return r;
}

int tcp_server_listen(struct tcp_server *s, const struct tcp_addr *a,
		      const struct tcp_listen_options *o, tcp_handler *handler,
		      void *ctx, struct tcp_listener **ret)
{
	struct wanted w = {
		.addr = a, .options = o, .handler = handler, .ctx = ctx
	};

	return add_one(s, w, ret);
}

int tcp_server_listen_unix(struct tcp_server *s, const char *path,
			   const struct tcp_listen_options *o,
			   tcp_handler *handler, void *ctx,
			   struct tcp_listener **ret)
{
	struct wanted w = {
		.unix_name = path, .options = o, .handler = handler, .ctx = ctx
	};

	return add_one(s, w, ret);
}

int tcp_server_listen_text(struct tcp_server *s, const char *text,
			   const struct tcp_listen_options *o,
			   tcp_handler *handler, void *ctx,
			   struct tcp_listener **ret)
{
	static const char scheme[] = "unix:";
	struct tcp_addr a;

	if (*text == '@')
		return tcp_server_listen_unix(s, text, o, handler, ctx, ret);
	if (strncmp(text, scheme, strlen(scheme)) == 0)
		return tcp_server_listen_unix(s, text + strlen(scheme), o,
					      handler, ctx, ret);
	if (tcp_addr_parse(&a, text, -1) < 0) {
		if (o)
			listener_close_adopted(o);
		return -EINVAL;
	}
	return tcp_server_listen(s, &a, o, handler, ctx, ret);
}

/* --- TLS ---------------------------------------------------------------- */

struct swap {
	struct tcp_listener *listener;
	struct tcp_tls *tls; /* in: the new one; out: the one before */
};

static int swap_tls(struct worker *w, void *arg)
{
	struct swap *swap = arg;
	struct listener_slot *slot = &swap->listener->slot[w->number];
	struct tcp_tls *before = slot->tls;

	slot->tls = swap->tls;
	swap->tls = before;
	return 0;
}

void tcp_listener_set_tls(struct tcp_listener *l, struct tcp_tls *t)
{
	struct tcp_server *s = l->server;

	ASSERT(l->secure && t);
	(void)pthread_mutex_lock(&s->control);
	for (unsigned i = 0; i < s->worker_count; i++) {
		struct worker *w = &s->worker[i];
		struct swap swap = { l, tcp_tls_ref(t) };

		if (w->running)
			(void)worker_call(w, swap_tls, &swap);
		else
			(void)swap_tls(w, &swap);
		tcp_tls_unref(swap.tls);
	}
	(void)pthread_mutex_unlock(&s->control);
}
