/*
 * What clients of the server under stress do: a talk over some way to it, and
 * then one of several ends.  The server may end, or be full, at any time, and
 * so a talk may be cut short; but what comes must be right, and something must
 * come.
 */
#include "t/unit/stress_peer.h"
#include "t/unit/tcp_pair.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum way { PLAIN, LOCAL, TLS_1_2, TLS_1_3, UPGRADED, THROUGH, WAYS };

static const char *const way_names[WAYS] = { "plain",   "unix",    "TLS 1.2",
					     "TLS 1.3", "upgrade", "relay" };

static atomic_uint resumed;

struct client {
	struct peer peer;
	enum way way;
	uint64_t state; /* of its random numbers */
	SSL_CTX *ctx;
	SSL_SESSION *session[2]; /* of TLS 1.2 and 1.3, to resume */
	char doing[64];
};

/* xorshift64* */
static unsigned random_below(struct client *k, unsigned bound)
{
	k->state ^= k->state >> 12;
	k->state ^= k->state << 25;
	k->state ^= k->state >> 27;
	return (unsigned)(k->state * 0x2545f4914f6cdd1dull >> 33) % bound;
}

static uint8_t any_argument(struct client *k)
{
	return (uint8_t)random_below(k, 256);
}

static void nap(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&ts, NULL);
}

/* --- Talks -------------------------------------------------------------- */

#define STREAM_MAX 200000u
#define ECHO_MAX   12000u /* fits into any socket: nobody reads meanwhile */

static bool echo_once(struct client *k, enum stress_verb verb)
{
	size_t len = 1 + random_below(k, ECHO_MAX);
	size_t from = random_below(k, 60000);
	size_t first = random_below(k, (unsigned)len);

	return peer_ask(&k->peer, verb, any_argument(k), len) &&
	       (first == 0 || peer_send(&k->peer, pattern(from), first)) &&
	       peer_send(&k->peer, pattern(from + first), len - first) &&
	       peer_expect(&k->peer, from, len);
}

static bool talk_echo(struct client *k)
{
	for (unsigned i = random_below(k, 4); i < 4; i++)
		if (!echo_once(k, STRESS_ECHO))
			return false;
	return true;
}

static bool talk_detour(struct client *k)
{
	return echo_once(k, STRESS_DETOUR);
}

static bool take_stream(struct client *k, enum stress_verb verb)
{
	uint8_t argument = any_argument(k);
	size_t len = 1 + random_below(k, STREAM_MAX);

	return peer_ask(&k->peer, verb, argument, len) &&
	       peer_expect(&k->peer, stress_origin(argument), len);
}

static bool talk_file(struct client *k)
{
	return take_stream(k, STRESS_FILE);
}

static bool talk_write(struct client *k)
{
	return take_stream(k, STRESS_WRITE);
}

static bool talk_splice(struct client *k)
{
	return take_stream(k, STRESS_SPLICE);
}

/* Reads late what does not fit into any socket: the server waits for room. */
static bool talk_slowly(struct client *k)
{
	size_t from = stress_origin(7), piece = PATTERN_RUN;

	if (!peer_ask(&k->peer, STRESS_WRITE, 7, 100 * piece))
		return false;
	for (int i = 0; i < 100; i++) {
		if (i % 40 == 0)
			nap(5);
		if (!peer_expect(&k->peer, from, piece))
			return false;
		from += piece;
	}
	return true;
}

/* Reads too little of what has too little time. */
static bool talk_stall(struct client *k)
{
	char bytes[512];

	if (!peer_ask(&k->peer, STRESS_STALL, (uint8_t)random_below(k, 20),
		      16u << 20))
		return false;
	nap(random_below(k, 30));
	while (random_below(k, 50) > 0)
		if (peer_recv(&k->peer, bytes, sizeof(bytes)) <= 0)
			break;
	return true;
}

/* Goes away in the middle of what it asked for. */
static bool talk_leave(struct client *k)
{
	static const enum stress_verb verbs[] = { STRESS_FILE, STRESS_WRITE,
						  STRESS_SPLICE };
	uint8_t argument = any_argument(k);
	size_t len = random_below(k, STREAM_MAX);

	if (!peer_ask(&k->peer, verbs[random_below(k, ARRAY_SIZE(verbs))],
		      argument, 8u << 20))
		return false;
	nap(random_below(k, 3));
	(void)!peer_expect(&k->peer, stress_origin(argument), len);
	return true;
}

static bool talk_tunnel(struct client *k)
{
	return peer_ask(&k->peer, STRESS_TUNNEL, any_argument(k),
			random_below(k, STREAM_MAX)) &&
	       peer_expect_byte(&k->peer, "t");
}

static bool talk_sink(struct client *k)
{
	size_t len = 1 + random_below(k, PATTERN_RUN);

	return peer_ask(&k->peer, STRESS_SINK, 0, len) &&
	       peer_send(&k->peer, pattern(0), len) &&
	       peer_expect_byte(&k->peer, "s");
}

static bool talk_pool(struct client *k)
{
	uint8_t deadline = (uint8_t)random_below(k, 10);

	for (unsigned i = random_below(k, 3); i < 3; i++)
		if (!peer_ask(&k->peer, STRESS_POOL, deadline,
			      random_below(k, 6)) ||
		    !peer_expect_byte(&k->peer, "dtf"))
			return false;
	return true;
}

static bool talk_sleep(struct client *k)
{
	return peer_ask(&k->peer, STRESS_SLEEP, 0, random_below(k, 10)) &&
	       peer_expect_byte(&k->peer, "z");
}

/* Goes away while the handler sleeps, or not. */
static bool talk_watch(struct client *k)
{
	bool leaves = random_below(k, 2);

	if (!peer_ask(&k->peer, STRESS_WATCH, 0, leaves ? 500 : 5))
		return false;
	if (!leaves)
		return peer_expect_byte(&k->peer, "w");
	nap(random_below(k, 3));
	return true;
}

static bool talk_reset(struct client *k)
{
	char byte;

	return peer_ask(&k->peer, STRESS_RESET, 0, 0) &&
	       peer_recv(&k->peer, &byte, 1) <= 0;
}

static bool talk_linger(struct client *k)
{
	return peer_ask(&k->peer, STRESS_LINGER, any_argument(k), 5000) &&
	       peer_expect_byte(&k->peer, "l") && peer_expect_end(&k->peer);
}

static bool talk_shut(struct client *k)
{
	return peer_ask(&k->peer, STRESS_SHUT, 0, 0) &&
	       peer_expect_end(&k->peer) &&
	       peer_send(&k->peer, pattern(0), 100);
}

/* The question's end comes before the answer. */
static bool talk_half(struct client *k)
{
	size_t len = 1 + random_below(k, ECHO_MAX);

	return peer_ask(&k->peer, STRESS_ECHO, 0, len) &&
	       peer_send(&k->peer, pattern(0), len) && peer_shut(&k->peer) &&
	       peer_expect(&k->peer, 0, len) && peer_expect_end(&k->peer);
}

static bool talk_end(struct client *k)
{
	return peer_ask(&k->peer, STRESS_END, 0, 0) &&
	       peer_expect_end(&k->peer);
}

/* New keys in TLS 1.3, ours and theirs. */
static bool talk_keys(struct client *k)
{
	if (k->way != TLS_1_3)
		return talk_echo(k);
	return echo_once(k, STRESS_ECHO) &&
	       SSL_key_update(k->peer.ssl, SSL_KEY_UPDATE_REQUESTED) &&
	       echo_once(k, STRESS_ECHO) && take_stream(k, STRESS_FILE);
}

struct talk {
	const char *name;
	bool (*run)(struct client *k);
	bool ends; /* nothing is left that could be ended in order */
	atomic_uint done[WAYS], cut;
};

static struct talk talks[] = {
	{ .name = "echo", .run = talk_echo },
	{ .name = "detour", .run = talk_detour },
	{ .name = "file", .run = talk_file },
	{ .name = "write", .run = talk_write },
	{ .name = "splice", .run = talk_splice },
	{ .name = "slowly", .run = talk_slowly },
	{ .name = "stall", .run = talk_stall, .ends = true },
	{ .name = "leave", .run = talk_leave, .ends = true },
	{ .name = "tunnel", .run = talk_tunnel },
	{ .name = "sink", .run = talk_sink },
	{ .name = "pool", .run = talk_pool },
	{ .name = "sleep", .run = talk_sleep },
	{ .name = "watch", .run = talk_watch, .ends = true },
	{ .name = "reset", .run = talk_reset, .ends = true },
	{ .name = "linger", .run = talk_linger, .ends = true },
	{ .name = "shut", .run = talk_shut, .ends = true },
	{ .name = "half", .run = talk_half, .ends = true },
	{ .name = "end", .run = talk_end, .ends = true },
	{ .name = "keys", .run = talk_keys },
};

/* --- Ways --------------------------------------------------------------- */

static bool open_tls(struct client *k, int version)
{
	struct peer *p = &k->peer;

	if (!peer_secure(p, k->ctx, version,
			 k->session[version - TLS1_2_VERSION]))
		return false;
	if (SSL_session_reused(p->ssl))
		atomic_fetch_add(&resumed, 1);
	return true;
}

static bool open_upgraded(struct client *k)
{
	int version = TLS1_2_VERSION + (int)random_below(k, 2);

	return peer_connect(&k->peer, STRESS_PLAIN) &&
	       peer_ask(&k->peer, STRESS_UPGRADE, 0, 0) &&
	       peer_expect_byte(&k->peer, "u") && open_tls(k, version);
}

static bool open_through(struct client *k)
{
	bool secure = random_below(k, 2);

	return peer_connect(&k->peer, secure ? STRESS_SECURE : STRESS_PLAIN) &&
	       (!secure || open_tls(k, TLS1_3_VERSION)) &&
	       peer_ask(&k->peer, STRESS_RELAY, any_argument(k), 0);
}

static bool open_way(struct client *k)
{
	switch (k->way) {
	case PLAIN:
		return peer_connect(&k->peer, STRESS_PLAIN);
	case LOCAL:
		return peer_connect(&k->peer, STRESS_LOCAL);
	case TLS_1_2:
		return peer_connect(&k->peer, STRESS_SECURE) &&
		       open_tls(k, TLS1_2_VERSION);
	case TLS_1_3:
		return peer_connect(&k->peer, STRESS_SECURE) &&
		       open_tls(k, TLS1_3_VERSION);
	case UPGRADED:
		return open_upgraded(k);
	case THROUGH:
		return open_through(k);
	case WAYS:
		break;
	}
	return false;
}

/* What the next one resumes. */
static void keep_session(struct client *k)
{
	SSL *ssl = k->peer.ssl;
	SSL_SESSION **place;

	if (!ssl || !SSL_is_init_finished(ssl))
		return;
	place = &k->session[SSL_version(ssl) - TLS1_2_VERSION];
	SSL_SESSION_free(*place);
	*place = SSL_get1_session(ssl);
}

/* --- Clients that do not talk ------------------------------------------- */

static void wait_for_end(struct peer *p)
{
	char bytes[64];

	while (peer_recv(p, bytes, sizeof(bytes)) > 0)
		continue;
}

/* Says nothing, or too little. */
static void be_mute(struct client *k)
{
	static const uint8_t hello[] = { 22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3 };
	enum stress_side side = random_below(k, STRESS_SIDES);
	size_t len = side == STRESS_SECURE ? random_below(k, sizeof(hello)) : 0;

	k->peer.doing = "a mute one";
	if (!peer_connect(&k->peer, side))
		return;
	if (len == 0 || peer_send(&k->peer, hello, len)) {
		/* Where nobody bounds the silence it goes of itself. */
		if (side == STRESS_LOCAL)
			nap(random_below(k, 20));
		else
			wait_for_end(&k->peer);
	}
	(void)peer_close(&k->peer, PEER_ABRUPT);
}

/* Says what is no request and no ClientHello. */
static void make_noise(struct client *k)
{
	uint8_t bytes[300] = { 22, 3, 1, 0, 200 };
	size_t len = 1 + random_below(k, sizeof(bytes));

	k->peer.doing = "noise";
	for (size_t i = random_below(k, 2) ? 5 : 0; i < len; i++)
		bytes[i] = (uint8_t)(0x80 + random_below(k, 128));
	if (!peer_connect(&k->peer, random_below(k, STRESS_SIDES)))
		return;
	if (peer_send(&k->peer, bytes, len) && peer_shut(&k->peer))
		wait_for_end(&k->peer);
	(void)peer_close(&k->peer, PEER_ABRUPT);
}

/* --- Running them ------------------------------------------------------- */

static void client_init(struct client *k, uint64_t seed)
{
	sigset_t pipe;

	*k = (struct client){ .peer.fd = -1, .state = seed * 977 + 1 };
	k->ctx = SSL_CTX_new(TLS_client_method());
	claim(k->ctx, "no SSL_CTX");
	/* OpenSSL writes by write(2), send(2)'s MSG_NOSIGNAL is not its. */
	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
}

static void client_done(struct client *k)
{
	SSL_SESSION_free(k->session[0]);
	SSL_SESSION_free(k->session[1]);
	SSL_CTX_free(k->ctx);
}

/* Tells whether all went as if nobody else was there. */
static bool talk_once(struct client *k, struct talk *t, enum peer_end end)
{
	bool done;

	(void)snprintf(k->doing, sizeof(k->doing), "%s over %s", t->name,
		       way_names[k->way]);
	k->peer.doing = k->doing;
	done = open_way(k) && t->run(k);
	keep_session(k);
	done = peer_close(&k->peer, done ? end : PEER_ABRUPT) && done;
	atomic_fetch_add(done ? &t->done[k->way] : &t->cut, 1);
	return done;
}

void stress_ask_all(void)
{
	struct client k;

	client_init(&k, 1);
	for (k.way = 0; k.way < WAYS; k.way++)
		for (size_t i = 0; i < ARRAY_SIZE(talks); i++)
			claim(talk_once(&k, &talks[i],
					talks[i].ends ? PEER_ABRUPT
						      : PEER_IN_ORDER),
			      "%s was cut short", k.doing);
	client_done(&k);
}

void *stress_client(void *arg)
{
	struct client k;

	client_init(&k, (uintptr_t)arg);
	while (!atomic_load(&stress.enough)) {
		struct talk *t = &talks[random_below(&k, ARRAY_SIZE(talks))];
		enum peer_end end = random_below(&k, PEER_ENDS);

		if (random_below(&k, 30) == 0)
			be_mute(&k);
		if (random_below(&k, 30) == 0)
			make_noise(&k);
		k.way = random_below(&k, WAYS);
		if (t->ends && end == PEER_IN_ORDER)
			end = PEER_ABRUPT;
		/* Nobody may be there any more. */
		if (!talk_once(&k, t, end))
			nap(1);
	}
	client_done(&k);
	return NULL;
}

void stress_report(bool must)
{
	for (size_t i = 0; i < ARRAY_SIZE(talks); i++) {
		unsigned sum = 0;

		(void)printf("%-8s", talks[i].name);
		for (int way = 0; way < WAYS; way++) {
			unsigned n = atomic_load(&talks[i].done[way]);

			(void)printf(" %s %u,", way_names[way], n);
			sum += n;
		}
		(void)printf(" cut %u\n", atomic_load(&talks[i].cut));
		claim(!must || sum > 0, "%s was never done", talks[i].name);
	}
	(void)printf("%u handshakes were resumed\n", atomic_load(&resumed));
	claim(!must || atomic_load(&resumed) > 0, "nothing was resumed");
}
