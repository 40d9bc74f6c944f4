/*
 * The log's front: levels, the calling thread's queue, and the lines that go
 * straight to standard error while there is no logger thread.
 *
 * The callers are tasks with small stacks, so a line is formatted in the ring
 * even when it is then written from there at once.
 */
#include "daemon/log.h"

#include "daemon/log_format.h"
#include "daemon/log_writer.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define CUT_MARK "..."

#define DIRECT_PATIENCE_MS 100

/* A text and its pairs. */
#define RECORD_BYTES (2 * LOG_LINE_BYTES)

static atomic_int max_level = LOG_LEVEL_INFO;
static atomic_bool direct_prefixes;

/* The calling thread's queue; the key is there for its destructor. */
static _Thread_local struct log_queue *my_queue;
static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void thread_ended(void *queue)
{
	my_queue = NULL;
	log_queue_put(queue);
}

static void make_key(void)
{
	int r = pthread_key_create(&key, thread_ended);

	ASSERT(r == 0);
}

/* The first line of a thread; NULL when out of memory. */
static struct log_queue *make_queue(void)
{
	int saved = errno;

	(void)pthread_once(&key_once, make_key);
	my_queue = log_queue_new();
	if (my_queue && pthread_setspecific(key, my_queue) != 0)
		log_queue_put(TAKE_PTR(my_queue));
	errno = saved;
	return my_queue;
}

/* Writes a line by ourselves; nothing can be done where that fails. */
static void write_direct(enum log_level level, char *text, size_t len)
{
	char head[LOG_HEAD_BYTES];
	struct log_clock clock = { .prefixes = atomic_load(&direct_prefixes) };
	struct iovec parts[3];
	struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
	int saved = errno;
	ssize_t n = -1;

	log_clean(text, len);
	parts[0].iov_base = head;
	parts[0].iov_len = log_head(&clock, level, log_stamp(), head);
	parts[1].iov_base = text;
	parts[1].iov_len = len;
	parts[2].iov_base = (char[]){ '\n' };
	parts[2].iov_len = 1;
	/* A terminal that was stopped must not stop us. */
	if (poll(&room, 1, DIRECT_PATIENCE_MS) == 1)
		n = writev(STDERR_FILENO, parts, ARRAY_SIZE(parts));
	if (n < 0)
		log_writer_lost();
	errno = saved;
}

/* --- Copies of errors --------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	char *text; /* NULL: nobody wants them */
	size_t size;
} copy = { .lock = PTHREAD_MUTEX_INITIALIZER };

void log_copy_errors(char *text, size_t size)
{
	(void)pthread_mutex_lock(&copy.lock);
	copy.text = size ? text : NULL;
	copy.size = size;
	(void)pthread_mutex_unlock(&copy.lock);
}

static void copy_error(const char *line, size_t len)
{
	(void)pthread_mutex_lock(&copy.lock);
	if (copy.text) {
		size_t used = strlen(copy.text);

		len = min_size(len, copy.size - used - 1);
		memcpy(copy.text + used, line, len);
		log_clean(copy.text + used, len);
		if (used + len + 1 < copy.size)
			copy.text[used + len++] = '\n';
		copy.text[used + len] = '\0';
	}
	(void)pthread_mutex_unlock(&copy.lock);
}

/* --- Lines -------------------------------------------------------------- */

void log_set_level(enum log_level level)
{
	atomic_store(&max_level, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&max_level);
}

bool log_wants(enum log_level level)
{
	return (int)level <=
	       atomic_load_explicit(&max_level, memory_order_relaxed);
}

char *log_reserve(void)
{
	struct log_queue *q = my_queue ? my_queue : make_queue();
	char *room = q ? log_ring_reserve(q->ring, RECORD_BYTES) : NULL;

	if (!room)
		log_writer_lost();
	return room;
}

void log_commit_pairs(enum log_level level, size_t len, size_t pairs)
{
	struct log_queue *q = my_queue;
	unsigned int run = log_writer_run();

	ASSERT(q && len <= LOG_LINE_BYTES && pairs <= LOG_LINE_BYTES);
	if (len == 0 || !log_wants(level))
		return;
	if (level == LOG_LEVEL_ERROR)
		copy_error(log_ring_reserve(q->ring, RECORD_BYTES), len);
	if (run == 0) {
		write_direct(level, log_ring_reserve(q->ring, RECORD_BYTES),
			     len);
		return;
	}
	if (q->run != run)
		log_writer_adopt(q, run);
	log_ring_commit(q->ring,
			&(struct log_ring_line){ .len = len,
						 .pairs = pairs,
						 .level = level,
						 .stamp_ms = log_stamp() });
	log_writer_notice(level <= LOG_LEVEL_WARNING ||
			  log_ring_fills(q->ring));
}

void log_commit(enum log_level level, size_t len)
{
	log_commit_pairs(level, len, 0);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	char *room;
	int len;

	if (!log_wants(level))
		return;
	room = log_reserve();
	if (!room)
		return;
	va_start(ap, fmt);
	len = vsnprintf(room, LOG_LINE_BYTES, fmt, ap);
	va_end(ap);
	if (len >= LOG_LINE_BYTES) {
		len = LOG_LINE_BYTES;
		memcpy(room + len - strlen(CUT_MARK), CUT_MARK,
		       strlen(CUT_MARK));
	}
	log_commit(level, len > 0 ? (size_t)len : 0);
}

/* Under systemd standard error is the journal, which wants levels. */
bool log_stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat st;

	if (!stream || sscanf(stream, "%lu:%lu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
	       st.st_ino == inode;
}

void log_set_prefixes(bool on)
{
	atomic_store(&direct_prefixes, on);
}

int log_start(const struct log_options *o)
{
	int r = log_writer_start(o);

	if (r < 0)
		return r;
	atomic_store(&max_level, (int)o->level);
	atomic_store(&direct_prefixes, o->prefixes);
	return 0;
}

void log_stop(void)
{
	log_writer_stop();
	/* The main thread's destructors never run. */
	if (my_queue) {
		(void)pthread_setspecific(key, NULL);
		log_queue_put(TAKE_PTR(my_queue));
	}
}
