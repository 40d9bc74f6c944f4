/*
 * A table of sessions, written as a worker writes it.
 */
#include "t/unit/session_table.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SESSIONS 100

int64_t monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void name(const struct session_table *t, const char *table,
		 uint32_t index, const char *text)
{
	struct table_name *names;
	uint32_t count;

	names = segment_table(t->segment, table, sizeof(*names), &count);
	ck_assert_ptr_nonnull(names);
	ck_assert_uint_lt(index, count);
	(void)snprintf(names[index].text, sizeof(names[index].text), "%s",
		       text);
}

void session_table_init(struct session_table *t, uint32_t generation)
{
	uint32_t slots = sessions_slots(1, SESSIONS), count;
	struct segment_spec specs[] = {
		{ "about", sizeof(struct table_about), 1 },
		{ "sessions", sizeof(struct session), slots },
		{ "listeners", sizeof(struct table_name), 1 },
		{ "clients", sizeof(struct table_name), 2 },
		{ "rules", sizeof(struct table_name), 2 },
		{ "upstreams", sizeof(struct table_name), 1 },
	};
	struct table_about *about;
	struct session *slot;

	ck_assert_uint_gt(slots, 0);
	ck_assert_int_eq(segment_new(&t->segment, specs, ARRAY_SIZE(specs)), 0);
	about = segment_table(t->segment, "about", sizeof(*about), &count);
	about->generation = generation;
	about->workers = 1;
	slot = segment_table(t->segment, "sessions", sizeof(*slot), &count);
	ck_assert_int_eq(
		sessions_new(&t->sessions, 1, SESSIONS, slot, generation), 0);
	name(t, "listeners", 0, "lan");
	name(t, "clients", 0, "office");
	name(t, "rules", 0, "web");
	name(t, "upstreams", 0, "paris");
	name(t, "rules", 1, "\x1b[31mred");
}

void session_table_done(struct session_table *t)
{
	sessions_free(t->sessions);
	segment_free(t->segment);
}

struct session *session_table_add(struct session_table *t, const char *client,
				  const char *host, int64_t age_ms)
{
	struct session *s = sessions_open(t->sessions, 0);

	ck_assert_ptr_nonnull(s);
	session_begin(s);
	s->state = SESSION_RELAY;
	s->protocol = PROTOCOL_SOCKS5;
	s->command = COMMAND_CONNECT;
	s->started_ms = monotonic_ms() - age_ms;
	s->listener = s->client_rule = s->rule = 1;
	ck_assert_int_eq(tcp_addr_parse(&s->client, client, -1), 0);
	ck_assert_int_eq(tcp_addr_parse(&s->target, "192.0.2.7:443", -1), 0);
	if (host)
		sessions_set_host(
			t->sessions, s,
			(struct span){ (const uint8_t *)host, strlen(host) });
	session_end(s);
	return s;
}

struct segment *session_table_seen(const struct session_table *t)
{
	int fd = fcntl(segment_fd(t->segment), F_DUPFD_CLOEXEC, 0);
	struct segment *seen;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(segment_open(&seen, fd), 0);
	return seen;
}
