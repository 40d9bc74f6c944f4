/*
 * What rules can be found by: each name, prefix, port, user and group that one
 * of them speaks of, as a number of its kind.
 */
#pragma once

#include "daemon/proxy/name_set.h"
#include "daemon/proxy/port_table.h"
#include "daemon/proxy/prefix_table.h"
#include "daemon/proxy/rule_users.h"

enum rule_key_kind {
	KEY_USER,
	KEY_GROUP,
	KEY_NAME,   /* in `to`: that very name, */
	KEY_SUFFIX, /* a domain, */
	KEY_TO,     /* a prefix */
	KEY_FROM,   /* a prefix */
	KEY_PORT,   /* a run of ports, see port_table.h */
};
#define KEY_KINDS (KEY_PORT + 1)

/* The part of a rule that it is to be found by. */
enum rule_part {
	PART_USERS,
	PART_TO,
	PART_FROM,
	PART_PORTS,
};
#define PARTS       (PART_PORTS + 1)
#define PART_BIT(p) (1u << (p))

struct rule_keys {
	const struct rule_users *users;
	struct name_set names;
	struct prefix_table to, from;
	struct port_table ports;
};

/* Takes in what all rules speak of; borrows `users`. */
int rule_keys_init(struct rule_keys *k, const struct rule_users *users)
	MUST_CHECK;
int rule_keys_take(struct rule_keys *k, const struct rule_spec *clients,
		   size_t client_count, const struct rule_spec *requests,
		   size_t request_count) MUST_CHECK;
void rule_keys_done(struct rule_keys *k);

uint32_t rule_keys_count(const struct rule_keys *k, enum rule_key_kind kind);

/* Calls `fn` with each key of a part; classes and lists have none. */
typedef void rule_keys_fn(void *ctx, enum rule_key_kind kind, uint32_t key);
void rule_keys_each(const struct rule_keys *k, const struct rule_spec *spec,
		    enum rule_part part, rule_keys_fn *fn, void *ctx);
