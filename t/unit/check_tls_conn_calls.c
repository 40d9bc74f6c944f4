/*
 * The system calls behind a connection with TLS: how many, and what is made of
 * their failures.
 */
#include "core/tls_conn.h"

#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"
#include "t/unit/tls_pair.h"

#include <check.h>
#include <stdlib.h>
#include <sys/syscall.h>

/* Kernel TLS ends connections whose peer wants new keys; not meant here. */
static const struct tcp_tls_options no_ktls = { .no_ktls = true };

/* --- The socket's calls, counted and failed ----------------------------- */

static struct {
	unsigned recvs;
	int recv_fails, send_fails; /* the next one, with this errno */
	bool recv_interrupted, send_interrupted;
} calls;

static bool fails(int *with)
{
	if (!*with)
		return false;
	errno = *with;
	*with = 0;
	return true;
}

static bool interrupted(bool *once)
{
	int error = *once ? EINTR : 0;

	*once = false;
	return fails(&error);
}

/* In the place of the C library's. */
ssize_t recv(int fd, void *to, size_t len, int flags)
{
	calls.recvs++;
	if (interrupted(&calls.recv_interrupted) || fails(&calls.recv_fails))
		return -1;
	return syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);
}

ssize_t send(int fd, const void *from, size_t len, int flags)
{
	if (interrupted(&calls.send_interrupted) || fails(&calls.send_fails))
		return -1;
	return syscall(SYS_sendto, fd, from, len, flags, NULL, 0);
}

/* --- System calls ------------------------------------------------------- */

static void one_read_a_record(void)
{
	struct tls_pair p;
	char byte;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	ck_assert_int_eq(tcp_conn_read(p.client, &byte, 1, deadline_in(5)),
			 -ETIMEDOUT); /* tickets */
	calls.recvs = 0;
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(conn_read_now(p.server, &byte, 1), -EAGAIN);
	ck_assert_uint_eq(calls.recvs, 0); /* nothing came, nobody asked */
	for (unsigned i = 1; i <= 5; i++) {
		conn_send(p.client, 0, 1000);
		conn_expect(p.server, 0, 1000);
		ck_assert_uint_eq(calls.recvs, i);
	}
	tls_pair_close(&p);
}

START_TEST(a_record_costs_one_read)
{
	on_loop_tls(_i, one_read_a_record, NULL);
}
END_TEST

static void interruptions(void)
{
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	calls.send_interrupted = true;
	conn_send(p.client, 0, 1000);
	calls.recv_interrupted = true;
	conn_expect(p.server, 0, 1000);
	ck_assert(!calls.recv_interrupted && !calls.send_interrupted);
	tls_pair_close(&p);
}

START_TEST(interrupted_calls_are_made_again)
{
	on_loop(interruptions, NULL);
}
END_TEST

static void failing_write(void)
{
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	conn_send(p.client, 0, 1000);
	calls.send_fails = EPIPE;
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -EPIPE);
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -EPIPE);
	ck_assert_int_eq(tcp_conn_shutdown(p.server, 0), -EPIPE);
	conn_expect(p.server, 0, 1000); /* was sent before */
	ck_assert_str_eq(tcp_conn_tls_error(p.server), "");
	tls_pair_close(&p);
}

START_TEST(a_failed_write_leaves_reading_alone)
{
	on_loop_tls(_i, failing_write, NULL);
}
END_TEST

static void failing_read(void)
{
	struct tls_pair p;

	tls_pair_open(&p, &no_ktls, &no_ktls, 0);
	conn_send(p.client, 0, 1000);
	nap(2);
	calls.recv_fails = ETIMEDOUT;
	ck_assert_int_eq(conn_read_now(p.server, &p, 1), -ETIMEDOUT);
	ck_assert_int_eq(conn_read_now(p.server, &p, 1), -ETIMEDOUT);
	ck_assert_int_eq(tcp_conn_write_all(p.server, "x", 1, 0), -ETIMEDOUT);
	tls_pair_close(&p);
}

START_TEST(a_failed_read_ends_it)
{
	on_loop_tls(_i, failing_read, NULL);
}
END_TEST

/* The first write of TCP Fast Open says that it connects. */
static void connecting(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	struct tls_pair p;
	int result[2];

	calls.send_fails = EINPROGRESS;
	tls_pair_connect(&p, 0);
	/* The event that it was for never comes: it is connected. */
	nap(1);
	p.client->watch.ready |= EPOLLOUT;
	struct handshake h[2];
	handshake_start(&h[0], p.client, client, "a.test");
	nap(1);
	ck_assert_int_eq(calls.send_fails, 0);
	p.client->watch.ready |= EPOLLOUT;
	p.client->watch.notify(&p.client->watch);
	handshake_start(&h[1], p.server, server, NULL);
	result[0] = handshake_finish(&h[0]);
	result[1] = handshake_finish(&h[1]);
	ck_assert_int_eq(result[0], 0);
	ck_assert_int_eq(result[1], 0);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
	tls_pair_close(&p);
}

START_TEST(a_write_may_be_the_connect)
{
	on_loop(connecting, NULL);
}
END_TEST

/* --- Memory ------------------------------------------------------------- */

static unsigned allocations, failing_allocation; /* 0: none */

static bool allocation_fails(void)
{
	return ++allocations == failing_allocation;
}

static void *allocate(size_t len, const char *file UNUSED, int line UNUSED)
{
	return allocation_fails() ? NULL : malloc(len);
}

static void *reallocate(void *at, size_t len, const char *file UNUSED,
			int line UNUSED)
{
	return allocation_fails() ? NULL : realloc(at, len);
}

static void release(void *at, const char *file UNUSED, int line UNUSED)
{
	free(at);
}

/*
 * A handshake in which an allocation of OpenSSL's fails, by number; what it
 * came to.  The end that fails is closed, since it may have told nobody.
 */
static int without(unsigned which, struct tcp_tls *client,
		   struct tcp_tls *server)
{
	struct handshake h[2];
	struct tls_pair p;
	int r = 0;

	tls_pair_connect(&p, 0);
	allocations = 0;
	failing_allocation = which;
	handshake_start(&h[0], p.client, client, "a.test");
	handshake_start(&h[1], p.server, server, NULL);
	while (h[0].task || h[1].task) {
		nap(1);
		for (int i = 0; i < 2; i++) {
			if (h[i].task || h[i].result == 0 || !h[i].c)
				continue;
			r = r ? r : h[i].result;
			tcp_conn_close(TAKE_PTR(h[i].c));
		}
	}
	failing_allocation = 0;
	for (int i = 0; i < 2; i++)
		if (h[i].c)
			tcp_conn_close(h[i].c);
	return r;
}

static void without_memory(void)
{
	struct tcp_tls *client = tls_files_client(NULL);
	struct tcp_tls *server = tls_files_server(NULL);
	unsigned count, failures = 0;

	ck_assert_int_eq(without(0, client, server), 0);
	count = allocations;
	for (unsigned i = 1; i <= count; i += i < 100 ? 1 : 7)
		if (without(i, client, server) < 0)
			failures++;
	ck_assert_uint_gt(failures, 20);
	ck_assert_int_eq(without(1, client, server), -ENOMEM);
	ck_assert_int_eq(without(0, client, server), 0);
	tcp_tls_unref(client);
	tcp_tls_unref(server);
}

START_TEST(a_lack_of_memory_ends_one_handshake)
{
	on_loop_tls(_i, without_memory, NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_conn_calls");
	TCase *t = tcase_create("all");

	/* Before OpenSSL allocates anything. */
	if (!CRYPTO_set_mem_functions(allocate, reallocate, release))
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, tls_files_open, tls_files_close);
	add_for_versions(t, a_record_costs_one_read);
	tcase_add_test(t, interrupted_calls_are_made_again);
	add_for_versions(t, a_failed_write_leaves_reading_alone);
	add_for_versions(t, a_failed_read_ends_it);
	tcase_add_test(t, a_write_may_be_the_connect);
	add_for_versions(t, a_lack_of_memory_ends_one_handshake);
	suite_add_tcase(s, t);
	return run_suite(s);
}
