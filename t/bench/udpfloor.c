/*
 * udpfloor: the practical limit of UDP ASSOCIATE on this machine.
 *
 * One thread per worker, each with its own SO_REUSEPORT socket and its own
 * epoll, edge-triggered. An association is a control connection, a socket
 * towards the client, connected to the first that it hears from, and one
 * towards targets. What lies in a socket is taken and passed on by one system
 * call each, up to 32 datagrams. There are no rules, names, fragments, bounds,
 * timers, log and configuration, so nobody should run it; but what it passes
 * on is right: udpload checks every byte.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/udp.h"

#define BATCH  32
#define EVENTS 256

enum { CONTROL, CLIENT, TARGET };
enum state { GREETING, REQUEST, SERVING };

struct assoc {
	int fd[3];
	enum state state;
	bool known; /* the client's socket is connected */
	uint32_t have;
	uint8_t said[300]; /* of the handshake */
};

struct worker {
	int epoll_fd, listen_fd;
	union net_addr addr;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	union net_addr name[BATCH];
	uint8_t buf[BATCH][UDP_HEAD_MAX + UDP_BYTES];
};

static int watch(struct worker *w, struct assoc *a, int i)
{
	/* Associations are aligned: the lowest bits tell the socket. */
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.u64 = (uint64_t)(uintptr_t)a | (uint64_t)i,
	};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, a->fd[i], &ev);
}

static void assoc_free(struct assoc *a)
{
	for (int i = 0; i < 3; i++)
		if (a->fd[i] >= 0)
			close(a->fd[i]);
	free(a);
}

/* Takes what is there, each datagram behind room for a header. */
static int take(struct worker *w, int fd)
{
	for (int i = 0; i < BATCH; i++) {
		w->iov[i] = (struct iovec){ w->buf[i] + UDP_HEAD_MAX,
					    UDP_BYTES };
		w->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &w->name[i],
			.msg_namelen = sizeof w->name[i],
			.msg_iov = &w->iov[i],
			.msg_iovlen = 1,
		};
	}
	return recvmmsg(fd, w->msg, BATCH, 0, NULL);
}

static void pass_on(struct worker *w, int fd, int n)
{
	for (int i = 0; i < n;) {
		int sent = sendmmsg(fd, w->msg + i, (unsigned)(n - i), 0);

		i += sent > 0 ? sent : 1;
	}
}

static int open_target(struct worker *w, struct assoc *a, int family)
{
	union net_addr any = { .sa.sa_family = (sa_family_t)family };

	a->fd[TARGET] = udp_bind(&any, 0);
	return a->fd[TARGET] < 0 ? -1 : watch(w, a, TARGET);
}

static int upwards(struct worker *w, struct assoc *a)
{
	int n;

	do {
		n = take(w, a->fd[CLIENT]);
		if (n <= 0)
			return 0;
		if (!a->known && connect(a->fd[CLIENT], &w->name[0].sa,
					 net_addr_len(&w->name[0])))
			return -1;
		a->known = true;
		for (int i = 0; i < n; i++) {
			size_t len = udp_head_parse(&w->name[i],
						    w->iov[i].iov_base,
						    w->msg[i].msg_len);

			w->iov[i].iov_base = (uint8_t *)w->iov[i].iov_base +
					     len;
			w->iov[i].iov_len = w->msg[i].msg_len - len;
			w->msg[i].msg_hdr.msg_namelen = net_addr_len(
				&w->name[i]);
		}
		if (a->fd[TARGET] < 0 &&
		    open_target(w, a, w->name[0].sa.sa_family))
			return -1;
		pass_on(w, a->fd[TARGET], n);
	} while (n == BATCH);
	return 0;
}

static void downwards(struct worker *w, struct assoc *a)
{
	int n;

	do {
		n = take(w, a->fd[TARGET]);
		for (int i = 0; i < n; i++) {
			uint8_t head[UDP_HEAD_MAX];
			size_t len = udp_head(head, &w->name[i]);
			uint8_t *at = (uint8_t *)w->iov[i].iov_base - len;

			memcpy(at, head, len);
			w->iov[i] = (struct iovec){ at,
						    w->msg[i].msg_len + len };
			w->msg[i].msg_hdr.msg_name = NULL;
			w->msg[i].msg_hdr.msg_namelen = 0;
		}
		pass_on(w, a->fd[CLIENT], n);
	} while (n == BATCH);
}

static int serve(struct worker *w, struct assoc *a)
{
	uint8_t reply[UDP_HEAD_MAX];
	union net_addr own = w->addr;
	size_t len;

	own.v4.sin_port = 0;
	a->fd[CLIENT] = udp_bind(&own, 0);
	if (a->fd[CLIENT] < 0 || watch(w, a, CLIENT))
		return -1;
	len = udp_head(reply, &own);
	reply[0] = 5;
	a->state = SERVING;
	return send(a->fd[CONTROL], reply, len, MSG_NOSIGNAL) == (ssize_t)len
		       ? 0
		       : -1;
}

/* What the client has said; its end is the association's. */
static int control(struct worker *w, struct assoc *a)
{
	ssize_t n;

	while ((n = recv(a->fd[CONTROL], a->said + a->have,
			 sizeof a->said - a->have, 0)) > 0) {
		a->have += (uint32_t)n;
		if (a->state == GREETING && a->have >= 2 &&
		    a->have == 2u + a->said[1]) {
			send(a->fd[CONTROL], "\5", 2, MSG_NOSIGNAL);
			a->have = 0;
			a->state = REQUEST;
		} else if (a->state == REQUEST && a->have >= 4 &&
			   a->have == (a->said[3] == 1 ? 10 : 22)) {
			if (a->said[1] != 3 || serve(w, a))
				return -1;
			a->have = 0;
		}
	}
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

static void accept_some(struct worker *w)
{
	int fd;

	while ((fd = accept4(w->listen_fd, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct assoc *a = calloc(1, sizeof *a);

		if (!a)
			abort();
		a->fd[CONTROL] = fd;
		a->fd[CLIENT] = a->fd[TARGET] = -1;
		if (watch(w, a, CONTROL))
			assoc_free(a);
	}
}

/* Ends come last: another event of the batch may be of the same one. */
static void turn(struct worker *w, struct epoll_event *ev, int n)
{
	for (int i = 0; i < n; i++) {
		struct assoc *a = (void *)(uintptr_t)(ev[i].data.u64 & ~3ull);
		int r = 0;

		if (!a)
			accept_some(w);
		else if ((ev[i].data.u64 & 3) == CLIENT)
			r = upwards(w, a);
		else if ((ev[i].data.u64 & 3) == TARGET)
			downwards(w, a);
		else
			continue;
		if (r)
			shutdown(a->fd[CONTROL], SHUT_RDWR);
		ev[i].data.u64 = 0;
	}
	for (int i = 0; i < n; i++) {
		struct assoc *a = (void *)(uintptr_t)ev[i].data.u64;

		if (a && control(w, a))
			assoc_free(a);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct epoll_event ev[EVENTS];

	for (;;) {
		int n = epoll_wait(w->epoll_fd, ev, EVENTS, -1);

		turn(w, ev, n);
	}
	return NULL;
}

static struct worker *worker_new(union net_addr *addr)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->listen_fd = net_listen(addr, true);
	w->addr = *addr;
	if (w->epoll_fd < 0 || w->listen_fd < 0 ||
	    epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->listen_fd, &ev))
		return NULL;
	return w;
}

int main(int argc, char **argv)
{
	const char *listen_at = arg_text(argc, argv, "--listen");
	long n = arg_number(argc, argv, "--workers", 2);
	union net_addr addr;
	char text[64];

	if (!listen_at || net_parse(&addr, listen_at) || n < 1 || n > 64) {
		fputs("usage: udpfloor --listen ADDR:PORT [--workers N]\n",
		      stderr);
		return 2;
	}
	raise_nofile();
	for (long i = 0; i < n; i++) {
		struct worker *w = worker_new(&addr);
		pthread_t id;

		if (!w || pthread_create(&id, NULL, work, w)) {
			perror("udpfloor");
			return 1;
		}
	}
	printf("ready %s\n", net_text(&addr, text, sizeof text));
	fflush(stdout);
	for (;;)
		pause();
}
