/*
 * Verification of logins: crypt(3) in a pool of few threads that yield to
 * everything else, awaited by the task of the client, or a question to
 * spliced-pam by the task itself.  A password is in our memory for as long as
 * that takes, in pages for secrets.
 *
 * First comes who is locked out, then what is remembered: else whoever guesses
 * could go on at full speed with the names of those who are logged in.
 */
#include "daemon/proxy/auth.h"

#include "core/clock.h"
#include "core/tcpserver.h"
#include "daemon/proxy/auth_cache.h"
#include "daemon/proxy/auth_clients.h"
#include "daemon/proxy/auth_helper.h"
#include "daemon/proxy/password.h"
#include "daemon/proxy/policy.h"
#include "daemon/proxy/secret.h"
#include "daemon/proxy/users.h"

#include <crypt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Traffic comes first: a hash takes from 5 to 250 ms of a CPU. */
#define AUTH_NICE 10

/* Of those who have failed lately so many may wait for each thread. */
#define SUSPECTS_PER_THREAD 4

/* RFC 1929 has no longer ones. */
#define NAME_BYTES     255
#define PASSWORD_BYTES 255

struct auth {
	struct tcp_pool *pool;
	struct auth_cache *cache; /* NULL: nothing is remembered */
	struct auth_clients *clients;
	struct secret_stock logins;
	const char *helper, *pam_service;
	int64_t failure_delay_ms;
};

/* One verification; the task's, or, once that has gone, the pool's. */
struct login {
	struct secret_stock *home;
	struct auth_place place;
	struct tcp_addr client;
	enum auth_method kinds[AUTH_METHODS];
	struct auth_mark marks[AUTH_METHODS];
	unsigned kind_count;
	int result;
	bool hashed;                  /* there is a file of users */
	bool possible;                /* or it is hashed for the time only */
	bool sayable;                 /* without a NUL, nor too long */
	char hash[CRYPT_OUTPUT_SIZE]; /* ours: the users may be replaced */
	uint8_t name_len, password_len;
	uint8_t name[NAME_BYTES];
	char password[PASSWORD_BYTES + 1];
	uint8_t request[HELPER_REQUEST_MAX];
};

void login_free(struct login *l)
{
	if (l)
		secret_stock_give(l->home, l);
}

static void login_drop(void *arg)
{
	login_free(arg);
}

/* --- What is remembered ------------------------------------------------- */

static struct span text_of(const char *s)
{
	return (struct span){ .at = (const uint8_t *)s, .len = strlen(s) };
}

/* What the verdict of spliced-pam rests on; no padding. */
struct helper_basis {
	uint64_t policy, scope;
	uint8_t client[16]; /* where PAM may say no to another one */
};

static struct helper_basis helper_basis(const struct login_claim *claim,
					enum auth_method kind)
{
	struct helper_basis b = { .policy = policy_number(claim->policy) };

	if (kind == AUTH_PAM) {
		b.scope = claim->client->scope;
		memcpy(b.client, claim->client->ip, sizeof(b.client));
	}
	return b;
}

/*
 * A verdict of the users' file holds as long as the user's line stays, others
 * as long as the policy does, and PAM's for the address that it was told.
 * False: nothing can be remembered.
 */
static bool mark_of(const struct auth *a, const struct login_claim *claim,
		    enum auth_method kind, struct auth_mark *ret)
{
	const struct users *users = policy_users(claim->policy);
	const struct helper_basis other = helper_basis(claim, kind);
	struct span basis = { .at = (const uint8_t *)&other,
			      .len = sizeof(other) };
	const char *hash;

	if (!a->cache)
		return false;
	if (kind == AUTH_PASSWORD) {
		hash = users ? users_hash(users, claim->name) : NULL;
		if (!hash)
			return false;
		basis = text_of(hash);
	}
	*ret = auth_cache_mark(a->cache, kind, claim->name, claim->password,
			       basis);
	return true;
}

int auth_recall(struct auth *a, const struct login_claim *claim,
		enum auth_method *ret)
{
	int64_t now = tcp_deadline(0);

	if (auth_clients_locked(a->clients, claim->client, now))
		return -EUSERS;
	for (unsigned i = 0; i < claim->kind_count; i++) {
		struct auth_mark m;

		if (!auth_is_login(claim->kinds[i]) ||
		    !mark_of(a, claim, claim->kinds[i], &m) ||
		    !auth_cache_has(a->cache, &m, now))
			continue;
		*ret = claim->kinds[i];
		return 0;
	}
	return -ENOENT;
}

/* --- A login ------------------------------------------------------------ */

static void take_hash(struct login *l, const struct login_claim *claim)
{
	const struct users *users = policy_users(claim->policy);
	const char *hash;

	if (!users)
		return;
	hash = users_hash(users, claim->name);
	l->hashed = true;
	l->possible = hash && l->sayable;
	if (!hash)
		hash = users_decoy(users, claim->name);
	(void)stpncpy(l->hash, hash, sizeof(l->hash) - 1);
}

static void take_words(struct login *l, const struct login_claim *claim)
{
	size_t len = min_size(claim->password.len, PASSWORD_BYTES);

	if (len)
		memcpy(l->password, claim->password.at, len);
	l->password_len = (uint8_t)len;
	/* crypt(3) would stop at a NUL and take the rest for right. */
	l->sayable = claim->password.len == len && strlen(l->password) == len &&
		     claim->name.len <= NAME_BYTES;
	l->name_len = (uint8_t)min_size(claim->name.len, NAME_BYTES);
	if (l->name_len)
		memcpy(l->name, claim->name.at, l->name_len);
}

struct login *login_new(struct auth *a, const struct login_claim *claim)
{
	struct login *l = secret_stock_take(&a->logins);

	if (!l)
		return NULL;
	l->home = &a->logins;
	l->client = *claim->client;
	take_words(l, claim);
	take_hash(l, claim);
	for (unsigned i = 0; i < claim->kind_count; i++) {
		enum auth_method kind = claim->kinds[i];

		if (!auth_is_login(kind))
			continue;
		(void)mark_of(a, claim, kind, &l->marks[l->kind_count]);
		l->kinds[l->kind_count++] = kind;
	}
	return l;
}

/* --- By the file of users ----------------------------------------------- */

/* On a thread of the pool. */
static void hash_password(void *arg)
{
	struct login *l = arg;

	/* While it waited others of this client have failed too often. */
	l->result = -EUSERS;
	if (auth_place_is_locked(&l->place, clock_ms()))
		return;
	l->result = password_check(l->password, l->hash);
	if (l->result == 0 && !l->possible)
		l->result = -EACCES;
}

/* *l is NULL afterwards where the pool has kept it. */
static int ask_pool(struct auth *a, struct login **l, int64_t deadline)
{
	int r;

	if (!(*l)->hashed)
		return -EACCES;
	r = tcp_pool_await(a->pool, hash_password, *l, login_drop, deadline);
	if (r == -ETIMEDOUT || r == -ECANCELED)
		*l = NULL;
	if (r == 0)
		r = (*l)->result;
	/* The pool stops when all else does. */
	return r == -ESHUTDOWN ? -ECANCELED : r;
}

/* --- By spliced-pam ----------------------------------------------------- */

static int ask_helper(struct auth *a, struct login *l, enum helper_kind kind,
		      int64_t deadline)
{
	char client[TCPSERVER_ADDR_STRLEN] = "";
	struct helper_request q = {
		.kind = kind,
		.name = { .at = l->name, .len = l->name_len },
		.password = { .at = (const uint8_t *)l->password,
			      .len = l->password_len },
	};
	int len;

	if (l->client.family == AF_INET || l->client.family == AF_INET6)
		q.client = text_of(
			addr_format_ip(&l->client, client, sizeof(client)));
	if (kind == HELPER_PAM)
		q.service = text_of(a->pam_service);
	if (kind == HELPER_PAM && !helper_service_is_sane(q.service))
		return -EINVAL;
	len = l->sayable ? helper_request_encode(l->request, &q) : -EINVAL;
	/* Nobody can be called so. */
	if (len < 0)
		return -EACCES;
	return auth_helper_ask(a->helper, l->request, (size_t)len, deadline);
}

/*
 * Many may be asked about at once.  Of a client that was locked out meanwhile
 * no verdict counts: else that many guesses more would be free.
 */
static int ask_helper_in_time(struct auth *a, struct login *l,
			      enum helper_kind kind, int64_t deadline)
{
	int r = -EUSERS;

	if (auth_place_is_locked(&l->place, tcp_deadline(0)))
		return r;
	r = ask_helper(a, l, kind, deadline);
	if ((r == 0 || r == -EACCES) &&
	    auth_place_is_locked(&l->place, tcp_deadline(0)))
		return -EUSERS;
	return r;
}

/* --- The whole of it ---------------------------------------------------- */

static int ask(struct auth *a, struct login **l, enum auth_method kind,
	       int64_t deadline)
{
	switch (kind) {
	case AUTH_NONE:
	case AUTH_CERTIFICATE:
		break;
	case AUTH_PASSWORD:
		return ask_pool(a, l, deadline);
	case AUTH_PAM:
		return ask_helper_in_time(a, *l, HELPER_PAM, deadline);
	case AUTH_SYSTEM:
		return ask_helper_in_time(a, *l, HELPER_SYSTEM, deadline);
	}
	return -EACCES;
}

/* After these it makes no sense to ask elsewhere. */
static bool is_the_end(int r)
{
	return r == 0 || r == -ETIMEDOUT || r == -ECANCELED || r == -EUSERS ||
	       r == -EAGAIN || r == -ENOMEM;
}

/*
 * Asks for one kind after the other.  That somebody could not tell comes before
 * that others said no; *wrong: some did.
 */
static int ask_all(struct auth *a, struct login **l, enum auth_method *ret,
		   bool *wrong, int64_t deadline)
{
	int result = -EACCES;

	for (unsigned i = 0; i < (*l)->kind_count; i++) {
		enum auth_method kind = (*l)->kinds[i];
		int r = ask(a, l, kind, deadline);

		if (r == 0 && a->cache)
			auth_cache_add(a->cache, &(*l)->marks[i],
				       tcp_deadline(0));
		if (r == 0)
			*ret = kind;
		if (is_the_end(r))
			return r;
		if (r == -EACCES)
			*wrong = true;
		else
			result = r;
	}
	return result;
}

int login_verify(struct auth *a, struct login *l, enum auth_method *ret,
		 int64_t deadline)
{
	struct auth_place place;
	bool wrong = false;
	int64_t began = tcp_deadline(0);
	int r = auth_clients_enter(a->clients, &place, &l->client, began);

	if (r < 0) {
		login_free(l);
		return r;
	}
	l->place = place;
	r = ask_all(a, &l, ret, &wrong, deadline);
	login_free(l);
	wrong &= r != 0;
	auth_clients_settle(a->clients, &place, wrong, tcp_deadline(0));
	/*
	 * Counted from the beginning, so that the time does not tell what was
	 * hashed, if anything.  Whoever hangs up meanwhile has failed all the
	 * same.
	 */
	if (wrong && a->failure_delay_ms > 0)
		(void)!tcp_sleep(
			min_i64(began + a->failure_delay_ms, deadline));
	auth_clients_leave(a->clients, &place);
	return r;
}

/* --- Life --------------------------------------------------------------- */

static unsigned default_threads(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set) / 2, 1);
}

static int make_parts(struct auth *a, const struct auth_options *o)
{
	const struct tcp_pool_options po = {
		.max_threads = o->threads ? o->threads : default_threads(),
		.shards = 1,
		.queue_max = AUTH_QUEUE,
		.nice = AUTH_NICE,
		.thread_name = "auth",
	};
	const struct auth_clients_options co = {
		.max = AUTH_QUEUE + po.max_threads,
		.suspects_max = SUSPECTS_PER_THREAD * (size_t)po.max_threads,
		.lock_after = o->lock_after,
		.lock_ms = o->lock_ms,
		.prefix4 = o->client_prefix4 ? o->client_prefix4 : 32,
		.prefix6 = o->client_prefix6 ? o->client_prefix6 : 64,
	};
	int r = tcp_pool_new(&a->pool, &po);

	if (r == 0)
		r = auth_clients_new(&a->clients, &co);
	if (r == 0 && o->cache_ms > 0 && o->cache_entries > 0)
		r = auth_cache_new(&a->cache, o->cache_entries, o->cache_ms);
	return r;
}

int auth_new(struct auth **ret, const struct auth_options *o)
{
	struct auth *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	secret_stock_init(&a->logins, sizeof(struct login));
	a->helper = o->helper ? o->helper : "";
	a->pam_service = o->pam_service ? o->pam_service : "";
	a->failure_delay_ms = o->failure_delay_ms;
	r = make_parts(a, o);
	if (r < 0) {
		auth_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void auth_stats(const struct auth *a, struct tcp_pool_stats *ret)
{
	tcp_pool_stats(a->pool, ret);
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	/* Its jobs look at clients, and give logins back. */
	tcp_pool_free(a->pool);
	secret_stock_done(&a->logins);
	auth_clients_free(a->clients);
	auth_cache_free(a->cache);
	free(a);
}
