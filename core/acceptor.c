/*
 * The accept loop.
 */
#include "core/acceptor.h"

#include "core/arrival.h"
#include "core/listen_sock.h"
#include "core/server_internal.h"
#include "core/sock.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define BATCH_MAX     16u
#define BACK_OFF_MIN  10
#define BACK_OFF_MAX  500 /* service must be back within a second */
#define LIMIT_WAIT_MS 100 /* another worker may have made the room */
#define LOST_LOOK_MS  1000
#define LEAVE_MORE    64u /* that come while what is queued is taken */

/* --- When there is no room ---------------------------------------------- */

/* Its timer is armed from first to last: moving it cannot fail. */
static void look_at(struct acceptor *a, int64_t when)
{
	int r = timer_set(a->worker->loop, &a->look, when);

	ASSERT(r == 0);
}

static void look_in(struct acceptor *a, int64_t ms)
{
	look_at(a, loop_now(a->worker->loop) + ms);
}

/*
 * The one that the kernel woke for a connection may have left without it: it
 * had no room, or was killed.  So one worker looks now and then at a socket
 * that is shared.
 */
static void look_later(struct acceptor *a)
{
	if (a->listener->shared && a->worker->number == 0)
		look_in(a, LOST_LOOK_MS);
	else
		look_at(a, TIMER_NEVER - 1);
}

/* An exclusive watch cannot be changed, epoll_ctl(2): it goes and comes. */
static int listen_for(struct acceptor *a, bool on)
{
	struct loop *loop = a->worker->loop;

	if (!a->listener->shared)
		return watch_modify(loop, &a->watch, on ? EPOLLIN : 0);
	if (on)
		return watch_add(loop, &a->watch, EPOLLIN | EPOLLEXCLUSIVE);
	watch_remove(loop, &a->watch);
	return 0;
}

static void mute(struct acceptor *a, int ms)
{
	a->muted = true;
	(void)!listen_for(a, false);
	look_in(a, ms);
}

void acceptor_resume(struct acceptor *a)
{
	if (!a->muted)
		return;
	if (listen_for(a, true) < 0) { /* no memory */
		look_in(a, LIMIT_WAIT_MS);
		return;
	}
	a->muted = false;
	look_later(a);
}

static void reject(struct acceptor *a, int fd)
{
	sock_set_reset(fd);
	close_fd(&fd);
	count_add(&a->worker->counts->rejected, 1);
}

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor or memory: one client learns at once, then we wait. */
static void back_off(struct acceptor *a)
{
	struct worker *w = a->worker;
	int fd;

	close_fd(&w->spare);
	fd = accept4(a->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		reject(a, fd);
	w->spare = open_spare();
	a->back_off_ms = a->back_off_ms ? a->back_off_ms * 2 : BACK_OFF_MIN;
	if (a->back_off_ms > BACK_OFF_MAX)
		a->back_off_ms = BACK_OFF_MAX;
	mute(a, a->back_off_ms);
}

/* --- The loop ----------------------------------------------------------- */

static int admit(const struct tcp_listener *l, const struct tcp_addr *peer)
{
	return l->options.admit ? l->options.admit(peer, l->ctx) : 0;
}

/*
 * One client between two ticks is asked, so that it costs the others nothing:
 * TCP has had its last word from him when he entered the queue.
 */
static void note_wait(struct worker *w, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return;
	w->sample = false;
	__atomic_store_n(&w->net.usage->accept_ms, info.tcpi_last_ack_recv,
			 __ATOMIC_RELAXED);
}

/* Accepts one; 0, or why not. */
static int accept_one(struct acceptor *a)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct tcp_addr peer;
	int fd, tag;

	ss.ss_family = AF_UNSPEC;
	if (!server_admit(a->worker->server))
		return -EBUSY;
	fd = accept4(a->watch.fd, (struct sockaddr *)&ss, &len,
		     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		int r = -errno;

		server_unadmit(a->worker->server);
		return r;
	}
	a->back_off_ms = 0;
	if (a->worker->sample && ss.ss_family != AF_UNIX)
		note_wait(a->worker, fd);
	if (a->worker->spare < 0) /* another thread was quicker, then */
		a->worker->spare = open_spare();
	if (worker_handshakes_full(a->worker)) {
		server_unadmit(a->worker->server);
		reject(a, fd);
		return 0;
	}
	tcp_addr_from_sockaddr(&peer, (const struct sockaddr *)&ss);
	addr_unmap(&peer);
	tag = admit(a->listener, &peer);
	if (tag < 0) {
		server_unadmit(a->worker->server);
		close_fd(&fd);
		return 0;
	}
	arrival_begin(a->worker, a->listener, fd, &peer, tag);
	return 0;
}

/* A connection may fail between its arrival and accept(2): the next one. */
static bool is_about_one_connection(int r)
{
	switch (r) {
	case -ECONNABORTED:
	case -EPROTO:
	case -EPERM: /* a firewall's word */
	case -EINTR:
	case -ENETDOWN:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -EOPNOTSUPP:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* Level-triggered: what a full batch leaves brings the next event. */
static void incoming(struct watch *watch)
{
	struct acceptor *a = container_of(watch, struct acceptor, watch);

	watch->ready = 0;
	for (unsigned i = 0; i < a->batch; i++) {
		int r = accept_one(a);

		if (r == 0 || is_about_one_connection(r))
			continue;
		if (r == -EBUSY)
			mute(a, LIMIT_WAIT_MS);
		else if (r != -EAGAIN)
			back_off(a);
		a->batch = (unsigned)max_size(i, 1);
		return;
	}
	a->batch = (unsigned)min_size(a->batch * 2, BATCH_MAX);
}

static void look(struct timer *t)
{
	struct acceptor *a = container_of(t, struct acceptor, look);

	look_later(a);
	if (a->muted)
		acceptor_resume(a);
	else
		incoming(&a->watch);
}

int acceptor_new(struct acceptor **ret, struct worker *w,
		 struct tcp_listener *l, int fd)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->watch = (struct watch){ .notify = incoming, .fd = fd };
	a->look.fire = look;
	a->worker = w;
	a->listener = l;
	a->batch = 1;
	r = timer_set(w->loop, &a->look, TIMER_NEVER - 1);
	if (r == 0)
		r = watch_add(w->loop, &a->watch,
			      EPOLLIN | (l->shared ? EPOLLEXCLUSIVE : 0));
	if (r < 0) {
		timer_stop(w->loop, &a->look);
		free(a);
		return r;
	}
	look_later(a);
	list_append(&w->acceptors, &a->link);
	if (ret)
		*ret = a;
	return 0;
}

/*
 * Accepts what came while we were still told of it: nobody else may have been.
 * New ones may come as fast as they are taken, so there is an end to it.
 */
static void accept_queued(struct acceptor *a)
{
	unsigned left = listen_sock_queued(a->watch.fd);

	if (a->listener->un) /* which does not tell */
		left = SOMAXCONN;
	for (left += min_size(left, SOMAXCONN) + LEAVE_MORE; left > 0; left--) {
		int r;

		/* A newer generation need not refuse them. */
		if (worker_handshakes_full(a->worker))
			return;
		r = accept_one(a);

		if (r < 0 && !is_about_one_connection(r))
			return;
	}
}

void acceptor_free(struct acceptor *a)
{
	/*
	 * The socket may be open in another process as well, where it would
	 * go on raising events for us after the close.
	 */
	watch_remove(a->worker->loop, &a->watch);
	timer_stop(a->worker->loop, &a->look);
	list_remove(&a->link);
	accept_queued(a);
	free(a);
}
