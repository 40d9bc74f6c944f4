/*
 * A TLS connection without sockets.
 */
#include "t/unit/tls_talk.h"

#include <check.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

void tls_talk_open(struct tls_talk *p, SSL_CTX *server, SSL_CTX *client)
{
	BIO *near, *far;

	memset(p, 0, sizeof(*p));
	p->server = SSL_new(server);
	p->client = SSL_new(client);
	ck_assert_ptr_nonnull(p->server);
	ck_assert_ptr_nonnull(p->client);
	ck_assert_int_eq(BIO_new_bio_pair(&near, 0, &far, 0), 1);
	SSL_set_bio(p->server, near, near);
	SSL_set_bio(p->client, far, far);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
}

void tls_talk_close(struct tls_talk *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

/* Tells whether the call has succeeded; notes why if it never will. */
static bool note(struct tls_talk *p, SSL *ssl, int r, char *error, size_t size)
{
	int kind = r > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, r);

	if (kind == SSL_ERROR_NONE)
		return true;
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return false;
	tls_failure_text(ssl, error, size);
	p->failed = true;
	return false;
}

static bool step_client(struct tls_talk *p, int (*call)(SSL *ssl))
{
	ERR_clear_error();
	return *p->client_error ||
	       note(p, p->client, call(p->client), p->client_error,
		    sizeof(p->client_error));
}

static bool step_server(struct tls_talk *p, int (*call)(SSL *ssl))
{
	ERR_clear_error();
	return *p->server_error ||
	       note(p, p->server, call(p->server), p->server_error,
		    sizeof(p->server_error));
}

static int write_byte(SSL *ssl)
{
	return SSL_write(ssl, "x", 1);
}

static int read_byte(SSL *ssl)
{
	char byte;

	return SSL_read(ssl, &byte, 1);
}

/* Both sides in turn until each has succeeded or failed. */
static bool run(struct tls_talk *p, int (*at_client)(SSL *ssl),
		int (*at_server)(SSL *ssl))
{
	bool client = false, server = false;

	for (int i = 0; i < 20 && !(client && server); i++) {
		client = client || step_client(p, at_client);
		server = server || step_server(p, at_server);
	}
	return client && server && !p->failed;
}

bool tls_talk_shake(struct tls_talk *p)
{
	return run(p, SSL_do_handshake, SSL_do_handshake) &&
	       run(p, write_byte, read_byte) && run(p, read_byte, write_byte);
}

SSL_SESSION *tls_talk_session(struct tls_talk *p)
{
	SSL_SESSION *session = SSL_get1_session(p->client);

	(void)SSL_shutdown(p->client);
	(void)SSL_shutdown(p->server);
	return session;
}

SSL_CTX *tls_plain_client(int max)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	ck_assert_ptr_nonnull(ctx);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(ctx, max), 1);
	return ctx;
}

bool tls_talk_meet(struct tls_talk *p, SSL_CTX *server, SSL_CTX *client,
		   const char *name)
{
	tls_talk_open(p, server, client);
	if (name)
		ck_assert_int_eq(SSL_set_tlsext_host_name(p->client, name), 1);
	return tls_talk_shake(p);
}

static void first_dns_name(const X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name,
						NULL, NULL);
	int type;
	const ASN1_STRING *text;

	if (sk_GENERAL_NAME_num(names) > 0) {
		text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0),
					       &type);
		(void)snprintf(out, size, "%s", ASN1_STRING_get0_data(text));
	}
	GENERAL_NAMES_free(names);
}

const char *tls_talk_shown(const struct tls_talk *p)
{
	static char name[256];
	const X509 *cert = SSL_get0_peer_certificate(p->client);

	name[0] = '\0';
	if (cert &&
	    X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
				      NID_commonName, name, sizeof(name)) < 0)
		first_dns_name(cert, name, sizeof(name));
	return name;
}
