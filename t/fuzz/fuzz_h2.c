/*
 * What frames of a client can do to a connection of HTTP/2: all of h2*.c on a
 * loop, with a connection in memory below and tasks on the streams.
 *
 * The input is a script for these tasks, then commands: frames that are whole,
 * with heads that can be read, bytes that are nothing, and what happens beside
 * them: a socket that takes less, turns of the loop, a drain.  Whatever they
 * are, every bound is kept, what goes out is frames, and nothing is left.
 */
#include "core/arrival.h"
#include "core/server_internal.h"
#include "core/task.h"
#include "daemon/proxy/h2_stream.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/record.h"
#include "t/fuzz/h2_words.h"

#include <stdlib.h>
#include <string.h>

#define TURNS_MAX   2000 /* until all has ended */
#define STEPS       6    /* of a task that has a tunnel */
#define PREFACE_LEN 24

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct {
	struct tcp_server *server;
	struct tcp_listener core;
	struct tcp_worker_counts counts;
	struct proxy *proxy;
	struct proxy_listener listener;
	struct policy *policy;
} here;

static struct {
	struct h2 *h2;      /* while client.conn lives */
	struct span script; /* for tasks */
	struct span in;     /* commands */
	struct work work;
	unsigned turns;
} run;

/* --- The connection below ----------------------------------------------- */

static int shut(struct tcp_conn *c UNUSED)
{
	return 0;
}

static void closed(struct tcp_conn *c)
{
	client.conn = NULL;
	free(c);
}

static const struct conn_ops client_ops = {
	.read = receive,
	.write = send_out,
	.peek = peek,
	.take = take,
	.shut = shut,
	.free = closed,
};

/* --- Tasks of streams --------------------------------------------------- */

/* One step of a tunnel; false: it is over. */
static bool step(struct tcp_conn *c, unsigned what)
{
	static const uint8_t pattern[40000];
	uint8_t bytes[256];
	int64_t soon = deadline_in(0);
	ssize_t n;

	switch (what % STEPS) {
	case 0:
		return false;
	case 1:
		n = tcp_conn_read(c, bytes, 1 + what % sizeof(bytes),
				  TIMER_NEVER);
		return n > 0;
	case 2:
		n = tcp_conn_read(c, bytes, sizeof(bytes), soon);
		return n >= 0 || n == -ETIMEDOUT;
	case 3:
		n = tcp_conn_write_all(c, pattern, what * 156, soon);
		return n == 0 || n == -ETIMEDOUT;
	case 4:
		return tcp_conn_shutdown(c, soon) == 0;
	default:
		return task_yield(TIMER_NEVER) == 0;
	}
}

static void tunnel(struct tcp_conn *c)
{
	static const int statuses[] = { 200, 200, 200, 200, 407, 502 };
	struct h2_stream *s = h2_stream_of(c);
	struct h2_head *head = TAKE_PTR(s->head);
	enum outcome o;
	struct target t = { .port = 0 };
	int status = statuses[next(&run.script) % ARRAY_SIZE(statuses)];

	ASSERT(head);
	o = h2_head_target(head, &t);
	ASSERT(o != OUTCOME_NONE ||
	       (t.host.len == 0 ||
		(t.host.at >= head->authority &&
		 t.host.at + t.host.len <=
			 head->authority + head->authority_len)));
	free(head);
	if (h2_stream_respond(s, o == OUTCOME_NONE ? status : 400,
			      status == 407 ? "Basic" : NULL) < 0)
		return;
	while (s->granted && run.script.len)
		if (!step(c, next(&run.script)))
			break;
}

static void serve(struct tcp_conn *c, void *listener)
{
	unsigned how = next(&run.script);

	if (how % 4 == 3) {
		proxy_serve(c, listener); /* which denies everything */
		return;
	}
	tunnel(c);
	if (how & 4)
		tcp_conn_set_reset(c);
}

/* --- Commands ------------------------------------------------------------ */

static void come_data(struct span *in)
{
	static const uint8_t zeros[16384];
	unsigned how = next(in), id = next(in) | 1;
	size_t len = (size_t)next(in) << (how >> 1) % 7;

	come_head(len, NGHTTP2_DATA, how & 1, id);
	come(zeros, len);
}

static void tell(uint32_t bits)
{
	if (client.conn)
		conn_tell(client.conn, bits);
}

static void command(struct span *in)
{
	unsigned what = next(in);
	struct span raw;

	switch (what % 8) {
	case 0:
		raw = some(in, next(in));
		come(raw.at, raw.len);
		break;
	case 1:
		come_frame(in);
		break;
	case 2:
		come_request(in);
		break;
	case 3:
		come_data(in);
		break;
	case 4:
		if (client.came_len)
			tell(EPOLLIN);
		break;
	case 5:
		client.room = (size_t)next(in) << what / 16;
		if (client.room)
			tell(EPOLLOUT);
		break;
	case 6:
		if (what / 8 % 8 == 0)
			arrivals_drain(net_self());
		break;
	default:
		break; /* a turn of the loop */
	}
}

/* --- Turns -------------------------------------------------------------- */

static void check_bounds(void)
{
	struct net *n = net_self();
	const struct h2 *h = run.h2;

	if (!client.conn)
		return;
	/* A frame that has begun is made, with answers to pings behind. */
	ASSERT(h->out_len <= 2 * H2_OUT_MAX && h->out_size <= 4 * H2_OUT_MAX);
	ASSERT(h->live <= H2_STREAMS_MAX);
	ASSERT(n->buffers.used <= 2 * H2_STREAMS_MAX * H2_STREAM_WINDOW);
	if (client.came_len == 0)
		client.came_at = 0;
}

static bool all_is_over(void)
{
	return !client.conn && task_count() == 0 && net_self()->conn_count == 0;
}

static void end_client(void)
{
	client.ended = true;
	client.room = SIZE_MAX;
	tell(EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

static void turn(struct work *w)
{
	struct loop *l = net_self()->loop;

	check_bounds();
	if (run.in.len) {
		command(&run.in);
	} else if (run.turns++ == 0) {
		end_client();
	} else if (all_is_over()) {
		loop_stop(l);
		return;
	} else if (run.turns == TURNS_MAX / 2) {
		arrivals_cut(net_self());
	}
	ASSERT(run.turns < TURNS_MAX);
	work_queue(l, w);
}

/* --- Beginning and end -------------------------------------------------- */

static void room(struct net *n UNUSED)
{
	server_release(here.server);
}

static void make_proxy(void)
{
	struct rule_spec everybody = { .allow = true };
	struct rules *rules = NULL;
	struct proxy_options o = {
		.workers = 1,
		.max_sessions = 2 * H2_STREAMS_MAX,
		.names = { .max_pending = 10 },
		.http = { .via = "", .realm = "fuzz", .keep_alive_ms = 60000 },
		.timeouts = { .handshake_ms = 60000, .connect_ms = 60000 },
	};

	ASSERT(rules_new(&rules, &everybody, 1, NULL, 0, NULL) == 0);
	ASSERT(policy_new(&here.policy, rules, NULL) == 0);
	o.policy = here.policy;
	ASSERT(proxy_new(&here.proxy, &o) == 0);
	ASSERT(proxy_worker_start(here.proxy, 0) == 0);
	here.listener = (struct proxy_listener){ .proxy = here.proxy,
						 .number = 1 };
}

static void make_world(void)
{
	struct net_options no = { .buffer_bytes = 512u << 10,
				  .pipes = 4,
				  .counts = &here.counts };
	struct worker *w;

	here.server = calloc(1, sizeof(*here.server) + sizeof(*w));
	ASSERT(here.server);
	here.server->worker_count = 1;
	here.server->options.max_connections = H2_STREAMS_MAX / 2;
	server_places_init(here.server);
	w = &here.server->worker[0];
	w->server = here.server;
	w->counts = &here.counts;
	ASSERT(loop_new(&w->loop) == 0);
	ASSERT(net_init(&w->net, w->loop, &no) == 0);
	w->net.room = room;
	make_proxy();
	here.core = (struct tcp_listener){ .server = here.server,
					   .handler = serve,
					   .ctx = &here.listener };
}

/* As a handler gives it away. */
static void begin(void)
{
	static const struct tcp_addr peer = {
		.family = AF_INET, .ip = { [10] = 0xff, 0xff, 127, 0, 0, 1 }
	};
	struct net *n = net_self();
	struct tcp_conn *c = calloc(1, sizeof(*c));
	struct request rq = { .client = c,
			      .here = &here.proxy->worker[0],
			      .listener = &here.listener,
			      .deadline = deadline_in(60000) };

	ASSERT(c);
	c->watch.fd = -1;
	c->watch.ready = EPOLLOUT;
	c->ops = &client_ops;
	c->peer = peer;
	c->listener = &here.core;
	n->conn_count++;
	rq.session = record_open(&here.listener, &peer, 1, loop_now(n->loop));
	ASSERT(rq.session);
	client.conn = c;
	ASSERT(h2_begin(&rq) == OUTCOME_NONE);
	run.h2 = c->owner.keeper;
}

static void check_nothing_left(void)
{
	const struct net *n = net_self();

	ASSERT(n->buffers.used == 0 && list_empty(&n->keepers));
	ASSERT(count_get(&here.counts.active) == 0);
	ASSERT(count_get(&here.counts.handshakes) == 0);
	ASSERT(count_get(&here.counts.tasks) == 0);
	ASSERT(atomic_load(&here.server->active) == 0);
	ASSERT(sessions_count(here.proxy->sessions, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char preface[PREFACE_LEN + 1] =
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	unsigned how;

	if (!here.server)
		make_world();
	memset(&client, 0, sizeof(client));
	client.room = SIZE_MAX;
	run.in = (struct span){ bytes, size };
	run.turns = 0;
	run.work = (struct work){ .run = turn };
	how = next(&run.in);
	run.script = some(&run.in, how >> 1);
	net_self()->draining = false;
	begin();
	if (how & 1) {
		come(preface, PREFACE_LEN);
		come_head(0, NGHTTP2_SETTINGS, 0, 0);
	}
	work_queue(net_self()->loop, &run.work);
	loop_run(net_self()->loop);
	check_nothing_left();
	return 0;
}
