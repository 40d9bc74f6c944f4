/*
 * churn: connections through a SOCKS5 proxy that come and go while somebody
 * reloads it, and tunnels that last all the while.
 *
 *	churn --proxy ADDR:PORT [--seconds S] [--rate N | --clients N]
 *	      [--bytes N] [--patience S] [--idle N] [--half N] [--up N]
 *	      [--down N] [--pace BYTES]
 *
 * It is both client and target, in one thread, so it knows of every byte
 * what became of it: an end of stream must come after the last byte that the
 * other end has sent.  New connections start at `rate` a second, however long
 * they take, or `clients` at a time as fast as they go; each sends `bytes`,
 * gets as many back and is closed by the target.  Tunnels are open before
 * "ready" is printed and end after the last new connection: idle ones, half
 * closed ones (every other by the target), uploads and downloads of `pace`
 * bytes a second each.
 *
 * A line on the standard input has it print what it counted so far and count
 * anew; at the end of the input, or after S seconds, it finishes the tunnels
 * and prints the last report.  Exit status 0: nothing failed.
 */
#include "t/helper/churn_report.h"
#include "t/helper/churn_side.h"

/* --- Bytes -------------------------------------------------------------- */

/* Sends up to the goal, and then the end if there is to be one. */
static void pump(struct side *s)
{
	while (s->sent < s->goal) {
		uint64_t left = s->goal - s->sent;
		ssize_t n = send(s->fd, wire_bytes(stream(s), s->sent),
				 left < WIRE_RUN ? left : WIRE_RUN,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			want(s, s->eof ? EPOLLOUT : EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0) {
			fail_errno(s->tunnel, errno);
			return;
		}
		s->sent += (uint64_t)n;
	}
	want(s, s->eof ? 0 : EPOLLIN);
	if (s->fin && !s->fin_sent) {
		s->fin_sent = true;
		shutdown(s->fd, SHUT_WR);
	}
}

/* Raises the goal; with `fin` it is the last one. */
static void send_up_to(struct side *s, uint64_t goal, bool fin)
{
	s->goal = goal;
	s->fin = fin;
	pump(s);
}

static void exchanged(struct tunnel *t)
{
	struct count *c = &churn.count;
	uint64_t now = now_ns();

	hist_add(&c->hist, now - t->since);
	if (c->hist.max == now - t->since)
		c->slowest_ns = now;
}

static void progressed(struct side *s)
{
	struct tunnel *t = s->tunnel;
	bool near = s == &t->near;

	switch (t->kind) {
	case EXCHANGE:
		if (s->got == churn.bytes && near)
			exchanged(t);
		else if (s->got == churn.bytes)
			send_up_to(s, churn.bytes, true);
		break;
	case IDLE:
		if (!near) {
			send_up_to(s, s->got, false);
		} else if (s->got == s->goal) {
			held_opened(t);
			if (churn.finishing)
				send_up_to(s, s->goal, true);
		}
		break;
	case UP:
	case DOWN:
		held_opened(t);
		break;
	case NEAR:
	case FAR:
		break;
	}
}

/* The end came: only after all that was sent, and only if it was meant. */
static bool in_order(const struct side *s)
{
	const struct side *from = other(s);

	if (from->fin_sent && s->got == from->sent)
		return true;
	fail(s->tunnel, &errors_for(s->tunnel)->eof);
	return false;
}

static void ended(struct side *s)
{
	struct tunnel *t = s->tunnel;
	bool near = s == &t->near;

	if (!in_order(s))
		return;
	s->eof = true;
	if (t->kind == EXCHANGE) {
		churn.count.ok += near;
		if (near)
			tunnel_close(t);
		return;
	}
	want(s, s->sent < s->goal ? EPOLLOUT : 0);
	if (t->kind == NEAR || t->kind == FAR)
		held_opened(t);
	if ((near && t->kind == DOWN) ||
	    (!near && (t->kind == UP || t->kind == IDLE)))
		send_up_to(s, s->goal, true);
	if (t->state == OPEN && s->fin_sent && other(s)->eof &&
	    other(s)->fin_sent) {
		churn.whole++;
		tunnel_close(t);
	}
}

static void take(struct side *s)
{
	struct tunnel *t = s->tunnel;
	ssize_t n = recv(s->fd, churn.buf, sizeof churn.buf, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		fail_errno(t, errno);
		return;
	}
	if (n == 0) {
		ended(s);
		return;
	}
	for (size_t at = 0; at < (size_t)n; at += WIRE_RUN) {
		size_t len = (size_t)n - at;

		if (len > WIRE_RUN)
			len = WIRE_RUN;
		if (!wire_same(stream(other(s)), s->got + at, churn.buf + at,
			       len)) {
			fail(t, &errors_for(t)->wrong);
			return;
		}
	}
	s->got += (uint64_t)n;
	churn.count.bytes += (uint64_t)n;
	progressed(s);
}

/* --- The client's handshake --------------------------------------------- */

static bool put(struct tunnel *t, const void *bytes, size_t n)
{
	ssize_t m = send(t->near.fd, bytes, n, MSG_NOSIGNAL);

	if (m == (ssize_t)n)
		return true;
	/* A fresh socket takes these few bytes or it is broken. */
	fail_errno(t, m < 0 ? errno : EMSGSIZE);
	return false;
}

/* A message of n bytes, not a byte more; false while it is not whole. */
static bool get(struct tunnel *t, size_t n)
{
	ssize_t m = recv(t->near.fd, churn.buf, n - t->have, 0);

	if (m == 0)
		fail(t, &errors_for(t)->eof);
	else if (m < 0 && errno != EAGAIN)
		fail_errno(t, errno);
	if (m <= 0)
		return false;
	t->have += (uint32_t)m;
	return t->have == n;
}

/* The tunnel is open: says what it is for, and begins. */
static void granted(struct tunnel *t)
{
	uint8_t head[WIRE_HEAD];

	t->state = OPEN;
	wire_head(head, (enum wire_kind)t->kind, t->flow);
	if (!put(t, head, sizeof head))
		return;
	if (t->kind == EXCHANGE)
		send_up_to(&t->near, churn.bytes, false);
	else if (t->kind == IDLE)
		send_up_to(&t->near, PING_BYTES, false);
	else if (t->kind == NEAR)
		send_up_to(&t->near, PING_BYTES, true);
}

static void handshake(struct tunnel *t)
{
	static const uint8_t greeting[3] = { 5, 1, 0 };

	if (t->state == CONNECTING) {
		t->state = METHOD;
		want(&t->near, EPOLLIN);
		put(t, greeting, sizeof greeting);
	} else if (t->state == METHOD && get(t, 2)) {
		t->have = 0;
		t->state = REPLY;
		put(t, churn.request, churn.request_len);
	} else if (t->state == REPLY && get(t, churn.request_len)) {
		/* Read in one piece as a rule; its second byte says it. */
		if (t->have == churn.request_len && churn.buf[1] != 0)
			fail(t, &errors_for(t)->refused);
		else
			granted(t);
	}
}

static bool tunnel_start(enum kind kind)
{
	struct tunnel *t;
	uint32_t flow;
	int fd;

	if (!churn.free_count)
		return false;
	t = &churn.tunnel[churn.free[--churn.free_count]];
	fd = socket(churn.proxy.sa.sa_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		perror("churn: socket");
		exit(1);
	}
	flow = t->flow + TUNNELS_MAX;
	*t = (struct tunnel){ .kind = kind,
			      .state = CONNECTING,
			      .flow = flow,
			      .since = now_ns(),
			      .far.fd = -1 };
	if (kind == EXCHANGE) {
		churn.busy++;
		churn.count.started++;
	} else {
		churn.held++;
	}
	net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	ask_as(fd, &churn.proxy, flow);
	side_open(&t->near, t, fd, EPOLLOUT);
	if (connect(fd, &churn.proxy.sa, net_addr_len(&churn.proxy)) &&
	    errno != EINPROGRESS)
		fail_errno(t, errno);
	return true;
}

/* --- The target --------------------------------------------------------- */

static void accept_some(void)
{
	for (;;) {
		int fd = accept4(churn.listen_fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct guest *g;

		if (fd < 0)
			return;
		g = calloc(1, sizeof *g);
		if (!g)
			abort();
		side_open(&g->side, NULL, fd, EPOLLIN);
	}
}

/* The guest is the far side of this tunnel from now on. */
static void attach(struct guest *g, struct tunnel *t)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &t->far };

	t->far = (struct side){ .tunnel = t,
				.fd = g->side.fd,
				.mask = EPOLLIN };
	free(g);
	if (epoll_ctl(churn.epoll_fd, EPOLL_CTL_MOD, t->far.fd, &ev))
		perror("churn: epoll_ctl");
	if (t->kind == FAR)
		send_up_to(&t->far, PING_BYTES, true);
}

static void welcome(struct guest *g)
{
	ssize_t n = recv(g->side.fd, g->head + g->have, WIRE_HEAD - g->have, 0);
	enum wire_kind kind;
	struct tunnel *t;
	uint32_t flow;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		g->have += (uint32_t)n;
	if (n > 0 && g->have < WIRE_HEAD)
		return;
	if (n > 0 && wire_head_parse(g->head, &kind, &flow)) {
		t = &churn.tunnel[flow % TUNNELS_MAX];
		if (t->flow == flow && t->state == OPEN && t->far.fd < 0) {
			attach(g, t);
			return;
		}
	} else if (n > 0) {
		churn.count.errors.wrong++;
	}
	/* Whose client has given up, or whose proxy has died. */
	close(g->side.fd);
	free(g);
}

/* --- What happens ------------------------------------------------------- */

static void read_input(void);

static void handle(const struct epoll_event *ev)
{
	struct side *s = ev->data.ptr;
	struct tunnel *t;

	if (!s) {
		accept_some();
		return;
	}
	if (ev->data.ptr == &churn) {
		read_input();
		return;
	}
	t = s->tunnel;
	if (!t) {
		welcome((struct guest *)s);
		return;
	}
	if (t->state == CLOSED)
		return;
	if (t->state == CONNECTING && (ev->events & (EPOLLERR | EPOLLHUP)))
		fail_errno(t, net_error(t->near.fd));
	else if (t->state != OPEN)
		handshake(t);
	else if (ev->events & EPOLLOUT && s->mask & EPOLLOUT)
		pump(s);
	else if (!s->eof)
		take(s);
	else if (ev->events & EPOLLERR)
		fail_errno(t, net_error(s->fd));
}

static void turn(int wait_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(churn.epoll_fd, ev, EVENTS, wait_ms);

	for (int i = 0; i < n; i++)
		handle(&ev[i]);
}

/* Uploads and downloads go on; whoever waits for too long has failed. */
static void look_after(void)
{
	static uint64_t looked;
	uint64_t now = now_ns();
	uint64_t more = (uint64_t)(churn.pace * (double)(now - looked) / 1e9);

	if (looked && now - looked < SECOND / 50)
		return;
	if (!looked)
		more = 1;
	looked = now;
	for (uint32_t i = 0; i < TUNNELS_MAX; i++) {
		struct tunnel *t = &churn.tunnel[i];
		bool waits = t->kind == EXCHANGE || !t->holds ||
			     churn.finishing;

		if (t->state == CLOSED)
			continue;
		if (waits && now - t->since > churn.patience_ns)
			fail(t, &errors_for(t)->timeout);
		else if (t->state != OPEN || churn.finishing)
			continue;
		else if (t->kind == UP)
			send_up_to(&t->near, t->near.goal + more, false);
		else if (t->kind == DOWN && t->far.fd >= 0)
			send_up_to(&t->far, t->far.goal + more, false);
	}
}

static void read_input(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof line);

	if (n <= 0) {
		churn.input_ended = true;
		epoll_ctl(churn.epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
		return;
	}
	report();
	churn.count = (struct count){ .begin_ns = now_ns() };
}

/* --- From the first to the last ------------------------------------------ */

static bool open_tunnels(const uint32_t *counts)
{
	static const enum kind kinds[] = { IDLE, NEAR, FAR, UP, DOWN };
	uint32_t started = 0;

	for (size_t k = 0; k < 5; k++)
		for (uint32_t i = 0; i < counts[k]; i++, started++) {
			while (started - churn.opened > 64 &&
			       !errors_all(&churn.held_errors)) {
				turn(10);
				look_after();
			}
			if (!tunnel_start(kinds[k]))
				return false;
		}
	while (churn.opened < churn.wanted && !errors_all(&churn.held_errors)) {
		turn(10);
		look_after();
	}
	return !errors_all(&churn.held_errors);
}

static void start_due(void)
{
	double due = (double)(now_ns() - churn.begin_ns) / 1e9 * churn.rate;

	if (churn.rate > 0)
		while (churn.started < due && tunnel_start(EXCHANGE))
			churn.started++;
	else
		while (churn.busy < churn.clients && tunnel_start(EXCHANGE))
			churn.started++;
}

static void run(void)
{
	uint64_t end = now_ns() + (uint64_t)(churn.seconds * 1e9);

	churn.begin_ns = churn.count.begin_ns = now_ns();
	while (!churn.input_ended && now_ns() < end) {
		start_due();
		turn(churn.rate > 0 ? 1 : 10);
		look_after();
	}
	while (churn.busy) {
		turn(10);
		look_after();
	}
}

/* Every tunnel that lasted shows that it still carries all, and ends. */
static void finish(void)
{
	churn.finishing = true;
	for (uint32_t i = 0; i < TUNNELS_MAX; i++) {
		struct tunnel *t = &churn.tunnel[i];

		if (t->state == CLOSED)
			continue;
		if (t->state != OPEN) {
			fail(t, &churn.held_errors.other);
			continue;
		}
		t->since = now_ns();
		if (t->kind == IDLE)
			send_up_to(&t->near, 2 * PING_BYTES, false);
		else if (t->kind == NEAR)
			send_up_to(&t->far, HALF_BYTES, true);
		else if (t->kind == FAR)
			send_up_to(&t->near, HALF_BYTES, true);
		else if (t->kind == UP)
			send_up_to(&t->near, t->near.goal, true);
		else if (t->kind == DOWN)
			send_up_to(&t->far, t->far.goal, true);
	}
	while (churn.held) {
		turn(10);
		look_after();
	}
}

static double decimal(int argc, char **argv, const char *name, double without)
{
	const char *s = arg_text(argc, argv, name);

	return s ? strtod(s, NULL) : without;
}

static bool configure(int argc, char **argv, uint32_t counts[5])
{
	const char *proxy = arg_text(argc, argv, "--proxy");
	uint32_t half = (uint32_t)arg_number(argc, argv, "--half", 0);

	counts[0] = (uint32_t)arg_number(argc, argv, "--idle", 0);
	counts[1] = half - half / 2;
	counts[2] = half / 2;
	counts[3] = (uint32_t)arg_number(argc, argv, "--up", 0);
	counts[4] = (uint32_t)arg_number(argc, argv, "--down", 0);
	for (int k = 0; k < 5; k++)
		churn.wanted += counts[k];
	churn.seconds = decimal(argc, argv, "--seconds", 60);
	churn.rate = decimal(argc, argv, "--rate", 0);
	churn.pace = decimal(argc, argv, "--pace", 100e3);
	churn.patience_ns = (uint64_t)(decimal(argc, argv, "--patience", 10) *
				       1e9);
	churn.clients = (uint32_t)arg_number(argc, argv, "--clients", 0);
	churn.bytes = (uint32_t)arg_number(argc, argv, "--bytes", 1024);
	return proxy && net_parse(&churn.proxy, proxy) == 0 &&
	       churn.bytes > 0 && churn.wanted < TUNNELS_MAX / 2;
}

static void prepare(void)
{
	struct epoll_event accepts = { .events = EPOLLIN };
	struct epoll_event input = { .events = EPOLLIN, .data.ptr = &churn };

	raise_nofile();
	wire_init();
	(void)net_parse(&churn.target, "127.0.0.1:0");
	churn.listen_fd = net_listen(&churn.target, false);
	churn.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	churn.tunnel = calloc(TUNNELS_MAX, sizeof *churn.tunnel);
	if (churn.listen_fd < 0 || churn.epoll_fd < 0 || !churn.tunnel) {
		perror("churn");
		exit(1);
	}
	for (uint32_t i = 0; i < TUNNELS_MAX; i++) {
		churn.tunnel[i].flow = i;
		churn.free[churn.free_count++] = TUNNELS_MAX - 1 - i;
	}
	net_set_int(churn.listen_fd, IPPROTO_TCP, TCP_NODELAY, 1);
	epoll_ctl(churn.epoll_fd, EPOLL_CTL_ADD, churn.listen_fd, &accepts);
	/* Refused for a file such as /dev/null: then the time ends it. */
	epoll_ctl(churn.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input);
	churn.request_len = ask_request(SOCKS5, &churn.target, churn.request,
					sizeof churn.request);
}

int main(int argc, char **argv)
{
	uint32_t counts[5];

	if (!configure(argc, argv, counts)) {
		fputs("usage: churn --proxy ADDR:PORT [--seconds S]\n"
		      "             [--rate N | --clients N] [--bytes N]\n"
		      "             [--patience S] [--idle N] [--half N]\n"
		      "             [--up N] [--down N] [--pace BYTES]\n",
		      stderr);
		return 2;
	}
	prepare();
	if (open_tunnels(counts)) {
		puts("ready");
		fflush(stdout);
		run();
	}
	finish();
	report();
	return errors_all(&churn.count.errors) ||
	       errors_all(&churn.held_errors) || churn.whole < churn.wanted;
}
