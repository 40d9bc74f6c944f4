/*
 * Resumption by session tickets: whose keys, which contexts, and keys that
 * change while threads shake hands.
 */
#include "core/tls_tickets.h"

#include "t/unit/suite.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_talk.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct tcp_tls_certificate shown;
static struct tcp_tls_options options, client_options;
static struct tcp_tls *server, *other, *client;
static struct tls_talk talk;
static SSL_SESSION *session;
static unsigned tickets_seen;

static void setup(void)
{
	memset(&options, 0, sizeof(options));
	client_options = (struct tcp_tls_options){
		.verify = TCPSERVER_TLS_VERIFY_NONE,
	};
}

static void teardown(void)
{
	tls_talk_close(&talk);
	SSL_SESSION_free(session);
	tcp_tls_unref(server);
	tcp_tls_unref(other);
	tcp_tls_unref(client);
}

static struct tcp_tls_ticket_key key_of(uint8_t number)
{
	struct tcp_tls_ticket_key key;

	memset(&key, number, sizeof(key));
	return key;
}

/* Sets the keys of these numbers, 0 ends them. */
static void set_keys(struct tcp_tls *t, const char *numbers)
{
	struct tcp_tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
	size_t count = strlen(numbers);

	for (size_t i = 0; i < count; i++)
		keys[i] = key_of((uint8_t)numbers[i]);
	ck_assert_int_eq(tcp_tls_set_ticket_keys(t, keys, count), 0);
}

static int count_ticket(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	(void)s;
	tickets_seen++;
	return 0;
}

/* A connection with or without a session; keeps the new one. */
static bool meet(struct tcp_tls *with, int version)
{
	SSL_CTX *ctx;

	if (!client)
		client = tls_files_client(&client_options);
	ctx = tls_ssl_ctx(client);
	(void)SSL_CTX_set_session_cache_mode(
		ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, count_ticket);
	tickets_seen = 0;
	tls_talk_close(&talk);
	tls_talk_open(&talk, tls_ssl_ctx(with), ctx);
	ck_assert_int_eq(SSL_set_max_proto_version(talk.client, version), 1);
	if (session)
		ck_assert_int_eq(SSL_set_session(talk.client, session), 1);
	ck_assert_int_eq(SSL_set_tlsext_host_name(talk.client, "a.test"), 1);
	ck_assert(tls_talk_shake(&talk));
	SSL_SESSION_free(session);
	session = tls_talk_session(&talk);
	return SSL_session_reused(talk.server);
}

/* The name of the key of the ticket that the client holds, by its number. */
static int key_number(void)
{
	const uint8_t *ticket;
	size_t len;

	SSL_SESSION_get0_ticket(session, &ticket, &len);
	ck_assert_uint_gt(len, 16);
	return ticket[0] == ticket[15] ? ticket[0] : -1;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* --- One context -------------------------------------------------------- */

START_TEST(a_session_is_resumed)
{
	server = tls_files_server(&options);
	ck_assert(!meet(server, versions[_i]));
	ck_assert(meet(server, versions[_i]));
	ck_assert(meet(server, versions[_i]));
}
END_TEST

START_TEST(each_connection_of_tls_1_3_brings_one_ticket)
{
	server = tls_files_server(&options);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(meet(server, TLS1_3_VERSION), i > 0);
		ck_assert_uint_eq(tickets_seen, 1);
	}
}
END_TEST

START_TEST(in_tls_1_2_a_ticket_of_the_first_key_is_not_renewed)
{
	server = tls_files_server(&options);
	(void)meet(server, TLS1_2_VERSION);
	ck_assert_uint_eq(tickets_seen, 1);
	ck_assert(meet(server, TLS1_2_VERSION));
	ck_assert_uint_eq(tickets_seen, 0);
}
END_TEST

START_TEST(without_tickets_nothing_is_resumed)
{
	options.no_tickets = true;
	server = tls_files_server(&options);
	ck_assert(!meet(server, versions[_i]));
	ck_assert(!SSL_SESSION_has_ticket(session));
	ck_assert(!meet(server, versions[_i]));
}
END_TEST

START_TEST(a_client_may_do_without_them)
{
	client_options.no_tickets = true;
	server = tls_files_server(&options);
	ck_assert(!meet(server, TLS1_2_VERSION));
	ck_assert(!SSL_SESSION_has_ticket(session));
}
END_TEST

START_TEST(a_ticket_that_was_tampered_with_makes_a_full_handshake)
{
	const uint8_t *ticket;
	size_t len;

	server = tls_files_server(&options);
	(void)meet(server, versions[_i]);
	SSL_SESSION_get0_ticket(session, &ticket, &len);
	((uint8_t *)ticket)[len - 40] ^= 1;
	ck_assert(!meet(server, versions[_i]));
	ck_assert(meet(server, versions[_i]));
}
END_TEST

/* --- Keys --------------------------------------------------------------- */

START_TEST(a_context_has_a_key_of_its_own)
{
	server = tls_files_server(&options);
	other = tls_files_server(&options);
	(void)meet(server, versions[_i]);
	ck_assert(!meet(other, versions[_i]));
	ck_assert(meet(other, versions[_i]));
}
END_TEST

START_TEST(contexts_with_the_same_keys_resume_each_others_sessions)
{
	server = tls_files_server(&options);
	other = tls_files_server(&options);
	set_keys(server, "1");
	set_keys(other, "1");
	(void)meet(server, versions[_i]);
	ck_assert_int_eq(key_number(), '1');
	ck_assert(meet(other, versions[_i]));
}
END_TEST

START_TEST(a_ticket_of_an_older_key_is_renewed)
{
	server = tls_files_server(&options);
	set_keys(server, "1");
	(void)meet(server, versions[_i]);
	set_keys(server, "21");
	ck_assert(meet(server, versions[_i]));
	ck_assert_int_eq(key_number(), '2');
	set_keys(server, "87654321");
	ck_assert(meet(server, versions[_i]));
	ck_assert_int_eq(key_number(), '8');
}
END_TEST

START_TEST(a_key_that_is_gone_makes_a_full_handshake)
{
	server = tls_files_server(&options);
	set_keys(server, "1");
	(void)meet(server, versions[_i]);
	set_keys(server, "32");
	ck_assert(!meet(server, versions[_i]));
	ck_assert_int_eq(key_number(), '3');
	ck_assert(meet(server, versions[_i]));
}
END_TEST

START_TEST(there_are_one_to_eight_keys)
{
	struct tcp_tls_ticket_key keys[9];

	for (uint8_t i = 0; i < ARRAY_SIZE(keys); i++)
		keys[i] = key_of(i);
	server = tls_files_server(&options);
	ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 0), -EINVAL);
	ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 9), -EINVAL);
	ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 8), 0);
	keys[7].name[15] = 0;
	ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 8), 0);
	memcpy(keys[7].name, keys[2].name, sizeof(keys[2].name));
	ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 8), -EINVAL);
	client = tls_files_client(NULL);
	ck_assert_int_eq(tcp_tls_set_ticket_keys(client, keys, 1), -EINVAL);
}
END_TEST

START_TEST(keys_that_are_gone_are_overwritten)
{
	static const uint8_t old[32] = { [0 ... 31] = '1' };
	static struct tls_tickets t;
	struct tcp_tls_ticket_key keys[] = { key_of('2'), key_of('1') };

	ck_assert_int_eq(tls_tickets_init(&t), 0);
	ck_assert_int_eq(tls_tickets_set(&t, keys, 2), 0);
	ck_assert_ptr_nonnull(memmem(&t, sizeof(t), old, sizeof(old)));
	ck_assert_int_eq(tls_tickets_set(&t, keys, 1), 0);
	ck_assert_ptr_null(memmem(&t, sizeof(t), old, sizeof(old)));
	keys[0] = key_of('1');
	ck_assert_int_eq(tls_tickets_set(&t, keys, 1), 0);
	tls_tickets_done(&t);
	ck_assert_ptr_null(memmem(&t, sizeof(t), old, sizeof(old)));
	tls_tickets_done(&t);
}
END_TEST

/* --- Other contexts ----------------------------------------------------- */

/* Whether the session of a context for `options` is resumed by one for `o`. */
static bool travels(const struct tcp_tls_options *o, int version)
{
	tcp_tls_unref(server);
	tcp_tls_unref(other);
	SSL_SESSION_free(session);
	session = NULL;
	server = tls_files_server(&options);
	other = tls_files_server(o);
	set_keys(server, "1");
	set_keys(other, "1");
	(void)meet(server, version);
	return meet(other, version);
}

START_TEST(a_session_goes_only_where_the_same_clients_are_believed)
{
	static const unsigned nobody[] = { 0 };
	struct tcp_tls_options o;

	shown = TLS_FILES(.cn = "somebody");
	client_options.certificates = &shown;
	client_options.certificate_count = 1;
	o = options;
	ck_assert(travels(&o, versions[_i]));
	o.verify = TCPSERVER_TLS_VERIFY_REQUIRED;
	o.ca_file = tls_files_root();
	ck_assert(!travels(&o, versions[_i]));
	options = o;
	ck_assert(travels(&o, versions[_i]));
	o.crl_file = tls_files_crl(nobody, NULL);
	ck_assert(!travels(&o, versions[_i]));
}
END_TEST

START_TEST(a_session_goes_over_to_another_certificate)
{
	struct tcp_tls_certificate renewed = TLS_FILES(.san = "DNS:a.test");
	struct tcp_tls_options o = options;

	o.certificates = &renewed;
	o.certificate_count = 1;
	ck_assert(travels(&o, versions[_i]));
}
END_TEST

START_TEST(a_certificate_is_not_resumed_after_its_last_day)
{
	X509_VERIFY_PARAM *param;

	options.verify = TCPSERVER_TLS_VERIFY_REQUIRED;
	options.ca_file = tls_files_root();
	server = tls_files_server(&options);
	/* Stands in for the time that passes between the two connections. */
	param = SSL_CTX_get0_param(tls_ssl_ctx(server));
	ck_assert_int_eq(
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME),
		1);
	shown = TLS_FILES(.cn = "x", .from_days = -3, .to_days = -2);
	client_options.certificates = &shown;
	client_options.certificate_count = 1;
	ck_assert(!meet(server, versions[_i]));
	ck_assert(SSL_SESSION_has_ticket(session));
	ck_assert(!meet(server, versions[_i]));
	SSL_SESSION_free(session);
	session = NULL;
	tcp_tls_unref(client);
	client = NULL;
	shown = TLS_FILES(.cn = "y");
	ck_assert(!meet(server, versions[_i]));
	ck_assert(meet(server, versions[_i]));
}
END_TEST

START_TEST(a_session_of_one_name_is_resumed_with_its_own_certificate)
{
	struct tcp_tls_certificate two[] = {
		TLS_FILES(.san = "DNS:first.test"),
		TLS_FILES(.san = "DNS:a.test"),
	};

	options.certificates = two;
	options.certificate_count = 2;
	server = tls_files_server(&options);
	ck_assert(!meet(server, versions[_i]));
	ck_assert(meet(server, versions[_i]));
	ck_assert_str_eq(tls_talk_shown(&talk), "a.test");
	ck_assert_str_eq(
		SSL_get_servername(talk.server, TLSEXT_NAMETYPE_host_name),
		"a.test");
}
END_TEST

/* --- Threads ------------------------------------------------------------ */

#define THREADS   3
#define ROTATIONS 300

static atomic_bool stop;
static atomic_uint handshakes, resumed;

/* Handshakes over and over, each with the session of the one before. */
static void *shake_on(void *arg)
{
	SSL_CTX *ctx = tls_plain_client(TLS1_3_VERSION);
	SSL_SESSION *last = NULL;

	while (!atomic_load(&stop)) {
		struct tls_talk p;

		tls_talk_open(&p, tls_ssl_ctx(arg), ctx);
		if (last)
			ck_assert_int_eq(SSL_set_session(p.client, last), 1);
		ck_assert(tls_talk_shake(&p));
		if (SSL_session_reused(p.server))
			(void)atomic_fetch_add(&resumed, 1);
		(void)atomic_fetch_add(&handshakes, 1);
		SSL_SESSION_free(last);
		last = tls_talk_session(&p);
		tls_talk_close(&p);
	}
	SSL_SESSION_free(last);
	SSL_CTX_free(ctx);
	return NULL;
}

START_TEST(keys_change_while_threads_shake_hands)
{
	pthread_t threads[THREADS];
	struct tcp_tls_ticket_key keys[3] = { key_of(1), key_of(2), key_of(3) };

	server = tls_files_server(&options);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, shake_on, server), 0);
	for (int i = 0; i < ROTATIONS; i++) {
		unsigned before = atomic_load(&handshakes);

		keys[2] = keys[1];
		keys[1] = keys[0];
		keys[0] = key_of((uint8_t)(4 + i));
		ck_assert_int_eq(tcp_tls_set_ticket_keys(server, keys, 3), 0);
		while (atomic_load(&handshakes) == before)
			(void)sched_yield();
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_gt(atomic_load(&resumed), ROTATIONS / 2);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, a_session_is_resumed, 0, 2);
	tcase_add_test(t, each_connection_of_tls_1_3_brings_one_ticket);
	tcase_add_test(t, in_tls_1_2_a_ticket_of_the_first_key_is_not_renewed);
	tcase_add_loop_test(t, without_tickets_nothing_is_resumed, 0, 2);
	tcase_add_test(t, a_client_may_do_without_them);
	tcase_add_loop_test(
		t, a_ticket_that_was_tampered_with_makes_a_full_handshake, 0,
		2);
	tcase_add_loop_test(t, a_context_has_a_key_of_its_own, 0, 2);
	tcase_add_loop_test(
		t, contexts_with_the_same_keys_resume_each_others_sessions, 0,
		2);
	tcase_add_loop_test(t, a_ticket_of_an_older_key_is_renewed, 0, 2);
	tcase_add_loop_test(t, a_key_that_is_gone_makes_a_full_handshake, 0, 2);
	tcase_add_test(t, there_are_one_to_eight_keys);
	tcase_add_test(t, keys_that_are_gone_are_overwritten);
	tcase_add_loop_test(
		t, a_session_goes_only_where_the_same_clients_are_believed, 0,
		2);
	tcase_add_loop_test(t, a_session_goes_over_to_another_certificate, 0,
			    2);
	tcase_add_loop_test(t, a_certificate_is_not_resumed_after_its_last_day,
			    0, 2);
	tcase_add_loop_test(
		t, a_session_of_one_name_is_resumed_with_its_own_certificate, 0,
		2);
	tcase_add_test(t, keys_change_while_threads_shake_hands);
}

int main(void)
{
	Suite *s = suite_create("tls_tickets");
	TCase *t = tcase_create("all");

	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
