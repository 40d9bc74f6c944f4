/*
 * The one place where the configuration meets core and proxy: turns its
 * structs into theirs.  What it makes borrows from the configuration.
 */
#pragma once

#include "conf/conf.h"
#include "daemon/access_log.h"
#include "daemon/proxy/proxy_listener.h"
#include "daemon/publish.h"

struct admin;
struct tls_contexts;

struct setup {
	const struct conf *conf;
	uint32_t generation; /* 0: the only one */
	unsigned workers;
	struct published published;
	struct policy *policy;
	struct auth *auth;        /* NULL: nobody can log in */
	struct tls_contexts *tls; /* NULL: no listener has TLS */
	const char *via;          /* "": none; may point at: */
	char via_made[sizeof("spliced-") + 8];
	struct tcp_addr *name_servers;
	const char **search;
	struct outbound_source *sources;
	struct quota_bound *quota_bounds;
	struct rule_action *action_list; /* what both of these point at */
	struct rule_actions client_actions, actions;
	struct upstream_group *groups; /* by number - 1; likewise: */
	struct setup_upstream **upstreams;
	uint32_t *listener_sessions;
	struct proxy *proxy;
	struct tcp_server *server;
	struct proxy_listener *listeners; /* one per conf listener */
	const char **names; /* what access.names points at; likewise: */
	struct tcp_addr (*addresses)[2];
	struct access_log access;
	struct admin *admin; /* whoever shows it over HTTP, or NULL */
	size_t max_connections;
	size_t max_associations; /* UDP; 0: it is not served */
};

/*
 * Builds all of it but the sockets, for a generation of that number.  -errno
 * after a line in the log.
 */
int setup_init(struct setup *s, const struct conf *c, uint32_t generation)
	MUST_CHECK;

/* The server must not run any more.  Harmless on a half-built one. */
void setup_done(struct setup *s);

/*
 * Reads what upstreams name, logins and certificates, and notes each that
 * cannot be used.  -EBADMSG: one.
 */
int setup_upstreams_check(const struct conf *c, struct conf_errors *errors)
	MUST_CHECK;

/* Whether no parent of a group would do anything with an address of ours. */
bool setup_upstream_is_remote(const struct conf_upstream *c);

/* The options of a listener's sockets. */
struct tcp_listen_options setup_listen_options(const struct conf *c,
					       const struct conf_listener *l);

/*
 * Reads what a configuration's rules, users and groups are made of, anew each
 * time.  Writes no log, so that any thread may call it: -errno with a sentence
 * in why[size], file and line in front.
 */
int setup_policy(struct policy **ret, const struct conf *c, char *why,
		 size_t size) MUST_CHECK;
