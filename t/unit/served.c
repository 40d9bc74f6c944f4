/*
 * Handlers for tests, and asking them from outside.
 */
#include "t/unit/served.h"

#include "t/unit/tcp_pair.h"

#include <check.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

struct tcp_server *served;
struct tcp_listener *served_listener;

struct tcp_addr served_bound(const struct tcp_server_options *so,
			     const struct tcp_listen_options *lo,
			     tcp_handler *handler, void *ctx)
{
	struct tcp_addr a;

	ck_assert_int_eq(tcp_addr_parse(&a, "127.0.0.1:0", -1), 0);
	ck_assert_int_eq(tcp_server_new(&served, so), 0);
	ck_assert_int_eq(tcp_server_listen(served, &a, lo, handler, ctx,
					   &served_listener),
			 0);
	return *tcp_listener_addr(served_listener);
}

struct tcp_addr served_start(const struct tcp_server_options *so,
			     const struct tcp_listen_options *lo,
			     tcp_handler *handler, void *ctx)
{
	struct tcp_addr a = served_bound(so, lo, handler, ctx);

	ck_assert_int_eq(tcp_server_start(served), 0);
	return a;
}

void served_stop(void)
{
	struct tcp_server_stats s;

	(void)tcp_server_shutdown(served, SOON_MS);
	tcp_server_stats(served, &s);
	ck_assert_uint_eq(s.active, 0);
	ck_assert_uint_eq(s.handshakes, 0);
	ck_assert_uint_eq(s.tasks, 0);
	ck_assert_uint_eq(s.relays, 0);
	tcp_server_free(TAKE_PTR(served));
}

void handle_echo(struct tcp_conn *c, void *ctx UNUSED)
{
	char bytes[256];
	ssize_t n;

	while ((n = tcp_conn_read(c, bytes, sizeof(bytes), TCPSERVER_NEVER)) >
	       0)
		if (tcp_conn_write_all(c, bytes, (size_t)n, TCPSERVER_NEVER) <
		    0)
			return;
}

void handle_once(struct tcp_conn *c, void *ctx UNUSED)
{
	char byte;

	if (tcp_conn_read(c, &byte, 1, TCPSERVER_NEVER) == 1)
		(void)!tcp_conn_write_all(c, &byte, 1, TCPSERVER_NEVER);
}

void handle_relay(struct tcp_conn *c, void *ctx)
{
	static const struct tcp_dial_options dial;
	static const struct tcp_relay_events events;
	struct tcp_relay_options o = { .events = &events };
	struct tcp_conn *target;

	if (tcp_dial(&target, ctx, 1, &dial, NULL, tcp_deadline(SOON_MS)) < 0)
		return;
	if (tcp_relay_start(c, target, &o, NULL) < 0)
		tcp_conn_close(target);
}

void ask(int fd)
{
	char byte = 'q';

	ck_assert_int_eq(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
	byte = 0;
	await(fd, POLLIN);
	ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'q');
}

bool hears_nothing(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 20) == 0;
}

int ended_how(int fd)
{
	char bytes[256];

	for (;;) {
		ssize_t n;

		await(fd, POLLIN);
		n = recv(fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			return n < 0 ? errno : 0;
	}
}

void served_until_at(size_t offset, uint64_t value)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint64_t is = value + 1;

	for (int i = 0; i < SOON_MS && is != value; i++) {
		struct tcp_server_stats s;

		if (i > 0)
			(void)nanosleep(&ms, NULL);
		tcp_server_stats(served, &s);
		is = *(const uint64_t *)((const char *)&s + offset);
	}
	ck_assert_uint_eq(is, value);
}
