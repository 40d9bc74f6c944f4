#include "daemon/admin_internal.h"

#include "conf/admin.h"
#include "daemon/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *admin_ctx(struct setup *s, size_t listener UNUSED)
{
	return s->admin;
}

static struct tcp_listen_options admin_options(const struct conf *c,
					       const struct conf_listener *l)
{
	return (struct tcp_listen_options){
		.backlog = (int)l->backlog,
		.nodelay = l->nodelay,
		.v6only = l->v6only,
		.unix_mode = l->mode,
		.tls_handshake_ms = min_i64(c->timeouts.tls_ms, ADMIN_FIRST_MS),
	};
}

/* --- Its thread ---------------------------------------------------------- */

static int thread_starts(void *ctx, unsigned worker UNUSED)
{
	((struct admin *)ctx)->loop = loop_self();
	return 0;
}

/* What the master has said meanwhile is let go. */
static void thread_ends(void *ctx, unsigned worker UNUSED)
{
	loop_read_mail(((struct admin *)ctx)->loop);
}

static int make_server(struct admin *a)
{
	const struct tcp_server_options o = {
		.workers = 1,
		/* As many again, who shake hands or wait for their turn. */
		.max_connections = (size_t)2 * ADMIN_CLIENTS,
		.thread_name = "admin",
		.worker_start = thread_starts,
		.worker_stop = thread_ends,
		.ctx = a,
	};

	return tcp_server_new(&a->server, &o);
}

/* --- Life ---------------------------------------------------------------- */

int admin_new(struct admin **ret, struct setup *s, int control,
	      const struct listening *proxy)
{
	const struct conf *c = s->conf;
	struct timespec now;
	struct admin *a;
	int r = 0;

	*ret = NULL;
	if (!c->admin.http.count)
		return 0;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	a->started_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	a->setup = s;
	a->proxy = proxy;
	a->listener = conf_admin_listener(c);
	a->control = -1;
	json_object_seed(0); /* now, since it opens a device */
	list_init(&a->waiting);
	list_init(&a->silent);
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)gethostname(a->machine, sizeof(a->machine) - 1);
	/* Ours, since another thread closes the other one. */
	if (control >= 0)
		a->control = fcntl(control, F_DUPFD_CLOEXEC, 3);
	if (control >= 0 && a->control < 0)
		r = -errno;
	if (r == 0 && *c->admin.users)
		r = admin_login_new(&a->login, c);
	if (r == 0)
		r = make_server(a);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR,
			 "the admin listener cannot be made: %s", strerror(-r));
		admin_free(a);
		return r;
	}
	s->admin = a;
	*ret = a;
	return 0;
}

void admin_note_process(const struct admin *a)
{
	struct table_process *to = a->setup->published.metrics.process;
	struct tcp_pool_stats pool = { 0 };

	if (a->setup->auth)
		auth_stats(a->setup->auth, &pool);
	__atomic_store_n(&to->logins_done, pool.completed, __ATOMIC_RELAXED);
	__atomic_store_n(&to->logins_refused, pool.refused, __ATOMIC_RELAXED);
	__atomic_store_n(&to->logins_waiting, pool.queued, __ATOMIC_RELAXED);
	__atomic_store_n(&to->login_threads, pool.threads, __ATOMIC_RELAXED);
	__atomic_store_n(&to->log_dropped, log_dropped(), __ATOMIC_RELAXED);
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	if (a->server)
		(void)tcp_server_shutdown(a->server, 0);
	admin_note_process(a);
	listening_done(&a->listening);
	tcp_server_free(a->server);
	admin_login_free(a->login);
	close_fd(&a->control);
	a->setup->admin = NULL;
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

void admin_lock(struct admin *a)
{
	if (a)
		(void)pthread_mutex_lock(&a->lock);
}

void admin_unlock(struct admin *a)
{
	if (a)
		(void)pthread_mutex_unlock(&a->lock);
}

int admin_open(struct admin *a, struct adopt *passed)
{
	struct listen_service by;

	if (!a)
		return 0;
	by = (struct listen_service){
		.listeners = &a->listener,
		.count = 1,
		.server = a->server,
		.handler = admin_serve,
		.ctx = admin_ctx,
		.options = admin_options,
	};
	return listening_open_for(&a->listening, a->setup, &by, passed);
}

struct listening *admin_listening(struct admin *a)
{
	return a ? &a->listening : NULL;
}

int admin_prepare(struct admin *a)
{
	int r = a ? tcp_server_prepare(a->server) : 0;

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot start the admin thread: %s",
			 strerror(-r));
	return r;
}

int admin_start(struct admin *a)
{
	int r;

	if (!a)
		return 0;
	r = listening_begin(&a->listening);
	if (r == 0)
		r = tcp_server_start(a->server);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR,
			 "the admin listener cannot accept connections: %s",
			 strerror(-r));
	a->running = r == 0;
	return r;
}

void admin_draining(struct admin *a)
{
	if (!a)
		return;
	__atomic_store_n(&a->draining, true, __ATOMIC_RELAXED);
	/* Its answer tells whether somebody else serves now. */
	if (a->control >= 0)
		(void)!handoff_tell(a->control, HANDOFF_LOOK);
}

void admin_stop(struct admin *a)
{
	if (!a || !a->running)
		return;
	__atomic_store_n(&a->stopped, true, __ATOMIC_RELAXED);
	tcp_server_stop_accepting(a->server);
}

bool admin_is_busy(const struct admin *a)
{
	return a && __atomic_load_n(&a->busy, __ATOMIC_RELAXED) > 0;
}
