/*
 * One BIND after the other, for its tests: a request as a protocol leaves it,
 * and a proxy of one worker on this thread's loop.
 */
#pragma once

#include "daemon/proxy/proxy_internal.h"

/* What a test may change before bind_begin(). */
extern struct proxy_options bind_options;
extern struct proxy_protocol bind_protocol;
extern struct rule_spec bind_spec[3]; /* before the one that allows all */
extern size_t bind_spec_count;

extern struct request *bind_rq; /* from bind_begin() to bind_end() */
extern int bind_client;         /* its end of the control connection */

/* What the protocol told, and what it is to do. */
extern struct bind_told {
	struct tcp_addr bound; /* what the last grant told */
	unsigned grants;
	int result;
	void (*then)(void); /* after the first reply */
} bind_told;

/* The usual options: a checked fixture. */
void bind_setup(void);

/* Makes all of it; `dst` is ADDR:PORT, or a name. */
void bind_begin(const char *dst);
void bind_end(void);

/* The address of a text. */
struct tcp_addr bind_addr(const char *text);

/* Makes it the source of its family. */
void bind_set_source(const char *text);

/* Who comes, and the address that he comes from; NULL: any. */
extern int bind_peer;
extern const char *bind_from;
int bind_come_from(const char *ip);

/* For bind_told.then: bind_peer comes after the first reply. */
void bind_come(void);

/* Fails unless he was let in as it should be. */
void bind_expect_let_in(void);

/* All of one in which somebody is let in. */
void bind_succeed(const char *dst, const char *whom);
