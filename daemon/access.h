/*
 * The access log's line for an event of one session, in each of its formats.
 */
#pragma once

#include "daemon/proxy/session.h"

/* What is told of a session, each in a line of its own. */
enum access_event {
	ACCESS_CONNECT,    /* it was granted what it asked for */
	ACCESS_DISCONNECT, /* one of these has ended */
	ACCESS_ERROR,      /* it ended without having been granted anything */
};

/* What the numbers in a session record mean; borrowed. */
struct access_names {
	const char *const *listeners; /* by number - 1 */
	size_t listener_count;
	const char *const *client_rules;
	size_t client_rule_count;
	const char *const *rules;
	size_t rule_count;
	const char *const *upstreams;
	size_t upstream_count;
	/* By number - 1: what a listener was told to listen on, IPv4, IPv6. */
	const struct tcp_addr (*addresses)[2]; /* NULL: not known */
};

struct access_entry {
	enum access_event event;
	const struct session *session;
	struct span host_tail; /* of a name longer than the record's field */
	const struct access_names *names;
};

/*
 * Each writes a line into out[size] without a line feed and returns its
 * length; one of LOG_LINE_BYTES is enough for all of it.  Numbers that are out
 * of range are left out.
 *
 * "access event=... client=...": see spliced(8), ACCESS LOG.
 */
size_t access_logfmt(const struct access_entry *e, char *out, size_t size);

/* The same pairs as one object: `{"event":"...","client":"...",...}`. */
size_t access_json(const struct access_entry *e, char *out, size_t size);

/* As danted(8) 1.4 writes it: "info: pass(1): tcp/connect [: ...". */
size_t access_danted(const struct access_entry *e, char *out, size_t size);

/* "connect", ... */
const char *access_event_word(enum access_event event);
