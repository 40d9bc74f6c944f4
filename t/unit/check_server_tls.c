/*
 * Listeners with TLS: who is served, what becomes of those with whom the
 * handshake fails, and another context for those who come.
 */
#include "core/tcpserver.h"

#include "core/addr.h"
#include "core/bytes.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/unix_place.h"

#include <check.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct tcp_tls *first, *second; /* shown as first.test, second.test */

static struct tcp_tls *called(const char *san)
{
	struct tcp_tls_certificate c = TLS_FILES(.san = san);
	struct tcp_tls_options o = { .certificates = &c,
				     .certificate_count = 1 };

	return tls_files_server(&o);
}

static void setup(void)
{
	unix_place_setup();
	first = called("DNS:first.test");
	second = called("DNS:second.test");
}

static void teardown(void)
{
	tcp_tls_unref(first);
	tcp_tls_unref(second);
	unix_place_teardown();
}

/* --- Clients ------------------------------------------------------------ */

struct client {
	int fd;
	SSL *ssl;
};

static SSL_CTX *client_ctx;

static struct client tls_over(int fd)
{
	struct client c = { .fd = fd };

	/* One that verifies nothing. */
	if (!client_ctx)
		client_ctx = SSL_CTX_new(TLS_client_method());
	c.ssl = SSL_new(client_ctx);
	ck_assert_int_eq(SSL_set_fd(c.ssl, fd), 1);
	return c;
}

static struct client secure_to(const struct tcp_addr *a)
{
	struct client c = tls_over(tcp_connected(a));

	ck_assert_int_eq(SSL_connect(c.ssl), 1);
	return c;
}

static void ask_tls(struct client *c)
{
	char byte = 'q';

	ck_assert_int_eq(SSL_write(c->ssl, &byte, 1), 1);
	byte = 0;
	ck_assert_int_eq(SSL_read(c->ssl, &byte, 1), 1);
	ck_assert_int_eq(byte, 'q');
}

static void leave(struct client *c)
{
	(void)SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	close_fd(&c->fd);
}

static bool shows(const struct client *c, const char *name)
{
	X509 *x = SSL_get1_peer_certificate(c->ssl);
	int r = X509_check_host(x, name, 0, 0, NULL);

	X509_free(x);
	return r == 1;
}

static void forget_client_ctx(void)
{
	SSL_CTX_free(TAKE_PTR(client_ctx));
}

/* --- Servers ------------------------------------------------------------ */

static atomic_uint unhandled, errors_told;
static _Atomic int unhandled_error;

static void note_unhandled(struct tcp_conn *c, int r, void *ctx UNUSED)
{
	if (*tcp_conn_tls_error(c))
		errors_told++;
	unhandled_error = r;
	unhandled++;
}

static void handle_secure(struct tcp_conn *c, void *ctx)
{
	struct tcp_tls_info info;

	ck_assert_int_eq(tcp_conn_tls_info(c, &info), 0);
	ck_assert_int_ge(info.version, TCPSERVER_TLS_1_2);
	handle_echo(c, ctx);
}

static struct tcp_addr secure_server(unsigned workers, int64_t first_byte_ms,
				     int64_t tls_handshake_ms)
{
	struct tcp_server_options o = { .workers = workers };
	struct tcp_listen_options lo = { .tls = first,
					 .first_byte_ms = first_byte_ms,
					 .tls_handshake_ms = tls_handshake_ms,
					 .unhandled = note_unhandled };

	return served_start(&o, &lo, handle_secure, NULL);
}

static void unhandled_with(int r)
{
	served_until(active, 0);
	ck_assert_uint_eq(unhandled, 1);
	ck_assert_int_eq(unhandled_error, r);
}

/* --- Serving ------------------------------------------------------------ */

START_TEST(the_handler_starts_after_the_handshake)
{
	struct tcp_addr a = secure_server(2, 0, 0);
	struct client c[10];

	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = secure_to(&a);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		ask_tls(&c[i]);
		ck_assert(shows(&c[i], "first.test"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		leave(&c[i]);
	served_until(active, 0);
	ck_assert_uint_eq(unhandled, 0);
	served_stop();
}
END_TEST

START_TEST(the_listener_keeps_its_context_by_itself)
{
	struct tcp_addr a = secure_server(2, SOON_MS, 0);
	struct client c;

	tcp_tls_unref(TAKE_PTR(first));
	c = secure_to(&a);
	ask_tls(&c);
	leave(&c);
	served_stop();
}
END_TEST

START_TEST(a_unix_socket_may_be_secure_too)
{
	struct tcp_listen_options lo = { .tls = first };
	const char *path = unix_path("s");
	struct client c;

	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	ck_assert_int_eq(tcp_server_listen_unix(served, path, &lo,
						handle_secure, NULL, NULL),
			 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	c = tls_over(unix_connected(path));
	ck_assert_int_eq(SSL_connect(c.ssl), 1);
	ask_tls(&c);
	leave(&c);
	served_stop();
}
END_TEST

/* --- Who does not get that far ------------------------------------------ */

static void stay_silent(int64_t first_byte_ms, int64_t tls_handshake_ms)
{
	struct tcp_addr a = secure_server(1, first_byte_ms, tls_handshake_ms);
	int fd = tcp_connected(&a);
	struct tcp_server_stats stats;

	served_until(active, 1);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.tasks, 0);
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
	unhandled_with(-ETIMEDOUT);
	ck_assert_uint_eq(errors_told, 0);
	served_stop();
}

START_TEST(who_is_silent_costs_no_task)
{
	stay_silent(60, 100000);
}
END_TEST

START_TEST(nor_where_nobody_spoke_of_a_first_byte)
{
	stay_silent(0, 60);
}
END_TEST

/* The head of a record that does not come. */
static const char half[] = "\x16\x03\x01\x02\x00\x01\x00";

START_TEST(a_handshake_has_its_time)
{
	struct tcp_addr a = secure_server(1, SOON_MS, 80);
	int fd = tcp_connected(&a);

	ck_assert_int_eq(send(fd, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	served_until(tasks, 1);
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	close_fd(&fd);
	unhandled_with(-ETIMEDOUT);
	served_stop();
}
END_TEST

START_TEST(who_speaks_something_else_gets_an_alert)
{
	struct tcp_addr a = secure_server(1, SOON_MS, 0);
	/* A record with a message that does not come first. */
	static const char request[] = "\x16\x03\x01\x00\x04\x0e\x00\x00\x00";
	int fd = tcp_connected(&a);
	char alert[16];

	ck_assert_int_eq(send(fd, request, sizeof(request) - 1, 0),
			 sizeof(request) - 1);
	await(fd, POLLIN);
	ck_assert_int_eq(recv(fd, alert, sizeof(alert), 0), 7);
	ck_assert_int_eq(alert[0], SSL3_RT_ALERT);
	(void)ended_how(fd);
	close_fd(&fd);
	unhandled_with(-EPROTO);
	ck_assert_uint_eq(errors_told, 1);
	served_stop();
}
END_TEST

START_TEST(who_leaves_in_the_middle_is_told_of)
{
	struct tcp_addr a = secure_server(1, SOON_MS, 0);
	int fd = tcp_connected(&a);

	ck_assert_int_eq(send(fd, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
	unhandled_with(-ECONNRESET);
	served_stop();
}
END_TEST

START_TEST(more_handshakes_at_once_than_wanted_are_reset)
{
	struct tcp_server_options o = { .workers = 1, .max_tls_handshakes = 2 };
	struct tcp_listen_options lo = { .tls = first,
					 .unhandled = note_unhandled };
	struct tcp_addr a = served_start(&o, &lo, handle_secure, NULL);
	struct client c;
	int fd[3];

	for (uint64_t i = 0; i < 2; i++) {
		fd[i] = tcp_connected(&a);
		ck_assert_int_eq(send(fd[i], half, sizeof(half) - 1, 0),
				 sizeof(half) - 1);
		served_until(tasks, i + 1);
	}
	fd[2] = tcp_connected(&a);
	ck_assert_int_eq(send(fd[2], half, sizeof(half) - 1, 0),
			 sizeof(half) - 1);
	ck_assert_int_eq(ended_how(fd[2]), ECONNRESET);
	ck_assert_uint_eq(unhandled, 1);
	ck_assert_int_eq(unhandled_error, -EBUSY);
	/* One that leaves makes room. */
	close_fd(&fd[0]);
	served_until(active, 1);
	c = secure_to(&a);
	ask_tls(&c);
	leave(&c);
	close_fd(&fd[1]);
	close_fd(&fd[2]);
	served_stop();
}
END_TEST

START_TEST(the_end_of_the_server_cuts_handshakes)
{
	struct tcp_addr a = secure_server(2, 0, 0);
	struct client c = secure_to(&a);
	int fd = tcp_connected(&a);

	ask_tls(&c);
	ck_assert_int_eq(send(fd, half, sizeof(half) - 1, 0), sizeof(half) - 1);
	served_until(tasks, 2);
	ck_assert_uint_eq(tcp_server_shutdown(served, 0), 2);
	ck_assert_int_eq(ended_how(fd), ECONNRESET);
	close_fd(&fd);
	unhandled_with(-ECANCELED);
	leave(&c);
	served_stop();
}
END_TEST

static atomic_uint cleared;

static void user_reset(void *user UNUSED, void *ctx UNUSED)
{
	cleared++;
}

START_TEST(a_failure_counts_as_served_and_gives_its_block_back)
{
	struct tcp_server_options o = { .workers = 2, .max_accepts = 1 };
	struct tcp_listen_options lo = { .tls = first,
					 .user_bytes = 10,
					 .user_reset = user_reset,
					 .unhandled = note_unhandled };
	struct tcp_addr a = served_start(&o, &lo, handle_secure, NULL);
	int fd = tcp_connected(&a);

	ck_assert_int_eq(send(fd, "hello\n", 6, 0), 6);
	ck_assert_int_eq(tcp_server_run(served), 0);
	close_fd(&fd);
	unhandled_with(-EPROTO);
	ck_assert_uint_eq(cleared, 1);
	served_stop();
}
END_TEST

/* --- Another context ---------------------------------------------------- */

START_TEST(new_connections_of_all_workers_get_the_new_context)
{
	struct tcp_addr a = secure_server(4, 0, 0);
	struct client old = secure_to(&a);

	ask_tls(&old);
	for (int round = 0; round < 3; round++) {
		const char *name = round % 2 ? "first.test" : "second.test";

		tcp_listener_set_tls(served_listener,
				     round % 2 ? first : second);
		for (int i = 0; i < 16; i++) {
			struct client c = secure_to(&a);

			ck_assert(shows(&c, name));
			ask_tls(&c);
			leave(&c);
		}
		ask_tls(&old);
	}
	ck_assert(shows(&old, "first.test"));
	leave(&old);
	served_until(active, 0);
	ck_assert_uint_eq(unhandled, 0);
	served_stop();
}
END_TEST

START_TEST(who_is_in_the_handshake_keeps_the_old_one)
{
	struct tcp_addr a = secure_server(1, SOON_MS, 0);
	struct client c = tls_over(tcp_connected(&a));
	int pair[2], hello_len;
	char hello[2048];

	/* The first message is made, and half of it sent. */
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(SSL_set_fd(c.ssl, pair[0]), 1);
	ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
	ck_assert_int_le(SSL_connect(c.ssl), 0);
	ck_assert_int_gt(recv(pair[1], hello, sizeof(hello), 0), 100);
	hello_len = 5 + get_be16((uint8_t *)hello + 3);
	ck_assert_int_eq(send(c.fd, hello, 50, 0), 50);
	served_until(tasks, 1);
	tcp_listener_set_tls(served_listener, second);
	tcp_tls_unref(TAKE_PTR(first)); /* only that connection has it now */
	ck_assert_int_eq(send(c.fd, hello + 50, (size_t)hello_len - 50, 0),
			 hello_len - 50);
	/* It gets an answer: a hello of the server's. */
	await(c.fd, POLLIN);
	ck_assert_int_gt(recv(c.fd, hello, sizeof(hello), 0), 50);
	ck_assert_int_eq(hello[0], SSL3_RT_HANDSHAKE);
	SSL_free(c.ssl);
	close_fd(&c.fd);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
	unhandled_with(-ECONNRESET);
	served_stop();
}
END_TEST

START_TEST(it_may_be_set_before_the_start_and_after_the_end)
{
	struct tcp_server_options o = { .workers = 3 };
	struct tcp_listen_options lo = { .tls = first };
	struct tcp_addr a = served_bound(&o, &lo, handle_secure, NULL);
	struct client c;

	tcp_listener_set_tls(served_listener, second);
	ck_assert_int_eq(tcp_server_prepare(served), 0);
	ck_assert_int_eq(tcp_server_start(served), 0);
	c = secure_to(&a);
	ck_assert(shows(&c, "second.test"));
	leave(&c);
	ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
	tcp_listener_set_tls(served_listener, first);
	served_stop();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, the_handler_starts_after_the_handshake);
	tcase_add_test(t, the_listener_keeps_its_context_by_itself);
	tcase_add_test(t, a_unix_socket_may_be_secure_too);
	tcase_add_test(t, who_is_silent_costs_no_task);
	tcase_add_test(t, nor_where_nobody_spoke_of_a_first_byte);
	tcase_add_test(t, a_handshake_has_its_time);
	tcase_add_test(t, who_speaks_something_else_gets_an_alert);
	tcase_add_test(t, who_leaves_in_the_middle_is_told_of);
	tcase_add_test(t, more_handshakes_at_once_than_wanted_are_reset);
	tcase_add_test(t, the_end_of_the_server_cuts_handshakes);
	tcase_add_test(t, a_failure_counts_as_served_and_gives_its_block_back);
	tcase_add_test(t, new_connections_of_all_workers_get_the_new_context);
	tcase_add_test(t, who_is_in_the_handshake_keeps_the_old_one);
	tcase_add_test(t, it_may_be_set_before_the_start_and_after_the_end);
}

int main(void)
{
	Suite *s = suite_create("server_tls");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_checked_fixture(t, NULL, forget_client_ctx);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
