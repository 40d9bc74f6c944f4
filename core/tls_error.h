/*
 * What went wrong with TLS, said to people: sentences that name the file, and
 * OpenSSL's own words behind them.
 */
#pragma once

#include "core/base.h"

/* Where the sentence about a failure goes: tcp_tls_new()'s why[size]. */
struct tls_why {
	char *text;
	size_t size;
};

/* Writes the sentence and returns `r`. */
int tls_why_say(const struct tls_why *w, int r, const char *format, ...)
	PRINTF_LIKE(3, 4);

/*
 * Writes the sentence, then ": " and OpenSSL's first error, and empties its
 * queue.  -EINVAL, or -ENOMEM if that error was one.
 */
int tls_why_openssl(const struct tls_why *w, const char *format, ...)
	PRINTF_LIKE(2, 3);
