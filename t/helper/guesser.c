/*
 * guesser: guesses passwords at a SOCKS5 proxy, as fast as told, at so little
 * cost that what others feel of it is the proxy's doing.
 *
 *	guesser ADDR:PORT SECONDS RATE SOURCES [FIRST]
 *
 * Each guess is a connection from the next of SOURCES addresses, counted from
 * 127.1.0.0 and FIRST on, that says all it has to say at once.  Prints an empty
 * line when it begins; at the end, how many guesses began and how many were
 * answered, as JSON.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/net.h"

#define AT_ONCE   4000u
#define EVENTS    64
#define SECOND    1000000000u
#define MS        1000000u
#define WAIT_MS   1
#define BURST_MAX 50u /* after a while without a CPU */

static const char no_way[] = "\5\2\1\1", come_in[] = "\5\2\1\0";

struct plan {
	union net_addr to;
	unsigned long seconds, rate, sources, first;
};

struct guess {
	int fd; /* -1: free */
	uint32_t have;
	char answer[4]; /* to the methods, to the password */
	char said[64];
	int said_len; /* 0: it is on its way */
};

static struct guess guesses[AT_ONCE];
static uint32_t spare[AT_ONCE], spare_count;
static int epoll;
static struct {
	unsigned long begun, refused, let_in, lost;
} count;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "guesser: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void close_guess(struct guess *g)
{
	close(g->fd);
	g->fd = -1;
	spare[spare_count++] = (uint32_t)(g - guesses);
}

static int open_from(unsigned long source)
{
	union net_addr a = { .v4.sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	a.v4.sin_addr.s_addr = htonl(0x7f010000u + (uint32_t)source);
	if (fd < 0 || bind(fd, &a.sa, sizeof(a.v4)) < 0)
		die("cannot bind");
	return fd;
}

static void begin(const struct plan *p)
{
	struct guess *g = &guesses[spare[--spare_count]];
	struct epoll_event e = { .events = EPOLLOUT, .data.ptr = g };
	char password[32];
	int len = snprintf(password, sizeof(password), "guess%lu", count.begun);

	*g = (struct guess){ .fd = open_from(p->first +
					     count.begun % p->sources) };
	count.begun++;
	g->said_len = snprintf(g->said, sizeof(g->said), "\5\1\2\1\5alice%c%s",
			       len, password);
	if ((connect(g->fd, &p->to.sa, net_addr_len(&p->to)) < 0 &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, g->fd, &e) < 0) {
		count.lost++;
		close_guess(g);
	}
}

static void send_guess(struct guess *g)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = g };

	/* What goes wrong is seen when the answer is read. */
	(void)!send(g->fd, g->said, (size_t)g->said_len, MSG_NOSIGNAL);
	g->said_len = 0;
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, g->fd, &e) < 0)
		die("epoll_ctl");
}

static void go_on(struct guess *g)
{
	ssize_t n;

	if (g->said_len) {
		send_guess(g);
		return;
	}
	n = read(g->fd, g->answer + g->have, sizeof(g->answer) - g->have);
	if (n > 0)
		g->have += (uint32_t)n;
	if (n > 0 && g->have < sizeof(g->answer))
		return;
	count.lost += g->have < sizeof(g->answer);
	count.refused += g->have == 4 && !memcmp(g->answer, no_way, 4);
	count.let_in += g->have == 4 && !memcmp(g->answer, come_in, 4);
	close_guess(g);
}

static void run(const struct plan *p)
{
	struct epoll_event e[EVENTS];
	uint64_t start = now_ns(), now;

	while ((now = now_ns() - start) < p->seconds * SECOND) {
		uint64_t due = now / 1000 * p->rate / MS;
		int n;

		for (unsigned i = 0;
		     i < BURST_MAX && spare_count > 0 && count.begun < due; i++)
			begin(p);
		n = epoll_wait(epoll, e, EVENTS, WAIT_MS);
		for (int i = 0; i < n; i++)
			go_on(e[i].data.ptr);
	}
}

/* In order they would be waited for. */
static void reset_all(void)
{
	static const struct linger now = { .l_onoff = 1 };

	for (uint32_t i = 0; i < AT_ONCE; i++) {
		if (guesses[i].fd < 0)
			continue;
		(void)setsockopt(guesses[i].fd, SOL_SOCKET, SO_LINGER, &now,
				 sizeof(now));
		close(guesses[i].fd);
	}
}

int main(int argc, char **argv)
{
	struct plan p = { 0 };

	if (argc < 5 || argc > 6 || net_parse(&p.to, argv[1]) < 0) {
		fprintf(stderr, "usage: guesser ADDR:PORT SECONDS RATE SOURCES "
				"[FIRST]\n");
		return 2;
	}
	p.seconds = strtoul(argv[2], NULL, 10);
	p.rate = strtoul(argv[3], NULL, 10);
	p.sources = strtoul(argv[4], NULL, 10);
	p.first = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
	if (!p.sources)
		return 2;
	raise_nofile();
	for (uint32_t i = 0; i < AT_ONCE; i++) {
		guesses[i].fd = -1;
		spare[spare_count++] = i;
	}
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll_create1");
	printf("\n");
	fflush(stdout);
	run(&p);
	reset_all();
	printf("{\"begun\": %lu, \"refused\": %lu, \"let_in\": %lu, "
	       "\"lost\": %lu}\n",
	       count.begun, count.refused, count.let_in, count.lost);
	return 0;
}
