/*
 * Makes rules of words, and asks them.
 */
#include "t/unit/rules_brief.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX 4

struct tcp_addr brief_address(const char *text)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, text, 0), 0);
	return a;
}

/* Reads words into m and their text, which must live as long, into copy. */
static size_t make_matches(struct rule_match *m, char *copy, size_t size,
			   const char *words)
{
	size_t count = 0;
	char *state, *word;

	(void)snprintf(copy, size, "%s", words ? words : "");
	for (word = strtok_r(copy, " ", &state); word;
	     word = strtok_r(NULL, " ", &state), m++, count++) {
		ck_assert_uint_lt(count, ELEMENTS_MAX);
		if (addr_class_parse(&m->class, word) == 0)
			m->type = RULE_MATCH_CLASS;
		else if (prefix_parse(&m->prefix, word) == 0)
			m->type = RULE_MATCH_PREFIX;
		else
			*m = (struct rule_match){
				.type = *word == '.' ? RULE_MATCH_SUFFIX
						     : RULE_MATCH_NAME,
				.name = word
			};
	}
	return count;
}

struct rules *rules_compile(const struct brief *list, size_t count, bool client)
{
	struct rule_spec specs[8] = { 0 };
	struct rule_match from[8][ELEMENTS_MAX], to[8][ELEMENTS_MAX];
	struct port_range ports[8];
	char text[2][8][128];
	struct rules *rules = NULL;

	ck_assert_uint_le(count, 8);
	for (size_t i = 0; i < count; i++) {
		struct rule_spec *s = &specs[i];

		ports[i] = (struct port_range){ list[i].first, list[i].last };
		*s = (struct rule_spec){
			.allow = list[i].allow,
			.commands = list[i].commands,
			.from = from[i],
			.to = to[i],
			.ports = &ports[i],
			.listeners = &list[i].listener,
			.port_count = list[i].first != 0,
			.listener_count = list[i].listener != 0,
			.from_count = make_matches(from[i], text[0][i],
						   sizeof(text[0][i]),
						   list[i].from),
			.to_count = make_matches(to[i], text[1][i],
						 sizeof(text[1][i]),
						 list[i].to),
		};
	}
	ck_assert_int_eq(
		client ? rules_new(&rules, specs, count, NULL, 0, NULL)
		       : rules_new(&rules, NULL, 0, specs, count, NULL),
		0);
	/* What was compiled must not need what it was made of. */
	memset(from, 0xa5, sizeof(from));
	memset(to, 0xa5, sizeof(to));
	memset(ports, 0xa5, sizeof(ports));
	memset(text, 0xa5, sizeof(text));
	return rules;
}

struct rule_query brief_query(const char *host, const char *target)
{
	struct rule_query q = {
		.client = brief_address("192.0.2.77"),
		.host = { (const uint8_t *)host, strlen(host) },
		.command = COMMAND_CONNECT,
		.port = 443,
		.listener = 1,
	};

	if (target)
		q.target = brief_address(target);
	return q;
}

int brief_ask(const struct rules *rules, const struct rule_query *q)
{
	struct verdict v = rules_request(rules, q);

	ck_assert(v.rule || !v.allow);
	return v.allow ? v.rule : -(int)v.rule;
}

int brief_ask_for(const struct rules *rules, const char *host,
		  const char *target)
{
	struct rule_query q = brief_query(host, target);

	return brief_ask(rules, &q);
}

int brief_ask_early(const struct rules *rules, const char *host)
{
	struct rule_query q = brief_query(host, NULL);
	struct verdict v = rules_before_dns(rules, &q);

	ck_assert(!v.allow || !v.rule);
	return v.allow ? 1 : -(int)v.rule;
}
