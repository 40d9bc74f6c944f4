/*
 * A table of sets of eight entries, with a key of its own so that nobody can
 * choose whom to share a set with.  An entry without failures in time and
 * without logins is free; where none is, who has failed least goes first, who
 * is locked out last.
 *
 * It is asked where a password has to be hashed, which takes a hundred
 * thousand times as long as the lock is held; for logins that are remembered
 * one look at a time is enough while nobody is locked out.
 */
#include "daemon/proxy/auth_clients.h"

#include "core/siphash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WAYS 8u
#define SETS 2048u

struct auth_client {
	uint64_t key;          /* 0: free */
	int64_t since;         /* of the first failure that counts */
	_Atomic int64_t until; /* it is locked out; 0: it is not */
	uint32_t failures;
	uint32_t trying; /* places */
};

struct auth_clients {
	struct auth_clients_options o;
	struct siphash_key key;
	_Atomic int64_t last_until; /* the latest of all */
	pthread_mutex_t lock;
	size_t waiting, suspects;
	struct auth_client table[SETS * WAYS];
};

int auth_clients_new(struct auth_clients **ret,
		     const struct auth_clients_options *o)
{
	struct auth_clients *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->o = *o;
	r = siphash_key_draw(&c->key);
	if (r < 0) {
		free(c);
		return r;
	}
	(void)pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

void auth_clients_free(struct auth_clients *c)
{
	if (!c)
		return;
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- Finding ------------------------------------------------------------ */

/* Never 0.  IPv4 and IPv6 differ in how many bytes are hashed. */
static uint64_t key_of(const struct auth_clients *c, const struct tcp_addr *a)
{
	struct tcp_addr plain = *a;
	uint8_t bytes[16];
	const uint8_t *ip;
	unsigned bits;
	size_t len;

	addr_unmap(&plain);
	ip = addr_bytes(&plain, &len);
	memcpy(bytes, ip, len);
	bits = plain.family == AF_INET ? c->o.prefix4 : c->o.prefix6;
	for (size_t i = 0; i < len; i++, bits -= min_size(bits, 8))
		if (bits < 8)
			bytes[i] &= (uint8_t)(0xff00u >> bits);
	return siphash(&c->key, bytes, len) | 1;
}

/* Of those on UNIX sockets nobody is known. */
static bool has_prefix(const struct tcp_addr *a)
{
	return a->family == AF_INET || a->family == AF_INET6;
}

static bool is_locked(const struct auth_client *e, int64_t now)
{
	return atomic_load_explicit(&e->until, memory_order_relaxed) > now;
}

/* Drops failures whose time is over. */
static void age(const struct auth_clients *c, struct auth_client *e,
		int64_t now)
{
	if (now - e->since >= c->o.lock_ms)
		e->failures = 0;
}

/* The lower, the sooner its entry is another's. */
static uint64_t worth(const struct auth_clients *c, struct auth_client *e,
		      int64_t now)
{
	age(c, e, now);
	if (!e->key)
		return 0;
	return 1 + e->failures + ((uint64_t)is_locked(e, now) << 32);
}

static struct auth_client *find(struct auth_clients *c, uint64_t key)
{
	struct auth_client *set = &c->table[(key >> 1) % SETS * WAYS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* NULL: logins of others have them all. */
static struct auth_client *make(struct auth_clients *c, uint64_t key,
				int64_t now)
{
	struct auth_client *set = &c->table[(key >> 1) % SETS * WAYS];
	struct auth_client *best = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].trying)
			continue;
		if (!best || worth(c, &set[i], now) < worth(c, best, now))
			best = &set[i];
	}
	if (!best)
		return NULL;
	best->key = key;
	best->since = 0;
	best->failures = 0;
	/* The verifier of one who has left may look at it still. */
	atomic_store_explicit(&best->until, 0, memory_order_relaxed);
	return best;
}

/* --- Places ------------------------------------------------------------- */

bool auth_clients_locked(struct auth_clients *c, const struct tcp_addr *client,
			 int64_t now)
{
	const struct auth_client *e;
	bool locked;

	if (atomic_load_explicit(&c->last_until, memory_order_relaxed) <= now ||
	    !has_prefix(client))
		return false;
	(void)pthread_mutex_lock(&c->lock);
	e = find(c, key_of(c, client));
	locked = e && is_locked(e, now);
	(void)pthread_mutex_unlock(&c->lock);
	return locked;
}

/*
 * Half of the places are for whoever comes, of the rest each client has an
 * eighth at most.  Those that have failed lately share a few, so that a flood
 * of guesses is hardly in anybody's way.
 */
static int check_room(const struct auth_clients *c, struct auth_client *e,
		      int64_t now)
{
	size_t max = c->o.max;

	if (e && is_locked(e, now))
		return -EUSERS;
	if (c->waiting >= max)
		return -EAGAIN;
	if (!e)
		return 0;
	if (e->failures && c->suspects >= c->o.suspects_max)
		return -EAGAIN;
	if (e->trying >= max / 2)
		return -EAGAIN;
	return e->trying >= max / 8 && c->waiting >= max / 2 ? -EAGAIN : 0;
}

int auth_clients_enter(struct auth_clients *c, struct auth_place *ret,
		       const struct tcp_addr *client, int64_t now)
{
	struct auth_client *e = NULL;
	int r;

	(void)pthread_mutex_lock(&c->lock);
	if (has_prefix(client)) {
		uint64_t key = key_of(c, client);

		e = find(c, key);
		if (!e)
			e = make(c, key, now);
	}
	if (e)
		age(c, e, now);
	r = check_room(c, e, now);
	if (r == 0) {
		*ret = (struct auth_place){ .client = e,
					    .waits = true,
					    .suspect = e && e->failures };
		c->waiting++;
		c->suspects += ret->suspect;
		if (e)
			e->trying++;
	}
	(void)pthread_mutex_unlock(&c->lock);
	return r;
}

static void stop_waiting(struct auth_clients *c, struct auth_place *p)
{
	if (!p->waits)
		return;
	c->waiting--;
	c->suspects -= p->suspect;
	p->waits = false;
}

static void count_failure(struct auth_clients *c, struct auth_client *e,
			  int64_t now)
{
	age(c, e, now);
	if (e->failures++ == 0)
		e->since = now;
	if (!c->o.lock_after || e->failures < c->o.lock_after)
		return;
	/* Afterwards it begins anew. */
	e->failures = 0;
	atomic_store_explicit(&e->until, now + c->o.lock_ms,
			      memory_order_relaxed);
	atomic_store_explicit(&c->last_until, now + c->o.lock_ms,
			      memory_order_relaxed);
}

void auth_clients_settle(struct auth_clients *c, struct auth_place *p,
			 bool failed, int64_t now)
{
	(void)pthread_mutex_lock(&c->lock);
	stop_waiting(c, p);
	if (failed && p->client)
		count_failure(c, p->client, now);
	(void)pthread_mutex_unlock(&c->lock);
}

void auth_clients_leave(struct auth_clients *c, struct auth_place *p)
{
	(void)pthread_mutex_lock(&c->lock);
	stop_waiting(c, p);
	if (p->client)
		p->client->trying--;
	p->client = NULL;
	(void)pthread_mutex_unlock(&c->lock);
}

bool auth_place_is_locked(const struct auth_place *p, int64_t now)
{
	return p->client && is_locked(p->client, now);
}
