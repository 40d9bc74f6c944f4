/*
 * Inside the looking for what makes no sense: where warnings go, and the parts
 * that have files of their own.
 */
#pragma once

#include "conf/check.h"

struct sense {
	const struct conf *c;
	struct conf_errors *errors;
};

#define WARN(k, where_, ...)                                                   \
	conf_errors_add((k)->errors, CONF_WARNING, where_, 0, __VA_ARGS__)

/* Rules that name users and groups, or protocols that nobody speaks. */
void conf_check_people(struct sense *k);

/* Numbers of sessions, rates and bandwidths that bound nothing. */
void conf_check_bounds(struct sense *k);
