/*
 * Sending to a journal: a socket that stands in for journald, which reads,
 * does not read, goes away and comes back; and the real one where it runs.
 */
#include "daemon/log_journal.h"

#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static char folder[] = "/tmp/check_log_journal.XXXXXX";
static char path[64];
static const struct span no_pairs;

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/socket", folder);
}

static void remove_folder(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A socket where journald would listen. */
static int listen_there(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, path, strlen(path));
	ck_assert_int_ge(fd, 0);
	(void)unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* The next entry, terminated; NULL if there is none. */
static const char *receive(int fd)
{
	static char entry[65536];
	ssize_t n = recv(fd, entry, sizeof(entry) - 1, 0);

	if (n < 0)
		return NULL;
	entry[n] = '\0';
	return entry;
}

static void ck_next(int fd, const char *message)
{
	const char *entry = receive(fd);
	char want[64];

	(void)snprintf(want, sizeof(want), "\nMESSAGE=%s\n", message);
	ck_assert_ptr_nonnull(entry);
	ck_assert_ptr_nonnull(strstr(entry, want));
}

static struct log_journal *opened(void)
{
	struct log_journal *j;

	ck_assert_int_eq(log_journal_open(&j, path), 0);
	return j;
}

static void add(struct log_journal *j, const char *text)
{
	log_journal_add(j, LOG_LEVEL_INFO, text, strlen(text), no_pairs);
}

START_TEST(lines_arrive_in_order)
{
	struct log_journal *j;
	int fd;

	make_folder();
	fd = listen_there();
	j = opened();
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_assert_ptr_null(receive(fd));
	add(j, "one");
	add(j, "two");
	ck_assert_ptr_null(receive(fd));
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_next(fd, "one");
	ck_next(fd, "two");
	ck_assert_ptr_null(receive(fd));
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_assert_ptr_null(receive(fd));
	log_journal_close(j);
	log_journal_close(NULL);
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(who_listens_must_be_there)
{
	struct log_journal *j;
	char deep[256];
	int fd;

	make_folder();
	ck_assert_int_eq(log_journal_open(&j, path), -ENOENT);
	fd = listen_there();
	close_fd(&fd);
	ck_assert_int_eq(log_journal_open(&j, path), -ECONNREFUSED);
	memset(deep, 'x', sizeof(deep));
	deep[0] = '/';
	deep[108] = '\0';
	ck_assert_int_eq(log_journal_open(&j, deep), -ENAMETOOLONG);
	deep[107] = '\0';
	ck_assert_int_eq(log_journal_open(&j, deep), -ENOENT);
	remove_folder();
}
END_TEST

struct reader {
	int fd;
	size_t count;
	bool in_order;
};

/* Reads "line N" until "the end". */
static void *read_all(void *arg)
{
	struct reader *r = arg;

	r->in_order = true;
	for (;;) {
		const char *entry = receive(r->fd);
		char want[32];

		if (!entry) {
			(void)usleep(100);
			continue;
		}
		if (strstr(entry, "MESSAGE=the end"))
			return NULL;
		(void)snprintf(want, sizeof(want), "MESSAGE=line %zu\n",
			       r->count);
		r->in_order &= strstr(entry, want) != NULL;
		r->count++;
	}
}

#define MANY 20000

START_TEST(many_lines_wait_for_room)
{
	struct reader r = { 0 };
	struct log_journal *j;
	pthread_t thread;
	size_t batches = 0;

	make_folder();
	r.fd = listen_there();
	j = opened();
	ck_assert_int_eq(pthread_create(&thread, NULL, read_all, &r), 0);
	for (int i = 0; i < MANY; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "line %d", i);
		if (log_journal_full(j)) {
			ck_assert_uint_eq(log_journal_send(j), 0);
			batches++;
		}
		add(j, text);
	}
	ck_assert_uint_eq(log_journal_send(j), 0);
	add(j, "the end");
	ck_assert_uint_eq(log_journal_send(j), 0);
	(void)pthread_join(thread, NULL);
	ck_assert_uint_eq(r.count, MANY);
	ck_assert(r.in_order);
	ck_assert_uint_lt(batches, MANY / 100);
	log_journal_close(j);
	close_fd(&r.fd);
	remove_folder();
}
END_TEST

START_TEST(the_longest_lines_fit)
{
	struct log_journal *j;
	char text[LOG_LINE_BYTES];
	size_t sent = 0;
	int fd;

	make_folder();
	fd = listen_there();
	j = opened();
	memset(text, 'x', sizeof(text));
	memcpy(text, "access a=", 9);
	for (; !log_journal_full(j); sent++)
		log_journal_add(j, LOG_LEVEL_INFO, text, sizeof(text),
				no_pairs);
	ck_assert_uint_gt(sent, 30);
	/* The queue may take less, but not nothing, and no entry in part. */
	ck_assert_uint_lt(log_journal_send(j), sent);
	for (const char *entry; (entry = receive(fd));)
		ck_assert_uint_gt(strlen(entry), 2 * LOG_LINE_BYTES);
	log_journal_close(j);
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(a_journal_that_is_not_read_holds_nobody_up)
{
	struct log_journal *j;
	size_t got = 0, sent = 0, lost;
	int64_t start;
	int fd;

	make_folder();
	fd = listen_there();
	j = opened();
	for (lost = 0; lost == 0;) {
		for (; !log_journal_full(j); sent++)
			add(j, "line");
		start = now_ms();
		lost = log_journal_send(j);
	}
	ck_assert_int_ge(now_ms() - start, 900);
	ck_assert_int_lt(now_ms() - start, 5000);
	/* The second time it does not wait at all. */
	add(j, "lost");
	start = now_ms();
	ck_assert_uint_eq(log_journal_send(j), 1);
	ck_assert_int_lt(now_ms() - start, 500);
	for (; receive(fd); got++)
		;
	ck_assert_uint_eq(got + lost, sent);
	/* It comes back as soon as there is room. */
	add(j, "back");
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_next(fd, "back");
	log_journal_close(j);
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(a_journal_that_is_gone_loses_lines)
{
	struct log_journal *j;
	int64_t start;
	int fd;

	make_folder();
	fd = listen_there();
	j = opened();
	add(j, "one");
	ck_assert_uint_eq(log_journal_send(j), 0);
	close_fd(&fd);
	add(j, "two");
	add(j, "three");
	start = now_ms();
	ck_assert_uint_eq(log_journal_send(j), 2);
	ck_assert_int_ge(now_ms() - start, 900);
	ck_assert_int_lt(now_ms() - start, 5000);
	/* Not waited for any more, neither without the name. */
	start = now_ms();
	for (int i = 0; i < 3; i++) {
		add(j, "four");
		ck_assert_uint_eq(log_journal_send(j), 1);
		(void)unlink(path);
	}
	ck_assert_int_lt(now_ms() - start, 500);
	fd = listen_there();
	add(j, "five");
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_next(fd, "five");
	ck_assert_ptr_null(receive(fd));
	log_journal_close(j);
	close_fd(&fd);
	remove_folder();
}
END_TEST

static void *come_late(void *arg)
{
	(void)usleep(200000);
	*(int *)arg = listen_there();
	return NULL;
}

START_TEST(a_journal_that_restarts_loses_nothing)
{
	struct log_journal *j;
	pthread_t thread;
	int fd;

	make_folder();
	fd = listen_there();
	j = opened();
	close_fd(&fd);
	ck_assert_int_eq(pthread_create(&thread, NULL, come_late, &fd), 0);
	add(j, "one");
	add(j, "two");
	ck_assert_uint_eq(log_journal_send(j), 0);
	(void)pthread_join(thread, NULL);
	ck_next(fd, "one");
	ck_next(fd, "two");
	/* At once where the new one is there already. */
	close_fd(&fd);
	fd = listen_there();
	add(j, "three");
	ck_assert_uint_eq(log_journal_send(j), 0);
	ck_next(fd, "three");
	log_journal_close(j);
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(the_log_writes_to_the_journal)
{
	struct log_options o = { .level = LOG_LEVEL_INFO, .journal = true };
	const char *entry = NULL;
	int fd;

	make_folder();
	o.path = path;
	ck_assert_int_eq(log_start(&o), -ENOENT);
	fd = listen_there();
	ck_assert_int_eq(log_start(&o), 0);
	log_line(LOG_LEVEL_ERROR, "urgent");
	while (!entry) {
		(void)usleep(1000);
		entry = receive(fd);
	}
	ck_assert_ptr_nonnull(strstr(entry, "\nMESSAGE=urgent\n"));
	ck_assert(strncmp(entry, "PRIORITY=3\n", 11) == 0);
	/* Has no file to open. */
	log_reopen();
	log_line(LOG_LEVEL_INFO, "access up=5");
	log_line(LOG_LEVEL_DEBUG, "not wanted");
	log_stop();
	entry = receive(fd);
	ck_assert_ptr_nonnull(entry);
	ck_assert_ptr_nonnull(strstr(entry, "\nSPLICED_UP=5\n"));
	ck_assert_ptr_null(receive(fd));
	ck_assert_uint_eq(log_dropped(), 0);
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(the_log_counts_what_the_journal_lost)
{
	struct log_options o = { .level = LOG_LEVEL_INFO, .journal = true };
	bool told = false;
	int fd;

	make_folder();
	o.path = path;
	fd = listen_there();
	ck_assert_int_eq(log_start(&o), 0);
	close_fd(&fd);
	for (int i = 0; i < 10; i++)
		log_line(LOG_LEVEL_ERROR, "line %d", i);
	while (log_dropped() < 10)
		(void)usleep(1000);
	fd = listen_there();
	for (int i = 0; !told && i < 5000; i++) {
		const char *entry = receive(fd);

		(void)usleep(1000);
		told = entry && strstr(entry, "\nMESSAGE=10 lines of the log "
					      "were lost\n");
	}
	ck_assert(told);
	log_stop();
	ck_assert_ptr_null(receive(fd));
	close_fd(&fd);
	remove_folder();
}
END_TEST

START_TEST(the_real_one_takes_it)
{
	struct log_journal *j;

	if (access(LOG_JOURNAL_PATH, W_OK) != 0)
		return;
	ck_assert_int_eq(log_journal_open(&j, LOG_JOURNAL_PATH), 0);
	add(j, "access target=\"a test\\x0aof spliced\" outcome=closed");
	ck_assert_uint_eq(log_journal_send(j), 0);
	log_journal_close(j);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_journal");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, lines_arrive_in_order);
	tcase_add_test(t, who_listens_must_be_there);
	tcase_add_test(t, many_lines_wait_for_room);
	tcase_add_test(t, the_longest_lines_fit);
	tcase_add_test(t, a_journal_that_is_not_read_holds_nobody_up);
	tcase_add_test(t, a_journal_that_is_gone_loses_lines);
	tcase_add_test(t, a_journal_that_restarts_loses_nothing);
	tcase_add_test(t, the_log_writes_to_the_journal);
	tcase_add_test(t, the_log_counts_what_the_journal_lost);
	tcase_add_test(t, the_real_one_takes_it);
	suite_add_tcase(s, t);
	return run_suite(s);
}
