/*
 * UDP associations in a server of its own: what they count, what they do when
 * the system refuses what they need half-way, and that nothing of them is left:
 * associations_free() looks whether all memory was given back.
 */
#include "daemon/proxy/associate.h"

#include "t/unit/bound.h"
#include "t/unit/dns_server.h"
#include "t/unit/gate.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/udp_proxy.h"

#include <stdatomic.h>
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
int(socket)(int family, int type, int protocol)
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

/* No datagram has a way to this port; how many were looked for. */
static _Atomic uint16_t lost_port;
static atomic_uint looks;

int connect(int fd, const struct sockaddr *a, socklen_t len)
{
	struct tcp_addr to;

	tcp_addr_from_sockaddr(&to, a);
	if (to.port && to.port == atomic_load(&lost_port)) {
		atomic_fetch_add(&looks, 1);
		return refuse(ENETUNREACH);
	}
	return (int)syscall(SYS_connect, fd, a, len);
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

static void setup(void)
{
	udp_proxy_init();
	sockets = binds = watches = options = stacks = 0;
	lost_port = 0;
	looks = 0;
}

/* --- Tests -------------------------------------------------------------- */

START_TEST(payloads_count)
{
	struct tcp_addr at;
	struct udp_client c;
	int far;

	udp_proxy_start();
	far = udp_socket(&at);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 0);
	udp_send(&c, &at, "12345");
	udp_expect(far, "12345");
	udp_send(&c, &at, "678");
	udp_expect(far, "678");
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	ck_assert_uint_eq(udp_count(&udp_counts->bytes_up), 8);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_up), 2);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_down), 0);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_dropped), 0);
	ck_assert_uint_eq(udp_count(&udp_counts->outcomes[OUTCOME_CLOSED]), 1);
	close_fd(&far);
}
END_TEST

/* A request that fails for one refusal; the next one is served. */
static void expect_refused(atomic_int *what, enum outcome why)
{
	struct udp_client c;

	udp_proxy_start();
	atomic_store(what, 1);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 1);
	udp_leave(&c);
	until(udp_count(&udp_counts->outcomes[why]) == 1);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 0);
	udp_leave(&c);
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
	struct udp_client c;

	udp_listener.udp_ports = (struct port_range){ 42000, 42063 };
	udp_proxy_start();
	atomic_store(&binds, 10);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 0);
	ck_assert_uint_ge(c.relay.port, 42000);
	ck_assert_uint_le(c.relay.port, 42063);
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	atomic_store(&binds, 64);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 1);
	udp_leave(&c);
	until(udp_count(&udp_counts->outcomes[OUTCOME_LIMIT]) == 1);
}
END_TEST

/* A datagram is dropped for one refusal; the next one passes. */
static void expect_dropped(atomic_int *what, const char *target)
{
	struct tcp_addr at, to;
	unsigned before;
	struct udp_client c;
	int far;

	udp_proxy_start();
	far = udp_socket(&at);
	c = udp_associate();
	ck_assert_uint_eq(c.code, 0);
	before = fds_open();
	to = target ? addr_at(target) : at;
	atomic_store(what, 1);
	udp_send(&c, &to, "lost");
	until(udp_count(&udp_counts->datagrams_dropped) == 1);
	ck_assert_uint_eq(fds_open(), before);
	ck_assert_int_eq(atomic_load(what), 0);
	udp_send(&c, &at, "passes");
	udp_expect(far, "passes");
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_up), 1);
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

	udp_options.outbound.sources = &source;
	udp_options.outbound.source_count = 1;
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
	struct udp_client c;

	udp_options.udp.bytes = 1000;
	udp_proxy_start();
	c = udp_associate();
	ck_assert_uint_eq(c.code, 1);
	udp_leave(&c);
	until(udp_count(&udp_counts->outcomes[OUTCOME_LIMIT]) == 1);
}
END_TEST

/* Every bound from nothing to plenty: refused, or let in and of use. */
START_TEST(memory_runs_out_at_any_step)
{
	size_t bytes = (size_t)_i * 4096;
	struct tcp_addr at;
	struct udp_client c;
	int far;

	udp_options.udp.bytes = bytes;
	udp_proxy_start();
	far = udp_socket(&at);
	c = udp_associate();
	if (c.code == 0) {
		udp_send(&c, &at, "passes");
		udp_expect(far, "passes");
	} else {
		ck_assert_uint_eq(c.code, 1);
		ck_assert_int_lt(_i, 31);
	}
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	close_fd(&far);
}
END_TEST

/* --- Names -------------------------------------------------------------- */

static struct tcp_addr names;

static void start_with_names(void)
{
	dns_server_start();
	names = dns_server_addr();
	udp_options.names.servers = &names;
	udp_options.names.server_count = 1;
	udp_options.names.timeout_ms = SOON_MS;
	udp_proxy_start();
}

START_TEST(a_datagram_waits_for_its_name)
{
	struct tcp_addr at;
	struct udp_client c;
	int far;

	start_with_names();
	far = udp_socket(&at);
	c = udp_associate();
	udp_send_by_name(&c, "mapped.test", &at, "first");
	udp_expect(far, "first");
	udp_send_by_name(&c, "mapped.test", &at, "second");
	udp_expect(far, "second");
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_up), 2);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_dropped), 0);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(no_task_for_a_name)
{
	struct tcp_addr at;
	struct udp_client c;
	int far;

	start_with_names();
	far = udp_socket(&at);
	c = udp_associate();
	atomic_store(&stacks, 1);
	udp_send_by_name(&c, "mapped.test", &at, "lost");
	until(udp_count(&udp_counts->datagrams_dropped) == 1);
	udp_send_by_name(&c, "mapped.test", &at, "passes");
	udp_expect(far, "passes");
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(no_memory_for_a_name)
{
	struct tcp_addr at;
	struct udp_client c;
	int far;

	udp_options.udp.bytes = (size_t)_i * 4096;
	start_with_names();
	far = udp_socket(&at);
	c = udp_associate();
	if (c.code == 0) {
		uint64_t dropped;

		udp_send_by_name(&c, "mapped.test", &at, "maybe");
		until(udp_count(&udp_counts->datagrams_dropped) +
			      udp_count(&udp_counts->datagrams_up) ==
		      1);
		dropped = udp_count(&udp_counts->datagrams_dropped);
		ck_assert(_i < 39 || dropped == 0);
		if (!dropped)
			udp_expect(far, "maybe");
		udp_send(&c, &at, "passes");
		udp_expect(far, "passes");
	}
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

START_TEST(a_name_with_many_addresses_costs_little)
{
	struct tcp_addr at = addr_at("127.0.0.1:9");
	struct udp_client c;

	udp_target.class = ADDR_CLASS_ANY;
	atomic_store(&lost_port, at.port);
	start_with_names();
	c = udp_associate();
	udp_send_by_name(&c, "many.test", &at, "nowhere");
	until(udp_count(&udp_counts->datagrams_dropped) == 1);
	atomic_store(&looks, 0);
	udp_send_by_name(&c, "many.test", &at, "nowhere");
	until(udp_count(&udp_counts->datagrams_dropped) == 2);
	ck_assert_uint_gt(atomic_load(&looks), 0);
	/* Asked for again: with the first family, then with both. */
	ck_assert_uint_le(atomic_load(&looks), 8);
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	dns_server_stop();
}
END_TEST

START_TEST(what_waits_ends_with_its_association)
{
	struct tcp_addr at;
	struct udp_client c;
	int far;

	udp_options.udp.bytes = 64 << 20;
	udp_options.udp.buffer = 64 << 10;
	start_with_names();
	far = udp_socket(&at);
	c = udp_associate();
	for (int i = 0; i < 20; i++)
		udp_send_by_name(&c, i % 2 ? "silent.a" : "silent.b", &at, "x");
	udp_send(&c, &at, "passes");
	udp_expect(far, "passes");
	until(udp_count(&udp_counts->datagrams_dropped) == 4);
	udp_leave(&c);
	until(udp_count(&udp_counts->sessions) == 1);
	ck_assert_uint_eq(udp_count(&udp_counts->datagrams_dropped), 20);
	served_until(tasks, 0);
	close_fd(&far);
	dns_server_stop();
}
END_TEST

/* --- The end ------------------------------------------------------------ */

START_TEST(the_end_of_the_server_is_theirs)
{
	struct udp_client c[3];
	struct tcp_addr at;
	char byte;
	int far;

	udp_proxy_start();
	far = udp_socket(&at);
	for (int i = 0; i < 3; i++) {
		c[i] = udp_associate();
		ck_assert_uint_eq(c[i].code, 0);
		udp_send(&c[i], &at, "x");
		udp_expect(far, "x");
	}
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), 3);
	ck_assert_uint_eq(udp_count(&udp_counts->outcomes[OUTCOME_SHUTDOWN]),
			  3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_le(recv(c[i].control, &byte, 1, 0), 0);
		udp_leave(&c[i]);
	}
	close_fd(&far);
}
END_TEST

START_TEST(without_udp_there_is_none)
{
	struct udp_client c;

	udp_options.udp.max = 0;
	udp_proxy_start();
	c = udp_associate();
	ck_assert_uint_eq(c.code, 7);
	udp_leave(&c);
	until(udp_count(&udp_counts->outcomes[OUTCOME_BAD_COMMAND]) == 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("associate");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, udp_proxy_stop);
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
	tcase_add_test(t, a_name_with_many_addresses_costs_little);
	tcase_add_test(t, what_waits_ends_with_its_association);
	tcase_add_test(t, the_end_of_the_server_is_theirs);
	tcase_add_test(t, without_udp_there_is_none);
	suite_add_tcase(s, t);
	return run_suite(s);
}
