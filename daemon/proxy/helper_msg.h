/*
 * What is said over the socket of spliced-pam: one packet with a login, one
 * packet with the verdict.  Pure: bytes in, values out.
 */
#pragma once

#include "core/base.h"

#define HELPER_VERSION       1
#define HELPER_SERVICE_BYTES 64
#define HELPER_CLIENT_BYTES  64
#define HELPER_REQUEST_MAX                                                     \
	(6 + HELPER_SERVICE_BYTES + HELPER_CLIENT_BYTES + 255 + 255)
#define HELPER_REPLY_BYTES 2

enum helper_kind {
	HELPER_PAM = 1,
	HELPER_SYSTEM = 2, /* shadow(5) */
};

enum helper_verdict {
	HELPER_RIGHT = 0,
	HELPER_WRONG = 1,
	HELPER_FAILED = 2, /* nobody can tell */
};

struct helper_request {
	enum helper_kind kind;
	struct span service;        /* of PAM, else empty */
	struct span client;         /* an address as text, for its log */
	struct span name, password; /* without NULs */
};

/*
 * Tells whether this may be a file's name in /etc/pam.d: letters, digits,
 * '-', '_' and dots that it does not begin with.
 */
bool helper_service_is_sane(struct span service);

/* Returns the length, or -EINVAL: there is something that cannot be said. */
int helper_request_encode(uint8_t out[HELPER_REQUEST_MAX],
			  const struct helper_request *q) MUST_CHECK;

/* A whole packet; the spans point into it.  -EBADMSG. */
int helper_request_decode(struct helper_request *ret, struct span packet)
	MUST_CHECK;

void helper_reply_encode(uint8_t out[HELPER_REPLY_BYTES],
			 enum helper_verdict verdict);

/* -EBADMSG. */
int helper_reply_decode(enum helper_verdict *ret, struct span packet)
	MUST_CHECK;
