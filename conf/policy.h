/*
 * The groups of a configuration that say who may do what, and how much of it;
 * as in section.h.
 */
#pragma once

#include "conf/match.h"
#include "conf/quantity.h"
#include "conf/window.h"
#include "conf/words.h"

struct conf_client {
	const char *where; /* "file:line" */
	const char *name;  /* "client-N" unless given, N from 1 */
	enum conf_action action;
	struct conf_matches from; /* prefixes and classes only */
	struct conf_ranking auth; /* CONF_AUTH_NONE, ...; at least one */
	struct conf_texts userid; /* of SOCKS4; empty: any */
	struct conf_listener_set listener;
	struct conf_windows when;
	uint32_t log;                           /* CONF_EVENT_CONNECT, ... */
	uint32_t sessions, sessions_per_client; /* at once; 0: no bound */
	struct conf_rate rate, rate_per_client; /* of new sessions */
};

struct conf_rule {
	const char *where; /* "file:line" */
	const char *name;  /* "rule-N" unless given, N from 1 */
	enum conf_action action;
	struct conf_matches from; /* prefixes and classes only */
	struct conf_matches to;
	struct conf_ports ports;
	uint32_t commands; /* CONF_CONNECT, ... */
	struct conf_listener_set listener;
	uint32_t protocols; /* CONF_SOCKS5, ... */
	uint16_t upstream;  /* an entry's number from 1; 0: direct */
	struct conf_texts users, groups; /* both empty: anybody */
	struct conf_windows when;
	uint32_t log; /* CONF_EVENT_CONNECT, ... */
	/* At once; 0: no bound. */
	uint32_t sessions, sessions_per_client, sessions_per_user;
	struct conf_rate rate, rate_per_client; /* of new sessions */
	/* Bytes a second, each way; 0: no bound. */
	uint64_t bandwidth, bandwidth_user, bandwidth_session;
	int64_t idle_ms, connect_ms; /* or CONF_DURATION_DEFAULT */
};

struct conf_quota {
	const char *where;               /* "file:line" */
	const char *name;                /* "quota-N" unless given, N from 1 */
	struct conf_texts users, groups; /* not both are empty */
	uint64_t day, month;             /* bytes; 0: no bound */
	enum conf_over over;
};

struct conf_auth {
	const char *users_file;  /* path; "": none */
	const char *groups_file; /* likewise */
	const char *helper;      /* path of its socket */
	const char *pam_service;
	int64_t cache_ms; /* of verdicts; 0: none */
	uint32_t cache_entries;
	int64_t failure_delay_ms;
	uint32_t lock_after; /* failures of a client; 0: never */
	int64_t lock_time_ms;
};

struct conf_limits {
	uint32_t connections;      /* 0: "auto", what RLIMIT_NOFILE leaves */
	uint32_t handshakes;       /* under way in the process */
	uint32_t tls_handshakes;   /* of these, TLS; 0: no bound */
	uint64_t buffers;          /* bytes in the process */
	uint32_t pipes;            /* pooled in the process */
	uint32_t generations;      /* alive at a time */
	uint32_t udp_associations; /* in the process; 0: no UDP */
	uint32_t udp_per_client;   /* of one client, per worker; 0: no bound */
	uint64_t udp_memory;       /* bytes in the process */
	/* Of the whole daemon: sessions of one client, of one user. */
	uint32_t per_client, per_user;    /* 0: no bound */
	struct conf_rate rate_per_client; /* of new sessions */
	uint32_t client_prefix4;          /* bits: who is one client */
	uint32_t client_prefix6;          /* likewise */
	uint64_t bandwidth_user;          /* bytes a second, each way */
	uint64_t bandwidth_session;       /* likewise; 0: no bound */
	uint32_t table;                   /* entries of the table of counts */
	const char *quota_state;          /* path, or "auto" */
};
