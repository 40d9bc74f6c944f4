/*
 * What goes on working in the sandbox: every option that sockets get,
 * datagrams, packets to spliced-pam, the addresses of interfaces.
 */
#include "daemon/sandbox.h"

#include "core/local_addrs.h"
#include "core/sock.h"
#include "t/unit/confined.h"
#include "t/unit/suite.h"

#include <check.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* --- Options ------------------------------------------------------------ */

/* What this kernel cannot do it may say, but not that it is forbidden. */
static bool may_set(int fd, int level, int name, const void *value,
		    socklen_t len)
{
	errno = 0;
	return setsockopt(fd, level, name, value, len) == 0 ||
	       (errno != EPERM && errno != EACCES);
}

#define MAY_SET(fd, level, name, value)                                        \
	NEED(may_set(fd, level, name, &(int){ value }, sizeof(int)))

static void set_stream_options(sa_family_t family)
{
	static const struct linger reset = { .l_onoff = 1 };
	int fd = sock_stream(family);

	NEED(fd >= 0 || errno == EAFNOSUPPORT);
	if (fd < 0)
		return;
	MAY_SET(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	MAY_SET(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	MAY_SET(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	MAY_SET(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	MAY_SET(fd, SOL_SOCKET, SO_SNDBUF, 65536);
	MAY_SET(fd, SOL_SOCKET, SO_RCVBUF, 65536);
	NEED(may_set(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	MAY_SET(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	MAY_SET(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	MAY_SET(fd, IPPROTO_TCP, TCP_KEEPINTVL, 60);
	MAY_SET(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
	MAY_SET(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 60000);
	MAY_SET(fd, IPPROTO_TCP, TCP_FASTOPEN, 16);
	MAY_SET(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	MAY_SET(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	NEED(may_set(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")));
	MAY_SET(fd, SOL_TLS, TLS_TX, 0);
	MAY_SET(fd, SOL_TLS, TLS_RX, 0);
	MAY_SET(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	MAY_SET(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (family == AF_INET6) {
		MAY_SET(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		MAY_SET(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	}
	close_fd(&fd);
}

static void set_datagram_options(sa_family_t family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	NEED(fd >= 0 || errno == EAFNOSUPPORT);
	if (fd < 0)
		return;
	MAY_SET(fd, SOL_SOCKET, SO_SNDBUF, 262144);
	MAY_SET(fd, SOL_SOCKET, SO_RCVBUF, 262144);
	MAY_SET(fd, IPPROTO_UDP, UDP_SEGMENT, 1200);
	MAY_SET(fd, IPPROTO_UDP, UDP_GRO, 1);
	MAY_SET(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (family == AF_INET6) {
		MAY_SET(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		MAY_SET(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	}
	/* More than the administrator gives everybody. */
	REFUSED(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ 262144 },
			   sizeof(int)));
	close_fd(&fd);
}

static void set_options(void)
{
	enter();
	set_stream_options(AF_INET);
	set_stream_options(AF_INET6);
	set_datagram_options(AF_INET);
	set_datagram_options(AF_INET6);
}

START_TEST(options_are_set)
{
	in_child(set_options, NULL);
}
END_TEST

/* --- Datagrams ---------------------------------------------------------- */

/* On any port, which Landlock leaves alone. */
static int datagram_socket(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	NEED(fd >= 0);
	NEED(bind(fd, (struct sockaddr *)ret, sizeof(*ret)) == 0);
	NEED(getsockname(fd, (struct sockaddr *)ret, &len) == 0);
	return fd;
}

#define BATCH 4

static void relay_datagrams(void)
{
	struct sockaddr_in here, there;
	struct mmsghdr out[BATCH] = { 0 }, in[BATCH] = { 0 };
	struct iovec put[BATCH], got[BATCH];
	char bytes[BATCH][16];
	int near, far, chosen;

	enter();
	near = datagram_socket(&here);
	far = datagram_socket(&there);
	for (int i = 0; i < BATCH; i++) {
		put[i] = (struct iovec){ (void *)"0123456789", (size_t)i + 1 };
		out[i].msg_hdr = (struct msghdr){ .msg_name = &there,
						  .msg_namelen = sizeof(there),
						  .msg_iov = &put[i],
						  .msg_iovlen = 1 };
		got[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) };
		in[i].msg_hdr = (struct msghdr){ .msg_iov = &got[i],
						 .msg_iovlen = 1 };
	}
	NEED(sendmmsg(near, out, BATCH, MSG_NOSIGNAL) == BATCH);
	NEED(recvmmsg(far, in, BATCH, MSG_DONTWAIT, NULL) == BATCH);
	NEED(in[BATCH - 1].msg_len == BATCH);
	/* One of a range: whatever port it is. */
	chosen = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	here.sin_port = htons((uint16_t)(own_port + 1));
	NEED(bind(chosen, (struct sockaddr *)&here, sizeof(here)) == 0 ||
	     errno == EADDRINUSE);
}

START_TEST(datagrams_are_relayed_in_batches)
{
	in_child(relay_datagrams, NULL);
}
END_TEST

/* --- Interfaces --------------------------------------------------------- */

static void ask_for_addresses(void)
{
	struct tcp_addr list[8];
	struct local_addrs *t;
	char name[IF_NAMESIZE];
	unsigned lo = if_nametoindex("lo");

	NEED(lo > 0);
	enter();
	NEED(if_nametoindex("lo") == lo);
	NEED(if_indextoname(lo, name) && !strcmp(name, "lo"));
	NEED(local_addrs_new(&t, NULL) == 0);
	NEED(local_addrs_all(t, "lo", list, ARRAY_SIZE(list)) > 0);
	local_addrs_free(t);
}

START_TEST(own_addresses_are_known)
{
	in_child(ask_for_addresses, NULL);
}
END_TEST

/* --- Packets ------------------------------------------------------------ */

/* As workers do where PAM verifies passwords. */
static void ask_helper(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd;
	char got[8];

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", at("far/pam"));
	NEED(bind(server, (struct sockaddr *)&a, sizeof(a)) == 0);
	NEED(chmod(a.sun_path, 0777) == 0);
	NEED(listen(server, 1) == 0);
	enter();
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd >= 0);
	NEED(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	NEED(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
	fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	NEED(recv(fd, got, sizeof(got), 0) == 1);
}

START_TEST(a_helper_is_reached)
{
	in_child(ask_helper, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox_sockets");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, confined_setup, confined_teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, options_are_set);
	tcase_add_test(t, datagrams_are_relayed_in_batches);
	tcase_add_test(t, own_addresses_are_known);
	tcase_add_test(t, a_helper_is_reached);
	suite_add_tcase(s, t);
	return run_suite(s);
}
