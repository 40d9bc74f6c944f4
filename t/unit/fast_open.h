/*
 * Dials by TCP Fast Open in a network namespace of the test's own.
 */
#pragma once

#include "t/unit/on_loop.h"

extern struct tcp_addr fast_to[2]; /* the first one listens */
extern int fast_listening;
extern const struct tcp_dial_options fast_options;

/* Runs body() on a loop in such a network; not at all where none is to be. */
void fast_run(void (*body)(void));

/* Writes a text to a file of /proc/sys; whether that may be. */
bool fast_set(const char *path, const char *text);

/* Clients and servers may, "3"; neither, "0". */
bool fast_allow(const char *who);

struct tcp_conn *fast_dial(void);
struct tcp_conn *fast_accepted(void);

/* The first connection brings the cookie. */
void fast_get_cookie(void);

/* Dials with a cookie: nothing is sent. */
struct tcp_conn *fast_dial_early(void);

/* Whether the SYN took bytes along that were taken. */
bool fast_had_data(struct tcp_conn *c);

/* Sends both ways between the two ends of a connection, and closes them. */
void fast_finish(struct tcp_conn *c, struct tcp_conn *far);
