/*
 * The configuration: one libconfig file, read whole, checked whole, and then
 * a plain struct that nobody changes.  Nothing but the file and what it
 * includes is looked at; whether interfaces, users and addresses exist is for
 * those to find out who use them.
 */
#pragma once

#include "conf/errors.h"
#include "conf/section.h"

struct conf_timeouts {
	int64_t handshake_ms; /* from the first byte or accept to the request */
	int64_t tls_ms;       /* of a client's TLS alone */
	int64_t name_ms, connect_ms, bind_ms;
	int64_t upstream_ms; /* for all hops, once connected */
	int64_t idle_ms, half_closed_ms, session_ms; /* 0: none */
	int64_t udp_idle_ms;                         /* 0: none */
	int64_t shutdown_ms;                         /* 0: at once */
	int64_t start_ms;                            /* of a generation */
	int64_t drain_ms;    /* of an old one; 0: none */
	int64_t watchdog_ms; /* 0: off */
};

/* Read-only after loading, shared by all threads without a lock. */
struct conf {
	struct conf_arena *arena; /* owns everything that is pointed at */
	const char *path;         /* of the file; NULL: embedded default */
	const char *folder; /* of the file, absolute, without '/' at end */
	uint32_t workers;   /* 0: one per CPU */
	const char *user;   /* "": stay who we are */
	enum conf_sandbox sandbox;
	struct conf_log log;
	struct conf_tls *tls;
	size_t tls_count;
	struct conf_listener *listeners; /* at least one */
	size_t listener_count;
	struct conf_client *clients; /* first match wins, last word is deny */
	size_t client_count;
	struct conf_upstream *upstreams;
	size_t upstream_count;
	struct conf_rule *rules; /* as clients */
	size_t rule_count;
	struct conf_quota *quotas; /* first match decides */
	size_t quota_count;
	struct conf_auth auth;
	struct conf_http http;
	struct conf_outbound outbound;
	struct conf_udp udp;
	struct conf_names names;
	struct conf_timeouts timeouts;
	struct conf_limits limits;
	struct conf_admin admin;
	struct conf_debug debug;
};

/*
 * Reads and checks a file.  Everything that is wrong with it is added to
 * *errors (but after a syntax error, where libconfig stops, nothing else);
 * warnings may be there on success too.  -EBADMSG: the content is wrong;
 * -ENOMEM; else -errno of opening or reading.  All have at least one error in
 * *errors.  Call it only before serving: libconfig 1.5 crashes where an
 * allocation fails.
 */
int conf_load(struct conf **ret, const char *path, struct conf_errors *errors)
	MUST_CHECK;

/* The same for text in memory; `name` stands for the file in messages. */
int conf_load_text(struct conf **ret, const char *text, const char *name,
		   struct conf_errors *errors) MUST_CHECK;

/*
 * Makes the configuration that holds without a file: SOCKS and HTTP on
 * 127.0.0.1:1080 and [::1]:1080 for this machine.  0 or -ENOMEM.
 */
int conf_default(struct conf **ret) MUST_CHECK;

/*
 * Puts other addresses into the first listener, which is then no longer
 * optional: for a command line's --listen, before anybody uses *c.  -EBADMSG
 * with the reasons in *errors, or -ENOMEM; *c is unchanged then.
 */
int conf_set_listen(struct conf *c, const char *const *addresses, size_t count,
		    struct conf_errors *errors) MUST_CHECK;

/* Frees it with all that it owns; NULL is harmless. */
void conf_free(struct conf *c);

/*
 * Writes the effective configuration as a file that loads as the same one,
 * each option with what it means and a mark where it has its default.
 * -errno of the stream.
 */
int conf_dump(const struct conf *c, FILE *out) MUST_CHECK;
