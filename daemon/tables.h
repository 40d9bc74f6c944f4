/*
 * The tables of a generation's segment.  Numbers are native; a layout that
 * changes gets another size or name, so that older and newer programs leave
 * out what they do not know.
 */
#pragma once

#include "core/resolver_options.h"
#include "core/tcpserver.h"
#include "daemon/proxy/limits_table.h"
#include "daemon/proxy/proxy_counts.h"
#include "daemon/proxy/quota_layout.h"
#include "daemon/proxy/sessions.h"
#include "daemon/segment.h"

/* "about", one element. */
struct table_about {
	uint32_t generation;
	uint32_t workers;
	int64_t pid;
	int64_t started_us; /* CLOCK_REALTIME */
	char version[32];   /* terminated */
	char config[256];   /* path, terminated, maybe cut; "" built-in */
};

/* "watch": int64_t, its timeouts.watchdog in milliseconds; 0: off. */
/* "workers": struct tcp_worker_counts, one a worker (core/tcpserver.h). */
/* "proxy": struct proxy_counts, one a worker (daemon/proxy/proxy_counts.h). */
/* "sessions": struct session, slots (daemon/proxy/session.h). */

/* "quota-users": struct quota_entry, by a hash (daemon/proxy/quota_layout.h);
 * one that is free without quotas. */

/* "limits": struct limits_about, one; "limit-counts", "limit-labels",
 * "limit-rates": the other tables of daemon/proxy/limits_table.h. */

/*
 * Where there is a listener for metrics: "by-listener", struct
 * listener_counts, for each worker one for each listener; "by-parent", struct
 * parent_counts, all parents; "by-user", struct user_counts, places; "usage",
 * struct tcp_worker_usage, and "names", struct resolver_counts, one a worker;
 * "process", one:
 */
struct table_process {
	uint64_t logins_done, logins_refused;   /* jobs of the pool */
	uint64_t logins_waiting, login_threads; /* now */
	uint64_t log_dropped;
	uint64_t reserved[11];
};

/* "listeners", "clients", "rules", "upstreams": what the numbers - 1 in a
 * session mean. */
struct table_name {
	char text[64]; /* terminated */
};

/* What all workers of one or many generations have counted together. */
struct table_totals {
	uint64_t accepted, rejected, active, handshakes, relays;
	uint64_t sessions, bytes_up, bytes_down; /* of sessions that ended */
	uint64_t datagrams_up, datagrams_down, datagrams_dropped;
	uint64_t lost; /* of the sessions, by the death of their process */
};

/*
 * Adds what a segment's tables hold.  While its process `lives` that includes
 * `active`, `handshakes` and `relays`; of a dead one the records that nobody
 * has closed are sessions that ended.
 */
void table_totals_add(struct table_totals *t, const struct segment *s,
		      bool lives);

/* Copies "about", its texts terminated; false where it is missing. */
bool table_about_read(struct table_about *ret, const struct segment *s);

/*
 * Copies the name that a session's number (from 1) means in one of these
 * tables, terminated; "" where there is none.
 */
void table_name_read(struct table_name *ret, const struct segment *s,
		     const char *table, unsigned number);

/*
 * Finds the tables of the limits; false: there are none, or none that we know.
 * Their counts are bounded, so that reading all of them is too.
 */
bool table_limits_find(struct limits_table *ret, const struct segment *s);

/*
 * Begins a way through the session records, for session_walk_next(); one of a
 * segment without the table ends at once.  *ret_slots (may be NULL): the slots
 * and how many, for session_host().
 */
struct table_slots {
	const struct session *at;
	uint32_t count;
};
void table_sessions_walk(struct session_walk *w, const struct segment *s,
			 bool lives, struct table_slots *ret_slots);
