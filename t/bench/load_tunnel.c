/*
 * Tunnels of a load: TCP, TLS, and what the proxy is told.
 */
#include "t/bench/load.h"

#include <sys/epoll.h>

#include "t/bench/args.h"
#include "t/bench/login.h"

void want(struct tunnel *t, uint32_t mask)
{
	struct epoll_event ev = { .events = mask, .data.ptr = t };

	if (t->mask == mask)
		return;
	epoll_ctl(load.epoll_fd, t->mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, t->fd,
		  &ev);
	t->mask = mask;
}

void tunnel_close(struct tunnel *t)
{
	if (t->state == CLOSED)
		return;
	if (t->state == OPEN || t->state == BUSY)
		load.n_open--;
	if (t->state != OPEN)
		load.n_busy--;
	SSL_free(t->ssl);
	close(t->fd);
	t->state = CLOSED;
}

void fail(struct tunnel *t, uint64_t *counter)
{
	++*counter;
	tunnel_close(t);
}

void fail_errno(struct tunnel *t, int err)
{
	fail(t, errors_of(&load.errors, err));
}

ssize_t give(struct tunnel *t, const void *buf, size_t n)
{
	return t->ssl ? secure_send(t->ssl, buf, n)
		      : send(t->fd, buf, n, MSG_NOSIGNAL);
}

ssize_t take(struct tunnel *t, void *buf, size_t n)
{
	return t->ssl ? secure_recv(t->ssl, buf, n) : recv(t->fd, buf, n, 0);
}

bool put(struct tunnel *t, const void *buf, size_t n)
{
	ssize_t m = give(t, buf, n);

	if (m == (ssize_t)n)
		return true;
	/* A fresh socket takes these few bytes or it is broken. */
	fail_errno(t, m < 0 ? errno : EMSGSIZE);
	return false;
}

void tunnel_start(struct tunnel *t)
{
	int fd = socket(load.proxy.sa.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		perror("load: socket");
		exit(1);
	}
	*t = (struct tunnel){ .fd = fd, .state = DIALING };
	t->flow = load.next_flow++;
	t->since = now_ns();
	load.started++;
	load.n_busy++;
	net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	ask_as(fd, &load.proxy, t->flow);
	if (connect(fd, &load.proxy.sa, net_addr_len(&load.proxy)) &&
	    errno != EINPROGRESS)
		fail_errno(t, errno);
	else
		want(t, EPOLLOUT);
}

/* One message of the handshake, read exactly; false while it is not whole. */
static bool get(struct tunnel *t, size_t n)
{
	ssize_t m = take(t, load.buf, n - t->have);

	if (m == 0)
		fail(t, &load.errors.eof);
	else if (m < 0 && errno != EAGAIN)
		fail_errno(t, errno);
	if (m <= 0)
		return false;
	t->have += (uint32_t)m;
	return t->have == n;
}

static void get_http(struct tunnel *t)
{
	int r = ask_http_answer(t->fd, load.buf, 1024);

	if (r < 0)
		fail(t, r == -EPIPE ? &load.errors.eof : &load.errors.refused);
	else if (r > 0)
		opened(t);
}

/* Two bytes, the second of which tells. */
static bool agreed(struct tunnel *t, uint8_t wanted)
{
	if (!get(t, 2))
		return false;
	if (load.buf[1] != wanted)
		fail(t, &load.errors.refused);
	return t->state != CLOSED;
}

/* Past the method: the login, where there is one, or the request. */
static void put_next(struct tunnel *t, enum state next)
{
	uint8_t login[LOGIN_MAX];

	t->have = 0;
	t->state = next;
	if (next == LOGIN)
		put(t, login, login_text(login, t->flow % load.users));
	else
		put(t, load.request, load.request_len);
}

/* The first word to the proxy. */
static void greet(struct tunnel *t, const uint8_t greeting[3])
{
	t->state = METHOD;
	if (load.protocol == SOCKS5) {
		put(t, greeting, 3);
	} else if (load.protocol == HTTP) {
		t->state = HEAD;
		put(t, load.request, load.request_len);
	} else {
		opened(t);
	}
}

/* The handshake of TLS; true when it is over. */
static bool shake(struct tunnel *t)
{
	int r = secure_shake(t->ssl);

	if (r && r != -EAGAIN)
		fail_errno(t, -r);
	return r == 0;
}

void handshake(struct tunnel *t)
{
	const uint8_t greeting[3] = { 5, 1, load.users ? 2 : 0 };

	switch (t->state) {
	case DIALING:
		want(t, EPOLLIN);
		t->state = SHAKING;
		if (secure_ctx && !(t->ssl = secure_new(t->fd))) {
			fail_errno(t, ENOMEM);
			return;
		}
		/* fall through */
	case SHAKING:
		if (!t->ssl || shake(t))
			greet(t, greeting);
		return;
	case METHOD:
		if (agreed(t, greeting[2]))
			put_next(t, load.users ? LOGIN : REPLY);
		return;
	case LOGIN:
		if (agreed(t, 0))
			put_next(t, REPLY);
		return;
	case REPLY:
		if (!get(t, load.request_len))
			return;
		if (load.buf[1])
			fail(t, &load.errors.refused);
		else
			opened(t);
		return;
	default:
		get_http(t);
	}
}
