/*
 * Inside the filling of options: one call of conf_fill_option(), and the
 * functions for options that are lists.
 */
#pragma once

#include "conf/fill.h"

struct fill_job {
	struct conf_fill *f;
	const struct conf_option *o;
	void *field;
	const struct conf_value *values;
	size_t count;
	unsigned line;
};

#define COMPLAIN(j, line_, ...)                                                \
	conf_fill_report((j)->f, CONF_ERROR, line_, __VA_ARGS__)

/* Gives an element for each value; NULL: -ENOMEM is noted. */
void *fill_array(struct fill_job *j, size_t size);

/* Copies a text into the configuration's arena; NULL: -ENOMEM is noted. */
char *fill_keep(struct fill_job *j, const char *text, size_t len);

void fill_endpoints(struct fill_job *j);
void fill_matches(struct fill_job *j);
void fill_ports(struct fill_job *j);
void fill_listeners(struct fill_job *j);
void fill_entry(struct fill_job *j);
void fill_targets(struct fill_job *j);
void fill_urls(struct fill_job *j);
void fill_windows(struct fill_job *j);
void fill_texts(struct fill_job *j);
