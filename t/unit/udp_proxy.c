/*
 * A proxy with one worker, and clients that speak by plain system calls.
 */
#include "t/unit/udp_proxy.h"

#include "daemon/proxy/guess.h"
#include "daemon/proxy/socks_udp.h"
#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* --- A proxy ------------------------------------------------------------ */

#define MS 10000

static struct rules *rules;
static struct policy *policy;
static struct proxy *proxy;
struct proxy_listener udp_listener;
struct rule_match udp_target;
struct proxy_counts *udp_counts;
static struct tcp_addr server;
struct proxy_options udp_options;

void udp_proxy_init(void)
{
	udp_options = (struct proxy_options){
		.workers = 1,
		.max_sessions = 50,
		.names = { .max_pending = 10 },
		.timeouts = { .handshake_ms = MS,
			      .name_ms = MS,
			      .connect_ms = MS },
		.udp = { .max = 10, .bytes = 4 << 20, .buffer = 16 << 10 },
	};
	udp_target = (struct rule_match){ .type = RULE_MATCH_CLASS,
					  .class = ADDR_CLASS_LOOPBACK };
	udp_listener = (struct proxy_listener){
		.number = 1,
		.protocols = PROTOCOL_BIT(PROTOCOL_SOCKS5),
	};
}

void udp_proxy_start(void)
{
	const struct tcp_listen_options lo = { .admit = proxy_admit,
					       .unhandled = proxy_unhandled,
					       .first_byte_ms = MS };
	struct tcp_server_options so = { .workers = 1,
					 .worker_start = proxy_worker_start,
					 .worker_stop = proxy_worker_stop };
	struct rule_spec client = { .allow = true };
	struct rule_spec request = { .allow = true,
				     .to = &udp_target,
				     .to_count = 1 };

	ck_assert_int_eq(rules_new(&rules, &client, 1, &request, 1, NULL), 0);
	udp_counts = aligned_alloc(64, sizeof(*udp_counts));
	ck_assert_ptr_nonnull(udp_counts);
	memset(udp_counts, 0, sizeof(*udp_counts));
	udp_options.counts = udp_counts;
	ck_assert_int_eq(policy_new(&policy, rules, NULL), 0);
	udp_options.policy = policy;
	ck_assert_int_eq(proxy_new(&proxy, &udp_options), 0);
	udp_listener.proxy = proxy;
	so.ctx = proxy;
	server = served_start(&so, &lo, proxy_serve, &udp_listener);
}

void udp_proxy_stop(void)
{
	served_stop();
	proxy_free(proxy);
	policy_unref(policy);
	free(udp_counts);
}

uint64_t udp_count(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* --- A client ----------------------------------------------------------- */

int udp_socket(struct tcp_addr *ret)
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

struct udp_client udp_associate(void)
{
	static const uint8_t ask_for[] = {
		5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0
	};
	struct udp_client c;
	struct tcp_addr mine;
	uint8_t reply[12];

	c.udp = udp_socket(&mine);
	c.control = tcp_connected(&server);
	ck_assert_int_eq(send(c.control, ask_for, sizeof(ask_for), 0),
			 sizeof(ask_for));
	hear(c.control, reply, sizeof(reply));
	c.code = reply[3];
	addr_set(&c.relay, AF_INET, reply + 6, get_be16(reply + 10));
	return c;
}

void udp_leave(struct udp_client *c)
{
	close_fd(&c->control);
	close_fd(&c->udp);
}

void udp_send(const struct udp_client *c, const struct tcp_addr *to,
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
void udp_send_by_name(const struct udp_client *c, const char *host,
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

void udp_expect(int fd, const char *text)
{
	char got[100];

	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), (ssize_t)strlen(text));
	ck_assert_mem_eq(got, text, strlen(text));
}
