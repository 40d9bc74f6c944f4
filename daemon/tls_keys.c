/*
 * Numbers are native: both ends run on one machine, but maybe in two versions.
 * The magic number says which; keys of one that is not known are not taken,
 * and clients shake hands in full once.
 */
#include "daemon/tls_keys.h"

#include <string.h>
#include <sys/random.h>

#define MAGIC 0x314b5453u /* "STK1" */

struct head {
	uint32_t magic, count;
};

struct element {
	int64_t made_ms;
	struct tcp_tls_ticket_key key;
};

_Static_assert(sizeof(struct head) + TLS_KEYS_MAX * sizeof(struct element) ==
		       TLS_KEYS_BYTES,
	       "TLS_KEYS_BYTES is enough for all of them");

static bool is_new(const struct tls_keys *k, size_t i, int64_t now_ms,
		   int64_t age_ms)
{
	return k->made_ms[i] <= now_ms && now_ms - k->made_ms[i] < age_ms;
}

static int make_key(struct tcp_tls_ticket_key *ret)
{
	uint8_t *at = (uint8_t *)ret;
	size_t len = 0;

	while (len < sizeof(*ret)) {
		ssize_t n = getrandom(at + len, sizeof(*ret) - len, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int tls_keys_turn(struct tls_keys *k, int64_t now_ms)
{
	struct tls_keys next = { .count = 1, .made_ms = { now_ms } };
	int r;

	if (k->count && is_new(k, 0, now_ms, TLS_KEYS_EVERY_MS))
		return 0;
	r = make_key(&next.key[0]);
	for (size_t i = 0; r == 0 && i < k->count; i++) {
		if (next.count == TLS_KEYS_MAX ||
		    !is_new(k, i, now_ms, 2 * TLS_KEYS_EVERY_MS))
			continue;
		next.made_ms[next.count] = k->made_ms[i];
		next.key[next.count++] = k->key[i];
	}
	if (r == 0)
		*k = next;
	tls_keys_wipe(&next);
	return r < 0 ? r : 1;
}

int64_t tls_keys_due(const struct tls_keys *k)
{
	return k->count ? k->made_ms[0] + TLS_KEYS_EVERY_MS : 0;
}

size_t tls_keys_encode(const struct tls_keys *k, void *out)
{
	struct head h = { .magic = MAGIC, .count = (uint32_t)k->count };
	uint8_t *at = out;

	memcpy(at, &h, sizeof(h));
	at += sizeof(h);
	for (size_t i = 0; i < k->count; i++) {
		memcpy(at, &k->made_ms[i], sizeof(k->made_ms[i]));
		at += sizeof(k->made_ms[i]);
		memcpy(at, &k->key[i], sizeof(k->key[i]));
		at += sizeof(k->key[i]);
	}
	return (size_t)(at - (uint8_t *)out);
}

static bool are_sane(const struct tls_keys *k)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->made_ms[i] < 0 ||
		    k->made_ms[i] > INT64_MAX - 2 * TLS_KEYS_EVERY_MS)
			return false;
	return k->count < 2 || memcmp(k->key[0].name, k->key[1].name,
				      sizeof(k->key[0].name)) != 0;
}

int tls_keys_decode(struct tls_keys *ret, struct span bytes)
{
	CLEANUP(tls_keys_wipe) struct tls_keys k = { 0 };
	const uint8_t *at = bytes.at;
	struct head h;

	if (bytes.len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, at, sizeof(h));
	at += sizeof(h);
	if (h.magic != MAGIC || h.count == 0 || h.count > TLS_KEYS_MAX ||
	    bytes.len != sizeof(h) + h.count * sizeof(struct element))
		return -EBADMSG;
	for (; k.count < h.count; k.count++) {
		memcpy(&k.made_ms[k.count], at, sizeof(k.made_ms[0]));
		at += sizeof(k.made_ms[0]);
		memcpy(&k.key[k.count], at, sizeof(k.key[0]));
		at += sizeof(k.key[0]);
	}
	if (!are_sane(&k))
		return -EBADMSG;
	*ret = k;
	return 0;
}

void tls_keys_wipe(struct tls_keys *k)
{
	explicit_bzero(k, sizeof(*k));
}
