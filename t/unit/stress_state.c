/*
 * What the server under stress must keep in balance: user blocks that know in
 * which state they are, and jobs that are released exactly once.
 */
#include "t/unit/stress.h"

#include <stdlib.h>
#include <time.h>

#define MAGIC      0x57e55u
#define FAIL_EVERY 97u /* making a user block fails as often */

struct stress stress = { .lock = PTHREAD_MUTEX_INITIALIZER, .file = -1 };

/* --- User blocks -------------------------------------------------------- */

struct user {
	unsigned magic;
	enum stress_owner owner;
};

static int user_init(void *user, void *ctx)
{
	struct user *u = user;
	unsigned before = atomic_fetch_add(&stress.made, 1);

	claim(ctx == &stress, "user_init has another ctx");
	claim(u->magic == 0 && u->owner == STRESS_NOBODY,
	      "a block is not zeroed");
	if (before % FAIL_EVERY == FAIL_EVERY - 1 &&
	    !atomic_load(&stress.calm)) {
		atomic_fetch_add(&stress.failed, 1);
		return -ENOMEM;
	}
	u->magic = MAGIC;
	return 0;
}

static void user_reset(void *user, void *ctx)
{
	struct user *u = user;

	claim(ctx == &stress, "user_reset has another ctx");
	claim(u->magic == MAGIC, "a block that was not made is reset");
	claim(u->owner != STRESS_NOBODY, "nobody was told of a connection");
	atomic_fetch_add(&stress.ended, 1);
	u->owner = STRESS_NOBODY;
}

static void user_done(void *user, void *ctx)
{
	struct user *u = user;

	claim(ctx == &stress, "user_done has another ctx");
	claim(u->magic == MAGIC, "a block that was not made is freed");
	claim(u->owner == STRESS_NOBODY, "a block is freed that is in use");
	u->magic = 0;
	atomic_fetch_add(&stress.freed, 1);
}

void stress_own(struct tcp_conn *c, enum stress_owner owner)
{
	struct user *u = tcp_conn_user(c);

	claim(u && u->magic == MAGIC, "a connection without its block");
	claim(u->owner == STRESS_NOBODY, "a connection has a second owner");
	u->owner = owner;
}

static int admit(const struct tcp_addr *peer, void *ctx)
{
	claim(ctx == &stress, "admit has another ctx");
	claim(peer->family == AF_INET || peer->family == AF_UNIX,
	      "a peer of family %d", peer->family);
	return STRESS_TAG;
}

static void unhandled(struct tcp_conn *c, int r, void *ctx)
{
	claim(ctx == &stress, "unhandled has another ctx");
	claim(r < 0, "unhandled for no reason");
	claim(tcp_conn_tls_error(c), "no text of a failure");
	/* Without its block where that could not be made. */
	if (tcp_conn_user(c))
		stress_own(c, STRESS_UNHANDLED);
	else
		atomic_fetch_add(&stress.blockless, 1);
}

const struct tcp_listen_options stress_listen = {
	.nodelay = true,
	.admit = admit,
	.unhandled = unhandled,
	.user_bytes = sizeof(struct user),
	.user_init = user_init,
	.user_reset = user_reset,
	.user_done = user_done,
};

/* --- Jobs --------------------------------------------------------------- */

struct job {
	atomic_bool released;
	unsigned ms, in, out;
};

static void job_release(void *arg)
{
	struct job *j = arg;

	claim(!atomic_exchange(&j->released, true), "a job released twice");
	atomic_fetch_add(&stress.jobs_released, 1);
	free(j);
}

static void job_run(void *arg)
{
	struct job *j = arg;
	const struct timespec ts = { .tv_nsec = j->ms % 1000 * 1000000L };

	claim(!atomic_load(&j->released), "a job runs after its release");
	if (j->ms > 0)
		(void)nanosleep(&ts, NULL);
	j->out = j->in * 3;
}

char stress_await(unsigned ms, int64_t deadline)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	claim(j, "no memory for a job");
	j->ms = ms;
	j->in = atomic_fetch_add(&stress.jobs, 1) + 1;
	r = tcp_pool_await(stress.pool, job_run, j, job_release, deadline);
	if (r == -ETIMEDOUT)
		return 't';
	if (r == -ECANCELED)
		return 'c';
	claim(r == 0 || r == -EAGAIN || r == -ESHUTDOWN, "await says %d", r);
	claim(r < 0 || j->out == j->in * 3, "a job that was not done");
	job_release(j);
	return r == 0 ? 'd' : 'f';
}

static void run_alone(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

void stress_submit(bool wait)
{
	int r = wait ? tcp_pool_submit_wait(stress.pool, run_alone,
					    &stress.alone_done, 5)
		     : tcp_pool_submit(stress.pool, run_alone,
				       &stress.alone_done);

	claim(r == 0 || r == -ESHUTDOWN || r == (wait ? -ETIMEDOUT : -EAGAIN),
	      "submit says %d", r);
	if (r == 0)
		atomic_fetch_add(&stress.alone, 1);
}
