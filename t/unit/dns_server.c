/*
 * One thread, poll(2), replies written byte by byte.  Whatever goes wrong here
 * ends the test program.
 */
#include "t/unit/dns_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define QUESTIONS_MAX 65536
#define DELAYED_MAX   64
#define DELAY_MS      500

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_AAAA = 28 };
enum { SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

struct message {
	uint8_t bytes[2048];
	size_t len;
};

struct question {
	char name[256];
	int type;
	size_t end; /* in the message */
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	struct {
		char name[64];
		int type;
	} asked[QUESTIONS_MAX];
	unsigned asked_count, tcp_count, port_count;
	bool port_seen[65536];
	int udp, tcp, stop, peer; /* -1: no peer over TCP */
	struct tcp_addr addr;
	struct delayed {
		struct message reply;
		struct sockaddr_in to;
		int64_t when; /* 0: empty */
	} delayed[DELAYED_MAX];
} server;

static void must(bool claim)
{
	if (!claim)
		abort();
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- Writing ------------------------------------------------------------ */

static void put(struct message *m, const void *bytes, size_t len)
{
	must(m->len + len <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

static void put16(struct message *m, unsigned v)
{
	uint8_t b[2];

	put_be16(b, (uint16_t)v);
	put(m, b, 2);
}

static void put32(struct message *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static void put_name(struct message *m, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		uint8_t head = (uint8_t)len;

		put(m, &head, 1);
		put(m, name, len);
		name += len + (name[len] == '.');
	}
	put(m, "", 1);
}

/* A record's head; NULL: it is for the name asked. */
static void put_head(struct message *m, const char *name, int type,
		     uint32_t ttl, size_t len)
{
	if (name)
		put_name(m, name);
	else
		put16(m, 0xc00c);
	put16(m, (unsigned)type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, (unsigned)len);
}

static void count_record(struct message *m, size_t section)
{
	put_be16(m->bytes + section,
		 (uint16_t)(get_be16(m->bytes + section) + 1));
}

static void put_address(struct message *m, const char *name, int type,
			uint32_t ttl, uint8_t last)
{
	const uint8_t v4[4] = { 10, 0, 0, last };
	const uint8_t v6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = last };

	put_head(m, name, type, ttl, type == TYPE_A ? 4 : 16);
	if (type == TYPE_A)
		put(m, v4, 4);
	else
		put(m, v6, 16);
	count_record(m, 6);
}

static void put_mapped(struct message *m)
{
	const uint8_t ip[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };

	put_head(m, NULL, TYPE_AAAA, 300, 16);
	put(m, ip, 16);
	count_record(m, 6);
}

static void put_alias(struct message *m, const char *name, const char *target,
		      uint32_t ttl)
{
	put_head(m, name, TYPE_CNAME, ttl, strlen(target) + 2);
	put_name(m, target);
	count_record(m, 6);
}

static void put_soa(struct message *m, uint32_t minimum)
{
	put_head(m, "test", TYPE_SOA, 3600, 4 + 7 + 20);
	put_name(m, "ns");
	put_name(m, "admin");
	for (int i = 0; i < 4; i++)
		put32(m, 7);
	put32(m, minimum);
	count_record(m, 8);
}

static void set_rcode(struct message *m, int rcode)
{
	m->bytes[3] = (uint8_t)((m->bytes[3] & 0xf0) | rcode);
}

/* --- What each name means ------------------------------------------------ */

static bool is(const struct question *q, const char *label)
{
	size_t len = strlen(label);

	return strncmp(q->name, label, len) == 0 && q->name[len] == '.';
}

static void answer_failures(struct message *m, const struct question *q)
{
	bool v6 = q->type == TYPE_AAAA;

	if (is(q, "nx") || strstr(q->name, ".off.") || is(q, "brief") ||
	    is(q, "bare"))
		set_rcode(m, NXDOMAIN);
	if (is(q, "fail") || (is(q, "half") && v6))
		set_rcode(m, SERVFAIL);
	if (is(q, "refused"))
		set_rcode(m, REFUSED);
	if (is(q, "dangling") || (is(q, "cname") && v6) ||
	    (get_be16(m->bytes + 6) == 0 && !is(q, "bare")))
		put_soa(m, is(q, "brief") ? 1 : 300);
}

static void answer_addresses(struct message *m, const struct question *q)
{
	static const char *const both[] = { "both",  "short",  "slow", "slow4",
					    "slow6", "fresh4", "zero4" };
	bool v6 = q->type == TYPE_AAAA;
	uint32_t ttl = is(q, "short") || (is(q, "fresh4") && v6) ? 1 : 300;

	if (is(q, "zero4"))
		ttl = 0;
	if (is(q, "many") || is(q, "trunc"))
		for (uint8_t i = 1; i <= 40; i++)
			put_address(m, NULL, q->type, 300, i);
	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		if (is(q, both[i]))
			put_address(m, NULL, q->type, ttl, 1);
	if (v6 ? is(q, "v6") : is(q, "v4") || is(q, "half") || is(q, "silent6"))
		put_address(m, NULL, q->type, ttl, 1);
	if (v6 && is(q, "mapped"))
		put_mapped(m);
	if (!v6 && is(q, "count"))
		put_address(m, NULL, TYPE_A, 1,
			    (uint8_t)dns_server_asked(q->name, AF_INET));
	if (is(q, "cname") || is(q, "dangling")) {
		put_alias(m, NULL, "one.test", 300);
		put_alias(m, "one.test", "two.test", 1);
		if (is(q, "cname") && !v6)
			put_address(m, "two.test", TYPE_A, 300, 1);
	}
}

static bool answer(struct message *m, const struct question *q, bool tcp)
{
	bool v6 = q->type == TYPE_AAAA;

	if (is(q, "silent") || (is(q, "silent6") && v6))
		return false;
	if (is(q, "noise")) {
		m->len = 0;
		put(m, "What?", 5);
		return true;
	}
	if (is(q, "trunc") && !tcp) {
		m->bytes[2] |= 2; /* TC */
		return true;
	}
	if (is(q, "garbage")) {
		put(m, "\x3f\xff nonsense", 11);
		put_be16(m->bytes + 6, 2);
		return true;
	}
	if (!strstr(q->name, ".off."))
		answer_addresses(m, q);
	answer_failures(m, q);
	return true;
}

static int64_t delay_of(const struct question *q)
{
	bool v6 = q->type == TYPE_AAAA;

	if (v6 ? is(q, "slow6") : is(q, "slow4") || is(q, "zero4"))
		return DELAY_MS;
	return is(q, "slow") ? DELAY_MS : 0;
}

/* --- Reading ------------------------------------------------------------ */

static void read_question(struct question *q, const struct message *m)
{
	size_t at = 12, len = 0;

	must(m->len > 12);
	while (m->bytes[at]) {
		must(at + m->bytes[at] + 1 < m->len);
		memcpy(q->name + len, m->bytes + at + 1, m->bytes[at]);
		len += m->bytes[at];
		q->name[len++] = '.';
		at += (size_t)m->bytes[at] + 1;
		must(len < sizeof(q->name) - 64);
	}
	must(len > 0 && at + 5 <= m->len);
	q->name[len - 1] = '\0';
	q->type = get_be16(m->bytes + at + 1);
	q->end = at + 5;
	q->name[len - 1] = '.'; /* each label ends in a dot, for is() */
	q->name[len] = '\0';
}

static void note(const struct question *q, bool tcp)
{
	pthread_mutex_lock(&server.lock);
	must(server.asked_count < QUESTIONS_MAX);
	memccpy(server.asked[server.asked_count].name, q->name, '\0', 63);
	server.asked[server.asked_count].type = q->type;
	server.asked_count++;
	server.tcp_count += tcp;
	pthread_mutex_unlock(&server.lock);
}

/* Turns a question into its reply; false: there is none. */
static bool reply_to(struct message *m, struct question *q, bool tcp)
{
	read_question(q, m);
	note(q, tcp);
	m->len = q->end;
	m->bytes[2] = 0x81;
	m->bytes[3] = 0x80;
	memset(m->bytes + 6, 0, 6);
	return answer(m, q, tcp);
}

static void send_later(const struct message *m, const struct sockaddr_in *to,
		       int64_t delay)
{
	for (int i = 0; i < DELAYED_MAX; i++)
		if (server.delayed[i].when == 0) {
			server.delayed[i] = (struct delayed){
				*m, *to, now_ms() + delay
			};
			return;
		}
	must(false);
}

static void serve_udp(void)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct question q;
	struct message m;
	ssize_t n = recvfrom(server.udp, m.bytes, sizeof(m.bytes), 0,
			     (struct sockaddr *)&from, &from_len);

	if (n <= 0)
		return;
	m.len = (size_t)n;
	pthread_mutex_lock(&server.lock);
	server.port_count += !server.port_seen[from.sin_port];
	server.port_seen[from.sin_port] = true;
	pthread_mutex_unlock(&server.lock);
	if (!reply_to(&m, &q, false))
		return;
	if (delay_of(&q) > 0)
		send_later(&m, &from, delay_of(&q));
	else
		(void)!sendto(server.udp, m.bytes, m.len, 0,
			      (struct sockaddr *)&from, from_len);
}

/* A new connection takes the place of the one before. */
static void accept_tcp(void)
{
	close_fd(&server.peer);
	server.peer = accept4(server.tcp, NULL, NULL, SOCK_CLOEXEC);
}

static void serve_tcp(void)
{
	struct message m = { .len = 0 };
	struct question q;
	uint8_t head[2];

	if (recv(server.peer, head, 2, MSG_WAITALL) != 2) {
		close_fd(&server.peer);
		return;
	}
	m.len = get_be16(head);
	must(m.len <= sizeof(m.bytes));
	must(recv(server.peer, m.bytes, m.len, MSG_WAITALL) == (ssize_t)m.len);
	if (!reply_to(&m, &q, true))
		return;
	put_be16(head, (uint16_t)m.len);
	(void)!send(server.peer, head, 2, MSG_NOSIGNAL | MSG_MORE);
	(void)!send(server.peer, m.bytes, m.len, MSG_NOSIGNAL);
}

/* Sends what is due; returns how many ms until more is, or -1. */
static int send_due(void)
{
	int64_t now = now_ms(), next = -1;

	for (int i = 0; i < DELAYED_MAX; i++) {
		struct delayed *d = &server.delayed[i];

		if (d->when == 0)
			continue;
		if (d->when > now) {
			if (next < 0 || d->when - now < next)
				next = d->when - now;
			continue;
		}
		(void)!sendto(server.udp, d->reply.bytes, d->reply.len, 0,
			      (struct sockaddr *)&d->to, sizeof(d->to));
		d->when = 0;
	}
	return (int)next;
}

static void *serve(void *arg)
{
	for (;;) {
		struct pollfd p[] = { { server.udp, POLLIN, 0 },
				      { server.tcp, POLLIN, 0 },
				      { server.stop, POLLIN, 0 },
				      { server.peer, POLLIN, 0 } };

		(void)poll(p, 4, send_due());
		if (p[2].revents)
			return arg;
		if (p[0].revents)
			serve_udp();
		if (p[3].revents)
			serve_tcp();
		if (p[1].revents)
			accept_tcp();
	}
}

/* --- Life --------------------------------------------------------------- */

/* A port that is free for both; false if this one was not. */
static bool bind_both(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct tcp_addr any;

	server.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	server.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(server.udp >= 0 && server.tcp >= 0);
	must(tcp_addr_parse(&any, "127.0.0.1:0", -1) == 0);
	len = tcp_addr_to_sockaddr(&any, &ss);
	must(bind(server.udp, (struct sockaddr *)&ss, len) == 0);
	must(getsockname(server.udp, (struct sockaddr *)&ss, &len) == 0);
	tcp_addr_from_sockaddr(&server.addr, (struct sockaddr *)&ss);
	if (bind(server.tcp, (struct sockaddr *)&ss, len) == 0 &&
	    listen(server.tcp, 64) == 0)
		return true;
	close_fd(&server.udp);
	close_fd(&server.tcp);
	return false;
}

void dns_server_start(void)
{
	memset(&server, 0, sizeof(server));
	pthread_mutex_init(&server.lock, NULL);
	server.peer = -1;
	while (!bind_both())
		;
	server.stop = eventfd(0, EFD_CLOEXEC);
	must(server.stop >= 0);
	must(pthread_create(&server.thread, NULL, serve, NULL) == 0);
}

void dns_server_stop(void)
{
	must(eventfd_write(server.stop, 1) == 0);
	pthread_join(server.thread, NULL);
	close_fd(&server.udp);
	close_fd(&server.tcp);
	close_fd(&server.peer);
	close_fd(&server.stop);
	pthread_mutex_destroy(&server.lock);
}

struct tcp_addr dns_server_addr(void)
{
	return server.addr;
}

unsigned dns_server_asked(const char *name, int family)
{
	size_t len = strlen(name);
	unsigned count = 0;

	len -= len > 0 && name[len - 1] == '.';
	pthread_mutex_lock(&server.lock);
	for (unsigned i = 0; i < server.asked_count; i++)
		count += strncmp(server.asked[i].name, name, len) == 0 &&
			 strcmp(server.asked[i].name + len, ".") == 0 &&
			 server.asked[i].type ==
				 (family == AF_INET ? TYPE_A : TYPE_AAAA);
	pthread_mutex_unlock(&server.lock);
	return count;
}

unsigned dns_server_tcp(void)
{
	unsigned count;

	pthread_mutex_lock(&server.lock);
	count = server.tcp_count;
	pthread_mutex_unlock(&server.lock);
	return count;
}

unsigned dns_server_ports(void)
{
	unsigned count;

	pthread_mutex_lock(&server.lock);
	count = server.port_count;
	pthread_mutex_unlock(&server.lock);
	return count;
}

unsigned dns_server_total(void)
{
	unsigned count;

	pthread_mutex_lock(&server.lock);
	count = server.asked_count;
	pthread_mutex_unlock(&server.lock);
	return count;
}
