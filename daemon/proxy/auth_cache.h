/*
 * Logins that were found right, for a bounded time and in a bounded number:
 * keyed hashes of who, by what and with which password, never these
 * themselves.  Shared by all threads without a lock.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"

struct auth_cache;

/* What a login is known by; made with the cache's own random keys. */
struct auth_mark {
	uint64_t half[2];
};

/*
 * Room for `entries`, at least, each of which holds for `ms`.  -ENOMEM, -errno
 * of getrandom(2).
 */
int auth_cache_new(struct auth_cache **ret, uint32_t entries, int64_t ms)
	MUST_CHECK;
void auth_cache_free(struct auth_cache *c); /* NULL is harmless */

/*
 * `basis` is what else the verdict rests on, such as the user's hash: with
 * another one it is another login.
 */
struct auth_mark auth_cache_mark(const struct auth_cache *c,
				 enum auth_method method, struct span name,
				 struct span password, struct span basis);

bool auth_cache_has(const struct auth_cache *c, const struct auth_mark *m,
		    int64_t now);

/* The one of few that ends first makes room. */
void auth_cache_add(struct auth_cache *c, const struct auth_mark *m,
		    int64_t now);
