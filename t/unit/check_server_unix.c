/*
 * Servers at UNIX sockets.
 */
#include "core/tcpserver.h"

#include "t/unit/bound.h"
#include "t/unit/served.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/unix_place.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static atomic_uint served_by[4];

static void handle_counting(struct tcp_conn *c, void *ctx)
{
	atomic_fetch_add(&served_by[tcp_conn_worker(c)], 1);
	handle_once(c, ctx);
}

/* Keeps its worker from everything else for a while. */
static void handle_blocking(struct tcp_conn *c, void *ctx)
{
	(void)usleep(5000);
	handle_counting(c, ctx);
}

static unsigned workers_seen(void)
{
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_SIZE(served_by); i++)
		seen += served_by[i] > 0;
	return seen;
}

/* A server with a listener at a UNIX socket only, not started yet. */
static struct tcp_listener *bound(const struct tcp_server_options *so,
				  const char *name,
				  const struct tcp_listen_options *lo,
				  tcp_handler *handler)
{
	struct tcp_listener *l;

	ck_assert_int_eq(tcp_server_new(&served, so), 0);
	ck_assert_int_eq(
		tcp_server_listen_unix(served, name, lo, handler, NULL, &l), 0);
	return l;
}

static struct tcp_listener *started(const struct tcp_server_options *so,
				    const char *name,
				    const struct tcp_listen_options *lo,
				    tcp_handler *handler)
{
	struct tcp_listener *l = bound(so, name, lo, handler);

	ck_assert_int_eq(tcp_server_start(served), 0);
	return l;
}

static int listen_in_vain(const char *name)
{
	struct tcp_listener *l = NULL;
	int r = tcp_server_listen_unix(served, name, NULL, handle_once, NULL,
				       &l);

	ck_assert_ptr_null(l);
	return r;
}

static void ask_many(const char *name, unsigned count)
{
	int fd[100];

	ck_assert_uint_le(count, ARRAY_SIZE(fd));
	for (unsigned i = 0; i < count; i++)
		fd[i] = unix_connected(name);
	for (unsigned i = 0; i < count; i++) {
		ask(fd[i]);
		close_fd(&fd[i]);
	}
}

/* --- Serving ------------------------------------------------------------ */

START_TEST(clients_are_served_at_a_path)
{
	static const unsigned workers[] = { 1, 4 };
	const char *path = unix_path("s");

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		struct tcp_server_options o = { .workers = workers[i] };
		struct tcp_listener *l = started(&o, path, NULL, handle_once);
		const int *fd;

		ck_assert_uint_eq(tcp_listener_sockets(l, &fd), 1);
		ck_assert_uint_eq(tcp_listener_adopted(l), 0);
		ck_assert_int_eq(tcp_listener_addr(l)->family, AF_UNIX);
		ask_many(path, 100);
		ck_assert(file_exists(path));
		served_stop();
		ck_assert(!file_exists(path));
	}
}
END_TEST

START_TEST(and_under_a_name_without_a_file)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *name = unix_abstract();

	(void)started(&o, name, NULL, handle_once);
	ask_many(name, 20);
	ck_assert_int_eq(listen_in_vain(name), -EADDRINUSE);
	served_stop();
	ck_assert_int_eq(unix_dialled(name), -ECONNREFUSED);
}
END_TEST

static void look_at_peer(struct tcp_conn *c, void *ctx)
{
	char text[TCPSERVER_ADDR_STRLEN];
	struct tcp_addr local;

	ck_assert_int_eq(tcp_conn_peer(c)->family, AF_UNIX);
	ck_assert_str_eq(tcp_addr_format(tcp_conn_peer(c), text, sizeof(text)),
			 "unix");
	ck_assert_int_eq(tcp_conn_local(c, &local), 0);
	ck_assert_int_eq(local.family, AF_UNIX);
	handle_once(c, ctx);
}

static int admit_unix(const struct tcp_addr *peer, void *ctx UNUSED)
{
	return peer->family == AF_UNIX ? 3 : -EACCES;
}

START_TEST(the_peer_is_a_unix_socket_without_address)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .admit = admit_unix };
	const char *path = unix_path("s"), *mine = unix_path("mine");
	int fd;

	(void)started(&o, path, &lo, look_at_peer);
	ask_many(path, 1);
	/* One that is bound itself is none the less. */
	fd = unix_bound(mine, SOCK_STREAM);
	close_fd(&fd);
	served_stop();
}
END_TEST

START_TEST(all_workers_share_the_socket)
{
	struct tcp_server_options o = { .workers = 4 };
	const char *path = unix_path("s");

	(void)started(&o, path, NULL, handle_blocking);
	ask_many(path, 60);
	ck_assert_uint_ge(workers_seen(), 2);
	served_stop();
}
END_TEST

START_TEST(a_first_byte_is_waited_for_here_too)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listen_options lo = { .first_byte_ms = 50 };
	const char *path = unix_path("s");
	struct tcp_server_stats stats;
	int fd;

	(void)started(&o, path, &lo, handle_once);
	fd = unix_connected(path);
	served_until(active, 1);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.tasks, 0);
	ck_assert_int_eq(ended_how(fd), 0);
	close_fd(&fd);
	ask_many(path, 10);
	served_stop();
}
END_TEST

START_TEST(options_of_tcp_are_not_set)
{
	struct tcp_server_options o = { .workers = 2 };
	struct tcp_listen_options lo = { .backlog = 50,
					 .fastopen = 5,
					 .defer_accept_ms = 1000,
					 .user_timeout_ms = 1000,
					 .keepalive = true,
					 .keepalive_idle_ms = 1000,
					 .nodelay = true,
					 .v6only = true,
					 .freebind = true,
					 .device = "no-such-if",
					 .mark = 1 };
	const char *path = unix_path("s");

	(void)started(&o, path, &lo, handle_once);
	ask_many(path, 10);
	served_stop();
}
END_TEST

START_TEST(the_file_has_its_mode_before_anybody_gets_in)
{
	struct tcp_server_options o = { .workers = 1 };
	struct tcp_listen_options lo = { .unix_mode = 0666 };
	const char *path = unix_path("s");
	struct stat st;

	(void)umask(077);
	(void)bound(&o, path, &lo, handle_once);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0666);
	ck_assert_int_eq(unix_dialled(path), -ECONNREFUSED);
	ck_assert_int_eq(tcp_server_start(served), 0);
	ask_many(path, 5);
	served_stop();
}
END_TEST

/* --- Places ------------------------------------------------------------- */

START_TEST(a_second_listener_of_the_server_finds_it_taken)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s");
	unsigned before;

	(void)bound(&o, path, NULL, handle_once);
	before = fds_open();
	/* Nobody listens there yet, and it is no leftover all the same. */
	ck_assert_int_eq(listen_in_vain(path), -EADDRINUSE);
	ck_assert_int_eq(fds_open(), before);
	ck_assert_int_eq(tcp_server_start(served), 0);
	before = fds_open();
	ck_assert_int_eq(listen_in_vain(path), -EADDRINUSE);
	ck_assert_int_eq(fds_open(), before);
	ask_many(path, 10);
	served_stop();
}
END_TEST

START_TEST(an_end_leaves_no_file_and_takes_none_of_others)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s");
	int fd;

	(void)started(&o, path, NULL, handle_once);
	/* Somebody else's by now. */
	ck_assert_int_eq(unlink(path), 0);
	fd = unix_bound(path, SOCK_STREAM);
	served_stop();
	ck_assert(file_exists(path));
	close_fd(&fd);
}
END_TEST

START_TEST(a_server_that_never_ran_leaves_no_file_either)
{
	const char *path = unix_path("s");

	(void)bound(NULL, path, NULL, handle_once);
	ck_assert(file_exists(path));
	tcp_server_free(served);
	ck_assert(!file_exists(path));
}
END_TEST

START_TEST(what_was_left_over_is_replaced_and_a_server_is_not)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s");
	struct tcp_server *other;
	int fd = unix_bound(path, SOCK_STREAM);

	close_fd(&fd);
	(void)started(&o, path, NULL, handle_once);
	ck_assert_int_eq(tcp_server_new(&other, &o), 0);
	ck_assert_int_eq(tcp_server_listen_unix(other, path, NULL, handle_once,
						NULL, NULL),
			 -EADDRINUSE);
	tcp_server_free(other);
	ask_many(path, 10);
	served_stop();
}
END_TEST

START_TEST(of_two_servers_that_were_bound_one_starts)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s");
	struct tcp_server *other;

	ck_assert_int_eq(tcp_server_new(&other, &o), 0);
	ck_assert_int_eq(tcp_server_listen_unix(other, path, NULL, handle_once,
						NULL, NULL),
			 0);
	(void)bound(&o, path, NULL, handle_once);
	ck_assert_int_eq(tcp_server_start(other), -EADDRINUSE);
	tcp_server_free(other);
	ck_assert(file_exists(path));
	ck_assert_int_eq(tcp_server_start(served), 0);
	ask_many(path, 10);
	served_stop();
}
END_TEST

START_TEST(bad_places_are_refused)
{
	struct tcp_server_options o = { .workers = 2 };
	unsigned before;
	char name[200];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(tcp_server_new(&served, &o), 0);
	before = fds_open();
	ck_assert_int_eq(listen_in_vain(name), -EINVAL);
	ck_assert_int_eq(listen_in_vain(""), -EINVAL);
	ck_assert_int_eq(listen_in_vain("@"), -EINVAL);
	ck_assert_int_eq(listen_in_vain(unix_path("no/folder")), -ENOENT);
	file_make(unix_path("file"));
	ck_assert_int_eq(listen_in_vain(unix_path("file")), -ENOTSOCK);
	tcp_server_stop_accepting(served);
	ck_assert_int_eq(listen_in_vain(unix_path("s")), -ESHUTDOWN);
	ck_assert_uint_eq(fds_open(), before);
	tcp_server_free(served);
}
END_TEST

/* --- Sockets from elsewhere --------------------------------------------- */

START_TEST(a_socket_from_elsewhere_is_served_and_its_file_stays)
{
	struct tcp_server_options o = { .workers = 3 };
	const char *path = unix_path("s");
	int fd = unix_bound(path, SOCK_STREAM), kept, client;
	struct tcp_listen_options lo = { .adopted = &fd, .adopted_count = 1 };
	struct tcp_listener *l;

	ck_assert_int_eq(listen(fd, 100), 0);
	kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	client = unix_connected(path);
	l = started(&o, path, &lo, handle_once);
	ck_assert_uint_eq(tcp_listener_adopted(l), 1);
	/* Who waited there is served first. */
	ask(client);
	close_fd(&client);
	ask_many(path, 30);
	served_stop();
	ck_assert(file_exists(path));
	client = unix_connected(path);
	close_fd(&client);
	close_fd(&kept);
}
END_TEST

START_TEST(what_does_not_belong_there_is_refused_and_closed)
{
	const char *path = unix_path("s");
	struct tcp_addr a = addr_at("127.0.0.1:0");
	unsigned before = fds_open();
	int fd[2];
	struct tcp_listen_options lo = { .adopted = fd, .adopted_count = 2 };

	ck_assert_int_eq(tcp_server_new(&served, NULL), 0);
	fd[0] = unix_bound(path, SOCK_STREAM);
	fd[1] = sock_bound(&a, true);
	ck_assert_int_eq(tcp_server_listen_unix(served, path, &lo, handle_once,
						NULL, NULL),
			 -EINVAL);
	ck_assert_uint_eq(fds_open(), before);
	fd[0] = unix_bound(unix_path("t"), SOCK_STREAM);
	lo.adopted_count = 1;
	ck_assert_int_eq(tcp_server_listen_unix(served, path, &lo, handle_once,
						NULL, NULL),
			 -EINVAL);
	fd[0] = sock_bound(&a, true);
	ck_assert_int_eq(tcp_server_listen_unix(served, "", &lo, handle_once,
						NULL, NULL),
			 -EINVAL);
	fd[0] = unix_bound(unix_path("u"), SOCK_STREAM);
	ck_assert_int_eq(
		tcp_server_listen(served, &a, &lo, handle_once, NULL, NULL),
		-EINVAL);
	ck_assert_uint_eq(fds_open(), before);
	tcp_server_free(served);
}
END_TEST

START_TEST(a_running_one_takes_another_descriptor_of_its_socket)
{
	struct tcp_server_options o = { .workers = 2 };
	const char *path = unix_path("s");
	struct tcp_listener *l = started(&o, path, NULL, handle_once);
	const int *fd;
	int copy;

	ck_assert_uint_eq(tcp_listener_sockets(l, &fd), 1);
	copy = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(tcp_listener_adopt(l, copy), 0);
	ck_assert(!fd_is_open(copy));
	copy = unix_bound(unix_path("t"), SOCK_STREAM);
	ck_assert_int_eq(tcp_listener_adopt(l, copy), -EINVAL);
	ck_assert(!fd_is_open(copy));
	ask_many(path, 10);
	served_stop();
}
END_TEST

/* --- While it runs ------------------------------------------------------ */

START_TEST(one_that_runs_gets_a_unix_socket_beside)
{
	struct tcp_server_options o = { .workers = 3 };
	struct tcp_addr a = served_start(&o, NULL, handle_echo, NULL);
	const char *path = unix_path("s");
	int fd = tcp_connected(&a);

	ask(fd);
	ck_assert_int_eq(tcp_server_listen_unix(served, path, NULL, handle_once,
						NULL, NULL),
			 0);
	ask_many(path, 20);
	ask(fd);
	close_fd(&fd);
	served_stop();
	ck_assert(!file_exists(path));
}
END_TEST

START_TEST(what_is_queued_is_served_though_the_file_is_gone)
{
	static const unsigned workers[] = { 1, 3 };
	const char *path = unix_path("s");

	for (size_t w = 0; w < ARRAY_SIZE(workers); w++) {
		struct tcp_server_options o = { .workers = workers[w] };
		int fd[100];

		(void)started(&o, path, NULL, handle_blocking);
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
			fd[i] = unix_connected(path);
			ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
		}
		tcp_server_stop_accepting(served);
		ck_assert(!file_exists(path));
		ck_assert_uint_eq(tcp_server_shutdown(served, SOON_MS), 0);
		for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
			char byte;

			ck_assert_int_eq(recv(fd[i], &byte, 1, 0), 1);
			close_fd(&fd[i]);
		}
		served_stop();
	}
}
END_TEST

START_TEST(who_has_left_before_he_is_accepted_is_served_all_the_same)
{
	struct tcp_server_options o = { .workers = 1 };
	const char *path = unix_path("s");
	int fd;

	(void)started(&o, path, NULL, handle_counting);
	tcp_server_set_max_connections(served, 0);
	for (int i = 0; i < 3; i++) {
		fd = unix_connected(path);
		ck_assert_int_eq(send(fd, "q", 1, 0), 1);
		close_fd(&fd);
	}
	tcp_server_set_max_connections(served, SIZE_MAX);
	served_until(accepted, 3);
	served_stop();
	ck_assert_uint_eq(served_by[0], 3);
}
END_TEST

START_TEST(a_limit_is_kept_there_too)
{
	struct tcp_server_options o = { .workers = 3, .max_connections = 2 };
	const char *path = unix_path("s");
	struct tcp_server_stats stats;
	int fd[10];

	(void)started(&o, path, NULL, handle_once);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = unix_connected(path);
	served_until(active, 2);
	(void)usleep(20000);
	tcp_server_stats(served, &stats);
	ck_assert_uint_eq(stats.accepted, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		ck_assert_int_eq(send(fd[i], "q", 1, 0), 1);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		ck_assert_int_eq(ended_how(fd[i]), 0);
		close_fd(&fd[i]);
	}
	served_until(accepted, ARRAY_SIZE(fd));
	served_stop();
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, clients_are_served_at_a_path);
	tcase_add_test(t, and_under_a_name_without_a_file);
	tcase_add_test(t, the_peer_is_a_unix_socket_without_address);
	tcase_add_test(t, all_workers_share_the_socket);
	tcase_add_test(t, a_first_byte_is_waited_for_here_too);
	tcase_add_test(t, options_of_tcp_are_not_set);
	tcase_add_test(t, the_file_has_its_mode_before_anybody_gets_in);
	tcase_add_test(t, a_second_listener_of_the_server_finds_it_taken);
	tcase_add_test(t, an_end_leaves_no_file_and_takes_none_of_others);
	tcase_add_test(t, a_server_that_never_ran_leaves_no_file_either);
	tcase_add_test(t, what_was_left_over_is_replaced_and_a_server_is_not);
	tcase_add_test(t, of_two_servers_that_were_bound_one_starts);
	tcase_add_test(t, bad_places_are_refused);
	tcase_add_test(t, a_socket_from_elsewhere_is_served_and_its_file_stays);
	tcase_add_test(t, what_does_not_belong_there_is_refused_and_closed);
	tcase_add_test(t, a_running_one_takes_another_descriptor_of_its_socket);
	tcase_add_test(t, one_that_runs_gets_a_unix_socket_beside);
	tcase_add_test(t, what_is_queued_is_served_though_the_file_is_gone);
	tcase_add_test(
		t, who_has_left_before_he_is_accepted_is_served_all_the_same);
	tcase_add_test(t, a_limit_is_kept_there_too);
}

int main(void)
{
	Suite *s = suite_create("server_unix");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, unix_place_setup, unix_place_teardown);
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	return run_suite(s);
}
