/*
 * httpfloor: the practical limit of an HTTP server on this machine, for what
 * http-server does: the same bytes on the wire, the same date, the same
 * encryption.
 *
 * One thread, one epoll, connections in an array by descriptor.  There are no
 * time limits and no bounds, and of a head only its end is looked for, so
 * nobody should run it; but what it does it does correctly: heads that come in
 * pieces or several at once, and peers that do not take what is sent.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "t/bench/args.h"
#include "t/bench/http_reply.h"
#include "t/bench/http_request.h"
#include "t/bench/net.h"

#define EVENTS  256
#define ACCEPTS 16

struct conn {
	SSL *ssl;
	struct http_block *out; /* not taken yet, from `out_off` on */
	char *part;             /* of a head, HTTP_HEAD_MAX bytes */
	int64_t due_ms;
	size_t out_off, part_len;
	int next_due;  /* a descriptor; 0: the last one */
	unsigned owed; /* heads without an answer */
	bool open, watched, edges;
	bool sleeps, slept; /* before the next answer */
	bool last;          /* what is owed now is all that will be */
	bool gone;          /* to be closed when it wakes */
};

static struct {
	int epoll_fd, listen_fd;
	bool close;
	long sleep_ms;
	int64_t now_ms;
	SSL_CTX *tls;
	struct http_replies replies;
	struct conn *conns;      /* by descriptor */
	int first_due, last_due; /* those that sleep, in order */
	char buf[2 * HTTP_HEAD_MAX];
} here;

static int64_t now_ms(void)
{
	return (int64_t)(now_ns() / 1000000);
}

static void conn_end(int fd)
{
	struct conn *c = &here.conns[fd];

	if (c->sleeps) {
		c->gone = true;
		return;
	}
	if (c->out)
		http_reply_put(&here.replies, c->out);
	if (c->ssl) {
		if (c->last)
			(void)SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
	}
	free(c->part);
	*c = (struct conn){ 0 };
	close(fd);
}

static int watch(int fd, uint32_t events)
{
	struct conn *c = &here.conns[fd];
	struct epoll_event ev = { .events = events, .data.fd = fd };
	int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	c->watched = true;
	return epoll_ctl(here.epoll_fd, op, fd, &ev);
}

static int watch_edges(int fd, uint32_t more)
{
	here.conns[fd].edges = true;
	return watch(fd, EPOLLIN | EPOLLRDHUP | EPOLLET | more);
}

/* --- Bytes -------------------------------------------------------------- */

/* As recv(2), with EAGAIN. */
static ssize_t receive(int fd, struct conn *c, char *to, size_t len)
{
	int n;

	if (!c->ssl)
		return recv(fd, to, len, 0);
	n = SSL_read(c->ssl, to, (int)len);
	if (n > 0)
		return n;
	errno = SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? EAGAIN
								: ECONNRESET;
	return -1;
}

static ssize_t transmit(int fd, struct conn *c, const char *from, size_t len)
{
	int n;

	if (!c->ssl)
		return send(fd, from, len, MSG_NOSIGNAL);
	n = SSL_write(c->ssl, from, (int)len);
	if (n > 0)
		return n;
	errno = SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE ? EAGAIN
								 : EPIPE;
	return -1;
}

/* Sends what is held: 0 with `out` still set when the peer takes no more. */
static int flush(int fd, struct conn *c)
{
	while (c->out_off < c->out->len) {
		ssize_t n = transmit(fd, c, c->out->bytes + c->out_off,
				     c->out->len - c->out_off);

		if (n < 0)
			return errno == EAGAIN ? watch(fd, EPOLLIN | EPOLLOUT)
					       : -1;
		c->out_off += (size_t)n;
	}
	http_reply_put(&here.replies, c->out);
	c->out = NULL;
	return 0;
}

/* --- Requests and answers ----------------------------------------------- */

static void sleep_first(int fd, struct conn *c)
{
	c->sleeps = true;
	c->due_ms = here.now_ms + here.sleep_ms;
	c->next_due = 0;
	if (here.first_due)
		here.conns[here.last_due].next_due = fd;
	else
		here.first_due = fd;
	here.last_due = fd;
}

/* Answers one head; 0 also where something has to be waited for first. */
static int answer(int fd, struct conn *c)
{
	if (here.sleep_ms && !c->slept) {
		sleep_first(fd, c);
		return 0;
	}
	c->slept = false;
	c->owed--;
	if (here.close) {
		c->owed = 0;
		c->last = true;
	}
	c->out = http_reply_get(&here.replies,
				here.close ? HTTP_CLOSES : HTTP_GOES_ON,
				here.now_ms);
	c->out_off = 0;
	return c->out ? flush(fd, c) : -1;
}

/* Counts heads in here.buf[len] and keeps what is behind the last. */
static int take_heads(struct conn *c, size_t len)
{
	const char *at = here.buf, *end = here.buf + len, *found;

	while (at < end &&
	       (found = memmem(at, (size_t)(end - at), "\r\n\r\n", 4))) {
		c->owed++;
		at = found + 4;
	}
	c->part_len = (size_t)(end - at);
	if (c->part_len == 0)
		return 0;
	if (c->part_len > HTTP_HEAD_MAX)
		return -1;
	if (!c->part && !(c->part = malloc(HTTP_HEAD_MAX)))
		return -1;
	memcpy(c->part, at, c->part_len);
	return 0;
}

/*
 * Reads until a read is short.  That may leave the end of the stream unread,
 * unless `ends` says that it is there.
 */
static int take_input(int fd, struct conn *c, bool ends)
{
	for (;;) {
		size_t room = sizeof(here.buf) - c->part_len;
		ssize_t n;

		if (c->part_len)
			memcpy(here.buf, c->part, c->part_len);
		n = receive(fd, c, here.buf + c->part_len, room);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (n == 0) {
			c->last = true;
			return 0;
		}
		if (take_heads(c, c->part_len + (size_t)n) < 0)
			return -1;
		if (c->ssl ? !SSL_has_pending(c->ssl) && !c->edges
			   : (size_t)n < room && !ends)
			return 0;
	}
}

/* All that can be done for a connection now, its end included. */
static void go_on(int fd, struct conn *c, bool readable, bool ends)
{
	int r = c->out ? flush(fd, c) : 0;

	if (r == 0 && readable && !c->last)
		r = take_input(fd, c, ends);
	while (r == 0 && c->owed > 0 && !c->out && !c->sleeps)
		r = answer(fd, c);
	if (r < 0 || (c->last && c->owed == 0 && !c->out))
		conn_end(fd);
}

/* --- The server --------------------------------------------------------- */

static void event(int fd, uint32_t events)
{
	struct conn *c = &here.conns[fd];

	if (c->open && !c->gone)
		go_on(fd, c, events & ~(uint32_t)EPOLLOUT,
		      events & (EPOLLRDHUP | EPOLLHUP));
}

static void begin(int fd)
{
	struct conn *c = &here.conns[fd];

	c->open = true;
	if (here.tls) {
		c->ssl = SSL_new(here.tls);
		if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1) {
			conn_end(fd);
			return;
		}
		SSL_set_accept_state(c->ssl);
	}
	/* How much OpenSSL has read nobody tells: levels save it a read. */
	if (here.tls ? watch(fd, EPOLLIN) : watch_edges(fd, 0))
		conn_end(fd);
}

/* As many as the last times were there: asking for one more costs a call. */
static void accept_some(void)
{
	static int batch = 1;

	for (int i = 0; i < batch; i++) {
		int fd = accept4(here.listen_fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			batch = i > 1 ? i : 1;
			return;
		}
		begin(fd);
	}
	if (batch < ACCEPTS)
		batch *= 2;
}

static void wake_due(void)
{
	while (here.first_due &&
	       here.conns[here.first_due].due_ms <= here.now_ms) {
		int fd = here.first_due;
		struct conn *c = &here.conns[fd];

		here.first_due = c->next_due;
		c->sleeps = false;
		c->slept = true;
		if (c->gone)
			conn_end(fd);
		else
			go_on(fd, c, false, false);
	}
}

static int patience(void)
{
	int64_t ms;

	if (!here.first_due)
		return -1;
	ms = here.conns[here.first_due].due_ms - now_ms();
	return ms > 0 ? (int)ms : 0;
}

static void run(void)
{
	struct epoll_event ev[EVENTS];

	for (;;) {
		int n = epoll_wait(here.epoll_fd, ev, EVENTS, patience());

		here.now_ms = now_ms();
		for (int i = 0; i < n; i++) {
			if (ev[i].data.fd == here.listen_fd)
				accept_some();
			else
				event(ev[i].data.fd, ev[i].events);
		}
		wake_due();
	}
}

static int make_tls(const char *files)
{
	const char *colon = strchr(files, ':');
	char *chain = strndup(files, (size_t)(colon ? colon - files : 0));
	int r = -1;

	here.tls = SSL_CTX_new(TLS_server_method());
	if (colon && chain && here.tls &&
	    SSL_CTX_use_certificate_chain_file(here.tls, chain) == 1 &&
	    SSL_CTX_use_PrivateKey_file(here.tls, colon + 1,
					SSL_FILETYPE_PEM) == 1)
		r = 0;
	if (r == 0) {
		SSL_CTX_set_mode(here.tls,
				 SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		SSL_CTX_set_read_ahead(here.tls, 1);
	}
	free(chain);
	return r;
}

static int start(const char *listen_at, long size, bool aes)
{
	union net_addr addr;
	struct rlimit files;
	char text[64];

	raise_nofile();
	if (net_parse(&addr, listen_at) || getrlimit(RLIMIT_NOFILE, &files) ||
	    http_replies_init(&here.replies, (size_t)size, aes) < 0)
		return -1;
	here.conns = calloc(files.rlim_cur, sizeof(*here.conns));
	here.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	here.listen_fd = net_listen(&addr, true);
	if (!here.conns || here.epoll_fd < 0 || here.listen_fd < 0)
		return -1;
	/* Accepted sockets inherit it. */
	net_set_int(here.listen_fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (watch(here.listen_fd, EPOLLIN))
		return -1;
	printf("listening on %s\n", net_text(&addr, text, sizeof text));
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const char *listen_at = arg_text(argc, argv, "--listen");
	const char *files = arg_text(argc, argv, "--tls");
	long size = arg_number(argc, argv, "--size", 1024);
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	here.close = arg_flag(argc, argv, "--close");
	here.sleep_ms = arg_number(argc, argv, "--sleep", 0);
	if (!listen_at || size < 0 || size > (long)HTTP_SIZE_MAX) {
		fputs("usage: httpfloor --listen ADDR:PORT [--size N] "
		      "[--close] [--aes128]\n\t[--sleep MS] [--tls CERT:KEY]\n",
		      stderr);
		return 2;
	}
	sigaction(SIGPIPE, &ignore, NULL); /* OpenSSL writes by write(2) */
	if ((files && make_tls(files) < 0) ||
	    start(listen_at, size, arg_flag(argc, argv, "--aes128")) < 0) {
		perror("httpfloor");
		return 1;
	}
	run();
}
