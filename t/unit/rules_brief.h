/*
 * Rules in short, and what is asked of them.
 */
#pragma once

#include "daemon/proxy/rules.h"

/* A rule in short: each text is a list of words that a space separates. */
struct brief {
	bool allow;
	const char *to, *from;
	uint16_t first, last; /* ports; 0: all */
	uint16_t listener;    /* 0: all */
	uint32_t commands;
};

/* Compiles the list as client rules or as request rules. */
struct rules *rules_compile(const struct brief *list, size_t count,
			    bool client);

#define COMPILE(...)                                                           \
	rules_compile((const struct brief[]){ __VA_ARGS__ },                   \
		      ARRAY_SIZE(((const struct brief[]){ __VA_ARGS__ })),     \
		      false)

#define COMPILE_CLIENTS(...)                                                   \
	rules_compile((const struct brief[]){ __VA_ARGS__ },                   \
		      ARRAY_SIZE(((const struct brief[]){ __VA_ARGS__ })),     \
		      true)

struct tcp_addr brief_address(const char *text);

/* By CONNECT, port 443, of 192.0.2.77 to listener 1; `target` may be NULL. */
struct rule_query brief_query(const char *host, const char *target);

/* The number of the rule that decided; negative: it denied. 0: the default. */
int brief_ask(const struct rules *rules, const struct rule_query *q);
int brief_ask_for(const struct rules *rules, const char *host,
		  const char *target);

/* Before DNS.  1: perhaps; else as brief_ask(). */
int brief_ask_early(const struct rules *rules, const char *host);
