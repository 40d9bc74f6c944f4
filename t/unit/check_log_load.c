/*
 * Access lines of 20,000 sessions a second, and as many as threads can make:
 * each line is in the file as it was written, or counted as lost, and the log
 * says how many are.
 */
#include "daemon/access_log.h"
#include "daemon/log.h"
#include "t/unit/suite.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 4
#define LINES   20000 /* of all threads */

#define TURN_MS 2
#define A_TURN  (20000 / 1000 * TURN_MS / WRITERS) /* lines of a thread */

static const char *const listeners[] = { "one", "two", "three", "four" };

static const struct access_log a = {
	.format = ACCESS_FORMAT_LOGFMT,
	.names = { .listeners = listeners, .listener_count = WRITERS },
};

static const struct span none;
static bool paced;
static unsigned int each; /* lines of a thread */

/* The session of a number, so that its line can be made again. */
static struct session session_of(unsigned int writer, unsigned int n)
{
	struct session s = { .protocol = PROTOCOL_SOCKS5,
			     .command = COMMAND_CONNECT,
			     .outcome = OUTCOME_CLOSED,
			     .listener = (uint16_t)(writer + 1),
			     .bytes_up = n,
			     .bytes_down = (uint64_t)n << 32,
			     .host_len = (uint8_t)(n % SESSION_HOST_BYTES) };

	memset(s.host, 'a' + (int)(n % 26), sizeof(s.host));
	ck_assert_int_eq(tcp_addr_parse(&s.client, "192.0.2.1:4711", -1), 0);
	s.target.port = 443;
	return s;
}

static size_t text_of(const struct session *s, char *out)
{
	struct access_entry e = { .event = ACCESS_DISCONNECT,
				  .session = s,
				  .names = &a.names };

	return access_logfmt(&e, out, LOG_LINE_BYTES);
}

static void await_turn(struct timespec *next)
{
	next->tv_nsec += TURN_MS * 1000000;
	if (next->tv_nsec >= 1000000000) {
		next->tv_sec++;
		next->tv_nsec -= 1000000000;
	}
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

static void *write_lines(void *number)
{
	unsigned int writer = (unsigned int)(uintptr_t)number;
	struct timespec next;

	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned int n = 0; n < each; n++) {
		struct session s = session_of(writer, n);

		if (paced && n % A_TURN == 0)
			await_turn(&next);
		access_ended(&a, &s, none, true);
	}
	return NULL;
}

static void run_writers(void)
{
	pthread_t threads[WRITERS];

	for (uintptr_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines,
						(void *)i),
				 0);
	for (int i = 0; i < WRITERS; i++)
		(void)pthread_join(threads[i], NULL);
}

/* All that comes, up to the end; terminated, to be freed. */
static char *read_all(int fd)
{
	size_t len = 0, size = 1 << 16;
	char *text = malloc(size);
	ssize_t n = 1;

	while (n > 0) {
		ck_assert_ptr_nonnull(text);
		n = read(fd, text + len, size - 1 - len);
		ck_assert_int_ge(n, 0);
		len += (size_t)n;
		if (size - 1 - len < 4096)
			text = realloc(text, size *= 2);
	}
	text[len] = '\0';
	return text;
}

static void *drain(void *fd)
{
	return read_all(*(int *)fd);
}

/* Whether it is, byte for byte, a line of its writer that was yet to come. */
static void check_line(const char *line, size_t len, unsigned int next[WRITERS])
{
	char want[LOG_LINE_BYTES];
	const char *at = memmem(line, len, " listener=", 10);
	const char *up = memmem(line, len, " up=", 4);
	unsigned int writer = 0, n;
	struct session s;
	size_t size;

	if (!at || !up)
		ck_abort_msg("torn: %.*s", (int)len, line);
	while (writer < WRITERS && strncmp(at + 10, listeners[writer],
					   strlen(listeners[writer])) != 0)
		writer++;
	ck_assert_uint_lt(writer, WRITERS);
	n = (unsigned int)strtoul(up + 4, NULL, 10);
	if (n < next[writer] || n >= each)
		ck_abort_msg("twice, or out of order: %.*s", (int)len, line);
	next[writer] = n + 1;
	s = session_of(writer, n);
	size = text_of(&s, want);
	if (len < size || memcmp(line + len - size, want, size) != 0)
		ck_abort_msg("torn: %.*s", (int)len, line);
}

/* Adds what the log says of lines that were lost; false: it is another line. */
static bool add_lost(const char *line, size_t len, uint64_t *lost)
{
	static const char mark[] = "warning ";
	const char *at = memmem(line, len, mark, strlen(mark));

	if (!at || !memmem(line, len, " lines of the log were lost", 27))
		return false;
	*lost += strtoull(at + strlen(mark), NULL, 10);
	return true;
}

/* Every line that was written is there, or counted and told as lost. */
static uint64_t account(const char *text, uint64_t dropped)
{
	unsigned int next[WRITERS] = { 0 };
	uint64_t found = 0, lost = 0;

	for (const char *line = text; *line;) {
		const char *feed = strchr(line, '\n');
		size_t len;

		if (!feed)
			ck_abort_msg("the last line has no end: %s", line);
		len = (size_t)(feed - line);
		if (!add_lost(line, len, &lost)) {
			check_line(line, len, next);
			found++;
		}
		line = feed + 1;
	}
	ck_assert_uint_eq(lost, dropped);
	ck_assert_uint_eq(found + lost, WRITERS * each);
	return lost;
}

static uint64_t run(unsigned int lines, bool at_a_pace)
{
	char path[] = "/tmp/check_log_load.XXXXXX";
	struct log_options o = { .path = path, .level = LOG_LEVEL_INFO };
	uint64_t before, lost;
	int fd = mkstemp(path);
	char *text;

	paced = at_a_pace;
	each = lines / WRITERS;
	ck_assert_int_ge(fd, 0);
	before = log_dropped();
	ck_assert_int_eq(log_start(&o), 0);
	run_writers();
	log_stop();
	text = read_all(fd);
	lost = account(text, log_dropped() - before);
	free(text);
	close_fd(&fd);
	(void)unlink(path);
	return lost;
}

START_TEST(twenty_thousand_a_second_are_all_there)
{
	uint64_t lost = run(LINES, true);

	/* A disk, or a machine, that stands still may cost some; not many. */
	ck_assert_uint_le(lost, LINES / 10);
}
END_TEST

START_TEST(as_many_as_can_be_are_there_or_counted)
{
	/* More than the queues hold. */
	(void)run(5 * LINES, false);
}
END_TEST

START_TEST(what_a_reader_does_not_take_is_counted)
{
	char folder[] = "/tmp/check_log_load.XXXXXX";
	char path[sizeof(folder) + 8];
	struct log_options o = { .path = path, .level = LOG_LEVEL_INFO };
	uint64_t before = log_dropped();
	pthread_t reader;
	void *text;
	int fd;

	paced = false;
	each = 5 * LINES / WRITERS;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/fifo", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	ck_assert_int_eq(log_start(&o), 0);
	run_writers();
	ck_assert_int_eq(pthread_create(&reader, NULL, drain, &fd), 0);
	log_stop();
	(void)pthread_join(reader, &text);
	ck_assert_uint_gt(account(text, log_dropped() - before), LINES);
	free(text);
	close_fd(&fd);
	(void)unlink(path);
	(void)rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_load");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, twenty_thousand_a_second_are_all_there);
	tcase_add_test(t, as_many_as_can_be_are_there_or_counted);
	tcase_add_test(t, what_a_reader_does_not_take_is_counted);
	suite_add_tcase(s, t);
	return run_suite(s);
}
