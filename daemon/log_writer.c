/*
 * While lines keep coming the thread looks every 25 ms, so that their writers
 * need no system call; after a while without any it sleeps until it is woken.
 * Either sleep is a futex wait on `wake`, which a writer sets to 1.
 */
#include "daemon/log_writer.h"

#include "conf/file_advice.h"
#include "daemon/log_format.h"
#include "daemon/log_journal.h"
#include "daemon/log_sink.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES  (1024 * 1024)
#define BATCH_BYTES (64 * 1024)
#define PAUSE_MS    25
#define IDLE_PAUSES 20
#define REPORT_MS   1000

/* Shared by all threads. */
static struct {
	atomic_uint run;                   /* 0: no thread */
	_Atomic(struct log_queue *) fresh; /* adopted, not yet seen */
	_Atomic uint32_t wake;
	atomic_bool asleep; /* nobody will look unless woken */
	atomic_bool reopen, stop;
	atomic_uint_least64_t dropped;
} shared;

/* The logger thread's own; log_writer_start() and _stop() outlive it. */
static struct {
	pthread_t thread;
	unsigned int last_run;
	struct log_queue *queues;
	struct log_journal *journal; /* NULL: lines go to the sink */
	struct log_sink sink;
	struct log_clock clock;
	uint64_t reported; /* of `dropped` */
	int64_t report_ms; /* when it was tried last, CLOCK_MONOTONIC */
	size_t len;
	char *batch; /* BATCH_BYTES */
} own;

/* --- Queues ------------------------------------------------------------- */

struct log_queue *log_queue_new(void)
{
	struct log_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->ring = log_ring_new(RING_BYTES);
	if (!q->ring) {
		free(q);
		return NULL;
	}
	atomic_init(&q->refs, 1);
	return q;
}

void log_queue_put(struct log_queue *q)
{
	if (!q || atomic_fetch_sub(&q->refs, 1) != 1)
		return;
	log_ring_free(q->ring);
	free(q);
}

void log_writer_adopt(struct log_queue *q, unsigned int run)
{
	q->run = run;
	(void)atomic_fetch_add(&q->refs, 1);
	q->next = atomic_load(&shared.fresh);
	while (!atomic_compare_exchange_weak(&shared.fresh, &q->next, q))
		;
}

static void take_fresh(void)
{
	struct log_queue *q = atomic_exchange(&shared.fresh, NULL);

	while (q) {
		struct log_queue *next = q->next;

		q->next = own.queues;
		own.queues = q;
		q = next;
	}
}

/* Lets go of the queues whose threads have ended and left nothing. */
static void drop_dead(void)
{
	struct log_queue **link = &own.queues;
	struct log_ring_line line;

	while (*link) {
		struct log_queue *q = *link;
		/* Before the look into the ring: what it then holds is all. */
		bool alone = atomic_load(&q->refs) == 1;

		if (alone && !log_ring_peek(q->ring, &line)) {
			*link = q->next;
			log_queue_put(q);
		} else {
			link = &q->next;
		}
	}
}

static void let_go(void)
{
	take_fresh();
	while (own.queues) {
		struct log_queue *next = own.queues->next;

		log_queue_put(own.queues);
		own.queues = next;
	}
}

/* --- Waking ------------------------------------------------------------- */

static void wake(void)
{
	int saved = errno;

	if (atomic_exchange(&shared.wake, 1) == 0)
		(void)syscall(SYS_futex, &shared.wake, FUTEX_WAKE_PRIVATE, 1,
			      NULL, NULL, 0);
	errno = saved;
}

/* Sleeps until wake(); at most `ms`, without a limit if negative. */
static void pause_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
			      .tv_nsec = ms % 1000 * 1000000 };

	(void)syscall(SYS_futex, &shared.wake, FUTEX_WAIT_PRIVATE, 0,
		      ms < 0 ? NULL : &t, NULL, 0);
}

void log_writer_notice(bool urgent)
{
	if (urgent || atomic_load(&shared.asleep))
		wake();
}

void log_reopen(void)
{
	atomic_store(&shared.reopen, true);
	wake();
}

/* --- Writing ------------------------------------------------------------ */

void log_writer_lost(void)
{
	(void)atomic_fetch_add_explicit(&shared.dropped, 1,
					memory_order_relaxed);
}

uint64_t log_dropped(void)
{
	return atomic_load_explicit(&shared.dropped, memory_order_relaxed);
}

/* Writes the batch; returns how many of its lines were lost. */
static size_t write_batch(void)
{
	size_t lost = 0;

	if (own.journal)
		return log_journal_send(own.journal);
	if (own.len)
		lost = log_sink_write(&own.sink, own.batch, own.len);
	own.len = 0;
	return lost;
}

static void flush_batch(void)
{
	size_t lost = write_batch();

	if (lost)
		(void)atomic_fetch_add_explicit(&shared.dropped, lost,
						memory_order_relaxed);
}

static bool batch_full(void)
{
	if (own.journal)
		return log_journal_full(own.journal);
	return own.len + LOG_OUT_BYTES > BATCH_BYTES;
}

static void add_line(const struct log_ring_line *line)
{
	enum log_level level = (enum log_level)line->level;
	struct span pairs = { (const uint8_t *)line->text + line->len,
			      line->pairs };

	/* It has a clock of its own, and stamps lines as they arrive. */
	if (own.journal)
		log_journal_add(own.journal, level, line->text, line->len,
				pairs);
	else
		own.len += log_format(&own.clock, level, line->stamp_ms,
				      line->text, line->len,
				      own.batch + own.len);
}

/* A line of the logger thread itself. */
static void PRINTF_LIKE(1, 2) say(const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (batch_full())
		flush_batch();
	if (len > 0)
		add_line(&(struct log_ring_line){
			.text = text,
			.len = min_size((size_t)len, sizeof(text) - 1),
			.level = LOG_LEVEL_WARNING,
			.stamp_ms = log_stamp() });
}

/*
 * The queue with the oldest line; NULL if all are empty.  `ret_until` becomes
 * the stamp up to which the following lines of this queue come first as well.
 */
static struct log_queue *oldest(int64_t *ret_until)
{
	struct log_queue *first = NULL;
	struct log_ring_line line;
	int64_t best = 0;

	*ret_until = INT64_MAX;
	for (struct log_queue *q = own.queues; q; q = q->next) {
		if (!log_ring_peek(q->ring, &line))
			continue;
		if (!first || line.stamp_ms < best) {
			if (first)
				*ret_until = best;
			first = q;
			best = line.stamp_ms;
		} else {
			*ret_until = min_i64(*ret_until, line.stamp_ms);
		}
	}
	return first;
}

/* Moves lines from the rings into the batch; true if any were there. */
static bool collect(void)
{
	struct log_queue *q;
	struct log_ring_line line;
	bool any = false;
	int64_t until;

	take_fresh();
	while (!batch_full() && (q = oldest(&until))) {
		while (!batch_full() && log_ring_peek(q->ring, &line) &&
		       line.stamp_ms <= until) {
			add_line(&line);
			log_ring_pop(q->ring);
			any = true;
		}
	}
	return any;
}

/* Says how many lines were lost, once a second and only if that gets out. */
static void report_lost(bool last)
{
	uint64_t dropped = log_dropped();
	struct timespec t;
	int64_t now;

	if (dropped == own.reported)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	if (!last && now - own.report_ms < REPORT_MS)
		return;
	own.report_ms = now;
	say("%llu lines of the log were lost",
	    (unsigned long long)(dropped - own.reported));
	if (write_batch() == 0)
		own.reported = dropped;
}

static void reopen(void)
{
	int r = own.journal ? 0 : log_sink_reopen(&own.sink);

	if (r < 0)
		say("cannot open %s again, still writing to the old file: %s%s",
		    own.sink.path, strerrordesc_np(-r), file_write_advice(r));
}

/* Sleeps for good unless a line came in since the last look. */
static void sleep_idle(void)
{
	bool unsaid = log_dropped() != own.reported;
	struct log_ring_line line;
	bool empty;

	atomic_store(&shared.asleep, true);
	empty = atomic_load(&shared.fresh) == NULL;
	for (struct log_queue *q = own.queues; empty && q; q = q->next)
		empty = !log_ring_peek(q->ring, &line);
	if (empty)
		pause_ms(unsaid ? REPORT_MS : -1);
	atomic_store(&shared.asleep, false);
}

static void *logger(UNUSED void *arg)
{
	unsigned int idle = 0;
	bool stopping, any, full;

	/* By itself: naming another thread takes a file of /proc. */
	(void)pthread_setname_np(pthread_self(), "log");
	do {
		/* Before looking: what comes later sets it to 1 again. */
		atomic_store(&shared.wake, 0);
		stopping = atomic_load(&shared.stop);
		if (atomic_exchange(&shared.reopen, false))
			reopen();
		any = collect();
		full = batch_full();
		flush_batch();
		report_lost(stopping && !any);
		drop_dead();
		idle = any ? 0 : idle + 1;
		if (stopping || full)
			continue;
		if (idle < IDLE_PAUSES)
			pause_ms(PAUSE_MS);
		else
			sleep_idle();
	} while (!stopping || any);
	return NULL;
}

/* --- Life --------------------------------------------------------------- */

unsigned int log_writer_run(void)
{
	return atomic_load_explicit(&shared.run, memory_order_acquire);
}

/* The signals are for the other threads. */
static int start_thread(void)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&own.thread, NULL, logger, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int open_target(const struct log_options *o)
{
	int r;

	if (o->journal)
		return log_journal_open(&own.journal,
					o->path ? o->path : LOG_JOURNAL_PATH);
	own.batch = malloc(BATCH_BYTES);
	if (!own.batch)
		return -ENOMEM;
	r = log_sink_open(&own.sink, o->path);
	if (r < 0)
		free(TAKE_PTR(own.batch));
	own.clock = (struct log_clock){ .style = o->style,
					.prefixes = o->prefixes && !o->path,
					.pid = getpid() };
	own.len = 0;
	return r;
}

static void close_target(void)
{
	if (own.journal)
		log_journal_close(TAKE_PTR(own.journal));
	else
		log_sink_close(&own.sink);
	free(TAKE_PTR(own.batch));
}

int log_writer_start(const struct log_options *o)
{
	int r;

	ASSERT(log_writer_run() == 0);
	r = open_target(o);
	if (r < 0)
		return r;
	let_go(); /* of what came too late for the run before */
	atomic_store(&shared.stop, false);
	atomic_store(&shared.reopen, false);
	r = start_thread();
	if (r < 0) {
		close_target();
		return r;
	}
	atomic_store(&shared.run, ++own.last_run);
	return 0;
}

void log_writer_stop(void)
{
	if (log_writer_run() == 0)
		return;
	atomic_store(&shared.stop, true);
	wake();
	(void)pthread_join(own.thread, NULL);
	atomic_store(&shared.run, 0);
	/* Lines that were published while the thread ended. */
	while (collect())
		flush_batch();
	report_lost(true);
	let_go();
	close_target();
}
