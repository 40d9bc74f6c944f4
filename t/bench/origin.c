/*
 * origin: the far end of every benchmark, one thread, level-triggered.
 *
 * A connection says in its first 16 bytes (wire.h) what it wants: a 1 KiB
 * exchange, echo, a source, a sink; or it is HTTP (page.h). All that arrives is
 * checked. --pace N
 * limits each connection to N bytes per second by SO_MAX_PACING_RATE, as a
 * line of that speed would. Ends with its standard input, so it never stays
 * behind a benchmark that was killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>

#include "t/bench/args.h"
#include "t/bench/net.h"
#include "t/bench/page.h"
#include "t/bench/wire.h"

#define EVENTS    256
#define BUF_BYTES (64 << 10)

struct conn {
	struct conn *next, **prev; /* of the sinks */
	int fd;
	uint32_t flow;
	enum wire_kind kind; /* 0: the request is not whole yet */
	uint32_t have;       /* of the request, then of what is in `keep` */
	uint64_t got;
	uint64_t sent;
	uint64_t wrong;
	uint32_t mask;
	uint8_t head[WIRE_HEAD];
	uint8_t *keep;     /* echo that the client has not taken */
	struct page *page; /* HTTP: what has come of the request */
};

struct origin {
	int epoll_fd;
	int listen_fd;
	long pace;
	struct conn *sinks;
	uint8_t buf[BUF_BYTES];
};

static void conn_free(struct conn *c)
{
	if (c->prev) {
		*c->prev = c->next;
		if (c->next)
			c->next->prev = c->prev;
	}
	close(c->fd);
	free(c->keep);
	free(c->page);
	free(c);
}

static int conn_mask(struct origin *o, struct conn *c, uint32_t mask)
{
	struct epoll_event ev = { .events = mask, .data.ptr = c };

	if (c->mask == mask)
		return 0;
	c->mask = mask;
	return epoll_ctl(o->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static int answer_query(struct origin *o, struct conn *c)
{
	struct wire_answer a = { 0 };

	for (struct conn *s = o->sinks; s; s = s->next)
		if (s->flow == c->flow)
			a = (struct wire_answer){ s->got, s->wrong };
	send(c->fd, &a, sizeof a, MSG_NOSIGNAL);
	return -1;
}

/* Answers requests, one after the other. */
static int page(struct origin *o, struct conn *c)
{
	enum page_state state = page_asked(c->page, &c->flow);
	ssize_t n;

	if (state == PAGE_WRONG)
		fputs("origin: a request of HTTP is damaged\n", stderr);
	if (state == PAGE_WRONG || state == PAGE_PART)
		return state == PAGE_PART ? 0 : -1;
	c->page->have = 0;
	n = (ssize_t)page_answer((char *)o->buf, c->flow, state == PAGE_LAST);
	return send(c->fd, o->buf, (size_t)n, MSG_NOSIGNAL) == n &&
			       state == PAGE_STAYS
		       ? 0
		       : -1;
}

/* Its first bytes have come already. */
static int begin_pages(struct origin *o, struct conn *c)
{
	c->kind = WIRE_KIND_PAGES;
	c->page = malloc(sizeof *c->page);
	if (!c->page)
		return -1;
	c->page->have = WIRE_HEAD;
	memcpy(c->page->text, c->head, WIRE_HEAD);
	return page(o, c);
}

static int begin(struct origin *o, struct conn *c)
{
	if (!memcmp(c->head, "GET ", 4))
		return begin_pages(o, c);
	if (!wire_head_parse(c->head, &c->kind, &c->flow)) {
		fputs("origin: a request is damaged\n", stderr);
		return -1;
	}
	c->have = 0;
	switch (c->kind) {
	case WIRE_KIND_SOURCE:
		return conn_mask(o, c, EPOLLIN | EPOLLOUT);
	case WIRE_KIND_SINK:
		c->next = o->sinks;
		c->prev = &o->sinks;
		if (c->next)
			c->next->prev = &c->next;
		o->sinks = c;
		return 0;
	case WIRE_KIND_QUERY:
		return answer_query(o, c);
	case WIRE_KIND_EXCHANGE:
	case WIRE_KIND_ECHO:
		return 0;
	case WIRE_KIND_PAGES: /* not by this head */
		break;
	}
	return -1;
}

static int exchange(struct origin *o, struct conn *c, size_t n)
{
	if (!wire_same(c->flow, c->got, o->buf, n))
		c->wrong++;
	c->got += n;
	if (c->got < WIRE_EXCHANGE - WIRE_HEAD)
		return 0;
	/* Wrong bytes get no answer, which the load counts as an error. */
	if (!c->wrong)
		send(c->fd, wire_bytes(c->flow, 0), WIRE_EXCHANGE,
		     MSG_NOSIGNAL);
	return -1;
}

static int echo(struct origin *o, struct conn *c, size_t n)
{
	ssize_t m = send(c->fd, o->buf, n, MSG_NOSIGNAL);

	if (m < 0 && errno != EAGAIN)
		return -1;
	if (m < 0)
		m = 0;
	if ((size_t)m == n)
		return 0;
	c->have = (uint32_t)(n - (size_t)m);
	c->keep = malloc(c->have);
	if (!c->keep)
		return -1;
	memcpy(c->keep, o->buf + m, c->have);
	return conn_mask(o, c, EPOLLOUT);
}

/* EPOLLOUT: a source sends its next piece, an echo what was left. */
static int on_writable(struct origin *o, struct conn *c)
{
	ssize_t n;

	if (c->kind == WIRE_KIND_SOURCE) {
		n = send(c->fd, wire_bytes(c->flow, c->sent), WIRE_RUN,
			 MSG_NOSIGNAL);
		if (n > 0)
			c->sent += (uint64_t)n;
		return n < 0 && errno != EAGAIN ? -1 : 0;
	}
	n = send(c->fd, c->keep, c->have, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	c->have -= (uint32_t)n;
	memmove(c->keep, c->keep + n, c->have);
	if (c->have)
		return 0;
	free(c->keep);
	c->keep = NULL;
	return conn_mask(o, c, EPOLLIN);
}

static int more_of_page(struct origin *o, struct conn *c)
{
	struct page *p = c->page;
	ssize_t n = recv(c->fd, p->text + p->have, PAGE_ROOM - 1 - p->have, 0);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	p->have += (uint32_t)n;
	return page(o, c);
}

static int on_readable(struct origin *o, struct conn *c)
{
	ssize_t n;

	if (!c->kind) {
		n = recv(c->fd, c->head + c->have, WIRE_HEAD - c->have, 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : -1;
		c->have += (uint32_t)n;
		if (c->have < WIRE_HEAD)
			return 0;
		if (begin(o, c))
			return -1;
	}
	if (c->kind == WIRE_KIND_PAGES)
		return more_of_page(o, c);
	n = recv(c->fd, o->buf, sizeof o->buf, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	if (c->kind == WIRE_KIND_EXCHANGE)
		return exchange(o, c, (size_t)n);
	if (c->kind == WIRE_KIND_ECHO)
		return echo(o, c, (size_t)n);
	if (c->kind == WIRE_KIND_SINK &&
	    !wire_same(c->flow, c->got, o->buf, (size_t)n))
		c->wrong++;
	c->got += (uint64_t)n;
	return 0;
}

/*
 * Rates that are alike to the byte would keep the phase between flows as it
 * fell out at the start, and with it how many bursts a proxy finds at each
 * wake-up; these lie within 8 % of the one asked for, and their mean is it.
 */
static void slow_down(struct origin *o, int fd)
{
	static unsigned int count;
	long rate = o->pace * (long)(92 + count++ * 5 % 17) / 100;

	setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
}

static void accept_some(struct origin *o)
{
	for (;;) {
		int fd = accept4(o->listen_fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };
		struct conn *c;

		if (fd < 0)
			return;
		c = calloc(1, sizeof *c);
		if (!c)
			abort();
		c->fd = fd;
		c->mask = EPOLLIN;
		ev.data.ptr = c;
		if (o->pace)
			slow_down(o, fd);
		if (epoll_ctl(o->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
			conn_free(c);
	}
}

static void handle(struct origin *o, const struct epoll_event *ev)
{
	struct conn *c = ev->data.ptr;
	int r = 0;

	if (!c) {
		accept_some(o);
		return;
	}
	if (ev->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = on_readable(o, c);
	if (r == 0 && (ev->events & EPOLLOUT) && (c->mask & EPOLLOUT))
		r = on_writable(o, c);
	if (r)
		conn_free(c);
}

static void watch_own(struct origin *o)
{
	struct epoll_event accepts = { .events = EPOLLIN };
	struct epoll_event end = { .events = EPOLLIN, .data.ptr = o };

	if (epoll_ctl(o->epoll_fd, EPOLL_CTL_ADD, o->listen_fd, &accepts)) {
		perror("origin: epoll_ctl");
		exit(1);
	}
	/* Refused for a file such as /dev/null: then nothing ends it. */
	epoll_ctl(o->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &end);
}

int main(int argc, char **argv)
{
	static struct origin o;
	const char *at = arg_text(argc, argv, "--listen");
	struct epoll_event ev[EVENTS];
	union net_addr addr;
	char text[64];

	if (!at || net_parse(&addr, at)) {
		fputs("usage: origin --listen ADDR:PORT [--pace BYTES]\n",
		      stderr);
		return 2;
	}
	raise_nofile();
	wire_init();
	o.pace = arg_number(argc, argv, "--pace", 0);
	o.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	o.listen_fd = net_listen(&addr, false);
	if (o.listen_fd < 0) {
		perror("origin: listen");
		return 1;
	}
	net_set_int(o.listen_fd, IPPROTO_TCP, TCP_NODELAY, 1);
	watch_own(&o);
	printf("ready %s\n", net_text(&addr, text, sizeof text));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(o.epoll_fd, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &o)
				return 0;
			handle(&o, &ev[i]);
		}
	}
}
