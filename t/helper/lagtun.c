/*
 * lagtun: a slow and lossy link between two network namespaces, for kernels
 * that have no netem.  It makes one TUN interface in each, joins them, and
 * delays, drops, doubles and reorders the packets on their way.
 *
 *	lagtun NS_A ADDR_A NS_B ADDR_B DELAY [JITTER [LOSS [DUP [REORDER]]]]
 *
 * NS_A and NS_B are files such as /proc/123/ns/net, the addresses are IPv4,
 * DELAY and JITTER are milliseconds one way, the others percent.  Prints
 * "ready" once both ends are up.  SIGUSR1 cuts the link and joins it again,
 * SIGTERM ends it; the interfaces go with the process.  Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX    65536
#define PACKET_BYTES 65536
#define BATCH        64
#define INTERFACE    "lag0"

struct packet {
	int64_t due_us;
	unsigned char *bytes;
	size_t len;
	int to; /* which end it leaves by */
};

struct link {
	double delay_ms, jitter_ms, loss, doubled, reordered;
	int64_t last_due_us[2];        /* keeps the order of each direction */
	struct packet heap[QUEUE_MAX]; /* by due_us, the soonest first */
	int count;
};

static struct link link_state;
static volatile sig_atomic_t is_cut;

static void toggle_cut(int signo)
{
	(void)signo;
	is_cut = !is_cut;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "lagtun: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool chance(double percent)
{
	return drand48() * 100 < percent;
}

static void set_address(int s, struct ifreq *ifr, unsigned long request,
			const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1) {
		fprintf(stderr, "lagtun: not an IPv4 address: %s\n", text);
		exit(2);
	}
	memcpy(&ifr->ifr_addr, &sin, sizeof(sin));
	if (ioctl(s, request, ifr) < 0)
		die(text);
}

/* Makes this thread's namespace `ns` and opens an interface in it. */
static int open_end(const char *ns, const char *address, const char *peer)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int f, tun, s;

	f = open(ns, O_RDONLY | O_CLOEXEC);
	if (f < 0 || setns(f, CLONE_NEWNET) < 0)
		die(ns);
	close(f);
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun < 0)
		die("/dev/net/tun");
	memcpy(ifr.ifr_name, INTERFACE, sizeof(INTERFACE));
	if (ioctl(tun, TUNSETIFF, &ifr) < 0)
		die("TUNSETIFF");
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		die("socket");
	set_address(s, &ifr, SIOCSIFADDR, address);
	set_address(s, &ifr, SIOCSIFDSTADDR, peer);
	ifr.ifr_qlen = 10000;
	if (ioctl(s, SIOCSIFTXQLEN, &ifr) < 0)
		die("SIOCSIFTXQLEN");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
		die("SIOCSIFFLAGS");
	close(s);
	return tun;
}

static void heap_push(struct link *l, struct packet p)
{
	int i = l->count++;

	while (i > 0 && l->heap[(i - 1) / 2].due_us > p.due_us) {
		l->heap[i] = l->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	l->heap[i] = p;
}

static struct packet heap_pop(struct link *l)
{
	struct packet first = l->heap[0];
	struct packet last = l->heap[--l->count];
	int i = 0;

	for (;;) {
		int child = 2 * i + 1;

		if (child >= l->count)
			break;
		if (child + 1 < l->count &&
		    l->heap[child + 1].due_us < l->heap[child].due_us)
			child++;
		if (l->heap[child].due_us >= last.due_us)
			break;
		l->heap[i] = l->heap[child];
		i = child;
	}
	l->heap[i] = last;
	return first;
}

/* Puts one copy of a packet that came in at end `from` on its way. */
static void forward(struct link *l, int from, const unsigned char *bytes,
		    size_t len)
{
	int64_t now = now_us();
	double ms = l->delay_ms + (drand48() * 2 - 1) * l->jitter_ms;
	struct packet p = { .due_us = now + (int64_t)(ms * 1000),
			    .len = len,
			    .to = !from };

	if (l->count == QUEUE_MAX)
		return;
	if (chance(l->reordered))
		p.due_us = now; /* overtakes those before it */
	else if (p.due_us < l->last_due_us[from])
		p.due_us = l->last_due_us[from];
	else
		l->last_due_us[from] = p.due_us;
	p.bytes = malloc(len);
	if (!p.bytes)
		die("malloc");
	memcpy(p.bytes, bytes, len);
	heap_push(l, p);
}

static void take_in(struct link *l, int end, int fd)
{
	static unsigned char bytes[PACKET_BYTES];

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n <= 0)
			return;
		if (is_cut || chance(l->loss))
			continue;
		forward(l, end, bytes, (size_t)n);
		if (chance(l->doubled))
			forward(l, end, bytes, (size_t)n);
	}
}

static void send_due(struct link *l, const struct pollfd *ends)
{
	int64_t now = now_us();

	while (l->count > 0 && l->heap[0].due_us <= now) {
		struct packet p = heap_pop(l);

		/* A full interface queue is one more way to lose a packet. */
		if (write(ends[p.to].fd, p.bytes, p.len) < 0 && errno == EBADF)
			die("write");
		free(p.bytes);
	}
}

static void run(struct link *l, struct pollfd *ends)
{
	for (;;) {
		int64_t wait = 1000000;
		struct timespec t;

		if (l->count > 0)
			wait = l->heap[0].due_us - now_us();
		if (wait < 0)
			wait = 0;
		t.tv_sec = wait / 1000000;
		t.tv_nsec = wait % 1000000 * 1000;
		if (ppoll(ends, 2, &t, NULL) < 0 && errno != EINTR)
			die("ppoll");
		take_in(l, 0, ends[0].fd);
		take_in(l, 1, ends[1].fd);
		send_due(l, ends);
	}
}

static double number(char **argv, int argc, int i)
{
	char *end;
	double d;

	if (i >= argc)
		return 0;
	d = strtod(argv[i], &end);
	if (end == argv[i] || *end || d < 0) {
		fprintf(stderr, "lagtun: not a number: %s\n", argv[i]);
		exit(2);
	}
	return d;
}

int main(int argc, char **argv)
{
	struct sigaction cut = { .sa_handler = toggle_cut };
	struct link *l = &link_state;
	struct pollfd ends[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc < 6 || argc > 10) {
		fprintf(stderr, "usage: lagtun NS_A ADDR_A NS_B ADDR_B DELAY "
				"[JITTER [LOSS [DUP [REORDER]]]]\n");
		return 2;
	}
	l->delay_ms = number(argv, argc, 5);
	l->jitter_ms = number(argv, argc, 6);
	l->loss = number(argv, argc, 7);
	l->doubled = number(argv, argc, 8);
	l->reordered = number(argv, argc, 9);
	ends[0].fd = open_end(argv[1], argv[2], argv[4]);
	ends[1].fd = open_end(argv[3], argv[4], argv[2]);
	sigaction(SIGUSR1, &cut, NULL);
	srand48(1); /* every run loses the same packets */
	printf("ready\n");
	fflush(stdout);
	run(l, ends);
}
