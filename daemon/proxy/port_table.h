/*
 * Ranges of ports, cut into aligned runs of 1, 16, 256, 4096 or all ports: a
 * port lies in one run of each length, so that few looks find all ranges that
 * hold it.
 */
#pragma once

#include "daemon/proxy/rule_spec.h"

#define PORT_NONE   UINT32_MAX
#define PORT_LEVELS 5u   /* lengths of runs */
#define PORT_RUNS   121u /* that a range is made of, at most */

struct port_slot {
	uint32_t run; /* + 1; 0: empty */
	uint32_t number;
};

struct port_table {
	struct port_slot *slot;
	uint32_t slots; /* 0 or a power of two */
	uint32_t count;
	uint8_t levels; /* bits: of which lengths there are runs */
};

/* The runs that a range is made of; how many. */
unsigned port_runs(const struct port_range *range, uint32_t out[PORT_RUNS]);

/* The run of a level, from 0, that a port lies in. */
static inline uint32_t port_run(uint16_t port, unsigned level)
{
	return level << 16 | (uint32_t)port >> 4 * level;
}

void port_table_done(struct port_table *t);

/* Gives the runs of a range numbers, from 0.  -ENOMEM. */
int port_table_add(struct port_table *t, const struct port_range *range)
	MUST_CHECK;

/* The number of a run, or PORT_NONE. */
uint32_t port_table_find(const struct port_table *t, uint32_t run);
