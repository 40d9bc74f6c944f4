/*
 * Inside the checks: where errors and warnings go, and the parts that have
 * files of their own.
 */
#pragma once

#include "conf/check.h"

struct check {
	const struct conf *c;
	struct conf_errors *errors;
	int result;
};

#define COMPLAIN(k, where_, ...)                                               \
	do {                                                                   \
		conf_errors_add((k)->errors, CONF_ERROR, where_, 0,            \
				__VA_ARGS__);                                  \
		if ((k)->result == 0)                                          \
			(k)->result = -EBADMSG;                                \
	} while (0)

/* Certificates, protocols that stand alone, logins by certificate. */
void conf_check_listeners(struct check *k);

/* Parents that could never be asked for what they are for. */
void conf_check_upstreams(struct check *k);

/* Who could reach the metrics. */
void conf_check_admin(struct check *k);

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

/* Options of listeners that do nothing, certificates that nobody uses. */
void conf_sense_listeners(struct sense *k);

/* The same of parents, and rules that these make toothless. */
void conf_sense_upstreams(struct sense *k);

/* Options of the metrics that do nothing, or too much. */
void conf_sense_admin(struct sense *k);

/* Tells whether one of these listeners looks at clients' certificates. */
bool conf_verifies_clients(const struct conf *c,
			   const struct conf_listener_set *set);

/* Tells whether all its addresses are UNIX sockets. */
bool conf_is_unix(const struct conf_listener *l);

/* Tells whether only this machine can reach it. */
bool conf_is_local(const struct conf_listener *l);
