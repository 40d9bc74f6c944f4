/*
 * Verification of passwords: crypt(3) in a pool of few threads that yield to
 * everything else, awaited by the task of the client.  A password is in our
 * memory for as long as that takes, in pages for secrets.
 */
#include "daemon/proxy/auth.h"

#include "core/tcpserver.h"
#include "daemon/proxy/secret.h"
#include "daemon/proxy/users.h"

#include <crypt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Traffic comes first: a hash takes from 5 to 250 ms of a CPU. */
#define AUTH_NICE 10

/* RFC 1929 has no longer one. */
#define PASSWORD_BYTES 255

struct auth {
	struct tcp_pool *pool;
};

/* One verification; the task's, or, once that has gone, the pool's. */
struct login {
	char hash[CRYPT_OUTPUT_SIZE]; /* ours: the users may be replaced */
	bool possible; /* or it is done for the time that it takes */
	int result;
	char password[PASSWORD_BYTES + 1];
};

static void login_free(void *arg)
{
	secret_free(arg, sizeof(struct login));
}

struct login *login_new(const struct users *users, struct span name,
			struct span password)
{
	struct login *l = secret_new(sizeof(*l));
	const char *hash = users_hash(users, name);
	size_t len = min_size(password.len, PASSWORD_BYTES);

	if (!l)
		return NULL;
	l->possible = hash && password.len <= PASSWORD_BYTES;
	if (!hash)
		hash = users_decoy(users, name);
	(void)stpncpy(l->hash, hash, sizeof(l->hash) - 1);
	if (len)
		memcpy(l->password, password.at, len);
	/* crypt(3) would stop there and take the rest for right. */
	if (strlen(l->password) != len)
		l->possible = false;
	return l;
}

/* Looks at all of both, so that the time does not tell where they differ. */
static bool hashes_are_equal(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned differ = len != strlen(b);

	for (size_t i = 0; i < len && b[i]; i++)
		differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return !differ;
}

/* On a thread of the pool. */
static void verify(void *arg)
{
	struct crypt_data *room = secret_new(sizeof(*room));
	struct login *l = arg;
	const char *hash;

	l->result = -ENOMEM;
	if (!room)
		return;
	hash = crypt_rn(l->password, l->hash, room, sizeof(*room));
	if (hash)
		l->result = hashes_are_equal(hash, l->hash) && l->possible
				    ? 0
				    : -EACCES;
	else if (errno != ENOMEM)
		l->result = -EACCES;
	secret_free(room, sizeof(*room));
}

int login_verify(struct auth *a, struct login *l, int64_t deadline)
{
	int r = tcp_pool_await(a->pool, verify, l, login_free, deadline);

	if (r == -ETIMEDOUT || r == -ECANCELED)
		return r;
	if (r == 0)
		r = l->result;
	login_free(l);
	/* The pool stops when all else does. */
	return r == -ESHUTDOWN ? -ECANCELED : r;
}

static unsigned default_threads(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_size((size_t)CPU_COUNT(&set) / 2, 1);
}

int auth_new(struct auth **ret, const struct auth_options *o)
{
	const struct tcp_pool_options po = {
		.max_threads = o->threads ? o->threads : default_threads(),
		.shards = 1,
		.queue_max = AUTH_QUEUE,
		.nice = AUTH_NICE,
		.thread_name = "auth",
	};
	struct auth *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	r = tcp_pool_new(&a->pool, &po);
	if (r < 0) {
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	tcp_pool_free(a->pool);
	free(a);
}
