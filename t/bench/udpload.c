/*
 * udpload: makes the UDP work of the benchmark and checks every byte of it.
 *
 * One thread, many associations with a SOCKS5 proxy, whose datagrams go to
 * udpecho and come back. They leave at a rate, an association after the
 * other, whatever has come back of those before: what is lost stays lost, and
 * a proxy that is late is not waited for. They leave singly or in
 * bursts, each of one association; rate 0 is a flood in bursts of 32. Each
 * datagram says of which association it is, its number there and when it left;
 * the rest are bytes that follow from these. With --steps it waits for a line
 * on its standard input after set-up
 * ("ready") and after the work (the result, one line of JSON), so that
 * whoever measures the proxy can look at its clock in between; an end of input
 * there ends it.
 */
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/ask.h"
#include "t/bench/errors.h"
#include "t/bench/hist.h"
#include "t/bench/udp.h"
#include "t/bench/wire.h"

#define EVENTS   256
#define BATCH    32
#define BUFFER   (4 << 20)
#define PATIENCE 10         /* seconds for an answer to a request */
#define WINDOW   (1u << 20) /* numbers that are told from one another */
#define LATE_NS  300000000u /* what has not come back by then is lost */

/* At the start of each payload. */
struct stamp {
	uint32_t flow;
	uint32_t number;
	uint64_t sent_ns;
};

struct assoc {
	int control, fd;
	uint32_t flow;
	uint32_t next; /* number of the next datagram */
	uint64_t seen[WINDOW / 64];
};

static struct load {
	union net_addr proxy, echo;
	long n, rate, size, gso, burst;
	double seconds;
	int epoll_fd;
	struct assoc *assoc;
	long n_open;
	uint8_t head[UDP_HEAD_MAX];
	size_t head_len;
	uint64_t begin_ns, end_ns, heard_ns;
	uint64_t sent, received;
	struct errors errors;
	struct hist hist;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint8_t buf[BATCH][UDP_BYTES];
} load;

/* --- Setting up --------------------------------------------------------- */

static bool exchange(int fd, const void *ask, size_t ask_len, uint8_t *answer,
		     size_t len)
{
	ssize_t n = -1;

	if (send(fd, ask, ask_len, MSG_NOSIGNAL) == (ssize_t)ask_len)
		n = recv(fd, answer, len, MSG_WAITALL);
	if (n == (ssize_t)len)
		return true;
	if (n >= 0)
		load.errors.eof++;
	else if (errno == EAGAIN)
		load.errors.timeout++;
	else
		++*errors_of(&load.errors, errno);
	return false;
}

/* The relay's address from the proxy, as RFC 1928 §4 and §6 say. */
static bool ask_associate(int fd, union net_addr *relay)
{
	static const uint8_t greeting[3] = { 5, 1, 0 };
	uint8_t request[UDP_HEAD_MAX], answer[UDP_HEAD_MAX];
	union net_addr any = { .sa.sa_family = load.proxy.sa.sa_family };
	size_t len = udp_head(request, &any);

	memcpy(request, (uint8_t[]){ 5, 3 }, 2);
	if (!exchange(fd, greeting, sizeof greeting, answer, 2) ||
	    !exchange(fd, request, len, answer, len))
		return false;
	if (answer[1] || !udp_head_parse(relay, answer, len)) {
		load.errors.refused++;
		return false;
	}
	return true;
}

static bool assoc_open(struct assoc *a, uint32_t flow)
{
	const struct timeval patience = { .tv_sec = PATIENCE };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = a };
	union net_addr relay, own;
	socklen_t len = sizeof own;

	a->flow = flow;
	a->control = socket(load.proxy.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC,
			    0);
	setsockopt(a->control, SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof patience);
	ask_as(a->control, &load.proxy, flow);
	if (connect(a->control, &load.proxy.sa, net_addr_len(&load.proxy))) {
		++*errors_of(&load.errors, errno);
		return false;
	}
	if (!ask_associate(a->control, &relay))
		return false;
	getsockname(a->control, &own.sa, &len);
	own.v4.sin_port = 0;
	a->fd = udp_bind(&own, BUFFER);
	if (a->fd < 0 || connect(a->fd, &relay.sa, net_addr_len(&relay)) ||
	    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, a->fd, &ev)) {
		perror("udpload: socket");
		exit(1);
	}
	return true;
}

/* --- Datagrams ---------------------------------------------------------- */

/* Notes whether a number has come; what was known of it before. */
static bool seen(struct assoc *a, uint32_t number, bool now)
{
	uint64_t bit = 1ull << (number % 64);
	uint64_t *word = &a->seen[number % WINDOW / 64];
	bool before = *word & bit;

	*word = now ? *word | bit : *word & ~bit;
	return before;
}

/* Writes the next one of an association; its length. */
static size_t datagram(struct assoc *a, uint8_t *out, uint64_t now)
{
	struct stamp stamp = { a->flow, a->next++, now };
	uint8_t *payload = out + load.head_len;

	seen(a, stamp.number, false);
	memcpy(out, load.head, load.head_len);
	memcpy(payload, &stamp, sizeof stamp);
	memcpy(payload + sizeof stamp, wire_bytes(a->flow, stamp.number),
	       (size_t)load.size - sizeof stamp);
	return load.head_len + (size_t)load.size;
}

/* What could not be sent was not taken from us: nobody lost it. */
static void sent(struct assoc *a, long n, long of)
{
	if (n > 0)
		load.sent += (uint64_t)n;
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
		++*errors_of(&load.errors, errno);
	a->next -= (uint32_t)(of - (n > 0 ? n : 0));
}

/* A burst by one system call; the kernel may cut `gso` out of one. */
static void send_burst(struct assoc *a, uint64_t now)
{
	static uint8_t run[BATCH * UDP_BYTES];
	size_t len = load.head_len + (size_t)load.size;
	long each = load.gso;
	int n = (int)(load.burst / each), r;

	if (each > 1)
		net_set_int(a->fd, IPPROTO_UDP, UDP_SEGMENT, (int)len);
	for (long i = 0; i < n * each; i++)
		datagram(a, run + (size_t)i * len, now);
	for (int i = 0; i < n; i++) {
		load.iov[i].iov_base = run + (size_t)(i * each) * len;
		load.iov[i].iov_len = (size_t)each * len;
		load.msg[i].msg_hdr = (struct msghdr){ .msg_iov = &load.iov[i],
						       .msg_iovlen = 1 };
	}
	r = sendmmsg(a->fd, load.msg, (unsigned)n, MSG_NOSIGNAL);
	sent(a, r < 0 ? -1 : r * each, n * each);
}

/* Whether it is one of ours, whole, and came for the first time. */
static bool is_right(struct assoc *a, const uint8_t *in, size_t len,
		     struct stamp *stamp)
{
	const uint8_t *payload = in + load.head_len;

	if (len != load.head_len + (size_t)load.size ||
	    memcmp(in, load.head, load.head_len))
		return false;
	memcpy(stamp, payload, sizeof *stamp);
	if (stamp->flow != a->flow || a->next - stamp->number - 1 >= WINDOW ||
	    !wire_same(a->flow, stamp->number, payload + sizeof *stamp,
		       (size_t)load.size - sizeof *stamp))
		return false;
	return !seen(a, stamp->number, true);
}

static void receive(struct assoc *a)
{
	uint64_t now;
	int n;

	for (int i = 0; i < BATCH; i++) {
		load.iov[i] = (struct iovec){ load.buf[i], UDP_BYTES };
		load.msg[i].msg_hdr = (struct msghdr){ .msg_iov = &load.iov[i],
						       .msg_iovlen = 1 };
	}
	n = recvmmsg(a->fd, load.msg, BATCH, 0, NULL);
	now = now_ns();
	if (n < 0 && errno != EAGAIN)
		++*errors_of(&load.errors, errno);
	for (int i = 0; i < n; i++) {
		struct stamp stamp;

		if (!is_right(a, load.buf[i], load.msg[i].msg_len, &stamp)) {
			load.errors.wrong++;
			continue;
		}
		if (stamp.sent_ns < load.begin_ns)
			continue; /* of the set-up */
		load.received++;
		load.heard_ns = now;
		hist_add(&load.hist, now - stamp.sent_ns);
	}
}

/* Waits for datagrams until `until` and takes what is there. */
static void turn(uint64_t until)
{
	struct epoll_event ev[EVENTS];
	uint64_t now = now_ns();
	uint64_t left = until > now ? until - now : 0;
	struct timespec wait = { (time_t)(left / 1000000000u),
				 (long)(left % 1000000000u) };
	int n = epoll_pwait2(load.epoll_fd, ev, EVENTS, &wait, NULL);

	for (int i = 0; i < n; i++)
		receive(ev[i].data.ptr);
}

/* --- The work ----------------------------------------------------------- */

/*
 * One datagram there and back on each, so that what a proxy does at the first
 * is done; the first may be lost to what the proxy does for it.
 */
static bool warm_up(void)
{
	load.begin_ns = now_ns();
	for (long i = 0; i < load.n; i++) {
		struct assoc *a = &load.assoc[i];
		uint64_t before = load.received;

		for (int k = 0; k < 5 && load.received == before; k++) {
			uint64_t until = now_ns() + 500000000u;

			send_burst(a, now_ns());
			while (load.received == before && now_ns() < until)
				turn(until);
		}
		if (load.received == before) {
			load.errors.timeout++;
			return false;
		}
	}
	return true;
}

static void run_paced(void)
{
	double ns_each = 1e9 * (double)load.burst / (double)load.rate;
	uint64_t total = (uint64_t)(load.seconds * 1e9 / ns_each);

	for (uint64_t k = 0; k < total;) {
		uint64_t now = now_ns();
		uint64_t due = (uint64_t)((double)(now - load.begin_ns) /
					  ns_each);

		/* Not all at once after a break, which would overrun us. */
		for (int i = 0; k < total && k <= due && i < 64; i++, k++)
			send_burst(&load.assoc[k % (uint64_t)load.n], now);
		turn(k <= due
			     ? 0
			     : load.begin_ns + (uint64_t)((double)k * ns_each));
	}
}

static void run_flood(void)
{
	while (now_ns() < load.end_ns)
		for (long i = 0; i < load.n; i++) {
			send_burst(&load.assoc[i], now_ns());
			turn(0);
		}
}

static void run(void)
{
	load.sent = load.received = 0;
	memset(&load.hist, 0, sizeof load.hist);
	load.begin_ns = load.heard_ns = now_ns();
	load.end_ns = load.begin_ns + (uint64_t)(load.seconds * 1e9);
	if (load.rate)
		run_paced();
	else
		run_flood();
	load.end_ns = load.heard_ns = now_ns();
	while (load.received < load.sent && now_ns() < load.heard_ns + LATE_NS)
		turn(now_ns() + LATE_NS / 10);
	/* An association ends with its control connection. */
	for (long i = 0; i < load.n; i++)
		if (recv(load.assoc[i].control, load.buf[0], 1, MSG_DONTWAIT) >=
			    0 ||
		    errno != EAGAIN)
			load.errors.eof++;
}

static void report(void)
{
	const struct hist *h = &load.hist;
	double s = (double)(load.end_ns - load.begin_ns) / 1e9;

	printf("{\"work\": \"udp\", \"units\": %llu, \"bytes\": %llu, "
	       "\"seconds\": %.6f, \"open\": %ld, \"sent\": %llu, "
	       "\"received\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, "
	       "\"p99_us\": %.1f, \"max_us\": %.1f, \"errors\": ",
	       2 * (unsigned long long)load.received,
	       2 * (unsigned long long)load.received *
		       (unsigned long long)load.size,
	       s, load.n_open, (unsigned long long)load.sent,
	       (unsigned long long)load.received, hist_us(h, 0.5),
	       hist_us(h, 0.9), hist_us(h, 0.99), (double)h->max / 1e3);
	errors_print(&load.errors);
	puts("}");
	fflush(stdout);
}

static bool configure(int argc, char **argv)
{
	const char *proxy = arg_text(argc, argv, "--proxy");
	const char *echo = arg_text(argc, argv, "--echo");
	const char *seconds = arg_text(argc, argv, "--seconds");

	if (!proxy || !echo || net_parse(&load.proxy, proxy) ||
	    net_parse(&load.echo, echo))
		return false;
	load.seconds = seconds ? strtod(seconds, NULL) : 1;
	load.n = arg_number(argc, argv, "--associations", 50);
	load.rate = arg_number(argc, argv, "--rate", 50000);
	load.size = arg_number(argc, argv, "--size", 200);
	load.gso = arg_number(argc, argv, "--gso", 1);
	load.burst = arg_number(argc, argv, "--burst", load.rate ? 1 : BATCH);
	if (load.n < 1 || load.rate < 0 || load.burst < 1 ||
	    load.burst > BATCH || load.gso < 1 || load.gso > load.burst ||
	    load.size < (long)sizeof(struct stamp) ||
	    load.size > UDP_BYTES - UDP_HEAD_MAX)
		return false;
	load.head_len = udp_head(load.head, &load.echo);
	load.assoc = calloc((size_t)load.n, sizeof *load.assoc);
	return load.assoc;
}

static void set_up(void)
{
	/* Flows of one echo must differ between two loads. */
	uint32_t flow = (uint32_t)getpid() << 14;
	bool good = true;

	for (long i = 0; i < load.n && good; i++) {
		good = assoc_open(&load.assoc[i], flow + (uint32_t)i);
		load.n_open += good;
	}
	if (!good || !warm_up())
		load.seconds = 0; /* what did not open is in the report */
}

int main(int argc, char **argv)
{
	bool steps = arg_flag(argc, argv, "--steps");
	char line[64];

	if (!configure(argc, argv)) {
		fputs("usage: udpload --proxy ADDR:PORT --echo ADDR:PORT\n"
		      "               [--associations N] [--rate N | --rate "
		      "0]\n"
		      "               [--burst N] [--gso N] [--size BYTES]\n"
		      "               [--seconds S] [--steps]\n",
		      stderr);
		return 2;
	}
	raise_nofile();
	wire_init();
	prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	set_up();
	if (steps) {
		puts("ready");
		fflush(stdout);
		if (!fgets(line, sizeof line, stdin))
			return 0;
	}
	if (load.seconds > 0)
		run();
	report();
	if (steps && !fgets(line, sizeof line, stdin))
		return 0;
	return errors_all(&load.errors) ? 1 : 0;
}
