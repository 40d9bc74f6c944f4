/*
 * How HTTP is spoken: configuration.
 */
#pragma once

#include "daemon/proxy/http_pool.h"

/* Texts are borrowed; NULL is "". */
struct http_options {
	const char *via;   /* our name in Via; "": none is added */
	const char *realm; /* of logins */
	bool forwarded, x_forwarded_for; /* tell targets whose request it is */
	int64_t keep_alive_ms; /* between two requests; 0: there is one only */
	int64_t response_ms;   /* for the head of a response; 0: no bound */
	struct http_pool_options pool;
};
