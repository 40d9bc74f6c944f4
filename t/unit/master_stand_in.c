/*
 * The control socket of a stand-in, and askers that run as the test's task.
 */
#include "t/unit/master_stand_in.h"

#include "t/unit/on_loop.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct master_stand_in stand_in;

static void show_view(void *ctx UNUSED, struct view *ret)
{
	*ret = stand_in.view;
}

static uint64_t begin_reload(void *ctx UNUSED, int fd UNUSED)
{
	struct view_reload failed = { .error = "no fork" };

	if (stand_in.refuses)
		return 0;
	stand_in.number++;
	if (stand_in.ends_at_once)
		control_reloaded(stand_in.control, stand_in.number, &failed);
	return stand_in.number;
}

static void drain(void *ctx UNUSED, int fd UNUSED)
{
	stand_in.drains++;
}

static int drain_listener(void *ctx UNUSED, const char *name, bool on,
			  int fd UNUSED)
{
	if (strcmp(name, "lan x") != 0)
		return -ENOENT;
	return drained_set(&stand_in.drained, name, on);
}

static int pass_on(void *ctx UNUSED, const char *line, int fd, uint32_t to)
{
	static const char answer[] = "{\"protocol\":1,\"done\":true}\n";

	if (stand_in.passes < 0)
		return stand_in.passes;
	if (to == CONTROL_TO_ALL || to == CONTROL_TO_SERVING)
		(void)snprintf(stand_in.passed, sizeof(stand_in.passed), "%s%s",
			       to ? "all: " : "", line);
	else
		(void)snprintf(stand_in.passed, sizeof(stand_in.passed),
			       "%u: %s", to, line);
	ck_assert_int_eq((int)send(fd, answer, strlen(answer), MSG_NOSIGNAL),
			 (int)strlen(answer));
	stand_in.passes++;
	return 0;
}

static const struct control_ops ops = { show_view, begin_reload, drain,
					drain_listener, pass_on };

void stand_in_begin(void)
{
	memset(&stand_in, 0, sizeof(stand_in));
	(void)snprintf(stand_in.folder, sizeof(stand_in.folder),
		       "/tmp/control.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(stand_in.folder));
	(void)snprintf(stand_in.path, sizeof(stand_in.path), "%s/control",
		       stand_in.folder);
	stand_in.listener = control_open(stand_in.path, NULL);
	ck_assert_int_ge(stand_in.listener, 0);
	stand_in.view = (struct view){ .state = "serving",
				       .serving = 3,
				       .addresses = "127.0.0.1:1080 [::1]:1080",
				       .drained = &stand_in.drained,
				       .generations = stand_in.generations };
	ck_assert_int_eq(
		control_new(&stand_in.control, loop_self(), &ops, NULL), 0);
	ck_assert_int_eq(control_listen(stand_in.control, stand_in.listener),
			 0);
}

void stand_in_end(void)
{
	control_free(stand_in.control);
	close_fd(&stand_in.listener);
	ck_assert_int_eq(unlink(stand_in.path), 0);
	ck_assert_int_eq(rmdir(stand_in.folder), 0);
}

void stand_in_be_impatient(int64_t request, int64_t answer, int64_t reload)
{
	struct control_patience p = { request, answer, reload };

	control_set_patience(stand_in.control, &p);
}

/* --- Clients ------------------------------------------------------------ */

int asker(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(sun.sun_path, stand_in.path, strlen(stand_in.path));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	settle();
	return fd;
}

void asker_tell(int fd, const char *text)
{
	ck_assert_int_eq((int)send(fd, text, strlen(text), MSG_NOSIGNAL),
			 (int)strlen(text));
	settle();
}

int asking(const char *text)
{
	int fd = asker();

	asker_tell(fd, text);
	return fd;
}

/* All that comes until the end of the stream; closes it. */
const char *heard(int fd)
{
	static char text[6u << 20];
	size_t len = 0;

	for (int naps = 0; naps < 5000;) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
			settle();
			continue;
		}
		ck_assert_int_eq(errno, EAGAIN);
		nap(1);
		ck_assert_int_lt(++naps, 5000);
	}
	text[len] = '\0';
	close_fd(&fd);
	settle();
	return text;
}

/* The line of a number from 0, or NULL. */
json_t *line_of(const char *text, size_t number)
{
	const char *feed;
	json_t *j;

	for (; (feed = strchr(text, '\n')) && number; number--)
		text = feed + 1;
	if (!feed)
		return NULL;
	j = json_loadb(text, (size_t)(feed - text), 0, NULL);
	ck_assert_msg(json_is_object(j), "no JSON: %.300s", text);
	return j;
}

/* The only line, which must be the last. */
json_t *only_line(const char *text)
{
	json_t *j = line_of(text, 0);

	ck_assert_msg(j, "no line: '%.100s'", text);
	ck_assert_ptr_null(line_of(text, 1));
	ck_assert(json_is_true(json_object_get(j, "done")));
	ck_assert_int_eq(json_integer_value(json_object_get(j, "protocol")), 1);
	return j;
}

int64_t field_number(json_t *j, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(j, key)), "no %s", key);
	return json_integer_value(json_object_get(j, key));
}

const char *field_text(json_t *j, const char *key)
{
	ck_assert_msg(json_is_string(json_object_get(j, key)), "no %s", key);
	return json_string_value(json_object_get(j, key));
}

bool field_is_true(json_t *j, const char *key)
{
	ck_assert_msg(json_is_boolean(json_object_get(j, key)), "no %s", key);
	return json_is_true(json_object_get(j, key));
}

void expect_ok(int fd)
{
	json_t *j = only_line(heard(fd));

	ck_assert(field_is_true(j, "ok"));
	json_decref(j);
}

void expect_error(int fd, const char *why)
{
	json_t *j = only_line(heard(fd));

	ck_assert(!field_is_true(j, "ok"));
	ck_assert_str_eq(field_text(j, "error"), why);
	json_decref(j);
}

void expect_closed(int fd)
{
	ck_assert_str_eq(heard(fd), "");
}

bool is_open(int fd)
{
	char byte;

	settle();
	return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}
