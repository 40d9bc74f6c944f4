/*
 * Asking a daemon that a thread plays, in good ways and bad.
 */
#include "daemon/ctl/ask.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define DONE "{\"done\":true,\"ok\":true,\"protocol\":1}\n"

static char folder[64], path[80];
static int listener;
static pthread_t player;

/* What the daemon does with its one client. */
static struct {
	const char *text;
	size_t repeat;  /* the text that often; 0: once */
	size_t fds;     /* copies of /dev/null with the first byte */
	bool unread;    /* the request */
	bool stays;     /* silent, until the client has gone */
	char heard[64]; /* the request */
} script;

static void setup(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memset(&script, 0, sizeof(script));
	(void)snprintf(folder, sizeof(folder), "/tmp/ask.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/control", folder);
	memcpy(sun.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sun, sizeof(sun)),
			 0);
	ck_assert_int_eq(listen(listener, 4), 0);
}

static void teardown(void)
{
	close_fd(&listener);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* Sends the first byte with descriptors. */
static void send_fds(int fd, const char *text)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(253 * sizeof(int))];
	} space = { 0 };
	struct iovec first = { (char *)text, 1 };
	struct msghdr m = { .msg_iov = &first,
			    .msg_iovlen = 1,
			    .msg_control = &space,
			    .msg_controllen = CMSG_SPACE(script.fds *
							 sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(script.fds * sizeof(int));
	for (size_t i = 0; i < script.fds; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &null, sizeof(int));
	ck_assert_int_eq((int)sendmsg(fd, &m, MSG_NOSIGNAL), 1);
	close_fd(&null);
}

static void *play(void *arg UNUSED)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	const char *text = script.text;
	char rest[64];

	if (!script.unread)
		(void)!recv(fd, script.heard, sizeof(script.heard) - 1, 0);
	if (script.fds)
		send_fds(fd, text++);
	for (size_t i = 0; i < max_size(script.repeat, 1); i++)
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
			break;
	if (script.stays)
		(void)!recv(fd, rest, sizeof(rest), 0);
	close_fd(&fd);
	return NULL;
}

static int ask_player(struct reply *ret)
{
	int r;

	ck_assert_int_eq(pthread_create(&player, NULL, play, NULL), 0);
	r = ask_daemon(ret, path, "status", script.stays ? 100 : 10000);
	ck_assert_int_eq(pthread_join(player, NULL), 0);
	return r;
}

static int fails(const char *text)
{
	struct reply reply;

	script.text = text;
	return ask_player(&reply);
}

static size_t open_fds(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(an_answer_has_lines_and_a_last_one)
{
	struct reply reply;

	script.text = "{\"n\":1}\n{\"n\":2}\n" DONE;
	ck_assert_int_eq(ask_player(&reply), 0);
	ck_assert_str_eq(script.heard, "status\n");
	ck_assert(reply.ok);
	ck_assert_uint_eq(json_array_size(reply.lines), 3);
	ck_assert_ptr_eq(reply.last, json_array_get(reply.lines, 2));
	ck_assert_uint_eq(reply.fd_count, 0);
	reply_done(&reply);
	reply_done(&reply);
}
END_TEST

START_TEST(a_no_is_an_answer_too)
{
	struct reply reply;

	script.text = "{\"done\":true,\"ok\":false,\"error\":\"x\"}\n";
	ck_assert_int_eq(ask_player(&reply), 0);
	ck_assert(!reply.ok);
	reply_done(&reply);
}
END_TEST

START_TEST(an_answer_without_a_question_is_read)
{
	struct reply reply;

	script.unread = true;
	script.text = "{\"done\":true,\"ok\":false,\"error\":\"many\"}\n";
	ck_assert_int_eq(ask_player(&reply), 0);
	ck_assert(!reply.ok);
	reply_done(&reply);
}
END_TEST

START_TEST(descriptors_come_along)
{
	size_t before = open_fds();
	struct reply reply;
	int one;

	script.text = DONE;
	script.fds = 252;
	ck_assert_int_eq(ask_player(&reply), 0);
	ck_assert_uint_eq(reply.fd_count, 252);
	ck_assert_int_eq(fcntl(reply.fds[0], F_GETFD), FD_CLOEXEC);
	one = take_fd(&reply.fds[100]);
	reply_done(&reply);
	ck_assert_int_ge(fcntl(one, F_GETFD), 0);
	close_fd(&one);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(descriptors_do_not_outlive_a_failure)
{
	size_t before = open_fds();

	script.fds = 5;
	ck_assert_int_eq(fails("{\"n\":1}\n"), -ECONNABORTED);
	ck_assert_uint_eq(open_fds(), before);
	script.fds = 253;
	ck_assert_int_eq(fails("no JSON\n"), -EBADMSG);
	ck_assert_uint_eq(open_fds(), before);
}
END_TEST

START_TEST(a_daemon_may_go_away_meanwhile)
{
	ck_assert_int_eq(fails(""), -ECONNABORTED);
	ck_assert_int_eq(fails("{\"n\":1}\n"), -ECONNABORTED);
	ck_assert_int_eq(fails("{\"done\":true,\"ok\":true}"), -ECONNABORTED);
	script.unread = true;
	ck_assert_int_eq(fails(""), -ECONNABORTED);
}
END_TEST

START_TEST(what_is_no_answer_is_an_error)
{
	ck_assert_int_eq(fails("SSH-2.0-x\n"), -EBADMSG);
	ck_assert_int_eq(fails("[1]\n" DONE), -EBADMSG);
	ck_assert_int_eq(fails("\n" DONE), -EBADMSG);
	ck_assert_int_eq(fails(DONE DONE), -EBADMSG);
	ck_assert_int_eq(fails("{\"done\":true,\"ok\":true,\"protocol\":2}\n"),
			 -EPROTO);
}
END_TEST

START_TEST(an_answer_without_end_is_cut)
{
	static char text[65536];

	memset(text, 'x', sizeof(text) - 1);
	script.repeat = 1024;
	ck_assert_int_eq(fails(text), -EBADMSG);
}
END_TEST

START_TEST(a_silent_daemon_is_left)
{
	script.stays = true;
	ck_assert_int_eq(fails("{\"n\":1}\n"), -ETIMEDOUT);
}
END_TEST

START_TEST(nobody_may_be_there)
{
	struct reply reply;
	char nowhere[200];

	ck_assert_int_eq(
		ask_daemon(&reply, "/nonexistent/control", "status", 1000),
		-ENOENT);
	memset(nowhere, 'x', sizeof(nowhere) - 1);
	nowhere[sizeof(nowhere) - 1] = '\0';
	ck_assert_int_eq(ask_daemon(&reply, nowhere, "status", 1000),
			 -ENAMETOOLONG);
	close_fd(&listener);
	ck_assert_int_eq(ask_daemon(&reply, path, "status", 1000),
			 -ECONNREFUSED);
}
END_TEST

START_TEST(each_failure_has_a_sentence)
{
	static const int failures[] = { -ENOENT,       -ECONNREFUSED, -EACCES,
					-ECONNABORTED, -ETIMEDOUT,    -EBADMSG,
					-EPROTO,       -EIO };
	char why[256];

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		ck_assert_uint_gt(
			strlen(ask_why(failures[i], "/x", why, sizeof(why))),
			10);
	ck_assert_str_eq(ask_why(-ENOENT, "/x", why, sizeof(why)),
			 "no daemon listens at /x ('systemctl status spliced' "
			 "tells whether it runs, --socket names another path)");
	ck_assert_str_eq(ask_why(-EACCES, "/x", why, sizeof(why)),
			 "cannot talk to /x: Permission denied (be root, or a "
			 "member of its group)");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ask");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_answer_has_lines_and_a_last_one);
	tcase_add_test(t, a_no_is_an_answer_too);
	tcase_add_test(t, an_answer_without_a_question_is_read);
	tcase_add_test(t, descriptors_come_along);
	tcase_add_test(t, descriptors_do_not_outlive_a_failure);
	tcase_add_test(t, a_daemon_may_go_away_meanwhile);
	tcase_add_test(t, what_is_no_answer_is_an_error);
	tcase_add_test(t, an_answer_without_end_is_cut);
	tcase_add_test(t, a_silent_daemon_is_left);
	tcase_add_test(t, nobody_may_be_there);
	tcase_add_test(t, each_failure_has_a_sentence);
	suite_add_tcase(s, t);
	return run_suite(s);
}
