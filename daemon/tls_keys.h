/*
 * The keys of session tickets (RFC 5077 §4), which outlive generations: a
 * client resumes with the next one what it has begun with this one.  They are
 * secret, so they pass through the socketpair to the master and never through
 * the segment.
 *
 * Every TLS_KEYS_EVERY_MS a new one takes the place of the first; the one
 * before decrypts as long again, and a ticket lives for two hours.  Times are
 * ms of CLOCK_MONOTONIC, which all processes of a machine share.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

#define TLS_KEYS_EVERY_MS (INT64_C(12) * 3600 * 1000)
#define TLS_KEYS_MAX      2

struct tls_keys {
	size_t count; /* the first encrypts */
	int64_t made_ms[TLS_KEYS_MAX];
	struct tcp_tls_ticket_key key[TLS_KEYS_MAX];
};

/*
 * Drops what is too old and makes a new first key where one is due: 1; 0: none
 * is; -errno of getrandom(2), and nothing has changed.
 */
int tls_keys_turn(struct tls_keys *k, int64_t now_ms) MUST_CHECK;

/* When tls_keys_turn() has something to do. */
int64_t tls_keys_due(const struct tls_keys *k);

/* Room for what tls_keys_encode() writes; it returns how much that is. */
#define TLS_KEYS_BYTES (8 + TLS_KEYS_MAX * (8 + 80))

size_t tls_keys_encode(const struct tls_keys *k, void *out);

/* Reads what another process has written.  -EBADMSG: *ret is as it was. */
int tls_keys_decode(struct tls_keys *ret, struct span bytes) MUST_CHECK;

/* Leaves no trace of them. */
void tls_keys_wipe(struct tls_keys *k);
