/*
 * Connecting to UNIX sockets: by path and by name, who is not there, a full
 * backlog, and tunnels over them.
 */
#include "core/conn.h"

#include "core/unix_addr.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tunnel.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder[] = "/tmp/check_dial_unix.XXXXXX";
static char path[128], name[128];
static int listening = -1, lowest_fd;

/* A descriptor that was left open would have this number. */
static int free_fd(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);
	int ret = fd;

	close_fd(&fd);
	return ret;
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/socket", folder);
	(void)snprintf(name, sizeof(name), "@%s", folder);
	lowest_fd = free_fd();
}

static void teardown(void)
{
	close_fd(&listening);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(free_fd(), lowest_fd);
}

static void bind_at(const char *where, int type)
{
	struct sockaddr_un a;
	socklen_t len;

	ck_assert_int_eq(unix_addr_set(&a, &len, where), 0);
	listening = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(listening, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&a, len), 0);
}

static void listen_at(const char *where, int backlog)
{
	bind_at(where, SOCK_STREAM);
	ck_assert_int_eq(listen(listening, backlog), 0);
}

static struct tcp_conn *accepted(void)
{
	int fd;

	await(listening, POLLIN);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	return conn_of(fd);
}

static struct tcp_conn *dial(const char *where)
{
	struct tcp_conn *c;

	ck_assert_int_eq(tcp_dial_unix(&c, where, deadline_in(SOON_MS)), 0);
	return c;
}

static int dial_in_vain(const char *where)
{
	struct tcp_conn *c;

	return tcp_dial_unix(&c, where, deadline_in(30));
}

/* --- Who is there ------------------------------------------------------- */

static void talk(const char *where)
{
	struct tcp_conn *c, *far;
	struct tcp_addr local;

	listen_at(where, 16);
	c = dial(where);
	far = accepted();
	conn_send(c, 0, 1000);
	conn_expect(far, 0, 1000);
	conn_send(far, 5, 1000);
	conn_expect(c, 5, 1000);
	ck_assert_int_eq(tcp_conn_peer(c)->family, AF_UNIX);
	ck_assert_int_eq(tcp_conn_local(c, &local), 0);
	ck_assert_int_eq(local.family, AF_UNIX);
	ck_assert_ptr_null(tcp_conn_listener(c));
	ck_assert_ptr_null(tcp_conn_server(c));
	ck_assert_ptr_null(tcp_conn_user(c));
	ck_assert_int_eq(tcp_conn_shutdown(c, TCPSERVER_NEVER), 0);
	conn_expect_end(far);
	tcp_conn_close(c);
	tcp_conn_close(far);
}

static void talk_by_path(void)
{
	talk(path);
}

static void talk_by_name(void)
{
	talk(name);
}

START_TEST(a_path_is_connected_to)
{
	on_loop(talk_by_path, NULL);
}
END_TEST

START_TEST(a_name_without_a_file_is_connected_to)
{
	on_loop(talk_by_name, NULL);
}
END_TEST

/* --- Who is not --------------------------------------------------------- */

static void nobody(void)
{
	int fd;

	ck_assert_int_eq(dial_in_vain(path), -ENOENT);
	ck_assert_int_eq(dial_in_vain(name), -ECONNREFUSED);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(dial_in_vain(path), -ECONNREFUSED); /* no socket */
	close_fd(&fd);
	ck_assert_int_eq(unlink(path), 0);
	bind_at(path, SOCK_STREAM);
	ck_assert_int_eq(dial_in_vain(path), -ECONNREFUSED);
}

START_TEST(nobody_is_an_error)
{
	on_loop(nobody, NULL);
}
END_TEST

static void other_kind(void)
{
	bind_at(path, SOCK_DGRAM);
	ck_assert_int_eq(dial_in_vain(path), -EPROTOTYPE);
}

START_TEST(a_socket_of_another_kind_is_an_error)
{
	on_loop(other_kind, NULL);
}
END_TEST

static void wrong_names(void)
{
	char longest[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];

	ck_assert_int_eq(dial_in_vain(""), -EINVAL);
	ck_assert_int_eq(dial_in_vain("@"), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 2] = '\0';
	ck_assert_int_eq(dial_in_vain(longest), -EINVAL);
	longest[sizeof(longest) - 3] = '\0';
	ck_assert_int_eq(dial_in_vain(longest), -ENOENT);
	longest[0] = '@';
	ck_assert_int_eq(dial_in_vain(longest), -ECONNREFUSED);
}

START_TEST(no_name_and_too_long_a_one_are_errors)
{
	on_loop(wrong_names, NULL);
}
END_TEST

static void no_descriptors(void)
{
	struct rlimit usual, tight;

	listen_at(path, 16);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
	tight = usual;
	tight.rlim_cur = (rlim_t)free_fd();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	ck_assert_int_eq(dial_in_vain(path), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
	tcp_conn_close(dial(path));
}

START_TEST(without_a_descriptor_it_fails)
{
	on_loop(no_descriptors, NULL);
}
END_TEST

/* --- A full backlog ----------------------------------------------------- */

static struct tcp_conn *waiting[8];

/* Connects until the backlog takes no more. */
static unsigned fill_backlog(void)
{
	unsigned count = 0;

	listen_at(path, 1);
	while (tcp_dial_unix(&waiting[count], path, deadline_in(0)) == 0)
		ck_assert_uint_lt(++count, ARRAY_SIZE(waiting));
	ck_assert_uint_ge(count, 1);
	return count;
}

static void empty_backlog(unsigned count)
{
	while (count > 0)
		tcp_conn_close(waiting[--count]);
}

static void wait_in_vain(void)
{
	unsigned count = fill_backlog();
	int64_t began = deadline_in(0);

	ck_assert_int_eq(dial_in_vain(path), -ETIMEDOUT);
	ck_assert_int_ge(deadline_in(0) - began, 30);
	ck_assert_int_lt(deadline_in(0) - began, SOON_MS);
	empty_backlog(count);
}

START_TEST(a_full_backlog_is_waited_for_until_the_deadline)
{
	on_loop(wait_in_vain, NULL);
}
END_TEST

static int result;
static struct tcp_conn *late;

static void dial_late(void *arg UNUSED)
{
	result = tcp_dial_unix(&late, path, TCPSERVER_NEVER);
}

static struct task *start_dialling(void)
{
	struct task *t;

	result = 1;
	ck_assert_int_eq(task_start(dial_late, NULL, &t), 0);
	nap(20);
	ck_assert_int_eq(result, 1);
	return t;
}

static void make_room(void)
{
	unsigned count = fill_backlog();
	int64_t until = deadline_in(SOON_MS);

	(void)start_dialling();
	tcp_conn_close(accepted());
	while (result == 1 && deadline_in(0) < until)
		nap(1);
	ck_assert_int_eq(result, 0);
	for (unsigned i = 1; i < count; i++)
		tcp_conn_close(accepted());
	conn_send(late, 0, 10);
	tcp_conn_close(late);
	empty_backlog(count);
}

START_TEST(it_is_connected_when_there_is_room)
{
	on_loop(make_room, NULL);
}
END_TEST

static void cancel(void)
{
	unsigned count = fill_backlog();
	struct task *t = start_dialling();

	task_cancel(t);
	nap(1);
	ck_assert_int_eq(result, -ECANCELED);
	empty_backlog(count);
}

START_TEST(waiting_for_room_can_be_cancelled)
{
	on_loop(cancel, NULL);
}
END_TEST

/* --- Tunnels ------------------------------------------------------------ */

static struct tcp_relay_options options;

static void relay(void)
{
	struct tunnel t;
	struct tcp_conn *far;

	listen_at(path, 16);
	tunnel_connect(&t, 32768);
	tcp_conn_close(t.side[1]);
	tcp_conn_close(t.target);
	t.side[1] = dial(path);
	far = t.target = accepted();
	tunnel_start(&t, &options);
	for (size_t at = 0; at < 400000; at += 40000) {
		conn_send(t.client, at, 40000);
		conn_expect(far, at, 40000);
		conn_send(far, at, 30000);
		conn_expect(t.client, at, 30000);
	}
	ck_assert_int_eq(tcp_conn_shutdown(t.client, TCPSERVER_NEVER), 0);
	conn_expect_end(far);
	conn_send(far, 9, 1000);
	conn_expect(t.client, 9, 1000);
	tunnel_drop(&t.target, false);
	conn_expect_end(t.client);
	tunnel_expect(&t, TCPSERVER_END_CLOSED);
	tunnel_close(&t);
}

START_TEST(a_tunnel_to_one_carries_all_both_ways)
{
	/* The last time what is not taken has to stay in the source. */
	struct net_options none = { .buffer_bytes = 1000 };

	options.mode = (enum tcp_relay_mode)(_i % 3);
	on_loop(relay, _i == 3 ? &none : NULL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dial_unix");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_path_is_connected_to);
	tcase_add_test(t, a_name_without_a_file_is_connected_to);
	tcase_add_test(t, nobody_is_an_error);
	tcase_add_test(t, a_socket_of_another_kind_is_an_error);
	tcase_add_test(t, no_name_and_too_long_a_one_are_errors);
	tcase_add_test(t, without_a_descriptor_it_fails);
	tcase_add_test(t, a_full_backlog_is_waited_for_until_the_deadline);
	tcase_add_test(t, it_is_connected_when_there_is_room);
	tcase_add_test(t, waiting_for_room_can_be_cancelled);
	tcase_add_loop_test(t, a_tunnel_to_one_carries_all_both_ways, 0, 4);
	suite_add_tcase(s, t);
	return run_suite(s);
}
