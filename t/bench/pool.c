/*
 * pool: what a job costs by tcp_pool, by a thread of its own, and by a plain
 * pool of one mutex and two condition variables with as many threads and as
 * long a queue.
 *
 * Jobs are empty, work for 10 us, or sleep for 1 ms, and come from one or from
 * four threads that submit as fast as they are let.  All subjects take turns
 * in each round; what is printed is the median over the rounds.  CPU is that
 * of the whole process, the submitters included.
 */
#include "core/tcpserver.h"
#include "t/bench/args.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define QUEUE          256u
#define ROUNDS_MAX     99
#define SUBMITTERS_MAX 4
#define KINDS          3
#define WORK_NS        10000u

static long threads;
static uint64_t span_ns;         /* of one measurement */
static unsigned long work_loops; /* of 10 us */

static void fail(const char *what)
{
	fprintf(stderr, "pool: %s\n", what);
	exit(1);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- Jobs --------------------------------------------------------------- */

/* Each step needs the one before it, and no memory. */
static void spin(unsigned long loops)
{
	for (unsigned long x = 1; loops > 0; loops--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__asm__ volatile("" : "+r"(x));
	}
}

/* The fastest of some tries is the one that nobody disturbed. */
static void calibrate(void)
{
	const unsigned long loops = 10000;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t t = now_ns();

		spin(loops);
		t = now_ns() - t;
		best = t < best ? t : best;
	}
	work_loops = loops * WORK_NS / best;
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void do_work(void *arg)
{
	(void)arg;
	spin(work_loops);
}

static void do_sleep(void *arg)
{
	struct timespec t = { .tv_nsec = 1000000 };

	(void)arg;
	nanosleep(&t, NULL);
}

static const struct kind {
	const char *name;
	void (*fn)(void *arg);
} kinds[KINDS] = {
	{ "empty", do_nothing },
	{ "10 us of work", do_work },
	{ "1 ms of sleep", do_sleep },
};

/* --- Subjects ----------------------------------------------------------- */

static struct tcp_pool *pool;

static void pool_start(void)
{
	struct tcp_pool_options o = { .max_threads = (unsigned)threads,
				      .queue_max = QUEUE };

	if (tcp_pool_new(&pool, &o) < 0)
		fail("tcp_pool_new");
}

static void pool_submit(void (*fn)(void *arg))
{
	if (tcp_pool_submit_wait(pool, fn, NULL, -1) < 0)
		fail("tcp_pool_submit_wait");
}

static void pool_finish(void)
{
	tcp_pool_stop(pool, true, -1);
	tcp_pool_free(pool);
}

static atomic_ulong living;

static void *own_thread(void *arg)
{
	const struct kind *k = arg;

	k->fn(NULL);
	atomic_fetch_sub(&living, 1);
	return NULL;
}

static void own_start(void)
{
}

static void own_submit(void (*fn)(void *arg))
{
	const struct kind *k = kinds;
	pthread_attr_t attr;
	pthread_t id;

	while (k->fn != fn)
		k++;
	atomic_fetch_add(&living, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while (pthread_create(&id, &attr, own_thread, (void *)k))
		usleep(100);
	pthread_attr_destroy(&attr);
}

static void own_finish(void)
{
	while (atomic_load(&living) > 0)
		usleep(100);
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t some, room;
	void (*queue[QUEUE])(void *arg);
	unsigned first, count;
	bool stopped;
	pthread_t *ids;
} plain = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.some = PTHREAD_COND_INITIALIZER,
	.room = PTHREAD_COND_INITIALIZER,
};

static void *plain_thread(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&plain.lock);
	for (;;) {
		void (*fn)(void *arg);

		while (!plain.count && !plain.stopped)
			pthread_cond_wait(&plain.some, &plain.lock);
		if (!plain.count)
			break;
		fn = plain.queue[plain.first];
		plain.first = (plain.first + 1) % QUEUE;
		plain.count--;
		pthread_cond_signal(&plain.room);
		pthread_mutex_unlock(&plain.lock);
		fn(NULL);
		pthread_mutex_lock(&plain.lock);
	}
	pthread_mutex_unlock(&plain.lock);
	return NULL;
}

static void plain_start(void)
{
	plain.stopped = false;
	plain.ids = calloc((size_t)threads, sizeof(*plain.ids));
	for (long i = 0; i < threads; i++)
		if (!plain.ids ||
		    pthread_create(&plain.ids[i], NULL, plain_thread, NULL))
			fail("pthread_create");
}

static void plain_submit(void (*fn)(void *arg))
{
	pthread_mutex_lock(&plain.lock);
	while (plain.count == QUEUE)
		pthread_cond_wait(&plain.room, &plain.lock);
	plain.queue[(plain.first + plain.count++) % QUEUE] = fn;
	pthread_cond_signal(&plain.some);
	pthread_mutex_unlock(&plain.lock);
}

static void plain_finish(void)
{
	pthread_mutex_lock(&plain.lock);
	plain.stopped = true;
	pthread_cond_broadcast(&plain.some);
	pthread_mutex_unlock(&plain.lock);
	for (long i = 0; i < threads; i++)
		pthread_join(plain.ids[i], NULL);
	free(plain.ids);
}

static const struct subject {
	const char *name;
	void (*start)(void);
	void (*submit)(void (*fn)(void *arg));
	void (*finish)(void); /* when all jobs are done */
} subjects[] = {
	{ "tcp_pool", pool_start, pool_submit, pool_finish },
	{ "plain pool", plain_start, plain_submit, plain_finish },
	{ "own thread", own_start, own_submit, own_finish },
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

/* --- Measuring ---------------------------------------------------------- */

struct submitter {
	pthread_t id;
	const struct subject *subject;
	void (*fn)(void *arg);
	uint64_t until, count;
};

static void *submit(void *arg)
{
	struct submitter *s = arg;

	/* The clock is looked at now and then, to cost nothing. */
	do {
		for (int i = 0; i < 16; i++)
			s->subject->submit(s->fn);
		s->count += 16;
	} while (now_ns() < s->until);
	return NULL;
}

struct figure {
	double rate, cpu_us;
};

static struct figure measure(const struct subject *s, const struct kind *k,
			     int submitters)
{
	struct submitter by[SUBMITTERS_MAX];
	uint64_t count = 0, cpu, wall;

	s->start();
	cpu = cpu_ns();
	wall = now_ns();
	for (int i = 0; i < submitters; i++) {
		by[i] = (struct submitter){ .subject = s,
					    .fn = k->fn,
					    .until = wall + span_ns };
		if (pthread_create(&by[i].id, NULL, submit, &by[i]))
			fail("pthread_create");
	}
	for (int i = 0; i < submitters; i++) {
		pthread_join(by[i].id, NULL);
		count += by[i].count;
	}
	s->finish();
	wall = now_ns() - wall;
	cpu = cpu_ns() - cpu;
	return (struct figure){
		.rate = (double)count * 1e9 / (double)wall,
		.cpu_us = (double)cpu / 1e3 / (double)count,
	};
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *of, long n)
{
	qsort(of, (size_t)n, sizeof(*of), compare);
	return n % 2 ? of[n / 2] : (of[n / 2 - 1] + of[n / 2]) / 2;
}

static struct cell {
	double rate[ROUNDS_MAX], cpu_us[ROUNDS_MAX];
} cells[KINDS][2][SUBJECTS];

static const int submitters[2] = { 1, SUBMITTERS_MAX };

static void measure_all(long round)
{
	for (int k = 0; k < KINDS; k++)
		for (int n = 0; n < 2; n++)
			for (size_t s = 0; s < SUBJECTS; s++) {
				struct figure f = measure(
					&subjects[s], &kinds[k], submitters[n]);

				cells[k][n][s].rate[round] = f.rate;
				cells[k][n][s].cpu_us[round] = f.cpu_us;
			}
}

static void print_all(long rounds)
{
	printf("%-14s %10s", "job", "submitters");
	for (size_t s = 0; s < SUBJECTS; s++)
		printf("  %10s: jobs/s  us/job", subjects[s].name);
	putchar('\n');
	for (int k = 0; k < KINDS; k++)
		for (int n = 0; n < 2; n++) {
			printf("%-14s %10d", kinds[k].name, submitters[n]);
			for (size_t s = 0; s < SUBJECTS; s++) {
				struct cell *c = &cells[k][n][s];

				printf("  %18.0f %7.2f",
				       median(c->rate, rounds),
				       median(c->cpu_us, rounds));
			}
			putchar('\n');
		}
}

int main(int argc, char **argv)
{
	long rounds = arg_number(argc, argv, "--rounds", 15);
	long ms = arg_number(argc, argv, "--ms", 40);

	threads = arg_number(argc, argv, "--threads",
			     2 * sysconf(_SC_NPROCESSORS_ONLN));
	if (rounds < 1 || rounds > ROUNDS_MAX || ms < 1 || threads < 1) {
		fputs("usage: pool [--rounds N] [--ms N] [--threads N]\n",
		      stderr);
		return 2;
	}
	span_ns = (uint64_t)ms * 1000000;
	calibrate();
	printf("%ld threads, queue of %u, medians of %ld rounds of %ld ms; "
	       "CPU of the whole process\n",
	       threads, QUEUE, rounds, ms);
	for (long i = 0; i < rounds; i++)
		measure_all(i);
	print_all(rounds);
	return 0;
}
