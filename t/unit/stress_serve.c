/*
 * The server's side of the stress test: a handler that does what it is asked
 * for.  Whoever is cut short closes; clients bear that.
 */
#include "t/unit/stress.h"

#include "core/bytes.h"
#include "t/unit/tcp_pair.h"

#include <string.h>

struct request {
	enum stress_verb verb;
	uint8_t argument;
	size_t len;
};

/* Before the client that waits for us loses its patience. */
static int64_t soon(void)
{
	return tcp_deadline(SOON_MS / 2);
}

/* Something always happens soon. */
static ssize_t in_time(ssize_t r)
{
	claim(r != -ETIMEDOUT, "nothing happens to a handler");
	return r;
}

static int write_all(struct tcp_conn *c, const void *from, size_t len)
{
	return (int)in_time(tcp_conn_write_all(c, from, len, soon()));
}

/* --- Connections of our own --------------------------------------------- */

static void put_request(uint8_t to[STRESS_REQUEST], enum stress_verb verb,
			uint8_t argument, size_t len)
{
	to[0] = (uint8_t)verb;
	to[1] = argument;
	to[2] = to[3] = 0;
	put_be16(to + 4, (uint16_t)(len >> 16));
	put_be16(to + 6, (uint16_t)len);
}

static int secure(struct tcp_conn *c)
{
	struct tcp_tls_info info;
	ssize_t r = in_time(
		tcp_conn_start_tls(c, stress.client_tls, "localhost", soon()));

	if (r < 0) {
		claim(tcp_conn_tls_error(c), "no text of a failure");
		return (int)r;
	}
	claim(tcp_conn_tls_info(c, &info) == 0, "TLS that knows nothing");
	claim(!strcmp(info.peer_name, "localhost"), "a server named %s",
	      info.peer_name);
	return 0;
}

static int dial(struct tcp_conn **ret, enum stress_side side)
{
	static const struct tcp_dial_options options = { .nodelay = true };
	int r;

	if (side == STRESS_LOCAL)
		return (int)in_time(tcp_dial_unix(ret, stress.local, soon()));
	r = (int)in_time(
		tcp_dial(ret, &stress.addr[side], 1, &options, NULL, soon()));
	if (r < 0 || side != STRESS_SECURE)
		return r;
	r = secure(*ret);
	if (r < 0)
		tcp_conn_close(*ret);
	return r;
}

/* A connection that was asked for something. */
static int dial_for(struct tcp_conn **ret, enum stress_side side,
		    enum stress_verb verb, uint8_t argument, size_t len)
{
	uint8_t bytes[STRESS_REQUEST];
	int r = dial(ret, side);

	if (r < 0)
		return r;
	put_request(bytes, verb, argument, len);
	r = write_all(*ret, bytes, sizeof(bytes));
	if (r < 0)
		tcp_conn_close(*ret);
	return r;
}

static void relay_progress(void *ctx, const struct tcp_relay_count *n UNUSED)
{
	claim(ctx == &stress, "a relay has another ctx");
}

static void relay_ended(void *ctx, enum tcp_relay_end end, int error,
			const struct tcp_relay_count *n UNUSED)
{
	claim(ctx == &stress, "a relay has another ctx");
	claim(end != TCPSERVER_END_IDLE && end != TCPSERVER_END_HALF_CLOSED,
	      "nothing happens to a relay");
	claim(end != TCPSERVER_END_NO_MEMORY, "a relay had no memory: %d",
	      error);
	atomic_fetch_add(&stress.relays_ended, 1);
}

static int relay(struct tcp_conn *a, struct tcp_conn *b, unsigned kind)
{
	static const struct tcp_relay_events events = {
		.progress = relay_progress, .ended = relay_ended
	};
	const struct tcp_relay_options o = {
		.mode = kind % 3,
		.idle_ms = SOON_MS / 2,
		.half_closed_ms = SOON_MS / 4,
		.events = &events,
		.ctx = &stress,
	};
	struct tcp_relay *r;

	if (tcp_relay_start(a, b, &o, &r) < 0)
		return -1;
	atomic_fetch_add(&stress.relays, 1);
	if (kind % 5 == 0)
		tcp_relay_pause(r, (int)(kind % 2), tcp_deadline(kind % 7));
	return 0;
}

/* --- Verbs -------------------------------------------------------------- */

/* 0: goes on; else the handler returns. */
typedef int verb(struct tcp_conn *c, const struct request *q);

static int answer(struct tcp_conn *c, char byte)
{
	return write_all(c, &byte, 1);
}

static int do_echo(struct tcp_conn *c, const struct request *q)
{
	char bytes[256];

	for (size_t left = q->len; left > 0;) {
		ssize_t n = in_time(tcp_conn_read(
			c, bytes, min_size(left, sizeof(bytes)), soon()));

		if (n <= 0)
			return -1;
		if (write_all(c, bytes, (size_t)n) < 0)
			return -1;
		left -= (size_t)n;
	}
	return 0;
}

static int do_file(struct tcp_conn *c, const struct request *q)
{
	size_t from = stress_origin(q->argument);
	ssize_t n = in_time(
		tcp_conn_sendfile(c, stress.file, (off_t)from, q->len, soon()));

	if (n < 0)
		return -1;
	claim((size_t)n == min_size(q->len, STRESS_FILE_BYTES - from),
	      "%zd of %zu bytes of a file", n, q->len);
	return 0;
}

static int write_slices(struct tcp_conn *c, size_t from, size_t len,
			int64_t deadline)
{
	uint8_t *bytes = (uint8_t *)pattern(from);
	size_t a = len / 3, b = len / 2; /* of 1 byte they are empty */
	struct iovec iov[3] = { { bytes, a },
				{ bytes + a, b },
				{ bytes + a + b, len - a - b } };

	return tcp_conn_writev_all(c, iov, 3, deadline);
}

static int write_stream(struct tcp_conn *c, const struct request *q,
			int64_t deadline)
{
	size_t from = stress_origin(q->argument);

	for (size_t left = q->len; left > 0;) {
		size_t n = min_size(left, PATTERN_RUN);

		int r = write_slices(c, from, n, deadline);

		if (r < 0)
			return r;
		from += n;
		left -= n;
	}
	return 0;
}

static int do_write(struct tcp_conn *c, const struct request *q)
{
	return (int)in_time(write_stream(c, q, soon()));
}

static int do_stall(struct tcp_conn *c, const struct request *q)
{
	return write_stream(c, q, tcp_deadline(q->argument));
}

static int do_splice(struct tcp_conn *c, const struct request *q)
{
	struct tcp_conn *from;
	ssize_t n;

	if (dial_for(&from, q->argument % STRESS_SIDES, STRESS_WRITE,
		     q->argument, q->len) < 0)
		return -1;
	n = in_time(tcp_conn_splice(c, from, q->len, soon()));
	tcp_conn_close(from);
	return n == (ssize_t)q->len ? 0 : -1;
}

static int do_detour(struct tcp_conn *c, const struct request *q)
{
	struct tcp_conn *other;
	ssize_t n;

	if (dial_for(&other, q->argument % STRESS_SIDES, STRESS_ECHO, 0,
		     q->len) < 0)
		return -1;
	n = in_time(tcp_conn_splice(other, c, q->len, soon()));
	if (n == (ssize_t)q->len)
		n = in_time(tcp_conn_splice(c, other, q->len, soon()));
	tcp_conn_close(other);
	return n == (ssize_t)q->len ? 0 : -1;
}

static int do_relay(struct tcp_conn *c, const struct request *q)
{
	struct tcp_conn *target;

	if (dial(&target, q->argument % STRESS_SIDES) == 0 &&
	    relay(c, target, q->argument / STRESS_SIDES) < 0)
		tcp_conn_close(target);
	return -1;
}

/* One that writes, then returns, to one that takes all. */
static int do_tunnel(struct tcp_conn *c, const struct request *q)
{
	struct tcp_conn *from, *to;
	uint8_t end[STRESS_REQUEST];
	int r = dial_for(&from, q->argument % STRESS_SIDES, STRESS_WRITE,
			 q->argument, q->len);

	if (r < 0)
		return -1;
	put_request(end, STRESS_END, 0, 0);
	r = write_all(from, end, sizeof(end));
	if (r == 0)
		r = dial_for(&to, q->argument / STRESS_SIDES % STRESS_SIDES,
			     STRESS_SINK, 0, q->len);
	if (r < 0) {
		tcp_conn_close(from);
		return -1;
	}
	if (relay(from, to, q->argument) == 0)
		return answer(c, 't');
	tcp_conn_close(from);
	tcp_conn_close(to);
	return -1;
}

static int do_sink(struct tcp_conn *c, const struct request *q)
{
	char bytes[512];

	for (size_t left = q->len; left > 0;) {
		ssize_t n = in_time(tcp_conn_read(
			c, bytes, min_size(left, sizeof(bytes)), soon()));

		if (n <= 0)
			return -1;
		left -= (size_t)n;
	}
	return answer(c, 's');
}

static int do_pool(struct tcp_conn *c, const struct request *q)
{
	char byte = stress_await((unsigned)q->len, tcp_deadline(q->argument));

	return byte == 'c' ? -1 : answer(c, byte);
}

static int do_sleep(struct tcp_conn *c, const struct request *q)
{
	int64_t until = tcp_deadline((int64_t)q->len);
	int r = tcp_sleep(until);

	if (r < 0)
		return r;
	claim(tcp_deadline(0) >= until, "a sleep was too short");
	return answer(c, 'z');
}

static int do_watch(struct tcp_conn *c, const struct request *q)
{
	int r;

	tcp_conn_watch_reset(c, true);
	r = tcp_sleep(tcp_deadline((int64_t)q->len));
	tcp_conn_watch_reset(c, false);
	return r < 0 ? r : answer(c, 'w');
}

static int do_reset(struct tcp_conn *c, const struct request *q UNUSED)
{
	tcp_conn_set_reset(c);
	return -1;
}

static int do_linger(struct tcp_conn *c, const struct request *q)
{
	if (answer(c, 'l') == 0)
		tcp_conn_linger(c, q->len, tcp_deadline(q->argument));
	return -1;
}

static int do_shut(struct tcp_conn *c, const struct request *q UNUSED)
{
	char bytes[64];

	if (in_time(tcp_conn_shutdown(c, soon())) < 0)
		return -1;
	while (in_time(tcp_conn_read(c, bytes, sizeof(bytes), soon())) > 0)
		continue;
	return -1;
}

static struct tcp_tls *current_tls(void)
{
	struct tcp_tls *t;

	(void)pthread_mutex_lock(&stress.lock);
	t = tcp_tls_ref(stress.tls);
	(void)pthread_mutex_unlock(&stress.lock);
	return t;
}

static int do_upgrade(struct tcp_conn *c, const struct request *q UNUSED)
{
	struct tcp_tls_info info;
	bool is_tls = tcp_conn_tls_info(c, &info) == 0;
	struct tcp_tls *t;
	int r;

	if (answer(c, 'u') < 0)
		return -1;
	t = current_tls();
	r = (int)in_time(tcp_conn_start_tls(c, t, NULL, soon()));
	tcp_tls_unref(t);
	claim(!is_tls || r == -EISCONN, "TLS over TLS says %d", r);
	if (r < 0) {
		claim(tcp_conn_tls_error(c), "no text of a failure");
		return -1;
	}
	claim(tcp_conn_tls_info(c, &info) == 0 && info.cipher[0] &&
		      info.version >= TCPSERVER_TLS_1_2,
	      "an upgrade leads to no TLS");
	return 0;
}

static int do_end(struct tcp_conn *c UNUSED, const struct request *q UNUSED)
{
	return -1;
}

static verb *const verbs[STRESS_VERBS] = {
	[STRESS_ECHO] = do_echo,     [STRESS_FILE] = do_file,
	[STRESS_WRITE] = do_write,   [STRESS_SPLICE] = do_splice,
	[STRESS_DETOUR] = do_detour, [STRESS_RELAY] = do_relay,
	[STRESS_TUNNEL] = do_tunnel, [STRESS_SINK] = do_sink,
	[STRESS_POOL] = do_pool,     [STRESS_SLEEP] = do_sleep,
	[STRESS_WATCH] = do_watch,   [STRESS_STALL] = do_stall,
	[STRESS_RESET] = do_reset,   [STRESS_LINGER] = do_linger,
	[STRESS_SHUT] = do_shut,     [STRESS_UPGRADE] = do_upgrade,
	[STRESS_END] = do_end,
};

/* --- The handler -------------------------------------------------------- */

static int read_request(struct tcp_conn *c, struct request *ret)
{
	uint8_t bytes[STRESS_REQUEST];

	for (size_t got = 0; got < sizeof(bytes);) {
		ssize_t n = in_time(tcp_conn_read(c, bytes + got,
						  sizeof(bytes) - got, soon()));

		if (n <= 0)
			return -1;
		got += (size_t)n;
	}
	if (bytes[0] >= STRESS_VERBS)
		return -1; /* noise */
	*ret = (struct request){ .verb = bytes[0],
				 .argument = bytes[1],
				 .len = get_be32(bytes + 4) };
	return 0;
}

void stress_handle(struct tcp_conn *c, void *ctx)
{
	struct request q;

	claim(ctx == &stress, "a handler has another ctx");
	claim(tcp_conn_tag(c) == STRESS_TAG, "a tag of %u", tcp_conn_tag(c));
	claim(tcp_conn_server(c) == stress.server, "another server");
	claim(tcp_conn_worker(c) < tcp_server_workers(stress.server),
	      "worker %u", tcp_conn_worker(c));
	stress_own(c, STRESS_HANDLER);
	while (read_request(c, &q) == 0)
		if (verbs[q.verb](c, &q) != 0)
			return;
}
