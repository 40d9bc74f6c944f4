/*
 * load: makes the work of the benchmark and checks every byte of it.
 *
 * One thread, level-triggered, many tunnels to `origin` through a proxy
 * (socks5, connect) or a plain forwarder (none). In `connect` the origin
 * closes first and the proxy passes that on, so neither this program nor the
 * proxy's outgoing side collects ports in TIME_WAIT. In `http` each connection
 * brings one request in absolute-form after the other (page.h). With --tls the
 * proxy is spoken to by TLS 1.3. With --steps it waits for a line on its
 * standard input after set-up ("ready") and after the work (the result, one
 * line of JSON), so that whoever measures the proxy can look at its clock in
 * between; an end of input there ends it.
 */
#include "t/bench/load.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "t/bench/args.h"
#include "t/bench/net.h"
#include "t/bench/wire.h"

#define EVENTS     256
#define PING_BYTES 64
#define PATIENCE   10 /* seconds without an answer: an error */
#define MAX_ERRORS 1000

static const char *const work_names[] = { "connect", "pingpong", "down",
					  "up",      "idle",     "http" };
struct load load;

static bool send_head(struct tunnel *t, enum wire_kind kind)
{
	uint8_t msg[WIRE_EXCHANGE];
	size_t n = WIRE_HEAD;

	wire_head(msg, kind, t->flow);
	if (kind == WIRE_KIND_EXCHANGE) {
		n = WIRE_EXCHANGE;
		memcpy(msg + WIRE_HEAD, wire_bytes(t->flow, 0), n - WIRE_HEAD);
	}
	return put(t, msg, n);
}

static bool put_page_request(struct tunnel *t)
{
	char text[300];

	t->flow = load.next_flow++;
	load.page[t - load.tunnel].have = 0;
	return put(t, text, page_ask(text, sizeof text, load.host, t->flow));
}

static bool ping(struct tunnel *t)
{
	if (load.work == PAGES) {
		if (!put_page_request(t))
			return false;
	} else if (!put(t, wire_bytes(t->flow, t->sent), PING_BYTES)) {
		return false;
	}
	t->sent += PING_BYTES;
	t->since = now_ns();
	if (t->state != BUSY)
		load.n_busy++;
	t->state = BUSY;
	return true;
}

/* The proxy has let us through. */
void opened(struct tunnel *t)
{
	t->have = 0;
	if (load.work == CONNECT) {
		t->state = LEAVING; /* the origin closes */
		send_head(t, WIRE_KIND_EXCHANGE);
		return;
	}
	load.n_open++;
	load.n_busy--;
	t->state = OPEN;
	if (load.work == PINGPONG || load.work == IDLE)
		send_head(t, WIRE_KIND_ECHO);
	if (load.work == IDLE && t->state == OPEN)
		ping(t);
	/* One that takes the place of another, which the proxy has ended. */
	if (load.work == PAGES && load.begin_ns && !load.stopping)
		ping(t);
}

static void on_exchange(struct tunnel *t, ssize_t n)
{
	if (n == 0 && t->got == WIRE_EXCHANGE) {
		hist_add(&load.hist, now_ns() - t->since);
		load.units++;
		tunnel_close(t);
	} else if (n == 0) {
		fail(t, &load.errors.eof);
	}
}

static void on_echo(struct tunnel *t, ssize_t n)
{
	if (n == 0) {
		fail(t, &load.errors.eof);
		return;
	}
	if (t->got < t->sent)
		return;
	hist_add(&load.hist, now_ns() - t->since);
	load.units++;
	if (load.work == PINGPONG && !load.stopping) {
		ping(t);
		return;
	}
	t->state = OPEN;
	load.n_busy--;
}

/* Some proxies end each connection, or those that have served enough. */
static void start_anew(struct tunnel *t)
{
	tunnel_close(t);
	if (!load.stopping)
		tunnel_start(t);
}

/* A whole answer: the next request, where there is to be one. */
static void on_answer(struct tunnel *t, bool last)
{
	hist_add(&load.hist, now_ns() - t->since);
	load.units++;
	t->got++;
	if (last) {
		start_anew(t);
	} else if (load.stopping) {
		t->state = OPEN;
		load.n_busy--;
	} else {
		ping(t);
	}
}

static void on_page(struct tunnel *t)
{
	struct page *p = &load.page[t - load.tunnel];
	ssize_t n = take(t, p->text + p->have, PAGE_ROOM - 1 - p->have);
	enum page_state state;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 && t->got && !p->have) {
		start_anew(t); /* it has ended one without a word */
		return;
	}
	if (n <= 0) {
		fail(t, n ? errors_of(&load.errors, errno) : &load.errors.eof);
		return;
	}
	p->have += (uint32_t)n;
	load.bytes += (uint64_t)n;
	state = page_answered(p, t->flow);
	if (state == PAGE_WRONG || t->state != BUSY)
		fail(t, &load.errors.wrong);
	if (state != PAGE_STAYS && state != PAGE_LAST)
		return;
	p->have = 0;
	on_answer(t, state == PAGE_LAST);
}

static void on_readable(struct tunnel *t)
{
	ssize_t n;

	if (load.work == PAGES) {
		on_page(t);
		return;
	}
	n = take(t, load.buf, sizeof load.buf);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		if (load.stopping && load.work == DOWN)
			tunnel_close(t); /* it need not like half-close */
		else
			fail_errno(t, errno);
		return;
	}
	for (size_t at = 0; at < (size_t)n; at += WIRE_RUN) {
		size_t len = (size_t)n - at < WIRE_RUN ? (size_t)n - at
						       : WIRE_RUN;

		if (!wire_same(t->flow, t->got + at, load.buf + at, len)) {
			fail(t, &load.errors.wrong);
			return;
		}
	}
	t->got += (uint64_t)n;
	load.bytes += (uint64_t)n;
	if (load.work == CONNECT)
		on_exchange(t, n);
	else if (load.work != DOWN)
		on_echo(t, n);
	else if (n == 0 && load.stopping)
		tunnel_close(t);
	else if (n == 0)
		fail(t, &load.errors.eof);
}

static void on_writable(struct tunnel *t)
{
	ssize_t n = give(t, wire_bytes(t->flow, t->sent), WIRE_RUN);

	if (n < 0 && errno != EAGAIN)
		fail_errno(t, errno);
	if (n < 0)
		return;
	t->sent += (uint64_t)n;
	load.bytes += (uint64_t)n;
}

static void handle(const struct epoll_event *ev)
{
	struct tunnel *t = ev->data.ptr;

	if (t->state == CLOSED)
		return;
	if (t->state == DIALING && net_error(t->fd))
		fail(t, &load.errors.refused);
	else if (t->state < OPEN)
		handshake(t);
	else if (load.work == UP && t->state == BUSY && !(ev->events & EPOLLIN))
		on_writable(t);
	else
		on_readable(t);
	/* The end may have come with bytes, and epoll has no more to tell. */
	if (t->state != CLOSED && t->ssl && secure_ended(t->ssl))
		on_readable(t);
}

static void look_for_timeouts(void)
{
	static uint64_t next;
	uint64_t now = now_ns();

	if (now < next)
		return;
	next = now + 500000000u;
	for (long i = 0; i < load.n_tunnels; i++) {
		struct tunnel *t = &load.tunnel[i];
		bool waits = t->state != CLOSED && t->state != OPEN &&
			     !(t->state == BUSY &&
			       (load.work == DOWN || load.work == UP));

		if (waits && now > t->since + PATIENCE * 1000000000ull)
			fail(t, &load.errors.timeout);
	}
}

static void turn(int wait_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(load.epoll_fd, ev, EVENTS, wait_ms);

	for (int i = 0; i < n; i++)
		handle(&ev[i]);
	look_for_timeouts();
}

static bool spent(void)
{
	if (load.stopping || errors_all(&load.errors) > MAX_ERRORS)
		return true;
	return load.max ? load.started >= (uint64_t)load.max
			: now_ns() >= load.end_ns;
}

static void run_connect(void)
{
	while (!spent() || load.n_busy) {
		for (long i = 0; i < load.n_tunnels && !spent(); i++)
			if (load.tunnel[i].state == CLOSED)
				tunnel_start(&load.tunnel[i]);
		turn(100);
	}
}

/* Open tunnels until there are `total`, at most 64 handshakes at a time. */
static bool open_tunnels(long total)
{
	long next = load.n_tunnels;

	while (next < total || load.n_busy) {
		while (next < total && load.n_busy < 64)
			tunnel_start(&load.tunnel[next++]);
		load.n_tunnels = next;
		turn(100);
		if (errors_all(&load.errors))
			return false;
	}
	return true;
}

/* Wait until the origin has all that was sent: no proxy must half-close. */
static void confirm(struct tunnel *t)
{
	struct wire_answer a = { 0 };

	for (int i = 0; i < PATIENCE * 500; i++) {
		a = ask_origin(&load.origin, t->flow);
		if (a.wrong || a.bytes >= t->sent)
			break;
		poll(NULL, 0, 2);
	}
	if (a.wrong)
		fail(t, &load.errors.wrong);
	else if (a.bytes != t->sent)
		fail(t, &load.errors.timeout);
	else
		tunnel_close(t);
}

/* The end of what we say. */
static void finish(struct tunnel *t)
{
	if (t->ssl)
		SSL_shutdown(t->ssl);
	shutdown(t->fd, SHUT_WR);
}

static void run_bulk(void)
{
	bool up = load.work == UP;
	uint64_t last;

	for (long i = 0; i < load.n_tunnels; i++) {
		struct tunnel *t = &load.tunnel[i];

		if (!send_head(t, up ? WIRE_KIND_SINK : WIRE_KIND_SOURCE))
			continue;
		t->state = BUSY;
		load.n_busy++;
		want(t, up ? EPOLLOUT : EPOLLIN);
	}
	while (!spent() && load.n_open)
		turn(10);
	load.stopping = true;
	for (long i = 0; i < load.n_tunnels; i++) {
		struct tunnel *t = &load.tunnel[i];

		if (t->state == BUSY && up)
			confirm(t);
		else if (t->state == BUSY)
			finish(t);
	}
	last = now_ns() + PATIENCE * 1000000000ull;
	while (load.n_busy && now_ns() < last)
		turn(10);
	load.errors.timeout += (uint64_t)load.n_busy;
}

static void run_pingpong(void)
{
	for (long i = 0; i < load.n_tunnels; i++)
		if (load.tunnel[i].state == OPEN)
			ping(&load.tunnel[i]);
	while (!spent())
		turn(10);
	load.stopping = true;
	while (load.n_busy)
		turn(10);
}

static void report(void)
{
	const struct hist *h = &load.hist;
	double s = (double)(now_ns() - load.begin_ns) / 1e9;

	printf("{\"work\": \"%s\", \"units\": %llu, \"bytes\": %llu, "
	       "\"seconds\": %.6f, \"open\": %ld, "
	       "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
	       "\"max_us\": %.1f, \"errors\": ",
	       work_names[load.work], (unsigned long long)load.units,
	       (unsigned long long)load.bytes, s, load.n_open, hist_us(h, 0.5),
	       hist_us(h, 0.9), hist_us(h, 0.99), (double)h->max / 1e3);
	errors_print(&load.errors);
	puts("}");
	fflush(stdout);
}

/* The next line of the standard input; exits at its end. */
static void await_line(char *line, size_t size)
{
	if (!fgets(line, (int)size, stdin))
		exit(0);
}

/* Lines: "N" opens tunnels up to N, "check" has all of them echo. */
static void run_idle(void)
{
	char line[64] = "";

	for (;;) {
		long n = strtol(line, NULL, 10);

		if (n > load.concurrency)
			n = load.concurrency;
		if (n)
			open_tunnels(n);
		for (long i = 0; i < load.n_tunnels && !n && line[0]; i++) {
			if (load.tunnel[i].state == OPEN)
				ping(&load.tunnel[i]);
			if (i % 64 == 63)
				turn(0);
		}
		while (load.n_busy)
			turn(100);
		report();
		await_line(line, sizeof line);
	}
}

static bool configure(int argc, char **argv)
{
	const char *proxy = arg_text(argc, argv, "--proxy");
	const char *origin = arg_text(argc, argv, "--origin");
	const char *seconds = arg_text(argc, argv, "--seconds");
	int work = arg_choice(argc, argv, "--work", work_names, 6);
	int proto = arg_choice(argc, argv, "--protocol", protocol_names, 3);

	if (!proxy || !origin || work < 0 || proto < 0 ||
	    net_parse(&load.proxy, proxy) || net_parse(&load.origin, origin))
		return false;
	load.work = (enum work)work;
	load.protocol = (enum protocol)proto;
	load.seconds = seconds ? strtod(seconds, NULL) : 1;
	load.max = arg_number(argc, argv, "--count", 0);
	load.concurrency = arg_number(argc, argv, "--concurrency", 16);
	load.users = (uint32_t)arg_number(argc, argv, "--users", 0);
	/* Flows of one origin must differ between two loads. */
	load.next_flow = (uint32_t)getpid() << 14;
	load.tunnel = calloc((size_t)load.concurrency, sizeof *load.tunnel);
	if (load.work == PAGES)
		load.page = calloc((size_t)load.concurrency, sizeof *load.page);
	net_text(&load.origin, load.host, sizeof load.host);
	if (arg_flag(argc, argv, "--tls") && !secure_init())
		return false;
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return load.tunnel && load.concurrency > 0 &&
	       (load.page || load.work != PAGES);
}

int main(int argc, char **argv)
{
	bool steps = arg_flag(argc, argv, "--steps");
	char line[64];

	if (!configure(argc, argv)) {
		fputs("usage: load --proxy ADDR:PORT --origin ADDR:PORT\n"
		      "            --protocol socks5|connect|none\n"
		      "            --work connect|pingpong|down|up|idle|http\n"
		      "            [--seconds S | --count N] [--tls]\n"
		      "            [--concurrency N] [--users N] [--steps]\n",
		      stderr);
		return 2;
	}
	raise_nofile();
	wire_init();
	load.request_len = ask_request(load.protocol, &load.origin,
				       load.request, sizeof load.request);
	load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load.work == IDLE)
		run_idle();
	if (load.work == CONNECT)
		load.n_tunnels = load.concurrency;
	else if (!open_tunnels(load.concurrency))
		load.stopping = true; /* what did not open is in the report */
	if (steps) {
		puts("ready");
		fflush(stdout);
		await_line(line, sizeof line);
	}
	load.begin_ns = now_ns();
	load.end_ns = load.begin_ns + (uint64_t)(load.seconds * 1e9);
	if (load.work == CONNECT)
		run_connect();
	else if (load.work == PINGPONG || load.work == PAGES)
		run_pingpong();
	else
		run_bulk();
	report();
	if (steps)
		await_line(line, sizeof line);
	return errors_all(&load.errors) ? 1 : 0;
}
