/*
 * UDP associations in a server of its own: what they count, what they do when
 * the system refuses what they need half-way, and that nothing of them is left:
 * associations_free() looks whether all memory was given back.
 */
#include "daemon/proxy/associate_internal.h"

#include "daemon/proxy/guess.h"
#include "t/unit/bound.h"
#include "t/unit/dns_server.h"
#include "t/unit/gate.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* --- A system that refuses ---------------------------------------------- */

/* How many times more these fail for datagram sockets. */
static atomic_int sockets, binds, watches, options;
static atomic_int stacks; /* of tasks */

static bool take(atomic_int *count)
{
	int left = atomic_load(count);

	while (left > 0)
		if (atomic_compare_exchange_weak(count, &left, left - 1))
			return true;
	return false;
}

static bool is_datagram(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_DGRAM;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* In the place of libc's, which do nothing else. */
int socket(int family, int type, int protocol)
{
	if ((family == AF_INET || family == AF_INET6) && type & SOCK_DGRAM &&
	    take(&sockets))
		return refuse(EMFILE);
	return (int)syscall(SYS_socket, family, type, protocol);
}

int bind(int fd, const struct sockaddr *a, socklen_t len)
{
	if (is_datagram(fd) && take(&binds))
		return refuse(EADDRINUSE);
	return (int)syscall(SYS_bind, fd, a, len);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	if (op == EPOLL_CTL_ADD && is_datagram(fd) && take(&watches))
		return refuse(ENOSPC);
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, e);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == IPPROTO_IPV6 && is_datagram(fd) && take(&options))
		return refuse(ENOPROTOOPT);
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

int mprotect(void *at, size_t len, int how)
{
	if (how == PROT_NONE && take(&stacks))
		return refuse(ENOMEM);
	return (int)syscall(SYS_mprotect, at, len, how);
}

/* No guards but by mprotect(). */
int madvise(void *at, size_t len, int advice)
{
	if (advice == 102)
		return refuse(EINVAL);
	return (int)syscall(SYS_madvise, at, len, advice);
}

/* --- A proxy ------------------------------------------------------------ */

#define MS 10000

static struct rules *rules;
static struct proxy *proxy;
static struct proxy_listener listener;
static struct proxy_counts *counts;
static struct tcp_addr server;
static struct proxy_options po;

static void setup(void)
{
	po = (struct proxy_options){
		.workers = 1,
		.max_sessions = 50,
		.names = { .max_pending = 10 },
		.timeouts = { .handshake_ms = MS,
			      .name_ms = MS,
			      .connect_ms = MS },
		.udp = { .max = 10, .bytes = 4 << 20, .buffer = 16 << 10 },
	};
	listener = (struct proxy_listener){
		.number = 1,
		.protocols = PROTOCOL_BIT(PROTOCOL_SOCKS5),
	};
	sockets = binds = watches = options = stacks = 0;
}

static void start(void)
{
	const struct tcp_listen_options lo = { .admit = proxy_admit,
					       .unhandled = proxy_unhandled,
					       .first_byte_ms = MS };
	struct tcp_server_options so = { .workers = 1,
					 .worker_start = proxy_worker_start,
					 .worker_stop = proxy_worker_stop };
	struct rule_match loopback = { .type = RULE_MATCH_CLASS,
				       .class = ADDR_CLASS_LOOPBACK };
	struct rule_spec client = { .allow = true };
	struct rule_spec request = { .allow = true,
				     .to = &loopback,
				     .to_count = 1 };

	ck_assert_int_eq(rules_new(&rules, &client, 1, &request, 1), 0);
	counts = aligned_alloc(64, sizeof(*counts));
	ck_assert_ptr_nonnull(counts);
	memset(counts, 0, sizeof(*counts));
	po.counts = counts;
	po.rules = rules;
	ck_assert_int_eq(proxy_new(&proxy, &po), 0);
	listener.proxy = proxy;
	so.ctx = proxy;
	server = served_start(&so, &lo, proxy_serve, &listener);
}

static void teardown(void)
{
	served_stop();
	proxy_free(proxy);
	rules_free(rules);
	free(counts);
}

static uint64_t count(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* --- A client ----------------------------------------------------------- */

struct client {
	int control, udp;
	struct tcp_addr relay;
	uint8_t code; /* of the reply */
};

static int datagrams(struct tcp_addr *ret)
{
	struct sockaddr_storage ss;
	struct timeval soon = { .tv_sec = SOON_MS / 1000 };
	socklen_t len = sizeof(ss);
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
			      0);

	*ret = addr_at("127.0.0.1:0");
	len = tcp_addr_to_sockaddr(ret, &ss);
	ck_assert_int_eq(syscall(SYS_bind, fd, &ss, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)),
		0);
	tcp_addr_from_sockaddr(ret, (struct sockaddr *)&ss);
	return fd;
}

static void hear(int fd, void *to, size_t len)
{
	ck_assert_int_eq(recv(fd, to, len, MSG_WAITALL), (ssize_t)len);
}

static struct client associate(void)
{
	static const uint8_t ask_for[] = {
		5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0
	};
	struct client c;
	struct tcp_addr mine;
	uint8_t reply[12];

	c.udp = datagrams(&mine);
	c.control = tcp_connected(&server);
	ck_assert_int_eq(send(c.control, ask_for, sizeof(ask_for), 0),
			 sizeof(ask_for));
	hear(c.control, reply, sizeof(reply));
	c.code = reply[3];
	addr_set(&c.relay, AF_INET, reply + 6, get_be16(reply + 10));
	return c;
}

static void leave(struct client *c)
{
	close_fd(&c->control);
	close_fd(&c->udp);
}

static void send_to(const struct client *c, const struct tcp_addr *to,
		    const char *text)
{
	struct sockaddr_storage ss;
	socklen_t size = tcp_addr_to_sockaddr(&c->relay, &ss);
	uint8_t packet[100];
	size_t len = socks_udp_format(packet, to);

	memcpy(packet + len, text, strlen(text));
	len += strlen(text);
	ck_assert_int_eq(
		sendto(c->udp, packet, len, 0, (struct sockaddr *)&ss, size),
		(ssize_t)len);
}

/* The same to a name. */
static void send_by_name(const struct client *c, const char *host,
			 const struct tcp_addr *port_of, const char *text)
{
	struct sockaddr_storage ss;
	socklen_t size = tcp_addr_to_sockaddr(&c->relay, &ss);
	uint8_t packet[100] = { [3] = 3 };
	size_t len = 5 + strlen(host);

	packet[4] = (uint8_t)strlen(host);
	memcpy(packet + 5, host, strlen(host));
	put_be16(packet + len, port_of->port);
	memcpy(packet + len + 2, text, strlen(text));
	len += 2 + strlen(text);
	ck_assert_int_eq(
		sendto(c->udp, packet, len, 0, (struct sockaddr *)&ss, size),
		(ssize_t)len);
}

static void expect(int fd, const char *text)
{
	char got[100];

	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}

/* --- Tests -------------------------------------------------------------- */

START_TEST(payloads_count)
{
	struct tcp_addr at;
	struct client c;
	int far;

	start();
	far = datagrams(&at);
	c = associate();
	ck_assert_uint_eq(c.code, 0);
	send_to(&c, &at, "12345");
	expect(far, "12345");
	send_to(&c, &at, "678");
	expect(far, "678");
	leave(&c);
	until(count(&counts->sessions) == 1);
	ck_assert_uint_eq(count(&counts->bytes_up), 8);
	ck_assert_uint_eq(count(&counts->datagrams_up), 2);
	ck_assert_uint_eq(count(&counts->datagrams_down), 0);
	ck_assert_uint_eq(count(&counts->datagrams_dropped), 0);
	ck_assert_uint_eq(count(&counts->outcomes[OUTCOME_CLOSED]), 1);
	close_fd(&far);
}
END_TEST

/* A request that fails for one refusal; the next one is served. */
static void expect_refused(atomic_int *what, enum outcome why)
{
	struct client c;

	start();
	atomic_store(what, 1);
	c = associate();
	ck_assert_uint_eq(c.code, 1);
	leave(&c);
	until(count(&counts->outcomes[why]) == 1);
	c = associate();
	ck_assert_uint_eq(c.code, 0);
	leave(&c);
}

START_TEST(no_socket_towards_the_client)
{
	expect_refused(&sockets, OUTCOME_NO_RESOURCES);
}
END_TEST

START_TEST(no_port_towards_the_client)
{
	expect_refused(&binds, OUTCOME_LIMIT);
}
END_TEST

START_TEST(no_events_of_the_client)
{
	expect_refused(&watches, OUTCOME_NO_RESOURCES);
}
END_TEST

START_TEST(ports_in_use_are_passed_over)
{
	struct client c;

	listener.udp_ports = (struct port_range){ 42000, 42063 };
	start();
	atomic_store(&binds, 10);
	c = associate();
	ck_assert_uint_eq(c.code, 0);
	ck_assert_uint_ge(c.relay.port, 42000);
	ck_assert_uint_le(c.relay.port, 42063);
	leave(&c);
	until(count(&counts->sessions) == 1);
	atomic_store(&binds, 64);
	c = associate();
	ck_assert_uint_eq(c.code, 1);
	leave(&c);
	until(count(&counts->outcomes[OUTCOME_LIMIT]) == 1);
}
END_TEST

/* A datagram is dropped for one refusal; the next one passes. */
static void expect_dropped(atomic_int *what, const char *target)
{
	struct tcp_addr at, to;
	unsigned before;
	struct client c;
	int far;

	start();
	far = datagrams(&at);
	c = associate();
	ck_assert_uint_eq(c.code, 0);
	before = fds_open();
	to = target ? addr_at(target) : at;
	atomic_store(what, 1);
	send_to(&c, &to, "lost");
	until(count(&counts->datagrams_dropped) == 1);
	ck_assert_uint_eq(fds_open(), before);
	ck_assert_int_eq(atomic_load(what), 0);
	send_to(&c, &at, "passes");
	expect(far, "passes");
	leave(&c);
	until(count(&counts->sessions) == 1);
	ck_assert_uint_eq(count(&counts->datagrams_up), 1);
	close_fd(&far);
}

START_TEST(no_socket_towards_the_target)
{
	expect_dropped(&sockets, NULL);
}
END_TEST

START_TEST(no_events_of_the_target)
{
	expect_dropped(&watches, NULL);
}
END_TEST

START_TEST(no_source_towards_the_target)
{
	static const struct outbound_source source = {
		.addr = { .family = AF_INET,
			  .ip = { [10] = 255,
				  [11] = 255,
				  [12] = 127,
				  0,
				  0,
				  1 } },
	};

	po.outbound.sources = &source;
	po.outbound.source_count = 1;
	expect_dropped(&binds, NULL);
}
END_TEST

START_TEST(no_option_of_the_target)
{
	expect_dropped(&options, "[::1]:9");
}
END_TEST

START_TEST(no_memory_at_all)
{
	struct client c;

	po.udp.bytes = 1000;
	start();
	c = associate();
	ck_assert_uint_eq(c.code, 1);
	leave(&c);
	until(count(&counts->outcomes[OUTCOME_LIMIT]) == 1);
}
END_TEST

/* Every bound from nothing to plenty: refused, or let in and of use. */
START_TEST(memory_runs_out_at_any_step)
{
	size_t bytes = (size_t)_i * 4096;
	struct tcp_addr at;
	struct client c;
	int far;

	po.udp.bytes = bytes;
	start();
	far = datagrams(&at);
	c = associate();
	if (c.code == 0) {
		send_to(&c, &at, "passes");
		expect(far, "passes");
	} else {
		ck_assert_uint_eq(c.code, 1);
		ck_assert_int_lt(_i, 31);
	}
	leave(&c);
	until(count(&counts->sessions) == 1);
	close_fd(&far);
}
END_TEST

/* --- Names -------------------------------------------------------------- */

static struct tcp_addr names;

static void start_with_names(void)
{
	dns_server_start();
	names = dns_server_addr();
	po.names.servers = &names;
	po.names.server_count = 1;
	po.names.timeout_ms = MS;
	start();
}

START_TEST(a_datagram_waits_for_its_name)
{
	struct tcp_addr at;
	struct client c;
	int far;

	start_with_names();
	far = datagrams(&at);
	c = associate();
	send_by_name(&c, "mapped.test", &at, "first");
	expect(far, "first");
	send_by_name(&c, "mapped.test", &at, "second");
	expect(far, "second");
	leave(&c);
	until(count(&counts->sessions) == 1);
	ck_assert_uint_eq(count(&counts->datagrams_up), 2);
	ck_assert_uint_eq(count(&counts->datagrams_dropped), 0);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(no_task_for_a_name)
{
	struct tcp_addr at;
	struct client c;
	int far;

	start_with_names();
	far = datagrams(&at);
	c = associate();
	atomic_store(&stacks, 1);
	send_by_name(&c, "mapped.test", &at, "lost");
	until(count(&counts->datagrams_dropped) == 1);
	send_by_name(&c, "mapped.test", &at, "passes");
	expect(far, "passes");
	leave(&c);
	until(count(&counts->sessions) == 1);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(no_memory_for_a_name)
{
	struct tcp_addr at;
	struct client c;
	int far;

	po.udp.bytes = (size_t)_i * 4096;
	start_with_names();
	far = datagrams(&at);
	c = associate();
	if (c.code == 0) {
		uint64_t dropped;

		send_by_name(&c, "mapped.test", &at, "maybe");
		until(count(&counts->datagrams_dropped) +
			      count(&counts->datagrams_up) ==
		      1);
		dropped = count(&counts->datagrams_dropped);
		ck_assert(_i < 39 || dropped == 0);
		if (!dropped)
			expect(far, "maybe");
		send_to(&c, &at, "passes");
		expect(far, "passes");
	}
	leave(&c);
	until(count(&counts->sessions) == 1);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(what_waits_ends_with_its_association)
{
	struct tcp_addr at;
	struct client c;
	int far;

	po.udp.bytes = 64 << 20;
	po.udp.buffer = 64 << 10;
	start_with_names();
	far = datagrams(&at);
	c = associate();
	for (int i = 0; i < 20; i++)
		send_by_name(&c, i % 2 ? "silent.a" : "silent.b", &at, "x");
	send_to(&c, &at, "passes");
	expect(far, "passes");
	until(count(&counts->datagrams_dropped) == 4);
	leave(&c);
	until(count(&counts->sessions) == 1);
	ck_assert_uint_eq(count(&counts->datagrams_dropped), 20);
	served_until(tasks, 0);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

/* --- The end ------------------------------------------------------------ */

START_TEST(the_end_of_the_server_is_theirs)
{
	struct client c[3];
	struct tcp_addr at;
	char byte;
	int far;

	start();
	far = datagrams(&at);
	for (int i = 0; i < 3; i++) {
		c[i] = associate();
		ck_assert_uint_eq(c[i].code, 0);
		send_to(&c[i], &at, "x");
		expect(far, "x");
	}
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), 3);
	ck_assert_uint_eq(count(&counts->outcomes[OUTCOME_SHUTDOWN]), 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_le(recv(c[i].control, &byte, 1, 0), 0);
		leave(&c[i]);
	}
	close_fd(&far);
}
END_TEST

START_TEST(without_udp_there_is_none)
{
	struct client c;

	po.udp.max = 0;
	start();
	c = associate();
	ck_assert_uint_eq(c.code, 7);
	leave(&c);
	until(count(&counts->outcomes[OUTCOME_BAD_COMMAND]) == 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("associate");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, payloads_count);
	tcase_add_test(t, no_socket_towards_the_client);
	tcase_add_test(t, no_port_towards_the_client);
	tcase_add_test(t, no_events_of_the_client);
	tcase_add_test(t, ports_in_use_are_passed_over);
	tcase_add_test(t, no_socket_towards_the_target);
	tcase_add_test(t, no_events_of_the_target);
	tcase_add_test(t, no_source_towards_the_target);
	tcase_add_test(t, no_option_of_the_target);
	tcase_add_test(t, no_memory_at_all);
	tcase_add_loop_test(t, memory_runs_out_at_any_step, 0, 40);
	tcase_add_test(t, a_datagram_waits_for_its_name);
	tcase_add_test(t, no_task_for_a_name);
	tcase_add_loop_test(t, no_memory_for_a_name, 18, 40);
	tcase_add_test(t, what_waits_ends_with_its_association);
	tcase_add_test(t, the_end_of_the_server_is_theirs);
	tcase_add_test(t, without_udp_there_is_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
