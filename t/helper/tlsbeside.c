/*
 * tlsbeside: a server for the functional tests of TLS.  On the same threads it
 * listens plain, with TLS, and for connections that become TLS after a word
 * (RFC 4217's AUTH TLS); and, with --target, it passes on what comes plain to
 * a TLS server.
 *
 *	GET /N     N bytes, the i-th of which is i % 251
 *	GET /file  the file of --file
 *	GET /info  what is known of the connection's TLS
 *	GET /lag/N how long others of the thread run, measured for N ms
 *	POST /     answers with how many bytes came up to the end
 *
 * The first line of its output names the ports.  Its input is orders:
 * "reload CHAIN:KEY" and "stats"; where that ends, it ends.
 */
#include <core/tcpserver.h>

#include "t/bench/args.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 8 /* certificates, protocols */
#define WORDS_LEN 1024
#define IDLE_MS   60000 /* a connection may keep silent so long */
#define BODY_STEP 65536u
#define LAGS_MAX  10000

static struct {
	struct tcp_server *server;
	struct tcp_tls *tls, *client;
	struct tcp_addr target;
	const char *target_name;
	int file;
	off_t file_size;
	char body[BODY_STEP + 251];
	pthread_mutex_t lock; /* of what follows */
	unsigned unhandled;
	char why[256]; /* the last one was so */
	unsigned relays[TCPSERVER_END_NO_MEMORY + 1];
} here = { .file = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t soon(void)
{
	return tcp_deadline(IDLE_MS);
}

/* Why a connection failed, for "stats". */
static void note_failure(struct tcp_conn *c, int r)
{
	(void)pthread_mutex_lock(&here.lock);
	here.unhandled++;
	(void)snprintf(here.why, sizeof(here.why), "%s: %s",
		       strerrorname_np(-r), tcp_conn_tls_error(c));
	(void)pthread_mutex_unlock(&here.lock);
}

static void unhandled(struct tcp_conn *c, int r, void *ctx)
{
	(void)ctx;
	note_failure(c, r);
}

/* --- HTTP, as far as tests need it -------------------------------------- */

static int say(struct tcp_conn *c, const char *text)
{
	return tcp_conn_write_all(c, text, strlen(text), soon());
}

static int say_head(struct tcp_conn *c, size_t len)
{
	char text[80];

	(void)snprintf(text, sizeof(text),
		       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	return say(c, text);
}

static int say_bytes(struct tcp_conn *c, size_t len)
{
	size_t at = 0;
	int r = say_head(c, len);

	while (r == 0 && at < len) {
		size_t n = len - at < BODY_STEP ? len - at : BODY_STEP;

		r = tcp_conn_write_all(c, here.body + at % 251, n, soon());
		at += n;
	}
	return r;
}

static int say_file(struct tcp_conn *c)
{
	size_t size = (size_t)here.file_size;

	if (say_head(c, size) < 0)
		return -1;
	return tcp_conn_sendfile(c, here.file, 0, size, soon()) == (ssize_t)size
		       ? 0
		       : -1;
}

static int say_info(struct tcp_conn *c)
{
	struct tcp_tls_info i = {
		.cipher = "", .alpn = "", .server_name = "", .peer_name = ""
	};
	char text[1024];

	(void)!tcp_conn_tls_info(c, &i);
	(void)snprintf(text, sizeof(text),
		       "{\"version\": %d, \"cipher\": \"%s\", \"alpn\": \"%s\","
		       " \"server_name\": \"%s\", \"peer_name\": \"%s\","
		       " \"resumed\": %d, \"kernel_sends\": %d,"
		       " \"kernel_receives\": %d, \"worker\": %u}\n",
		       i.version, i.cipher, i.alpn, i.server_name, i.peer_name,
		       i.resumed, i.kernel_sends, i.kernel_receives,
		       tcp_conn_worker(c));
	if (say_head(c, strlen(text)) < 0)
		return -1;
	return say(c, text);
}

static int64_t cpu_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * How much the thread computes between two turns of a handler that wants one
 * every ms.  By the thread's own time, so that other work on the machine is of
 * no account.
 */
static int say_lag(struct tcp_conn *c, long ms)
{
	int64_t *took = calloc(LAGS_MAX, sizeof(*took));
	int64_t end = tcp_deadline(ms);
	char text[200];
	size_t n = 0;
	int r = took ? 0 : -1;

	while (r == 0 && n < LAGS_MAX && tcp_deadline(0) < end) {
		int64_t start = cpu_us();

		r = tcp_sleep(tcp_deadline(1));
		took[n++] = cpu_us() - start;
	}
	if (r == 0) {
		qsort(took, n, sizeof(*took), by_size);
		(void)snprintf(text, sizeof(text),
			       "{\"count\": %zu, \"median\": %" PRId64
			       ", \"p99\": %" PRId64 ", \"max\": %" PRId64
			       "}\n",
			       n, took[n / 2], took[n * 99 / 100], took[n - 1]);
		r = say_head(c, strlen(text));
	}
	free(took);
	return r < 0 ? r : say(c, text);
}

/* What had come with the head counts too. */
static int say_count(struct tcp_conn *c, size_t count)
{
	char bytes[512];
	ssize_t n;

	while ((n = tcp_conn_read(c, bytes, sizeof(bytes), soon())) > 0)
		count += (size_t)n;
	if (n < 0) {
		note_failure(c, (int)n);
		return -1;
	}
	(void)snprintf(bytes, sizeof(bytes), "%zu\n", count);
	if (say_head(c, strlen(bytes)) == 0)
		(void)!say(c, bytes);
	return -1;
}

/* Reads up to `end`; how long that is, 0 at the connection's end. */
static size_t read_until(struct tcp_conn *c, char *to, size_t size,
			 const char *end, size_t *got)
{
	for (*got = 0; *got < size - 1;) {
		ssize_t n = tcp_conn_read(c, to + *got, size - 1 - *got,
					  soon());
		char *at;

		if (n < 0)
			note_failure(c, (int)n);
		if (n <= 0)
			return 0;
		*got += (size_t)n;
		to[*got] = '\0';
		at = strstr(to, end);
		if (at)
			return (size_t)(at - to) + strlen(end);
	}
	return 0;
}

static void serve_http(struct tcp_conn *c, void *ctx)
{
	char text[1024];
	size_t got, len;
	int r = 0;

	(void)ctx;
	while (r == 0 &&
	       (len = read_until(c, text, sizeof(text), "\r\n\r\n", &got))) {
		if (!strncmp(text, "POST ", 5))
			r = say_count(c, got - len);
		else if (!strncmp(text, "GET /info ", 10))
			r = say_info(c);
		else if (!strncmp(text, "GET /lag/", 9))
			r = say_lag(c, strtol(text + 9, NULL, 10));
		else if (!strncmp(text, "GET /file ", 10))
			r = say_file(c);
		else if (!strncmp(text, "GET /", 5))
			r = say_bytes(c, strtoul(text + 5, NULL, 10));
		else
			r = -1;
	}
}

static void serve_upgrade(struct tcp_conn *c, void *ctx)
{
	char text[80];
	size_t got, len;
	int r;

	if (say(c, "220 tlsbeside\r\n") < 0)
		return;
	len = read_until(c, text, sizeof(text), "\r\n", &got);
	/* What came behind it is not ours to believe. */
	if (len == 0 || len != got || strncmp(text, "AUTH TLS", 8) != 0 ||
	    say(c, "234 go\r\n") < 0)
		return;
	r = tcp_conn_start_tls(c, here.tls, NULL, soon());
	if (r < 0)
		note_failure(c, r);
	else
		serve_http(c, ctx);
}

/* --- To a TLS server ---------------------------------------------------- */

static void relay_ended(void *ctx, enum tcp_relay_end end, int error,
			const struct tcp_relay_count *n)
{
	(void)ctx;
	(void)error;
	(void)n;
	(void)pthread_mutex_lock(&here.lock);
	here.relays[end]++;
	(void)pthread_mutex_unlock(&here.lock);
}

static void pass_on(struct tcp_conn *c, void *ctx)
{
	static const struct tcp_relay_events events = { .ended = relay_ended };
	static const struct tcp_dial_options dial = { .nodelay = true };
	const struct tcp_relay_options o = { .events = &events };
	struct tcp_conn *target;
	int r = tcp_dial(&target, &here.target, 1, &dial, NULL, soon());

	(void)ctx;
	if (r < 0) {
		note_failure(c, r);
		return;
	}
	r = tcp_conn_start_tls(target, here.client, here.target_name, soon());
	if (r < 0)
		note_failure(target, r);
	if (r < 0 || tcp_relay_start(c, target, &o, NULL) < 0) {
		tcp_conn_set_reset(c);
		tcp_conn_close(target);
	}
}

/* --- Options ------------------------------------------------------------ */

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "tlsbeside: %s: %s\n", what, why);
	_exit(1);
}

/* The words of a list; they lie in `room`. */
static size_t split(const char *list, const char *by, char room[WORDS_LEN],
		    char *ret[WORDS_MAX])
{
	size_t count = 0;
	char *rest = room, *word;

	(void)snprintf(room, WORDS_LEN, "%s", list ? list : "");
	while (count < WORDS_MAX && (word = strsep(&rest, by)))
		ret[count++] = word;
	return count;
}

static struct tcp_tls *context(const struct tcp_tls_options *o)
{
	struct tcp_tls *t;
	char why[256];

	if (tcp_tls_new(&t, o, why, sizeof(why)) < 0)
		die("TLS", why);
	return t;
}

/* "CHAIN:KEY[:OCSP],..." */
static struct tcp_tls *server_context(int argc, char **argv, const char *files)
{
	struct tcp_tls_certificate certificate[WORDS_MAX];
	const char *alpn = arg_text(argc, argv, "--alpn");
	char *pair[WORDS_MAX], *part[WORDS_MAX][WORDS_MAX];
	char *protocol[WORDS_MAX];
	char all[WORDS_LEN], each[WORDS_MAX][WORDS_LEN], names[WORDS_LEN];
	struct tcp_tls_options o = {
		.certificates = certificate,
		.certificate_count = split(files, ",", all, pair),
		.strict_names = arg_flag(argc, argv, "--strict"),
		.min_version = arg_flag(argc, argv, "--only-1.3")
				       ? TCPSERVER_TLS_1_3
				       : 0,
		.ciphers = arg_text(argc, argv, "--ciphers"),
		.ciphersuites = arg_text(argc, argv, "--ciphersuites"),
		.verify = arg_flag(argc, argv, "--require")
				  ? TCPSERVER_TLS_VERIFY_REQUIRED
			  : arg_flag(argc, argv, "--request")
				  ? TCPSERVER_TLS_VERIFY_OPTIONAL
				  : TCPSERVER_TLS_VERIFY_DEFAULT,
		.ca_file = arg_text(argc, argv, "--ca"),
		.no_tickets = arg_flag(argc, argv, "--no-tickets"),
		.allow_truncation = arg_flag(argc, argv, "--truncation"),
	};

	for (size_t i = 0; i < o.certificate_count; i++) {
		size_t n = split(pair[i], ":", each[i], part[i]);

		certificate[i] = (struct tcp_tls_certificate){
			.chain_file = part[i][0],
			.key_file = n > 1 ? part[i][1] : NULL,
			.ocsp_file = n > 2 ? part[i][2] : NULL,
		};
	}
	if (alpn) {
		o.alpn_count = split(alpn, ",", names, protocol);
		o.alpn = (const char *const *)protocol;
	}
	return context(&o);
}

static struct tcp_tls *client_context(int argc, char **argv)
{
	return context(&(struct tcp_tls_options){
		.client = true,
		.ca_file = arg_text(argc, argv, "--target-ca"),
	});
}

static void open_file(const char *path)
{
	if (!path)
		return;
	here.file = open(path, O_RDONLY | O_CLOEXEC);
	here.file_size = here.file < 0 ? -1 : lseek(here.file, 0, SEEK_END);
	if (here.file_size < 0)
		die(path, strerror(errno));
}

/* --- The server --------------------------------------------------------- */

static struct tcp_listener *listen_for(const char *name, tcp_handler *handler,
				       struct tcp_tls *tls, long handshake_ms)
{
	const struct tcp_listen_options o = { .nodelay = true,
					      .tls = tls,
					      .tls_handshake_ms = handshake_ms,
					      .unhandled = unhandled };
	struct tcp_listener *l;
	int r = tcp_server_listen_text(here.server, "127.0.0.1:0", &o, handler,
				       NULL, &l);

	if (r < 0)
		die(name, strerror(-r));
	(void)printf("%s=%u ", name, tcp_listener_addr(l)->port);
	return l;
}

static void show_stats(void)
{
	struct tcp_server_stats s;

	tcp_server_stats(here.server, &s);
	(void)pthread_mutex_lock(&here.lock);
	(void)printf("{\"accepted\": %zu, \"active\": %zu, \"rejected\": %zu, "
		     "\"tasks\": %zu, \"relays\": %zu, \"unhandled\": %u, "
		     "\"why\": \"%s\", \"closed\": %u, \"broken_a\": %u, "
		     "\"broken_b\": %u}\n",
		     (size_t)s.accepted, (size_t)s.active, (size_t)s.rejected,
		     (size_t)s.tasks, (size_t)s.relays, here.unhandled,
		     here.why, here.relays[TCPSERVER_END_CLOSED],
		     here.relays[TCPSERVER_END_BROKEN_A],
		     here.relays[TCPSERVER_END_BROKEN_B]);
	(void)pthread_mutex_unlock(&here.lock);
}

static void obey(struct tcp_listener *secure, int argc, char **argv)
{
	char line[1024];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "reload ", 7)) {
			struct tcp_tls *t = server_context(argc, argv,
							   line + 7);

			tcp_listener_set_tls(secure, t);
			tcp_tls_unref(t);
			(void)printf("reloaded\n");
		} else if (!strcmp(line, "stats")) {
			show_stats();
		}
		(void)fflush(stdout);
	}
}

static void start(int argc, char **argv)
{
	const struct tcp_server_options o = {
		.workers = (unsigned)arg_number(argc, argv, "--workers", 1),
		.max_tls_handshakes = (size_t)arg_number(argc, argv,
							 "--max-handshakes", 0),
		.thread_name = "tlsbeside",
	};
	int r = tcp_server_new(&here.server, &o);

	if (r < 0)
		die("server", strerror(-r));
	for (size_t i = 0; i < sizeof(here.body); i++)
		here.body[i] = (char)(i % 251);
	open_file(arg_text(argc, argv, "--file"));
}

int main(int argc, char **argv)
{
	const char *files = arg_text(argc, argv, "--cert");
	const char *target = arg_text(argc, argv, "--target");
	long ms = arg_number(argc, argv, "--handshake-ms", 0);
	struct tcp_listener *secure;
	int r;

	if (!files)
		die("--cert", "is missing");
	start(argc, argv);
	here.tls = server_context(argc, argv, files);
	(void)listen_for("plain", serve_http, NULL, 0);
	secure = listen_for("tls", serve_http, here.tls, ms);
	(void)listen_for("upgrade", serve_upgrade, NULL, 0);
	if (target) {
		if (tcp_addr_parse(&here.target, target, -1) < 0)
			die(target, "no address");
		here.target_name = arg_text(argc, argv, "--target-name");
		here.client = client_context(argc, argv);
		(void)listen_for("relay", pass_on, NULL, 0);
	}
	r = tcp_server_start(here.server);
	if (r < 0)
		die("start", strerror(-r));
	(void)printf("\n");
	(void)fflush(stdout);
	obey(secure, argc, argv);
	(void)tcp_server_shutdown(here.server, 1000);
	show_stats();
	tcp_server_free(here.server);
	tcp_tls_unref(here.tls);
	tcp_tls_unref(here.client);
	return 0;
}
