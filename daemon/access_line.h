/*
 * A line of the access log while it grows.  It is written once or twice per
 * session, thus often enough that numbers and IPv4 addresses are put down by
 * hand: printf(3) and inet_ntop(3) would cost several times all the rest.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/session.h"

#include <string.h>

/* What does not fit is left out. */
struct access_line {
	char *at;
	const char *end;
};

static inline size_t access_room(const struct access_line *l)
{
	return (size_t)(l->end - l->at);
}

/* The end of the next `max` bytes. */
static inline const char *access_within(const struct access_line *l, size_t max)
{
	return l->at + min_size(access_room(l), max);
}

static inline void access_put_bytes(struct access_line *l, const char *text,
				    size_t len)
{
	len = min_size(len, access_room(l));
	memcpy(l->at, text, len);
	l->at += len;
}

/* Inline for literals, whose length the compiler knows. */
static inline void access_put(struct access_line *l, const char *text)
{
	access_put_bytes(l, text, strlen(text));
}

void access_put_number(struct access_line *l, uint64_t value);

/* "IP:PORT", "[IP6]:PORT". */
void access_put_address(struct access_line *l, const struct tcp_addr *a);

/* The part of the requested name that is in the record itself. */
struct span access_host(const struct session *s);

/* How long it has lasted, in ms. */
uint64_t access_duration_ms(const struct session *s);
