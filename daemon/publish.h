/*
 * A generation's own segment: which tables it has, and what is written there
 * once, before anybody looks.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/tables.h"

struct metrics_tables {
	struct proxy_tables proxy;
	struct parent_counts *parents;
	struct tcp_worker_usage *usage;
	struct resolver_counts *names;
	struct table_process *process;
};

struct published {
	struct segment *segment;
	/* Tables in it, for those who count. */
	struct tcp_worker_counts *workers;
	struct proxy_counts *proxy;
	struct session *sessions;
	struct limits_table limits;
	struct quota_entry *quotas;
	struct metrics_tables metrics; /* all NULL: nobody wants to know */
};

/*
 * Makes the segment of a generation (0: the only one) with so many workers
 * and session slots.  -errno of segment_new().
 */
int publish_init(struct published *ret, const struct conf *c,
		 uint32_t generation, unsigned workers, uint32_t slots)
	MUST_CHECK;

/* Nobody may write to its tables any more.  Harmless on one all zero. */
void publish_done(struct published *p);
