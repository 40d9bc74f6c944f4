/*
 * rules [-n RULES] [-q QUESTIONS] [-l ENTRIES]: what rules cost a connection.
 *
 * Of the rules 40 % are prefixes, 30 % domains, 20 % users and 10 % ports; each
 * question meets none of them before the last tenth.  A connection asks for
 * the client, for a name before it is resolved, and for the address.  Warm: one
 * after the other; cold: each after 64 MiB of other memory.  Beside it a plain
 * walk, for the price of no index, and what is verified against it.
 */
#include "daemon/proxy/rules.h"
#include "daemon/proxy/match_list.h"
#include "t/bench/args.h"
#include "t/bench/hist.h"
#include "t/unit/rules_walk.h"

#include <malloc.h>
#include <stdio.h>

#define COLD_BYTES ((size_t)64 << 20)
#define TEXT_BYTES 64

struct world {
	size_t count;
	struct rule_spec *spec;
	struct rule_match *to;
	struct port_range *port;
	char (*text)[TEXT_BYTES];
	const char **user;
	struct rules *rules;
	struct walk walk;
};

static void *get(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p) {
		perror("calloc");
		exit(1);
	}
	return p;
}

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

/* --- The rules ---------------------------------------------------------- */

/* Prefixes of 16 to 32 bits, some of them within others. */
static void draw_prefix(struct world *w, size_t i)
{
	struct tcp_addr a = { .family = AF_INET };
	unsigned bits = 16 + (unsigned)random() % 17;
	uint32_t ip = 0x0b000000u + (uint32_t)(random() & 0x3ffffff);
	uint8_t bytes[4];

	ip &= ~(uint32_t)(0xffffffffu >> 1 >> (bits - 1));
	put_be16(bytes, (uint16_t)(ip >> 16));
	put_be16(bytes + 2, (uint16_t)ip);
	addr_set(&a, AF_INET, bytes, 0);
	w->to[i].type = RULE_MATCH_PREFIX;
	w->to[i].prefix = (struct prefix){ .bits = (uint8_t)(96 + bits),
					   .v4 = true };
	memcpy(w->to[i].prefix.ip, a.ip, sizeof(a.ip));
	w->spec[i].to = &w->to[i];
	w->spec[i].to_count = 1;
}

static void draw_rule(struct world *w, size_t i)
{
	unsigned kind = (unsigned)random() % 10;
	struct rule_spec *s = &w->spec[i];

	s->allow = random() % 2;
	if (kind < 4) {
		draw_prefix(w, i);
	} else if (kind < 7) {
		(void)snprintf(w->text[i], TEXT_BYTES, ".domain-%zu.example.%s",
			       i, random() % 2 ? "com" : "org");
		w->to[i] = (struct rule_match){ .type = RULE_MATCH_SUFFIX,
						.name = w->text[i] };
		s->to = &w->to[i];
		s->to_count = 1;
	} else if (kind < 9) {
		(void)snprintf(w->text[i], TEXT_BYTES, "user%zu", i);
		w->user[i] = w->text[i];
		s->users = &w->user[i];
		s->user_count = 1;
	} else {
		uint16_t port = (uint16_t)(10000 + random() % 50000);

		w->port[i] = (struct port_range){ port, port };
		if (random() % 2)
			w->port[i].last = (uint16_t)(port + random() % 5000);
		s->ports = &w->port[i];
		s->port_count = 1;
	}
}

static void make_world(struct world *w, size_t count)
{
	static const struct rule_spec everybody = { .allow = true };
	struct mallinfo2 before, after;
	uint64_t from, to;

	w->count = count;
	w->spec = get(count, sizeof(*w->spec));
	w->to = get(count, sizeof(*w->to));
	w->port = get(count, sizeof(*w->port));
	w->text = get(count, sizeof(*w->text));
	w->user = get(count, sizeof(*w->user));
	for (size_t i = 0; i < count; i++)
		draw_rule(w, i);
	before = mallinfo2();
	from = now_ns();
	check(rules_new(&w->rules, &everybody, 1, w->spec, count, NULL),
	      "rules_new");
	to = now_ns();
	after = mallinfo2();
	printf("%zu rules: made in %.1f ms, %.0f bytes each\n", count,
	       (double)(to - from) / 1e6,
	       (double)(after.uordblks + after.hblkhd - before.uordblks -
			before.hblkhd) /
		       (double)count);
	w->walk = (struct walk){ .clients = &everybody,
				 .client_count = 1,
				 .requests = w->spec,
				 .request_count = count };
}

/* --- Questions ---------------------------------------------------------- */

struct question {
	struct rule_query q;
	char host[TEXT_BYTES + 8];
	char user[TEXT_BYTES];
};

static struct span as_span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

static struct tcp_addr somewhere(void)
{
	uint8_t ip[4] = { 93, (uint8_t)random(), (uint8_t)random(), 1 };
	struct tcp_addr a;

	addr_set(&a, AF_INET, ip, 0);
	return a;
}

/* What rule i takes, or one before it does. */
static void draw_question(const struct world *w, struct question *ret, size_t i)
{
	const struct rule_spec *s = &w->spec[i];
	struct rule_query *q = &ret->q;

	*ret = (struct question){ .q = { .client = somewhere(),
					 .target = somewhere(),
					 .protocol = PROTOCOL_SOCKS5,
					 .command = COMMAND_CONNECT,
					 .port = 443,
					 .listener = 1 } };
	(void)snprintf(ret->user, sizeof(ret->user), "%s",
		       s->user_count ? s->users[0] : "somebody");
	q->user = as_span(ret->user);
	if (s->port_count)
		q->port = s->ports[0].first;
	if (s->to_count && s->to->type == RULE_MATCH_PREFIX) {
		memcpy(q->target.ip, s->to->prefix.ip, 16);
		return;
	}
	(void)snprintf(ret->host, sizeof(ret->host), "www%s",
		       s->to_count ? s->to->name : ".somewhere.example.net");
	q->host = as_span(ret->host);
}

/* One that no rule of the first nine tenths has a word for. */
static void draw_late(const struct world *w, struct question *ret)
{
	do
		draw_question(w, ret,
			      w->count - 1 -
				      (size_t)random() % (w->count / 10));
	while (walk_request(&w->walk, &ret->q).rule <= w->count * 9 / 10);
}

/* All that one connection asks. */
static unsigned ask(const struct rules *rules, const struct rule_query *q)
{
	unsigned sum = rules_client(rules, &q->client, q->listener).rule;

	if (q->host.len)
		sum += rules_before_dns(rules, q).allow;
	return sum + rules_request(rules, q).rule;
}

static void verify(const struct world *w, const struct question *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct rule_query *q = &list[i].q;
		struct verdict own = rules_request(w->rules, q);
		struct verdict plain = walk_request(&w->walk, q);

		if (own.rule == plain.rule && own.allow == plain.allow)
			continue;
		fprintf(stderr, "rule %u, a plain walk says %u\n", own.rule,
			plain.rule);
		exit(1);
	}
}

/* --- Measuring ---------------------------------------------------------- */

static volatile unsigned sink;

static void measure_warm(const struct world *w, const struct question *list,
			 size_t n, bool plain)
{
	size_t asked = plain ? n / 10 : 20 * n;
	double best = 1e12;

	for (int round = 0; round < 5; round++) {
		uint64_t from = now_ns(), ns;

		for (size_t i = 0; i < asked; i++)
			sink += plain ? walk_request(&w->walk, &list[i % n].q)
						.rule
				      : ask(w->rules, &list[i % n].q);
		ns = now_ns() - from;
		if ((double)ns / (double)asked < best)
			best = (double)ns / (double)asked;
	}
	printf("%-10s %8.0f ns a connection (best of 5 rounds)\n",
	       plain ? "plain walk" : "warm", best);
}

static void make_cold(uint8_t *memory)
{
	for (size_t i = 0; i < COLD_BYTES; i += 64)
		memory[i]++;
	sink += memory[(size_t)random() % COLD_BYTES];
}

/* Who asks has just written the question, and looked at the clock. */
static void measure_cold(const struct world *w, const struct question *list,
			 size_t n)
{
	uint8_t *memory = get(COLD_BYTES, 1);
	static struct hist h;

	for (size_t i = 0; i < n; i++) {
		struct question own;
		uint64_t from;

		make_cold(memory);
		own = list[i];
		if (own.q.host.len)
			own.q.host = as_span(own.host);
		own.q.user = as_span(own.user);
		(void)now_ns();
		from = now_ns();
		sink += ask(w->rules, &own.q);
		hist_add(&h, now_ns() - from);
	}
	printf("cold       %8.0f ns median, %.0f ns p99\n",
	       hist_us(&h, 0.5) * 1e3, hist_us(&h, 0.99) * 1e3);
	free(memory);
}

static void measure_list(long entries)
{
	char path[] = "/tmp/spliced-bench-rules.XXXXXX";
	struct match_list_fault fault = { 0 };
	struct match_list *list = NULL;
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	uint64_t from;

	if (!f)
		return;
	for (long i = 0; i < entries; i++)
		if (i % 2)
			fprintf(f, "10.%ld.%ld.0/24\n", i >> 8 & 255, i & 255);
		else
			fprintf(f, ".host-%ld.example.com\n", i);
	(void)fclose(f);
	from = now_ns();
	check(match_list_load(&list, path, true, &fault), "match_list_load");
	printf("list       %8.1f ms for %ld entries\n",
	       (double)(now_ns() - from) / 1e6, entries);
	match_list_free(list);
	(void)unlink(path);
}

int main(int argc, char **argv)
{
	long count = arg_number(argc, argv, "-n", 10000);
	long n = arg_number(argc, argv, "-q", 2000);
	long entries = arg_number(argc, argv, "-l", 100000);
	struct question *list;
	struct world w = { 0 };

	if (count < 10 || count > 65535 || n < 10) {
		fprintf(stderr, "rules: 10 to 65535 rules, 10 questions\n");
		return 2;
	}
	srandom(1);
	make_world(&w, (size_t)count);
	list = get((size_t)n, sizeof(*list));
	for (long i = 0; i < n; i++)
		draw_late(&w, &list[i]);
	verify(&w, list, (size_t)n);
	measure_warm(&w, list, (size_t)n, true);
	measure_warm(&w, list, (size_t)n, false);
	measure_cold(&w, list, (size_t)(n < 500 ? n : 500));
	measure_list(entries);
	rules_free(w.rules);
	free(w.spec);
	free(w.to);
	free(w.port);
	free(w.text);
	free(w.user);
	free(list);
	return 0;
}
