/*
 * What this proxy calls itself in Via where the configuration leaves it to us.
 * Requests that come back are known by it, so it must not be the name of
 * another proxy on the way: it is made of the machine and of where we listen.
 * The same in each generation of a configuration.
 */
#include "core/siphash.h"
#include "daemon/setup_internal.h"

#include <stdio.h>
#include <string.h>

#define AUTO "auto"

/* A listener's address as text, be it a path. */
#define PLACE_BYTES 160

/* Takes one more text into a hash. */
static uint64_t mix(const struct siphash_key *key, uint64_t hash,
		    const char *text)
{
	uint8_t room[sizeof(hash) + PLACE_BYTES];
	size_t len = min_size(strlen(text), sizeof(room) - sizeof(hash));

	memcpy(room, &hash, sizeof(hash));
	memcpy(room + sizeof(hash), text, len);
	return siphash(key, room, sizeof(hash) + len);
}

static uint64_t hash_listeners(const struct siphash_key *key,
			       const struct conf *c)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		hash = mix(key, hash, l->name);
		for (size_t k = 0; k < l->address.count; k++) {
			char text[PLACE_BYTES];

			hash = mix(key, hash,
				   conf_endpoint_format(&l->address.at[k], true,
							text, sizeof(text)));
		}
	}
	return hash;
}

int setup_via(struct setup *s)
{
	struct siphash_key key;
	int r;

	s->via = s->conf->http.via;
	if (strcmp(s->via, AUTO) != 0)
		return 0;
	/* Nobody can find the machine's id out from it. */
	r = outbound_secret(&key);
	if (r < 0)
		return r;
	(void)snprintf(s->via_made, sizeof(s->via_made), "spliced-%08x",
		       (unsigned)hash_listeners(&key, s->conf));
	s->via = s->via_made;
	return 0;
}
