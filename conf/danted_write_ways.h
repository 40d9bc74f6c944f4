/*
 * Which ways requests of a danted.conf take, where there are parents, and how
 * its BIND is carried over.
 */
#pragma once

#include "conf/danted_write.h"

/* A route, or several that take over from each other. */
struct danted_way {
	const struct danted_rule *r, *last; /* these and what is between */
	uint32_t commands;
	const char *name; /* of the entry of `upstreams`, or "direct" */
	bool denied;      /* there are no words for it */
};

/* Denies what no route takes directly, where there are no parents. */
void danted_write_routes(struct danted_writer *w);

/* Finds out which there are; without a parent there are none. */
void danted_plan_ways(struct danted_writer *w);

void danted_write_upstreams(struct danted_writer *w);

void danted_plan_bind(struct danted_writer *w);
void danted_write_bind(struct danted_writer *w);

/* An entry of `rules` that lets pass, once for each way that is for it. */
void danted_write_ways(struct danted_writer *w, const struct danted_entry *e);
