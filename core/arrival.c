/*
 * What happens to a connection between accept(2) and its handler.  Until its
 * first byte, where somebody waits for that, it has no task.
 */
#include "core/arrival.h"

#include "core/carried.h"
#include "core/clock.h"
#include "core/server_internal.h"
#include "core/sock.h"
#include "core/task.h"

#define DEFAULT_TLS_MS 10000

/* --- Ends without a handler --------------------------------------------- */

static void unhandled(struct tcp_conn *c, int r)
{
	struct tcp_listener *l;

	conn_end_silence(c); /* where its listener was kept meanwhile */
	l = c->listener;
	if (l->options.unhandled)
		l->options.unhandled(c, r, l->ctx);
	tcp_conn_close(c);
}

static void unhandled_by_reset(struct tcp_conn *c, int r)
{
	tcp_conn_set_reset(c);
	unhandled(c, r);
}

/* --- TLS ---------------------------------------------------------------- */

static int64_t tls_ms(const struct tcp_listener *l)
{
	int64_t ms = l->options.tls_handshake_ms;

	return ms > 0 ? ms : DEFAULT_TLS_MS;
}

static int start_tls(struct tcp_conn *c, const struct tcp_listener *l,
		     int64_t deadline)
{
	/* Another context may take its place while this waits. */
	struct tcp_tls *t = tcp_tls_ref(l->slot[tcp_conn_worker(c)].tls);
	int r = tcp_conn_start_tls(c, t, NULL, deadline);

	tcp_tls_unref(t);
	return r;
}

static int start_tls_first(struct tcp_conn *c, const struct tcp_listener *l)
{
	int64_t from = l->options.first_byte_ms > 0 ? tcp_deadline(0)
						    : tcp_conn_started(c);

	return start_tls(c, l, clock_after(from, tls_ms(l)));
}

int tcp_conn_serve_tls(struct tcp_conn *c, int64_t deadline)
{
	const struct tcp_listener *l = c->listener;

	if (!l || !l->secure)
		return -EINVAL;
	return start_tls(c, l, min_i64(deadline, tcp_deadline(tls_ms(l))));
}

/* A reset would throw away the alert that says why. */
static void tls_failed(struct tcp_conn *c, int r)
{
	if (r == -EPROTO || r == -ECONNRESET || r == -EPIPE)
		unhandled(c, r);
	else
		unhandled_by_reset(c, r);
}

/* --- The handler -------------------------------------------------------- */

static void handle(void *arg)
{
	struct tcp_conn *c = arg;
	struct tcp_listener *l = c->listener;
	struct worker *w = container_of(net_self(), struct worker, net);
	int r = 0;

	count_add(&w->counts->tasks, 1);
	conn_own_by_task(c);
	if (l->secure && !l->options.tls_by_handler && !c->ops->carrier)
		r = start_tls_first(c, l);
	if (r < 0) {
		tls_failed(c, r);
	} else {
		c->handled = &c;
		l->handler(c, l->ctx);
		if (c) /* no relay took it */
			tcp_conn_close(c);
	}
	count_add(&w->counts->tasks, -1);
}

static void start_handler(struct tcp_conn *c)
{
	int r = task_start(handle, c, NULL);

	if (r < 0)
		unhandled_by_reset(c, r);
}

/* --- The first byte ----------------------------------------------------- */

static void first_byte(struct watch *w)
{
	struct tcp_conn *c = container_of(w, struct tcp_conn, watch);

	if (!(w->ready & CONN_READABLE))
		return;
	conn_end_silence(c);
	start_handler(c);
}

static void stayed_silent(struct timer *t)
{
	unhandled(container_of(t, struct tcp_conn, silence), -ETIMEDOUT);
}

/* In TLS a client speaks first, so there is a byte to wait for anyway. */
static int64_t silence_ms(const struct tcp_listener *l)
{
	if (l->options.first_byte_ms > 0)
		return l->options.first_byte_ms;
	return l->secure && !l->options.tls_by_handler ? tls_ms(l) : 0;
}

static void await_first_byte(struct tcp_conn *c, int64_t ms)
{
	c->owner.listener = c->listener;
	if (conn_await_first_byte(c, clock_after(tcp_conn_started(c), ms),
				  first_byte, stayed_silent) < 0)
		unhandled(c, -ENOMEM);
}

void arrivals_cut(struct net *n)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &n->silent)
		unhandled_by_reset(list_entry(at, struct tcp_conn, link),
				   -ECANCELED);
	list_for_each_safe (at, safe, &n->keepers) {
		struct keeper *k = list_entry(at, struct keeper, link);

		k->cut(k);
	}
}

/* --- Between two turns of a handler -------------------------------------- */

/*
 * After a read that was filled only a look tells whether what an event has told
 * of is still there.
 */
static bool has_something(struct tcp_conn *c)
{
	uint8_t byte;

	return conn_can_read(c) && conn_peek_now(c, &byte, 1) != -EAGAIN;
}

int conn_rest(struct tcp_conn *c, int64_t until)
{
	struct tcp_conn **handled = c->handled;
	int r;

	if (c->tls || !c->listener)
		return -EOPNOTSUPP;
	if (net_self()->draining)
		return -ESHUTDOWN;
	if (has_something(c))
		return -EAGAIN;
	c->owner.listener = c->listener;
	r = conn_await_first_byte(c, until, first_byte, stayed_silent);
	if (r < 0) {
		c->handled = handled;
		conn_own_by_task(c);
		return r;
	}
	c->resting = true;
	if (handled)
		*handled = NULL;
	return 0;
}

/* On the stack of its task. */
struct rest {
	struct list link;
	struct task *task;
};

ssize_t conn_rest_here(struct tcp_conn *c, void *to, size_t len,
		       int64_t deadline)
{
	struct net *n = net_self();
	struct rest rest = { .task = task_self() };

	for (;;) {
		ssize_t got = -EAGAIN;
		int r;

		if (conn_can_read(c))
			got = conn_read_now(c, to, len);
		if (got != -EAGAIN)
			return got;
		if (n->draining)
			return -ESHUTDOWN;
		list_append(&n->resting, &rest.link);
		r = conn_wait(c, conn_read_bits(c), deadline);
		list_remove(&rest.link);
		if (r < 0)
			return r;
	}
}

void arrivals_drain(struct net *n)
{
	struct list *at, *safe;

	n->draining = true;
	list_for_each_safe (at, safe, &n->resting)
		task_wake(list_entry(at, struct rest, link)->task, -ESHUTDOWN);
	list_for_each_safe (at, safe, &n->silent) {
		struct tcp_conn *c = list_entry(at, struct tcp_conn, link);

		if (c->resting)
			unhandled(c, -ESHUTDOWN);
	}
	list_for_each_safe (at, safe, &n->keepers) {
		struct keeper *k = list_entry(at, struct keeper, link);

		k->drain(k);
	}
}

/* --- The connection ----------------------------------------------------- */

/* Takes `fd` unless that fails for want of the user's block. */
static int conn_from_pool(struct tcp_conn **ret, struct user_pool *p, int *fd,
			  const struct tcp_addr *peer)
{
	struct tcp_conn *c;
	int r = user_pool_get(p, &c);

	if (r < 0)
		return r;
	r = conn_init_in(c, take_fd(fd), peer);
	if (r < 0) {
		user_pool_put(p, c);
		return r;
	}
	c->pooled = true;
	*ret = c;
	return 0;
}

static void reject(struct worker *w)
{
	server_unadmit(w->server);
	count_add(&w->counts->rejected, 1);
}

static void accepted(struct worker *w, struct tcp_listener *l,
		     struct tcp_conn *c, int tag)
{
	c->listener = l;
	c->tag = (uint32_t)tag;
	c->accepted = c->handshaking = true;
	count_add(&w->counts->accepted, 1);
	count_add(&w->counts->active, 1);
	count_add(&w->counts->handshakes, 1);
	server_admitted(w->server);
}

void arrival_begin(struct worker *w, struct tcp_listener *l, int fd,
		   const struct tcp_addr *peer, int tag)
{
	struct tcp_conn *c = NULL;
	int64_t silence = silence_ms(l);
	int r = 0;

	if (l->pooled)
		r = conn_from_pool(&c, &l->slot[w->number].pool, &fd, peer);
	/* Without its block there is one all the same, to be told of. */
	if (!c && (fd < 0 || conn_new(&c, fd, peer) < 0)) {
		if (l->options.forgotten)
			l->options.forgotten(peer, tag, l->ctx);
		reject(w);
		return;
	}
	accepted(w, l, c, tag);
	if (r < 0)
		unhandled_by_reset(c, r);
	else if (silence > 0)
		await_first_byte(c, silence);
	else
		start_handler(c);
}

int arrival_begin_stream(struct tcp_conn *c, const struct conn_ops *ops,
			 const struct tcp_conn *carrier)
{
	struct worker *w = container_of(net_self(), struct worker, net);

	if (!server_admit(w->server))
		return -EBUSY;
	if (worker_handshakes_full(w)) {
		server_unadmit(w->server);
		return -EBUSY;
	}
	conn_init_stream(c, ops, carrier);
	accepted(w, c->listener, c, 0);
	start_handler(c);
	return 0;
}
