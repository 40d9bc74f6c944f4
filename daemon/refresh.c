/*
 * The thread, and the change itself.
 *
 * What has served its time is freed here and not where the last worker lets go
 * of it: to give back the memory of a hundred thousand entries takes longer
 * than a loop should stand still.
 */
#include "daemon/refresh.h"

#include "core/clock.h"
#include "daemon/answer.h"
#include "daemon/load.h"
#include "daemon/log.h"
#include "daemon/proxy/users.h"
#include "daemon/quotas.h"
#include "daemon/tls_contexts.h"
#include "daemon/zone.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define LOOK_MS   4000 /* between looks at the files */
#define SETTLE_MS 1000 /* then nothing must have changed: see look() */
#define SETTLES   5    /* looks until that is not waited for any more */
#define RETIRE_MS 1000 /* at what logins under way may still want */
#define RETIRED   8    /* policies that wait; beyond, the last one frees */
#define ANSWER_MS 10000
#define SLICE_MS  100 /* of waiting for a client, to hear of the end */

/* Traffic comes first. */
#define REFRESH_NICE 10

#define LINE_BYTES 512

struct asked {
	int fd;
	char line[LINE_BYTES];
};

struct refresh {
	struct setup *setup;
	struct data_files files;
	struct quota_keeper *quotas; /* or NULL */
	bool looks;       /* there is something to look at now and then */
	pthread_t thread; /* if it is running: there is something for it */
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct asked queue[REFRESH_CLIENTS_MAX];
	size_t first, count;
	atomic_bool ending;
	/* The rest is the thread's. */
	int64_t quota_ms;    /* the same of quotas */
	int64_t look_ms;     /* when the files are looked at next */
	const char *touched; /* one that has changed and is not read yet */
	unsigned settles;    /* looks since, at each of which it went on */
	const struct policy *retired[RETIRED];
	size_t retired_count;
	char why[LOAD_WHY_BYTES], tls_why[LOAD_WHY_BYTES];
};

/* --- The change ---------------------------------------------------------- */

static void free_retired(struct refresh *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->retired_count; i++) {
		if (policy_is_shared(r->retired[i]))
			r->retired[kept++] = r->retired[i];
		else
			policy_unref(r->retired[i]);
	}
	r->retired_count = kept;
}

static void retire(struct refresh *r, const struct policy *old)
{
	free_retired(r);
	if (policy_is_shared(old) && r->retired_count < RETIRED)
		r->retired[r->retired_count++] = old;
	else
		policy_unref(old);
}

static size_t count_users(const struct policy *p)
{
	return policy_users(p) ? users_count(policy_users(p)) : 0;
}

static void tell_tls(const struct refreshed *d, const char *why)
{
	if (d->contexts < 0)
		log_line(LOG_LEVEL_ERROR,
			 "refresh failed, certificates that were read before "
			 "hold: %s%s",
			 why,
			 d->contexts == -EACCES
				 ? " (a reload reads it before it gives up "
				   "rights)"
				 : "");
	else if (d->contexts)
		log_line(LOG_LEVEL_NOTICE,
			 "certificates of %d entries of tls were read anew",
			 d->contexts);
}

static void tell(const struct refreshed *d, const char *who)
{
	if (!d->ok)
		log_line(LOG_LEVEL_ERROR,
			 "refresh failed, what was read before holds: %s",
			 d->error);
	else if (d->ended)
		log_line(LOG_LEVEL_NOTICE,
			 "refreshed, %s, in %jd ms; users: %zu; sessions of "
			 "others ended: %zu",
			 who, (intmax_t)d->ms, d->users, d->ended);
	else
		log_line(LOG_LEVEL_NOTICE,
			 "refreshed, %s, in %jd ms; users: %zu", who,
			 (intmax_t)d->ms, d->users);
}

struct refreshed refresh_now(struct refresh *r, bool enforce, const char *who)
{
	struct refreshed d = { .error = r->why };
	int64_t began = clock_ms();
	struct policy *next = NULL;

	(void)data_files_look(&r->files);
	r->touched = NULL;
	r->settles = 0;
	r->why[0] = '\0';
	d.ok = setup_policy(&next, r->setup->conf, r->why, sizeof(r->why)) == 0;
	if (d.ok) {
		struct policy *old = r->setup->policy;

		d.ended = proxy_set_policy(r->setup->proxy, next, enforce);
		r->setup->policy = next;
		retire(r, old);
		d.users = count_users(next);
	}
	/* Whoever is to be locked out is, whatever a certificate is like. */
	d.contexts = tls_contexts_refresh(r->setup->tls, r->tls_why,
					  sizeof(r->tls_why));
	d.ms = clock_ms() - began;
	tell(&d, who);
	tell_tls(&d, r->tls_why);
	if (d.ok && d.contexts < 0) {
		d.ok = false;
		d.error = r->tls_why;
	}
	return d;
}

struct quota_keeper *refresh_quotas(const struct refresh *r)
{
	return r->quotas;
}

const struct setup *refresh_setup(const struct refresh *r)
{
	return r->setup;
}

/*
 * Who writes a file in place, as some editors do, makes it empty first: it is
 * read when it has not changed for a while.
 */
static void look(struct refresh *r)
{
	const char *changed = data_files_look(&r->files);
	char who[256];

	zone_follow();
	r->look_ms = clock_deadline(changed ? SETTLE_MS : LOOK_MS);
	if (changed)
		r->touched = changed;
	if (!r->touched || (changed && ++r->settles < SETTLES))
		return;
	(void)snprintf(who, sizeof(who), "%.200s has changed", r->touched);
	(void)refresh_now(r, false, who);
}

/* --- Clients ------------------------------------------------------------- */

/*
 * What a client sent beyond its line is taken out: closed with bytes unread,
 * the socket would make a reset of its end.
 */
static void close_client(int fd)
{
	char rest[256];

	for (int i = 0; i < 16; i++)
		if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	close_fd(&fd);
}

static bool wait_for_room(const struct refresh *r, int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	while (!(r && r->ending) && clock_ms() < deadline) {
		int n = poll(&p, 1, SLICE_MS);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

/* Takes both; a text of NULL for want of memory closes the client. */
static void answer(const struct refresh *r, int fd, char *text)
{
	int64_t deadline = clock_deadline(ANSWER_MS);
	size_t len = text ? strlen(text) : 0, at = 0;

	while (at < len) {
		ssize_t n = send(fd, text + at, len - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN &&
			 !wait_for_room(r, fd, deadline))
			break;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
	}
	free(text);
	close_client(fd);
}

/* Nobody reads what does not fit into the socket: it does not wait. */
static void refuse(int fd, const char *why)
{
	char *text = fd < 0 ? NULL : answer_error(why);

	if (text)
		(void)!send(fd, text, strlen(text),
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
	if (fd >= 0)
		close_client(fd);
}

/* --- The thread ---------------------------------------------------------- */

static void serve(struct refresh *r, struct asked *a)
{
	char *text = refresh_answer(r, a->line, a->fd);

	if (a->fd >= 0)
		answer(r, a->fd, text);
	else
		free(text);
}

/* With the lock; false: it is not there to be taken. */
static bool take(struct refresh *r, struct asked *ret)
{
	if (r->count == 0)
		return false;
	*ret = r->queue[r->first];
	r->first = (r->first + 1) % REFRESH_CLIENTS_MAX;
	r->count--;
	return true;
}

static int64_t next_wake(const struct refresh *r)
{
	int64_t wake = r->looks ? r->look_ms : INT64_MAX;

	if (r->quotas)
		wake = min_i64(wake, r->quota_ms);
	if (r->retired_count)
		wake = min_i64(wake, clock_deadline(RETIRE_MS));
	return wake;
}

static void look_at_quotas(struct refresh *r)
{
	if (!r->quotas || r->ending || clock_ms() < r->quota_ms)
		return;
	quota_keeper_look(r->quotas);
	r->quota_ms = clock_deadline(QUOTA_LOOK_MS);
}

static void *run(void *arg)
{
	struct refresh *r = arg;
	struct asked a;

	(void)pthread_setname_np(pthread_self(), "refresh");
	(void)setpriority(PRIO_PROCESS, 0, REFRESH_NICE);
	r->look_ms = clock_deadline(LOOK_MS);
	(void)pthread_mutex_lock(&r->lock);
	while (!r->ending) {
		bool asked = take(r, &a);

		if (!asked)
			(void)clock_cond_wait(&r->changed, &r->lock,
					      next_wake(r));
		(void)pthread_mutex_unlock(&r->lock);
		if (asked)
			serve(r, &a);
		free_retired(r);
		if (!r->ending && clock_ms() >= r->look_ms)
			look(r);
		look_at_quotas(r);
		(void)pthread_mutex_lock(&r->lock);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Signals are for the main thread. */
static int start(struct refresh *r)
{
	sigset_t all, before;
	int error;

	if (r->running)
		return 0;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&r->thread, NULL, run, r);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	r->running = error == 0;
	return -error;
}

void refresh_ask(struct refresh *r, struct span line, int fd)
{
	bool taken = false;

	if (!r || line.len >= LINE_BYTES) {
		refuse(fd, r ? "the line is too long"
			     : "this generation does not serve");
		return;
	}
	if (start(r) < 0) {
		refuse(fd, "there is no thread to be had");
		return;
	}
	(void)pthread_mutex_lock(&r->lock);
	if (r->count < REFRESH_CLIENTS_MAX) {
		size_t i = (r->first + r->count++) % REFRESH_CLIENTS_MAX;
		struct asked *a = &r->queue[i];

		a->fd = fd;
		memcpy(a->line, line.at, line.len);
		a->line[line.len] = '\0';
		taken = true;
		(void)pthread_cond_signal(&r->changed);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (!taken)
		refuse(fd, "too many clients");
}

int refresh_new(struct refresh **ret, struct setup *s, struct data_files *files,
		struct quota_keeper *quotas)
{
	struct refresh *r = calloc(1, sizeof(*r));
	int bad = 0;

	if (!r)
		return -ENOMEM;
	r->setup = s;
	r->files = *files;
	r->quotas = quotas;
	(void)pthread_mutex_init(&r->lock, NULL);
	clock_cond_init(&r->changed);
	r->looks = r->files.count || zone_matters(s->conf);
	if (r->looks)
		bad = start(r);
	if (bad < 0) {
		(void)pthread_cond_destroy(&r->changed);
		(void)pthread_mutex_destroy(&r->lock);
		free(r);
		return bad;
	}
	*files = (struct data_files){ 0 };
	*ret = r;
	return 0;
}

void refresh_free(struct refresh *r)
{
	struct asked a;

	if (!r)
		return;
	(void)pthread_mutex_lock(&r->lock);
	r->ending = true;
	(void)pthread_cond_signal(&r->changed);
	(void)pthread_mutex_unlock(&r->lock);
	if (r->running)
		(void)pthread_join(r->thread, NULL);
	while (take(r, &a))
		close_fd(&a.fd);
	for (size_t i = 0; i < r->retired_count; i++)
		policy_unref(r->retired[i]);
	data_files_done(&r->files);
	(void)pthread_cond_destroy(&r->changed);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}
