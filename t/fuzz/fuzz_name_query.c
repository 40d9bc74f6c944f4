/*
 * What a name server says, by the whole way that it takes: c-ares, the search
 * list, the two families, the cache.  The input is cut into answers: how, how
 * long, and then the bytes.
 *
 *   bit 7 of the first byte   all of the answer but the id is from the input
 *   else                      the question is echoed under flags and counts
 *                             from the input, its bytes are the records
 */
#include "core/net.h"
#include "core/resolver.h"
#include "core/task.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUESTIONS 8
#define PATIENCE  3 /* turns in which an answer may have an effect */
#define NAME      "x"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct question {
	uint8_t bytes[512];
	size_t len;
	struct sockaddr_in from;
};

static struct {
	struct loop *loop;
	struct net net;
	struct watch server;
	struct tcp_addr addr;
	struct question questions[QUESTIONS];
	unsigned asked, answered;
	struct span input;
	struct work turn;
	int patience;
	struct resolver *resolver;
	struct task *asker;
} here;

static size_t take(uint8_t *to, size_t len)
{
	len = min_size(len, here.input.len);
	memcpy(to, here.input.at, len);
	here.input.at += len;
	here.input.len -= len;
	return len;
}

static void answer(const struct question *q)
{
	uint8_t m[1024] = { q->bytes[0], q->bytes[1] }, how[2] = { 0 };
	size_t len = 2;

	(void)take(how, sizeof(how));
	if (!(how[0] & 0x80)) {
		uint8_t head[5] = { 0 };

		(void)take(head, sizeof(head));
		memcpy(m, q->bytes, q->len);
		m[2] = head[0] | 0x80;
		m[3] = head[1];
		m[7] = head[2];
		m[9] = head[3];
		m[11] = head[4];
		len = q->len;
	}
	len += take(m + len, how[1]);
	(void)!sendto(here.server.fd, m, len, MSG_DONTWAIT,
		      (const struct sockaddr *)&q->from, sizeof(q->from));
}

static void questions_came(struct watch *w)
{
	w->ready = 0;
	for (;;) {
		struct question *q = &here.questions[here.asked % QUESTIONS];
		socklen_t from_len = sizeof(q->from);
		ssize_t n = recvfrom(w->fd, q->bytes, sizeof(q->bytes),
				     MSG_DONTWAIT, (struct sockaddr *)&q->from,
				     &from_len);

		if (n < 0)
			return;
		q->len = (size_t)n;
		here.asked += n >= 12;
	}
}

/* Answers while there is something to say, then ends it all. */
static void turn(struct work *w)
{
	if (!here.asker) {
		loop_stop(here.loop);
		return;
	}
	if (here.patience-- == 0) {
		here.patience = PATIENCE;
		if (here.input.len > 0 && here.asked > 0) {
			if (here.asked - here.answered > QUESTIONS)
				here.answered = here.asked - QUESTIONS;
			if (here.answered == here.asked)
				here.answered--;
			answer(&here.questions[here.answered++ % QUESTIONS]);
		} else {
			task_cancel(here.asker);
		}
	}
	work_queue(here.loop, w);
}

static void check(int r, const struct resolve_answer *a)
{
	ASSERT(r <= 0);
	ASSERT(r < 0 || (a->count > 0 && a->count <= RESOLVE_MAX));
	for (unsigned i = 0; r == 0 && i < a->count; i++)
		ASSERT(a->addr[i].family == AF_INET ||
		       a->addr[i].family == AF_INET6);
}

static void ask(void *arg UNUSED)
{
	struct resolve_answer a, again;
	int r = resolver_lookup(here.resolver, NAME, &a, TIMER_NEVER);

	check(r, &a);
	if (r == 0 && a.partial)
		check(resolver_rest(here.resolver, NAME, &a, TIMER_NEVER), &a);
	check(resolver_peek(here.resolver, NAME, &again), &again);
	here.asker = NULL;
}

static void set_up(void)
{
	struct net_options o = { .buffer_bytes = 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	ASSERT(loop_new(&here.loop) == 0);
	ASSERT(net_init(&here.net, here.loop, &o) == 0);
	here.server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	here.server.notify = questions_came;
	ASSERT(bind(here.server.fd, (struct sockaddr *)&sin, len) == 0);
	ASSERT(getsockname(here.server.fd, (struct sockaddr *)&sin, &len) == 0);
	addr_set(&here.addr, AF_INET, (const uint8_t *)&sin.sin_addr,
		 ntohs(sin.sin_port));
	ASSERT(watch_add(here.loop, &here.server, EPOLLIN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const search[] = { "one.example", "two.example" };
	const struct resolver_options o = {
		.servers = &here.addr,
		.server_count = 1,
		.timeout_ms = 1000,
		.tries = 1,
		.cache_entries = 4,
		.ttl_max_ms = 3600000,
		.negative_ttl_ms = 5000,
		.max_pending = 4,
		.search = search,
		.search_count = 2,
		.ndots = -1,
		.order = size > 0 ? bytes[size - 1] % 4 : 0,
	};

	if (!here.loop)
		set_up();
	here.input = (struct span){ bytes, min_size(size, 16384) };
	here.asked = here.answered = 0;
	here.patience = PATIENCE;
	here.turn.run = turn;
	ASSERT(resolver_new(&here.resolver, here.loop, &o) == 0);
	ASSERT(task_start(ask, NULL, &here.asker) == 0);
	work_queue(here.loop, &here.turn);
	loop_run(here.loop);
	ASSERT(task_count() == 0);
	resolver_free(here.resolver);
	return 0;
}
