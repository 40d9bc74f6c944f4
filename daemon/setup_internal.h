/*
 * Parts of the setup: what the configuration says of rules, users, names, ways
 * out and UDP, in the words of the proxy.
 */
#pragma once

#include "daemon/setup.h"

struct groups;
struct load_data;
struct quota_members;

/*
 * Makes both lists of rules.  NULL: none of them names a file.  -errno of
 * rules_new().
 */
int setup_rules(struct rules **ret, const struct conf *c,
		const struct load_data *d) MUST_CHECK;

/* setup_policy() with all that there is to say, warnings too. */
int setup_policy_told(struct policy **ret, const struct conf *c,
		      struct conf_errors *errors) MUST_CHECK;

/* Says which names in rules are probably meant for interfaces. */
void setup_warn_of_interfaces(const struct conf *c);

/* Makes who verifies passwords, if somebody is to.  -errno. */
int setup_auth(struct setup *s) MUST_CHECK;

/* Makes the access log, and what the proxy tells it.  -ENOMEM. */
int setup_access(struct setup *s) MUST_CHECK;
void setup_access_hooks(struct setup *s, struct proxy_options *o);

/* Looks for interfaces and addresses.  -errno after a line in the log. */
int setup_check_outbound(const struct conf_outbound *o) MUST_CHECK;

/*
 * Makes s->groups: reads logins, and the files that TLS needs.  -errno after a
 * line in the log.
 */
int setup_upstreams(struct setup *s) MUST_CHECK;
void setup_upstreams_done(struct setup *s);

void setup_upstream_told(void *ctx, const struct upstream_news *n);

/* Options that borrow from *s and its configuration.  -ENOMEM. */
int setup_names(struct setup *s, struct resolver_options *ret) MUST_CHECK;
int setup_outbound(struct setup *s, struct outbound_options *ret) MUST_CHECK;

/* The proxy's part of each listener.  -ENOMEM. */
int setup_listeners(struct setup *s) MUST_CHECK;
void setup_free_listeners(struct setup *s);

/* By number, for client_actions and actions of the setup.  -ENOMEM. */
int setup_actions(struct setup *s) MUST_CHECK;

/* Options that borrow from *s.  -ENOMEM. */
int setup_limits(struct setup *s, struct limits_options *ret) MUST_CHECK;

int setup_quotas(struct setup *s, struct quota_options *ret) MUST_CHECK;

/* Whose they are; *ret NULL: there are none.  -errno. */
int setup_quota_members(struct quota_members **ret, const struct conf *c,
			const struct groups *groups) MUST_CHECK;

struct bandwidth_options setup_bandwidth(const struct setup *s);

/* The share of one worker. */
struct associate_options setup_udp(const struct setup *s);

/* What it points at is the configuration's. */
struct http_options setup_http(const struct setup *s);

/* Makes s->via.  -errno of getrandom(2). */
int setup_via(struct setup *s) MUST_CHECK;

/* The address of a family that clients are told; AF_UNSPEC: none. */
struct tcp_addr setup_told(const struct conf_endpoints *list,
			   sa_family_t family);

/* PROTOCOL_BIT()s. */
uint32_t setup_protocols(uint32_t protocols);

/* AUTH_BIT()s. */
uint32_t setup_methods(uint32_t auth);

/* 0-0: any. */
struct port_range setup_ports(const struct conf_ports *ports);
