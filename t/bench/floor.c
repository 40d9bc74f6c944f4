/*
 * floor: the practical limit of a SOCKS5 relay on this machine.
 *
 * One thread per worker, each with its own SO_REUSEPORT socket and its own
 * epoll; every socket is registered once, edge-triggered, and what the kernel
 * told of it is kept in the struct. A direction is copied through the
 * thread's one buffer, or spliced through a pooled pipe once it carries
 * enough per wake-up. There is no configuration, no log, no timer, no bound
 * on anything and no name lookup, so nobody should run it; but what it does
 * it does correctly (floor_test.py), since a wrong relay is a fast one.
 * Every figure of the benchmark is a ratio to this program.
 *
 * With -a clients have to log in (RFC 1929), with whatever name and password.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/net.h"
#include "t/bench/pipes.h"

#define COPY_BYTES (64 << 10)
#define FAST_BYTES (32 << 10) /* per wake-up: from here on splicing pays */
#define WAKES      4
#define STEPS      4
#define EVENTS     256
#define ACCEPTS    16

/* What the kernel has told of a socket. ENDS stays once it is there. */
enum { CAN_READ = 1, CAN_WRITE = 2, ENDS = 4, URGENT = 8, FAILED = 16 };

enum state { GREETING, LOGIN, REQUEST, CONNECTING, RELAYING };

static bool asks; /* for a login, which is then right whatever it says */

struct side {
	int fd;
	uint8_t ready;
};

/* The bytes from side i to the other one. */
struct way {
	union {
		struct pipe *pipe;
		uint8_t *spill;
	} held; /* what the other side did not take yet: held_len bytes */
	uint32_t held_len;
	uint32_t held_off; /* into spill */
	uint32_t moved;    /* in the last few wake-ups */
	uint8_t wakes;
	bool fast;
	bool in_pipe;
	bool eof : 1;
	bool shut : 1;
};

struct tunnel {
	struct tunnel *next;
	struct side side[2]; /* client, target */
	struct way way[2];
	uint8_t state;
	bool queued;
};

struct worker {
	int epoll_fd;
	int listen_fd;
	struct tunnel *head; /* those that have something to do, in turn */
	struct tunnel **tail;
	struct pipes pipes;
	uint8_t buf[COPY_BYTES];
};

static void enqueue(struct worker *w, struct tunnel *t)
{
	if (t->queued)
		return;
	t->queued = true;
	t->next = NULL;
	*w->tail = t;
	w->tail = &t->next;
}

static int watch(struct worker *w, struct tunnel *t, int i)
{
	/* Tunnels are aligned: the lowest bit tells the side. */
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
		.data.u64 = (uint64_t)(uintptr_t)t | (uint64_t)i,
	};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, t->side[i].fd, &ev);
}

static void way_drop(struct worker *w, struct way *way)
{
	if (!way->held_len)
		return;
	if (way->in_pipe)
		pipe_put(&w->pipes, way->held.pipe, false);
	else
		free(way->held.spill);
	way->held_len = 0;
}

static void tunnel_free(struct worker *w, struct tunnel *t)
{
	for (int i = 0; i < 2; i++) {
		way_drop(w, &t->way[i]);
		if (t->side[i].fd >= 0)
			close(t->side[i].fd);
	}
	free(t);
}

static int spill(struct way *way, const uint8_t *from, size_t n)
{
	way->held.spill = malloc(n);
	if (!way->held.spill)
		return -1;
	memcpy(way->held.spill, from, n);
	way->in_pipe = false;
	way->held_off = 0;
	way->held_len = (uint32_t)n;
	return 0;
}

/* Push out what is held; 0 with bytes left means that the socket is full. */
static int flush(struct worker *w, struct way *way, struct side *dst)
{
	ssize_t n;

	while (way->held_len) {
		if (way->in_pipe)
			n = splice(way->held.pipe->fd[0], NULL, dst->fd, NULL,
				   way->held_len,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		else
			n = send(dst->fd, way->held.spill + way->held_off,
				 way->held_len, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN)
				return -1;
			dst->ready &= ~CAN_WRITE;
			return 0;
		}
		way->held_len -= (uint32_t)n;
		way->held_off += (uint32_t)n;
	}
	if (way->in_pipe)
		pipe_put(&w->pipes, way->held.pipe, true);
	else
		free(way->held.spill);
	return 0;
}

/*
 * One recv into the thread's buffer. A short one has emptied the socket, but
 * for two cases: data and FIN that came together gave one edge for both, and
 * urgent data cuts a read at its mark. Then only EAGAIN or 0 is the end.
 */
static ssize_t take(struct side *src, uint8_t *buf, size_t size)
{
	ssize_t n = recv(src->fd, buf, size, 0);

	if (n < 0 && errno == EAGAIN)
		src->ready &= ~(CAN_READ | URGENT);
	else if (n == 0 ||
		 (n > 0 && (size_t)n < size && !(src->ready & (ENDS | URGENT))))
		src->ready &= ~CAN_READ;
	return n;
}

static ssize_t step_copy(struct worker *w, struct way *way, struct side *src,
			 struct side *dst)
{
	ssize_t n = take(src, w->buf, sizeof w->buf);
	ssize_t m;

	if (n <= 0)
		return n;
	m = send(dst->fd, w->buf, (size_t)n, MSG_NOSIGNAL);
	if (m < 0) {
		if (errno != EAGAIN)
			return -1;
		m = 0;
	}
	if (m < n) {
		dst->ready &= ~CAN_WRITE;
		if (spill(way, w->buf + m, (size_t)(n - m))) {
			errno = ENOMEM;
			return -1;
		}
	}
	return n;
}

static ssize_t step_splice(struct worker *w, struct way *way, struct side *src,
			   struct side *dst)
{
	struct pipe *p = pipe_get(&w->pipes);
	ssize_t n;

	if (!p)
		return step_copy(w, way, src, dst);
	n = splice(src->fd, NULL, p->fd[1], NULL, PIPE_BYTES,
		   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n <= 0) {
		int err = errno;

		pipe_put(&w->pipes, p, true);
		src->ready &= ~CAN_READ;
		errno = err;
		return n;
	}
	way->held.pipe = p;
	way->in_pipe = true;
	way->held_len = (uint32_t)n;
	return n;
}

static void count_wake(struct way *way, uint32_t moved)
{
	way->moved += moved;
	if (++way->wakes < WAKES)
		return;
	way->fast = way->moved >= WAKES * FAST_BYTES;
	way->moved = 0;
	way->wakes = 0;
}

/* Move from side i to the other: < 0 broken, 1 more to do, 0 waits. */
static int pump(struct worker *w, struct tunnel *t, int i)
{
	struct side *src = &t->side[i], *dst = &t->side[!i];
	struct way *way = &t->way[i];
	uint32_t moved = 0;
	int steps = STEPS, more = 0;

	if (way->shut)
		return src->ready & FAILED ? -1 : 0;
	while (dst->ready & CAN_WRITE) {
		ssize_t n;

		if (way->held_len && flush(w, way, dst))
			return -1;
		if (way->held_len)
			break;
		if (way->eof) {
			/* The last of the two is done by close. */
			way->shut = true;
			if (!t->way[!i].shut && shutdown(dst->fd, SHUT_WR))
				return -1;
			break;
		}
		if (!(src->ready & CAN_READ))
			break;
		if (steps-- == 0) {
			more = 1;
			break;
		}
		if (way->fast && !(src->ready & URGENT))
			n = step_splice(w, way, src, dst);
		else
			n = step_copy(w, way, src, dst);
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n == 0)
			way->eof = true;
		else if (n > 0)
			moved += (uint32_t)n;
	}
	if (moved)
		count_wake(way, moved);
	return more;
}

static int relay(struct worker *w, struct tunnel *t)
{
	static const struct linger reset = { .l_onoff = 1 };
	int a = pump(w, t, 0);
	int b = a < 0 ? a : pump(w, t, 1);

	if (a < 0 || b < 0) {
		for (int i = 0; i < 2; i++)
			setsockopt(t->side[i].fd, SOL_SOCKET, SO_LINGER, &reset,
				   sizeof reset);
		return -1;
	}
	if (t->way[0].shut && t->way[1].shut)
		return -1;
	if (a || b)
		enqueue(w, t);
	return 0;
}

/* 0 when the answer is "succeeded", -1 when the tunnel is to end. */
static int answer(struct tunnel *t, int code)
{
	const uint8_t msg[10] = { 5, (uint8_t)code, 0, 1 };

	if (send(t->side[0].fd, msg, sizeof msg, MSG_NOSIGNAL) != sizeof msg)
		return -1;
	return code ? -1 : 0;
}

static int code_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return 5;
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return 4;
	case ENETUNREACH:
		return 3;
	default:
		return 1;
	}
}

static int start_connect(struct worker *w, struct tunnel *t, const uint8_t *msg)
{
	union net_addr a = { 0 };
	int fd;

	if (msg[3] == 1) {
		a.v4.sin_family = AF_INET;
		memcpy(&a.v4.sin_addr, msg + 4, 4);
		memcpy(&a.v4.sin_port, msg + 8, 2);
	} else {
		a.v6.sin6_family = AF_INET6;
		memcpy(&a.v6.sin6_addr, msg + 4, 16);
		memcpy(&a.v6.sin6_port, msg + 20, 2);
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	if (fd < 0)
		return answer(t, 1);
	t->side[1].fd = fd;
	net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (connect(fd, &a.sa, net_addr_len(&a)) && errno != EINPROGRESS)
		return answer(t, code_of(errno));
	t->state = CONNECTING;
	return watch(w, t, 1) ? answer(t, 1) : 0;
}

static int connected(struct worker *w, struct tunnel *t)
{
	struct side *s = &t->side[1];

	if (s->ready & FAILED)
		return answer(t, code_of(net_error(s->fd)));
	if (!(s->ready & CAN_WRITE))
		return 0;
	if (answer(t, 0))
		return -1;
	t->state = RELAYING;
	return relay(w, t);
}

static int parse_greeting(struct tunnel *t, const uint8_t *p, size_t n)
{
	const uint8_t wanted = asks ? 2 : 0;
	uint8_t choice[2] = { 5, 0xff };
	bool ok;

	if (n < 2 || n < 2u + p[1])
		return 0;
	ok = memchr(p + 2, wanted, p[1]);
	if (ok)
		choice[1] = wanted;
	if (send(t->side[0].fd, choice, 2, MSG_NOSIGNAL) != 2)
		return -1;
	t->state = asks ? LOGIN : REQUEST;
	return ok ? 2 + p[1] : -1;
}

/* RFC 1929. */
static int parse_login(struct tunnel *t, const uint8_t *p, size_t n)
{
	static const uint8_t right[2] = { 1, 0 };

	if (n && p[0] != 1)
		return -1;
	if (n < 2 || n < 3u + p[1] || n < 3u + p[1] + p[2 + p[1]])
		return 0;
	if (send(t->side[0].fd, right, 2, MSG_NOSIGNAL) != 2)
		return -1;
	t->state = REQUEST;
	return 3 + p[1] + p[2 + p[1]];
}

/* Parse one message: bytes used, 0 not whole yet, < 0 wrong. */
static int parse(struct worker *w, struct tunnel *t, const uint8_t *p, size_t n)
{
	if (t->state == LOGIN)
		return parse_login(t, p, n);
	if (n && p[0] != 5)
		return -1;
	if (t->state == GREETING)
		return parse_greeting(t, p, n);
	if (n < 4)
		return 0;
	if (p[1] != 1)
		return answer(t, 7);
	if (p[3] != 1 && p[3] != 4)
		return answer(t, 8);
	if (n < (p[3] == 1 ? 10 : 22))
		return 0;
	if (start_connect(w, t, p))
		return -1;
	return p[3] == 1 ? 10 : 22;
}

/*
 * Both messages are parsed where they were read. What is not whole yet, and
 * what came after the request, stays behind as a spill of the first way:
 * early data is then delivered by the relay as any other.
 */
static int handshake(struct worker *w, struct tunnel *t)
{
	struct way *way = &t->way[0];

	while (t->state < CONNECTING && (t->side[0].ready & CAN_READ)) {
		size_t have = way->held_len, off = 0;
		ssize_t n;

		if (have) {
			memcpy(w->buf, way->held.spill, have);
			way_drop(w, way);
		}
		n = take(&t->side[0], w->buf + have, sizeof w->buf - have);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return -1;
		have += n > 0 ? (size_t)n : 0;
		while (t->state < CONNECTING) {
			int used = parse(w, t, w->buf + off, have - off);

			if (used < 0)
				return -1;
			if (used == 0)
				break;
			off += (size_t)used;
		}
		if (have > off && spill(way, w->buf + off, have - off))
			return -1;
	}
	return 0;
}

static void turn(struct worker *w, struct tunnel *t)
{
	int r;

	if (t->state < CONNECTING)
		r = handshake(w, t);
	else if (t->state == CONNECTING)
		r = connected(w, t);
	else
		r = relay(w, t);
	if (r == 0)
		return;
	/* It has left the queue to run, and closing ends its events. */
	tunnel_free(w, t);
}

static void accept_some(struct worker *w)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(w->listen_fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct tunnel *t;

		if (fd < 0)
			return;
		t = calloc(1, sizeof *t);
		if (!t) {
			close(fd);
			return;
		}
		t->side[0] = (struct side){ fd, CAN_WRITE };
		t->side[1].fd = -1;
		if (watch(w, t, 0))
			tunnel_free(w, t);
	}
}

/*
 * Events only mark and queue; tunnels run, and are freed, after the whole
 * batch was read, so no event can point at freed memory.
 */
static void note(struct worker *w, const struct epoll_event *ev)
{
	struct tunnel *t = (void *)(uintptr_t)(ev->data.u64 & ~1ull);
	struct side *s = &t->side[ev->data.u64 & 1];

	if (ev->events & EPOLLIN)
		s->ready |= CAN_READ;
	if (ev->events & EPOLLOUT)
		s->ready |= CAN_WRITE;
	if (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->ready |= ENDS | CAN_READ;
	if (ev->events & EPOLLPRI)
		s->ready |= URGENT | CAN_READ;
	if (ev->events & EPOLLERR)
		s->ready |= FAILED | CAN_WRITE;
	enqueue(w, t);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[EVENTS];

	for (;;) {
		int n = epoll_wait(w->epoll_fd, ev, EVENTS, w->head ? 0 : -1);
		struct tunnel *t;

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64)
				note(w, &ev[i]);
			else
				accept_some(w);
		}
		t = w->head;
		w->head = NULL;
		w->tail = &w->head;
		while (t) {
			struct tunnel *next = t->next;

			t->queued = false;
			turn(w, t);
			t = next;
		}
	}
	return NULL;
}

static struct worker *worker_new(union net_addr *addr)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->tail = &w->head;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->listen_fd = net_listen(addr, true);
	if (w->epoll_fd < 0 || w->listen_fd < 0)
		return NULL;
	/* Accepted sockets inherit it. */
	net_set_int(w->listen_fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->listen_fd, &ev))
		return NULL;
	return w;
}

int main(int argc, char **argv)
{
	const char *listen_at = arg_text(argc, argv, "--listen");
	long n = arg_number(argc, argv, "--workers", 2);
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	union net_addr addr;
	char text[64];

	asks = arg_flag(argc, argv, "-a");
	if (!listen_at || net_parse(&addr, listen_at) || n < 1 || n > 64) {
		fputs("usage: floor --listen ADDR:PORT [--workers N] [-a]\n",
		      stderr);
		return 2;
	}
	sigaction(SIGPIPE, &ignore, NULL); /* splice has no MSG_NOSIGNAL */
	raise_nofile();
	for (long i = 0; i < n; i++) {
		struct worker *w = worker_new(&addr);
		pthread_t id;

		if (!w || pthread_create(&id, NULL, work, w)) {
			perror("floor");
			return 1;
		}
	}
	printf("ready %s\n", net_text(&addr, text, sizeof text));
	fflush(stdout);
	for (;;)
		pause();
}
