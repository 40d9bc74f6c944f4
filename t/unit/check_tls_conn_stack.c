/*
 * How deep handshakes go into a task's stack, and how deep OpenSSL would: half
 * of it at most, so that a handler may call OpenSSL by itself, and there is as
 * much left for one that goes deeper.
 */
#include "core/stack.h"
#include "core/tls_conn.h"
#include "t/unit/stack_depth.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST (STACK_BYTES / 2)

static struct tcp_tls *client_context, *server_context;
static enum tls_files_key key;
static size_t deepest;

static void shake(void *arg)
{
	struct handshake *h = arg;

	ck_assert_int_eq(tcp_conn_start_tls(h->c, h->context, h->name,
					    deadline_in(SOON_MS)),
			 0);
}

static void note(const char *what, size_t depth)
{
	static const char *const names[] = { "P-256", "RSA", "Ed25519" };

	printf("  %-8s %-34s %6zu bytes\n", names[key], what, depth);
	ck_assert_uint_le(depth, MOST);
	if (depth > deepest)
		deepest = depth;
}

/* One end's handshake, while the other's runs in a task of its own. */
static size_t depth_of(bool server, struct tls_pair *p)
{
	struct handshake here, there;
	size_t depth;

	tls_pair_connect(p, 0);
	here = (struct handshake){
		.c = server ? p->server : p->client,
		.context = server ? server_context : client_context,
		.name = server ? NULL : "a.test",
	};
	handshake_start(&there, server ? p->client : p->server,
			server ? client_context : server_context,
			server ? "a.test" : NULL);
	depth = stack_depth(shake, &here);
	ck_assert_int_eq(handshake_finish(&there), 0);
	return depth;
}

/* The server's end without our library, which has it on the loop's stack. */
static void shake_by_itself(void *arg)
{
	struct tcp_conn *c = arg;
	SSL *ssl = SSL_new(tls_ssl_ctx(server_context));

	ck_assert_ptr_nonnull(ssl);
	ck_assert_int_eq(SSL_set_fd(ssl, tcp_conn_fd(c)), 1);
	while (SSL_accept(ssl) != 1) {
		ck_assert(SSL_want_read(ssl));
		nap(1);
	}
	ck_assert_int_eq(SSL_shutdown(ssl), 0);
	SSL_free(ssl);
}

static size_t depth_of_openssl(void)
{
	struct handshake there;
	struct tls_pair p;
	size_t depth;

	tls_pair_connect(&p, 0);
	handshake_start(&there, p.client, client_context, "a.test");
	depth = stack_depth(shake_by_itself, p.server);
	ck_assert_int_eq(handshake_finish(&there), 0);
	tls_pair_close(&p);
	return depth;
}

static void use_it(void *arg)
{
	struct tls_pair *p = arg;

	conn_send(p->client, 0, 1000);
	conn_expect(p->server, 0, 1000);
	conn_send(p->server, 0, 1000);
	conn_expect(p->client, 0, 1000);
}

static void measure(void)
{
	struct tcp_tls_info i;
	struct tls_pair p;

	note("server", depth_of(true, &p));
	ck_assert_int_eq(tcp_conn_tls_info(p.server, &i), 0);
	ck_assert_str_eq(i.peer_name, "alice");
	note("reading and writing", stack_depth(use_it, &p));
	tls_pair_close(&p);
	note("client", depth_of(false, &p));
	tls_pair_close(&p);
	note("server, OpenSSL by itself", depth_of_openssl());
}

/* Both show a certificate that an intermediate signed, and verify the chain
 * against revocation lists. */
static void make_contexts(int version)
{
	struct tcp_tls_certificate of_server = TLS_FILES(.key = key,
							 .issuer = TLS_MIDDLE,
							 .san = "DNS:a.test");
	struct tcp_tls_certificate of_client = TLS_FILES(.key = key,
							 .issuer = TLS_MIDDLE,
							 .cn = "alice");
	const char *crl = tls_files_crl((unsigned[]){ 99, 0 },
					(unsigned[]){ 98, 0 });
	struct tcp_tls_options o = { .certificates = &of_server,
				     .certificate_count = 1,
				     .verify = TCPSERVER_TLS_VERIFY_REQUIRED,
				     .ca_file = tls_files_root(),
				     .crl_file = crl };

	server_context = tls_files_server(&o);
	o.certificates = &of_client;
	client_context = tls_files_client(&o);
	ck_assert(SSL_CTX_set_max_proto_version(tls_ssl_ctx(client_context),
						version));
}

START_TEST(handshakes_take_half_of_a_stack_at_most)
{
	printf("TLS 1.%d, chains verified on both sides:\n",
	       _i - TCPSERVER_TLS_1_2 + 2);
	for (key = TLS_P256; key <= TLS_ED25519; key++) {
		make_contexts(_i);
		on_loop(measure, NULL);
		tcp_tls_unref(server_context);
		tcp_tls_unref(client_context);
	}
	printf("deepest: %zu of %u bytes\n", deepest, STACK_BYTES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn_stack");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	add_for_versions(t, handshakes_take_half_of_a_stack_at_most);
	suite_add_tcase(s, t);
	return run_suite(s);
}
