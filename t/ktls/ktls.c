/*
 * Making such tunnels, and counting what passes them outside of user space.
 */
#include "t/ktls/ktls.h"

#include "core/relay.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

/* --- Counting ----------------------------------------------------------- */

#define FDS 64
static size_t taken[FDS], given[FDS]; /* by descriptor */

static void count(size_t *bytes, int fd, ssize_t n)
{
	if (n > 0 && fd < FDS)
		bytes[fd] += (size_t)n;
}

/* In the place of the C library's. */
ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t len,
	       unsigned flags)
{
	ssize_t n = syscall(SYS_splice, from, from_at, to, to_at, len, flags);

	count(taken, from, n);
	count(given, to, n);
	return n;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t len)
{
	ssize_t n = syscall(SYS_sendfile, to, from, offset, len);

	count(given, to, n);
	return n;
}

size_t ktls_taken(int fd)
{
	return taken[fd];
}

size_t ktls_given(int fd)
{
	return given[fd];
}

/* --- Variants ----------------------------------------------------------- */

static const struct variant {
	const char *cipher, *suite;
	int version;
	bool client; /* our side is the client */
} variants[KTLS_VARIANTS] = {
	{ .version = TCPSERVER_TLS_1_2,
	  .cipher = "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ .version = TCPSERVER_TLS_1_2,
	  .cipher = "ECDHE-ECDSA-AES256-GCM-SHA384",
	  .client = true },
	{ .version = TCPSERVER_TLS_1_2,
	  .cipher = "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{ .version = TCPSERVER_TLS_1_3, .suite = "TLS_AES_128_GCM_SHA256" },
	{ .version = TCPSERVER_TLS_1_3,
	  .suite = "TLS_AES_256_GCM_SHA384",
	  .client = true },
	{ .version = TCPSERVER_TLS_1_3,
	  .suite = "TLS_CHACHA20_POLY1305_SHA256" },
};

static const struct variant *v;
struct tcp_tls *ktls_our_context, *ktls_their_context;

void ktls_run(int variant, void (*body)(void))
{
	struct tcp_tls_options o = { 0 };

	v = &variants[variant];
	o.ciphers = v->cipher;
	o.ciphersuites = v->suite;
	ktls_our_context = v->client ? tls_files_client(&o)
				     : tls_files_server(&o);
	o.no_ktls = true;
	ktls_their_context = v->client ? tls_files_server(&o)
				       : tls_files_client(&o);
	on_loop_tls(v->version, body, NULL);
	tcp_tls_unref(ktls_our_context);
	tcp_tls_unref(ktls_their_context);
}

void ktls_add(TCase *t, const TTest *test)
{
	tcase_add_loop_test(t, test, 0, KTLS_VARIANTS);
}

/* --- Tunnels ------------------------------------------------------------ */

void ktls_connect(struct ktls *k, int buffer)
{
	tunnel_connect(&k->t, buffer);
	tunnel_nodelay(&k->t);
	k->ours = k->t.side[v->client];
	k->theirs = v->client ? k->t.target : k->t.client;
	k->plain = v->client ? k->t.client : k->t.target;
	k->other = k->t.side[!v->client];
	k->broken = v->client ? TCPSERVER_END_BROKEN_B : TCPSERVER_END_BROKEN_A;
	k->fd = tcp_conn_fd(k->ours);
	ck_assert_int_lt(k->fd, FDS);
	taken[k->fd] = given[k->fd] = 0;
}

static void check_offload(struct ktls *k)
{
	struct tcp_tls_info i;

	ck_assert_int_eq(tcp_conn_tls_info(k->theirs, &i), 0);
	ck_assert(!i.kernel_sends && !i.kernel_receives);
	ck_assert_int_eq(tcp_conn_tls_info(k->ours, &i), 0);
	ck_assert_str_eq(i.cipher, v->cipher ? v->cipher : v->suite);
	ck_assert(i.kernel_sends);
	k->receives = i.kernel_receives;
	/* Of TLS 1.3 OpenSSL 3.2 is the first that lets it receive. */
	if (v->version == TCPSERVER_TLS_1_2)
		ck_assert(k->receives);
	else if (OPENSSL_VERSION_NUMBER < 0x30200000L)
		ck_assert(!k->receives);
}

void ktls_secure(struct ktls *k, int buffer)
{
	struct tls_pair p;
	int result[2];

	ktls_connect(k, buffer);
	p.client = v->client ? k->ours : k->theirs;
	p.server = v->client ? k->theirs : k->ours;
	tls_pair_begin(&p, v->client ? ktls_our_context : ktls_their_context,
		       v->client ? ktls_their_context : ktls_our_context,
		       result);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	check_offload(k);
}

void ktls_open(struct ktls *k, int buffer)
{
	ktls_secure(k, buffer);
	ktls_start(k);
}

void ktls_start(struct ktls *k)
{
	static const struct tcp_relay_options o = {
		.mode = TCPSERVER_RELAY_SPLICE
	};

	tunnel_start(&k->t, &o);
}

/* --- Ends --------------------------------------------------------------- */

void ktls_shut(struct tcp_conn *c)
{
	ck_assert_int_eq(tcp_conn_shutdown(c, deadline_in(SOON_MS)), 0);
}

void ktls_drop(struct ktls *k, struct tcp_conn *end)
{
	tunnel_drop(end == k->t.client ? &k->t.client : &k->t.target, true);
}

void ktls_end(struct ktls *k)
{
	ktls_shut(k->theirs);
	ktls_shut(k->plain);
	conn_expect_end(k->plain);
	conn_expect_end(k->theirs);
	tunnel_expect(&k->t, TCPSERVER_END_CLOSED);
	tunnel_close(&k->t);
}

void ktls_close(struct ktls *k)
{
	tcp_conn_close(k->ours);
	tcp_conn_close(k->other);
	tunnel_close(&k->t);
}
