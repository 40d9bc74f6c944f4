/*
 * The segment of a generation of one worker, with sessions in it, as
 * splicedctl gets it.
 */
#pragma once

#include "daemon/proxy/sessions.h"
#include "daemon/tables.h"

struct session_table {
	struct segment *segment;
	struct sessions *sessions;
};

/*
 * Listener 1 is "lan", clients 1 and 2 are "office" and "", rule 1 is "web",
 * rule 2 has bytes in its name that no terminal should see.
 */
void session_table_init(struct session_table *t, uint32_t generation);
void session_table_done(struct session_table *t);

/*
 * Adds a tunnel to host:443 or, where `host` is NULL, to 192.0.2.7:443, that
 * began `age_ms` ago; the caller may change it.
 */
struct session *session_table_add(struct session_table *t, const char *client,
				  const char *host, int64_t age_ms);

/* Another process's view of it. */
struct segment *session_table_seen(const struct session_table *t);

int64_t monotonic_ms(void);
