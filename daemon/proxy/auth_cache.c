/*
 * A table of sets of eight entries.  (In sets of four, one or two of a hundred
 * users were driven out again and again by others, with four times the room
 * that all of them needed.)  An entry is three words, written one by one: the
 * time until which it holds, and both halves of the mark, each mixed with that
 * time.  Whoever reads while another one writes sees words that do not fit each
 * other, which is a login that is not known.
 *
 * Only logins that were right come in, so whoever guesses drives none out.
 */
#include "daemon/proxy/auth_cache.h"

#include "core/siphash.h"
#include "daemon/proxy/secret.h"

#include <stdatomic.h>

#define WAYS 8u

struct entry {
	_Atomic uint64_t until; /* 0: free */
	_Atomic uint64_t mixed[2];
};

struct auth_cache {
	struct siphash_key key[2];
	size_t bytes, sets;
	int64_t ms;
	struct entry entry[];
};

int auth_cache_new(struct auth_cache **ret, uint32_t entries, int64_t ms)
{
	size_t sets = max_size((entries + WAYS - 1) / WAYS, 1);
	size_t bytes = sizeof(struct auth_cache) +
		       sets * WAYS * sizeof(struct entry);
	struct auth_cache *c = secret_new(bytes);
	int r;

	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	c->sets = sets;
	c->ms = ms;
	r = siphash_key_draw(&c->key[0]);
	if (r == 0)
		r = siphash_key_draw(&c->key[1]);
	if (r < 0) {
		auth_cache_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void auth_cache_free(struct auth_cache *c)
{
	if (c)
		secret_free(c, c->bytes);
}

/*
 * Each part by itself, so that no copy of a password is made, and both halves
 * by keys of their own, so that whoever wants to pass for another has to find
 * 128 bits.
 */
struct auth_mark auth_cache_mark(const struct auth_cache *c,
				 enum auth_method method, struct span name,
				 struct span password, struct span basis)
{
	struct auth_mark m;

	for (int i = 0; i < 2; i++) {
		const struct siphash_key *key = &c->key[i];
		uint64_t parts[] = {
			(uint64_t)method,
			siphash(key, name.at, name.len),
			siphash(key, password.at, password.len),
			siphash(key, basis.at, basis.len),
		};

		m.half[i] = siphash(key, parts, sizeof(parts));
	}
	return m;
}

static uint64_t get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit((_Atomic uint64_t *)word,
				    memory_order_relaxed);
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Until when it holds for that mark; 0: it is not its entry. */
static uint64_t until(const struct entry *e, const struct auth_mark *m)
{
	uint64_t time = get(&e->until);
	uint64_t differ = (get(&e->mixed[0]) ^ time ^ m->half[0]) |
			  (get(&e->mixed[1]) ^ time ^ m->half[1]);

	return differ ? 0 : time;
}

static size_t set_of(const struct auth_cache *c, const struct auth_mark *m)
{
	return m->half[0] % c->sets * WAYS;
}

bool auth_cache_has(const struct auth_cache *c, const struct auth_mark *m,
		    int64_t now)
{
	const struct entry *e = &c->entry[set_of(c, m)];
	bool found = false;

	for (unsigned i = 0; i < WAYS; i++)
		found |= until(&e[i], m) > (uint64_t)now;
	return found;
}

void auth_cache_add(struct auth_cache *c, const struct auth_mark *m,
		    int64_t now)
{
	struct entry *e = &c->entry[set_of(c, m)], *at = e;
	uint64_t time = (uint64_t)(now + c->ms);

	for (unsigned i = 0; i < WAYS; i++) {
		if (until(&e[i], m)) {
			at = &e[i];
			break;
		}
		if (get(&e[i].until) < get(&at->until))
			at = &e[i];
	}
	set(&at->until, time);
	set(&at->mixed[0], m->half[0] ^ time);
	set(&at->mixed[1], m->half[1] ^ time);
}
