/*
 * What UDP ASSOCIATE is told once.
 */
#pragma once

#include "core/base.h"

/* Whose datagrams an association takes, RFC 1928 §7. */
enum associate_source {
	ASSOCIATE_STRICT,  /* the client's, from the first port that it used */
	ASSOCIATE_ADDRESS, /* the client's, from whichever port it used last */
	ASSOCIATE_ANY,     /* of whoever is admitted and came last */
};

/* UDP ASSOCIATE; bounds are those of one worker. */
struct associate_options {
	enum associate_source source;
	bool any_reply;    /* also from whom nothing was sent to, if allowed */
	size_t max;        /* associations; 0: UDP is not served */
	size_t per_client; /* of one client; 0: no bound */
	uint8_t client_prefix4, client_prefix6; /* bits: who is one client */
	size_t bytes;  /* all memory that they hold, socket buffers too */
	size_t buffer; /* SO_RCVBUF, SO_SNDBUF of each socket; 0: default */
};
