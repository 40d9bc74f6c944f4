/*
 * http-server: the benchmark's HTTP server on <core/tcpserver.h>, and an
 * example of one.  Every request is answered with as many bytes as --size
 * says.
 *
 * It is written for many connections that keep quiet: a handler's stack stays
 * within a page, and a connection that waits for its next request holds
 * nothing else.  What is read lies in its worker's one buffer, since a read
 * that has waited writes there only right before it returns; a handler keeps
 * bytes of its own only while half a request, or more than one, is there.
 */
#include <core/tcpserver.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t/bench/args.h"
#include "t/bench/http_reply.h"
#include "t/bench/http_request.h"

#define REQUEST_MS 60000 /* for a request and the silence before it */
#define REPLY_MS   60000
#define LINGER_MS  2000
#define LINGER_MAX (64u << 10)
#define END_MS     2000 /* after SIGTERM */
#define INPUT_MAX  HTTP_HEAD_MAX

/* What one worker's connections share. */
struct worker {
	struct http_replies replies;
	char input[INPUT_MAX];
} __attribute__((aligned(64)));

struct site {
	long size, sleep_ms;
	bool close, aes;
	atomic_bool ending;
	struct worker *workers;
};

struct session {
	struct tcp_conn *conn;
	struct site *site;
	struct worker *worker;
	char *kept;  /* INPUT_MAX bytes of its own, or NULL */
	char *input; /* what came and is not used yet: in there or not */
	size_t len;
};

/* --- Input -------------------------------------------------------------- */

/* Before a call that suspends: others use the worker's buffer meanwhile. */
static int keep_input(struct session *s)
{
	if (s->len == 0 || s->kept)
		return 0;
	s->kept = malloc(INPUT_MAX);
	if (!s->kept)
		return -1;
	memcpy(s->kept, s->input, s->len);
	s->input = s->kept;
	return 0;
}

static void use_input(struct session *s, size_t len)
{
	s->input += len;
	s->len -= len;
	if (s->len > 0)
		return;
	free(s->kept);
	s->kept = NULL;
}

/* More of it; as tcp_conn_read(). */
static ssize_t read_input(struct session *s, int64_t deadline)
{
	ssize_t n;

	if (keep_input(s) < 0)
		return -1;
	if (s->kept)
		memmove(s->kept, s->input, s->len);
	s->input = s->kept ? s->kept : s->worker->input;
	n = tcp_conn_read(s->conn, s->input + s->len, INPUT_MAX - s->len,
			  deadline);
	if (n > 0)
		s->len += (size_t)n;
	return n;
}

/* --- Output ------------------------------------------------------------- */

/* As tcp_conn_write_all(), for what others do not change meanwhile. */
static int write_out(struct session *s, const char *from, size_t len)
{
	if (keep_input(s) < 0)
		return -1;
	return tcp_conn_write_all(s->conn, from, len, tcp_deadline(REPLY_MS));
}

/* The last word.  It reads on, or a reset for unread bytes might eat it. */
static void refuse(struct session *s, int status)
{
	char text[HTTP_HEAD_ROOM];
	size_t len = http_reply_error(&s->worker->replies, status,
				      tcp_deadline(0), text);

	if (write_out(s, text, len) == 0)
		tcp_conn_linger(s->conn, LINGER_MAX, tcp_deadline(LINGER_MS));
}

struct making {
	struct http_replies *replies;
	enum http_kind kind;
	struct http_block *block;
};

static void make(void *arg)
{
	struct making *m = arg;

	m->block = http_reply_get(m->replies, m->kind, tcp_deadline(0));
}

/* OpenSSL wants more of a stack than everything else here together. */
static struct http_block *get_reply(struct session *s, enum http_kind kind)
{
	struct making m = { .replies = &s->worker->replies, .kind = kind };

	if (s->site->aes)
		tcp_call(make, &m);
	else
		make(&m);
	return m.block;
}

/* True when it went out and another request may follow. */
static bool reply(struct session *s, const struct http_request *request)
{
	enum http_kind kind = request->is_1_0 ? HTTP_GOES_ON_1_0 : HTTP_GOES_ON;
	struct http_block *b;
	int r;

	if (s->site->close || !request->keep_alive ||
	    atomic_load_explicit(&s->site->ending, memory_order_relaxed))
		kind = HTTP_CLOSES;
	b = get_reply(s, kind);
	if (!b) {
		refuse(s, 500);
		return false;
	}
	r = write_out(s, b->bytes, request->is_head ? b->head_len : b->len);
	http_reply_put(&s->worker->replies, b);
	if (r < 0)
		return false;
	if (kind == HTTP_CLOSES && s->len > 0)
		tcp_conn_linger(s->conn, LINGER_MAX, tcp_deadline(LINGER_MS));
	return kind != HTTP_CLOSES;
}

/* --- A connection ------------------------------------------------------- */

/* False: the connection has come to its end. */
static bool read_head(struct session *s, struct http_request *ret,
		      int64_t deadline)
{
	for (;;) {
		int n = s->len == 0 ? -EAGAIN
				    : http_request_parse(ret, s->input, s->len);

		if (n > 0) {
			use_input(s, (size_t)n);
			return true;
		}
		if (n == -EBADMSG) {
			refuse(s, (int)ret->status);
			return false;
		}
		if (read_input(s, deadline) <= 0)
			return false;
	}
}

/* The content means nothing to us. */
static bool skip_body(struct session *s, const struct http_request *request,
		      int64_t deadline)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t left = request->body;

	if (request->expects_100 && left > 0 && s->len == 0 &&
	    write_out(s, go_on, sizeof(go_on) - 1) < 0)
		return false;
	while (left > 0) {
		size_t n;

		if (s->len == 0 && read_input(s, deadline) <= 0)
			return false;
		n = left < s->len ? left : s->len;
		use_input(s, n);
		left -= n;
	}
	return true;
}

static bool serve_one(struct session *s)
{
	int64_t deadline = tcp_deadline(REQUEST_MS);
	struct http_request request;

	if (!read_head(s, &request, deadline) ||
	    !skip_body(s, &request, deadline))
		return false;
	if (s->site->sleep_ms > 0 &&
	    (keep_input(s) < 0 || tcp_sleep(tcp_deadline(s->site->sleep_ms))))
		return false;
	return reply(s, &request);
}

static void serve(struct tcp_conn *c, void *ctx)
{
	struct site *site = ctx;
	struct session s = {
		.conn = c,
		.site = site,
		.worker = &site->workers[tcp_conn_worker(c)],
	};

	while (serve_one(&s))
		;
	free(s.kept);
}

/* --- The server --------------------------------------------------------- */

static int start_worker(void *ctx, unsigned number)
{
	struct site *site = ctx;

	return http_replies_init(&site->workers[number].replies,
				 (size_t)site->size, site->aes) < 0
		       ? -ENOMEM
		       : 0;
}

static void stop_worker(void *ctx, unsigned number)
{
	struct site *site = ctx;

	http_replies_done(&site->workers[number].replies);
}

/* "CERT:KEY" to a context, or NULL with a word on why not. */
static struct tcp_tls *make_tls(const char *files)
{
	struct tcp_tls_certificate certificate = { 0 };
	struct tcp_tls_options o = { .certificates = &certificate,
				     .certificate_count = 1 };
	const char *colon = strchr(files, ':');
	struct tcp_tls *tls = NULL;
	char chain[4096], why[256];

	(void)snprintf(chain, sizeof(chain), "%.*s",
		       colon ? (int)(colon - files) : -1, files);
	certificate.chain_file = chain;
	certificate.key_file = colon ? colon + 1 : NULL;
	if (tcp_tls_new(&tls, &o, why, sizeof(why)) < 0)
		fprintf(stderr, "http-server: %s\n", why);
	return tls;
}

static void say_address(const char *text, const struct tcp_listener *l)
{
	char out[TCPSERVER_ADDR_STRLEN];

	if (text[0] != '@' && strncmp(text, "unix:", 5) != 0)
		text = tcp_addr_format(tcp_listener_addr(l), out, sizeof(out));
	printf("listening on %s\n", text);
	fflush(stdout);
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "http-server: %s: %s\n", what, strerror(-r));
	return 1;
}

/* From the first worker to the last connection. */
static int run(struct tcp_server *server, struct site *site, const char *listen,
	       struct tcp_tls *tls)
{
	struct tcp_listen_options o = {
		.nodelay = true,
		.first_byte_ms = REQUEST_MS,
		.tls = tls,
	};
	struct tcp_listener *l;
	sigset_t signals;
	int r, signo;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	r = tcp_server_listen_text(server, listen, &o, serve, site, &l);
	if (r < 0)
		return fail(listen, r);
	r = tcp_server_start(server);
	if (r < 0)
		return fail("start", r);
	say_address(listen, l);
	(void)sigwait(&signals, &signo);
	atomic_store(&site->ending, true);
	(void)tcp_server_shutdown(server, END_MS + site->sleep_ms);
	return 0;
}

static int usage(void)
{
	fputs("usage: http-server --listen ADDR [--size N] [--close] "
	      "[--aes128]\n\t[--sleep MS] [--tls CERT:KEY] [--workers N]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *listen = arg_text(argc, argv, "--listen");
	const char *files = arg_text(argc, argv, "--tls");
	long workers = arg_number(argc, argv, "--workers", 0);
	struct site site = {
		.size = arg_number(argc, argv, "--size", 1024),
		.sleep_ms = arg_number(argc, argv, "--sleep", 0),
		.close = arg_flag(argc, argv, "--close"),
		.aes = arg_flag(argc, argv, "--aes128"),
	};
	struct tcp_server_options o = {
		.workers = (unsigned)workers,
		.thread_name = "http",
		.worker_start = start_worker,
		.worker_stop = stop_worker,
		.ctx = &site,
	};
	struct tcp_tls *tls = NULL;
	struct tcp_server *server;
	int r;

	if (!listen || workers < 0 || site.size < 0 || site.sleep_ms < 0 ||
	    site.size > (long)HTTP_SIZE_MAX)
		return usage();
	raise_nofile();
	if (files && !(tls = make_tls(files)))
		return 1;
	r = tcp_server_new(&server, &o);
	if (r < 0)
		return fail("server", r);
	site.workers = aligned_alloc(64, tcp_server_workers(server) *
						 sizeof(struct worker));
	r = site.workers ? run(server, &site, listen, tls) : 1;
	tcp_server_free(server);
	tcp_tls_unref(tls);
	free(site.workers);
	return r;
}
