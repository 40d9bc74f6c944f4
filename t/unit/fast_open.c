/*
 * A network of the test's own in which TCP Fast Open is allowed, and dials
 * in it.
 */
#include "t/unit/fast_open.h"

#include "core/conn.h"
#include "t/unit/tcp_pair.h"

#include <check.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct tcp_addr fast_to[2];
int fast_listening;
const struct tcp_dial_options fast_options = { .fastopen = true };

/* --- A network ---------------------------------------------------------- */

bool fast_set(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	close_fd(&fd);
	return n == (ssize_t)strlen(text);
}

bool fast_allow(const char *who)
{
	return fast_set("/proc/sys/net/ipv4/tcp_fastopen", who);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	r.ifr_flags |= IFF_UP;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close_fd(&fd);
}

static bool make_network(void)
{
	int queue = 16;

	if (unshare(CLONE_NEWNET) < 0 || !fast_allow("3"))
		return false; /* not allowed here */
	loopback_up();
	fast_listening = tcp_listening(&fast_to[0], 16);
	ck_assert_int_eq(setsockopt(fast_listening, IPPROTO_TCP, TCP_FASTOPEN,
				    &queue, sizeof(queue)),
			 0);
	ck_assert_int_eq(fcntl(fast_listening, F_SETFL, O_NONBLOCK), 0);
	return true;
}

void fast_run(void (*body)(void))
{
	if (!make_network())
		return;
	on_loop(body, NULL);
	close_fd(&fast_listening);
}

/* --- Dialling ----------------------------------------------------------- */

struct tcp_conn *fast_dial(void)
{
	struct tcp_conn *c;

	ck_assert_int_eq(tcp_dial(&c, fast_to, 1, &fast_options, NULL,
				  deadline_in(SOON_MS)),
			 0);
	ck_assert(addr_equal(tcp_conn_peer(c), &fast_to[0]));
	return c;
}

struct tcp_conn *fast_accepted(void)
{
	int fd;

	await(fast_listening, POLLIN);
	fd = accept4(fast_listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	return conn_of(fd);
}

void fast_get_cookie(void)
{
	struct tcp_conn *c = fast_dial(), *far = fast_accepted();

	ck_assert_ptr_eq(c->ops, &conn_plain_ops);
	conn_send(c, 0, 10);
	conn_expect(far, 0, 10);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

static bool nobody_came(void)
{
	int fd = accept4(fast_listening, NULL, NULL, SOCK_CLOEXEC);

	close_fd(&fd);
	return fd < 0;
}

bool fast_had_data(struct tcp_conn *c)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	ck_assert_int_eq(
		getsockopt(tcp_conn_fd(c), IPPROTO_TCP, TCP_INFO, &i, &len), 0);
	return i.tcpi_options & TCPI_OPT_SYN_DATA;
}

struct tcp_conn *fast_dial_early(void)
{
	struct tcp_conn *c;

	fast_get_cookie();
	c = fast_dial();
	ck_assert_ptr_ne(c->ops, &conn_plain_ops);
	settle();
	ck_assert(nobody_came());
	return c;
}

void fast_finish(struct tcp_conn *c, struct tcp_conn *far)
{
	ck_assert_ptr_eq(c->ops, &conn_plain_ops);
	ck_assert(c->splice_out);
	conn_send(far, 3, 1000);
	conn_expect(c, 3, 1000);
	conn_send(c, 3, 1000);
	conn_expect(far, 3, 1000);
	tcp_conn_close(c);
	tcp_conn_close(far);
}
