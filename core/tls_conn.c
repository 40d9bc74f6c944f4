/*
 * TLS of a connection from its handshake to what is known of it after.
 */
#include "core/tls_conn.h"

#include "core/carried.h"
#include "core/tls_bio.h"
#include "core/tls_turn.h"

#include <stdlib.h>
#include <string.h>

/* Made when somebody asks: most connections are not asked about. */
struct tls_texts {
	char alpn[256]; /* RFC 7301 §3.1 */
	char peer_name[TLS_PEER_NAME_SIZE];
};

/* --- Beginning ---------------------------------------------------------- */

static void set_up(struct tcp_conn *c, SSL *ssl)
{
	struct tls_conn *t = c->tls;

	/* One read for a record, not one for its head and one for the rest. */
	SSL_set_read_ahead(ssl, 1);
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
	if (tls_allows_truncation(t->context))
		SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_set_msg_callback(ssl, tls_count_message);
	SSL_set_msg_callback_arg(ssl, c);
	if (tls_is_client(t->context))
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
}

/* What was made is freed when the connection is closed. */
static int begin(struct tcp_conn *c, struct tcp_tls *context, const char *name)
{
	struct tls_conn *t = calloc(1, sizeof(*t));
	BIO *b;

	if (!t)
		return -ENOMEM;
	t->context = tcp_tls_ref(context);
	c->tls = t;
	c->ops = &conn_tls_ops;
	c->splice_in = c->splice_out = false;
	tls_forget_errors();
	t->ssl = SSL_new(tls_ssl_ctx(context));
	b = t->ssl ? tls_bio_new(c) : NULL;
	if (!b) {
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_bio(t->ssl, b, b);
	set_up(c, t->ssl);
	return tls_is_client(context) ? tls_set_name(t->ssl, context, name) : 0;
}

/* --- Handshake ---------------------------------------------------------- */

/*
 * All steps may sign, agree on a key or verify, but the last one of a TLS 1.3
 * server that asks for no certificate.  It is let through: what was begun is
 * better finished before more is begun.
 */
static bool is_heavy(const SSL *ssl)
{
	return SSL_get_state(ssl) != TLS_ST_EARLY_DATA ||
	       SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER;
}

struct handshake {
	SSL *ssl;
	int result;
};

static void do_handshake(void *arg)
{
	struct handshake *h = arg;

	h->result = SSL_do_handshake(h->ssl);
}

static int step(struct tcp_conn *c, bool *wants_out, int64_t deadline)
{
	struct handshake h = { .ssl = c->tls->ssl };
	bool heavy = is_heavy(h.ssl);
	int r = heavy ? tls_turn_take(deadline) : 0;

	if (r < 0)
		return r;
	tls_forget_errors();
	task_call(do_handshake, &h);
	if (heavy)
		tls_turn_over();
	if (h.result == 1)
		return 0;
	r = tls_outcome(c, h.result, wants_out);
	return r == 0 ? -ECONNRESET : r; /* an end is none in order here */
}

static int shake_hands(struct tcp_conn *c, int64_t deadline)
{
	bool wants_out = tls_is_client(c->tls->context);
	int r;

	do {
		uint32_t bits = wants_out ? CONN_WRITABLE : CONN_READABLE;

		/* Who has to wait for the peer takes nobody's turn. */
		while (!(c->watch.ready & bits)) {
			r = conn_wait(c, bits, deadline);
			if (r < 0)
				return r;
		}
		r = step(c, &wants_out, deadline);
	} while (r == -EAGAIN);
	return r;
}

/*
 * What OpenSSL keeps is then an empty shell, of a type that does not look into
 * the key to say how long it is.
 */
static void drop_key(EVP_PKEY *key)
{
	(void)EVP_PKEY_set_type(key, EVP_PKEY_X25519);
	EVP_PKEY_free(key);
}

/*
 * OpenSSL keeps the keys that were agreed with as long as the connection.  No
 * message needs them any more, and whoever reads this memory some day is not
 * to decrypt by them what was said before.
 */
static void drop_ephemeral_keys(SSL *ssl)
{
	EVP_PKEY *key;

	if (SSL_get_peer_tmp_key(ssl, &key))
		drop_key(key);
	if (SSL_get_tmp_key(ssl, &key))
		drop_key(key);
	tls_forget_errors();
}

static void established(struct tcp_conn *c)
{
	struct tls_conn *t = c->tls;

	drop_ephemeral_keys(t->ssl);
	t->established = true;
	c->splice_in = t->kernel_in;
	c->splice_out = t->kernel_out;
	c->pending = SSL_has_pending(t->ssl);
}

int tcp_conn_start_tls(struct tcp_conn *c, struct tcp_tls *t, const char *name,
		       int64_t deadline)
{
	struct net *n = net_self();
	int r;

	if (c->tls)
		return -EISCONN;
	if (n->tls_max && n->tls_now >= n->tls_max)
		return -EBUSY;
	n->tls_now++;
	r = begin(c, t, name);
	if (r == 0)
		r = shake_hands(c, deadline);
	n->tls_now--;
	if (n->usage)
		count_add(r == 0 ? &n->usage->tls_handshakes
				 : &n->usage->tls_failures,
			  1);
	if (r == 0)
		established(c);
	else if (c->tls && !c->tls->failed)
		tls_fail(c, r, NULL);
	return r;
}

/* --- What is known ------------------------------------------------------ */

static int make_texts(struct tls_conn *t)
{
	const unsigned char *alpn;
	unsigned len;

	if (t->texts)
		return 0;
	t->texts = calloc(1, sizeof(*t->texts));
	if (!t->texts)
		return -ENOMEM;
	SSL_get0_alpn_selected(t->ssl, &alpn, &len);
	if (alpn)
		memcpy(t->texts->alpn, alpn,
		       min_size(len, sizeof(t->texts->alpn) - 1));
	tls_peer_name(t->ssl, t->texts->peer_name, sizeof(t->texts->peer_name));
	return 0;
}

/* That of a stream is its connection's. */
static struct tls_conn *tls_of(const struct tcp_conn *c)
{
	c = conn_with_socket(c);
	return c && !c->silent && c->tls && c->tls->established ? c->tls : NULL;
}

bool tls_speaks(const struct tcp_conn *c, const char *protocol)
{
	const struct tls_conn *t = tls_of(c);
	const unsigned char *alpn;
	unsigned len;

	if (!t)
		return false;
	SSL_get0_alpn_selected(t->ssl, &alpn, &len);
	return len == strlen(protocol) && memcmp(alpn, protocol, len) == 0;
}

int tcp_conn_tls_info(struct tcp_conn *c, struct tcp_tls_info *ret)
{
	struct tls_conn *t = tls_of(c);
	const char *asked;
	int r;

	if (!t)
		return -ENOTCONN;
	r = make_texts(t);
	if (r < 0)
		return r;
	asked = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	*ret = (struct tcp_tls_info){
		.version = SSL_version(t->ssl),
		.cipher = SSL_get_cipher_name(t->ssl),
		.alpn = t->texts->alpn,
		.server_name = asked ? asked : "",
		.peer_name = t->texts->peer_name,
		.resumed = SSL_session_reused(t->ssl),
		.kernel_sends = t->kernel_out,
		.kernel_receives = t->kernel_in,
	};
	return 0;
}

const char *tcp_conn_tls_error(const struct tcp_conn *c)
{
	if (c->silent || !c->tls || !c->tls->error)
		return "";
	return c->tls->error;
}
