/*
 * A server under stress: it starts, is loaded, while its TLS contexts, ticket
 * keys, sockets and limits change, and ends by each way there is, in a loop.
 * After each round nothing may be left: no count, block, job or descriptor.
 *
 * Made for ThreadSanitizer above all.  STRESS_SECONDS (10) is how long.
 */
#include "t/unit/stress.h"

#include "config.h"
#include "t/unit/bound.h"
#include "t/unit/suite.h"
#include "t/unit/tcp_pair.h"
#include "t/unit/tls_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define WORKERS     4u
#define CLIENTS_MAX 6u
#define ROUND_MS    600

enum ending { BY_SHUTDOWN, BY_HALT, BY_MAX_ACCEPTS, BY_RUN, ENDINGS };

static struct tcp_tls_certificate certificate[2]; /* RSA, P-256 */

/* How much slower than usual everything is. */
static unsigned slowness(void)
{
	return RUNNING_ON_VALGRIND ? 5 : 1;
}

static unsigned clients(void)
{
	return RUNNING_ON_VALGRIND ? 3 : CLIENTS_MAX;
}

static uint64_t max_accepts(void)
{
	return RUNNING_ON_VALGRIND ? 50 : 200;
}

static int64_t seconds(void)
{
	const char *text = getenv("STRESS_SECONDS");

	return text ? strtol(text, NULL, 10) : 10;
}

static void nap(unsigned ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000,
				     .tv_nsec = ms % 1000 * 1000000L };

	(void)nanosleep(&ts, NULL);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- TLS ---------------------------------------------------------------- */

static atomic_uint key_age;

static struct tcp_tls_ticket_key key_of(unsigned age)
{
	struct tcp_tls_ticket_key k;

	memset(&k, (int)age + 1, sizeof(k));
	return k;
}

/* The newest and those before it. */
static void set_keys(struct tcp_tls *t)
{
	unsigned age = atomic_load(&key_age);
	struct tcp_tls_ticket_key keys[3] = { key_of(age), key_of(age - 1),
					      key_of(age - 2) };

	claim(tcp_tls_set_ticket_keys(t, keys, ARRAY_SIZE(keys)) == 0,
	      "ticket keys are refused");
}

/* One certificate, the other, or both; with protocols now and then. */
static struct tcp_tls *context(unsigned kind)
{
	static const char *const alpn[] = { "stress" };
	struct tcp_tls_options o = {
		.certificates = certificate + (kind % 3 == 1),
		.certificate_count = kind % 3 == 2 ? 2 : 1,
		.alpn = alpn,
		.alpn_count = kind / 3 % 2,
		.no_tickets = kind % 16 == 15,
	};
	struct tcp_tls *t;
	char why[200];

	claim(tcp_tls_new(&t, &o, why, sizeof(why)) == 0, "%s", why);
	set_keys(t);
	return t;
}

/* --- Meanwhile ---------------------------------------------------------- */

struct disturbance {
	unsigned round, adopted, listeners;
	uint32_t state;
	pthread_t thread;
};

static unsigned random_below(struct disturbance *d, unsigned bound)
{
	d->state = d->state * 1664525u + 1013904223u;
	return (d->state >> 8) % bound;
}

static void change_context(struct disturbance *d)
{
	struct tcp_tls *new = context(random_below(d, 32)), *old;

	(void)pthread_mutex_lock(&stress.lock);
	old = stress.tls;
	stress.tls = new;
	(void)pthread_mutex_unlock(&stress.lock);
	tcp_listener_set_tls(stress.listener[STRESS_SECURE], new);
	tcp_tls_unref(old);
}

static void change_keys(struct disturbance *d UNUSED)
{
	atomic_fetch_add(&key_age, 1);
	(void)pthread_mutex_lock(&stress.lock);
	set_keys(stress.tls);
	(void)pthread_mutex_unlock(&stress.lock);
}

static void change_room(struct disturbance *d)
{
	static const size_t rooms[] = { 0, 1, 5, 50 };

	/* Those who wait for room look but ten times a second. */
	if (random_below(d, 8) > 0)
		return;
	tcp_server_set_max_connections(
		stress.server, rooms[random_below(d, ARRAY_SIZE(rooms))]);
	nap(random_below(d, 5));
	tcp_server_set_max_connections(stress.server, SIZE_MAX);
}

/* Lets nobody have one more descriptor for a while. */
static void starve(struct disturbance *d)
{
	struct rlimit usual, low;
	int next;

	if (tcp_server_started(stress.server) == 0)
		return; /* it could not start */
	next = fcntl(stress.file, F_DUPFD_CLOEXEC, 0);
	claim(next >= 0 && getrlimit(RLIMIT_NOFILE, &usual) == 0,
	      "no descriptor");
	low = usual;
	low.rlim_cur = (rlim_t)next;
	claim(setrlimit(RLIMIT_NOFILE, &low) == 0, "no lower limit");
	close_fd(&next);
	nap(random_below(d, 4));
	claim(setrlimit(RLIMIT_NOFILE, &usual) == 0, "no limit as before");
}

static void adopt(struct disturbance *d)
{
	struct tcp_addr a = stress.addr[STRESS_PLAIN];
	int r;

	if (d->adopted++ >= 8)
		return;
	r = tcp_listener_adopt(stress.listener[STRESS_PLAIN],
			       sock_bound(&a, true));
	claim(r == 0 || r == -ESHUTDOWN, "adopt says %d", r);
}

static void listen_more(struct disturbance *d)
{
	struct tcp_addr a = addr_at("127.0.0.1:0");
	struct tcp_listener *l;
	int r;

	if (d->listeners++ >= 4)
		return;
	r = tcp_server_listen(stress.server, &a, &stress_listen, stress_handle,
			      &stress, &l);
	claim(r == 0 || r == -ESHUTDOWN, "listen says %d", r);
}

static void cut_idle(struct disturbance *d)
{
	(void)tcp_server_cut_idle(stress.server, random_below(d, 100));
}

static void look_at_counts(struct disturbance *d UNUSED)
{
	struct tcp_server_stats s;
	struct tcp_pool_stats p;

	tcp_server_stats(stress.server, &s);
	tcp_pool_stats(stress.pool, &p);
	claim(p.threads <= 4, "%zu threads of 4", p.threads);
	claim(s.active <= s.accepted, "more connections than were accepted");
}

static void submit(struct disturbance *d)
{
	for (unsigned i = random_below(d, 40); i > 0; i--)
		stress_submit(random_below(d, 8) == 0);
}

static void stop_pool(struct disturbance *d)
{
	if (d->round % 4 == 3 && random_below(d, 20) == 0)
		(void)tcp_pool_stop(stress.pool, random_below(d, 2), 0);
}

/* Goes on until after the end. */
static void *disturb(void *arg)
{
	static void (*const ways[])(struct disturbance * d) = {
		change_context, change_context, change_keys, change_room,
		adopt,          listen_more,    cut_idle,    starve,
		submit,         submit,         stop_pool,   look_at_counts,
	};
	struct disturbance *d = arg;

	while (!atomic_load(&stress.enough)) {
		ways[random_below(d, ARRAY_SIZE(ways))](d);
		nap(random_below(d, 4));
	}
	return NULL;
}

/* --- A round ------------------------------------------------------------ */

static int worker_start(void *ctx, unsigned worker)
{
	claim(ctx == &stress && worker < WORKERS, "another worker");
	atomic_fetch_add(&stress.workers, 1);
	return 0;
}

static void worker_stop(void *ctx, unsigned worker)
{
	claim(ctx == &stress && worker < WORKERS, "another worker");
	atomic_fetch_add(&stress.workers_stopped, 1);
}

static struct tcp_listener *listen_at(const char *text,
				      const struct tcp_listen_options *o)
{
	struct tcp_listener *l;

	claim(tcp_server_listen_text(stress.server, text, o, stress_handle,
				     &stress, &l) == 0,
	      "no listener at %s", text);
	return l;
}

static void open_listeners(void)
{
	struct tcp_listen_options o = stress_listen;

	(void)snprintf(stress.local, sizeof(stress.local), "@stress-%d",
		       (int)getpid());
	stress.listener[STRESS_LOCAL] = listen_at(stress.local, &o);
	o.tls = stress.tls;
	o.tls_handshake_ms = atomic_load(&stress.calm) ? 0 : 300 * slowness();
	stress.listener[STRESS_SECURE] = listen_at("127.0.0.1:0", &o);
	o.tls = NULL;
	o.first_byte_ms = atomic_load(&stress.calm) ? SOON_MS
						    : 300 * slowness();
	stress.listener[STRESS_PLAIN] = listen_at("127.0.0.1:0", &o);
	for (int i = 0; i < STRESS_SIDES; i++)
		stress.addr[i] = *tcp_listener_addr(stress.listener[i]);
}

static void forget_counts(void)
{
	stress.ended = stress.blockless = 0;
	stress.made = stress.failed = stress.freed = 0;
	stress.jobs = stress.jobs_released = 0;
	stress.alone = stress.alone_done = 0;
	stress.relays = stress.relays_ended = 0;
	stress.workers = stress.workers_stopped = 0;
	stress.enough = false;
}

static void set_up(enum ending ending)
{
	bool calm = atomic_load(&stress.calm);
	const struct tcp_server_options so = {
		.workers = WORKERS,
		.buffer_bytes = 1u << 20,
		.pipes = 8,
		.thread_name = "stress",
		.tick_ms = 20,
		.pin = ending == BY_HALT,
		.prealloc = 2,
		.max_handshakes = ending == BY_SHUTDOWN && !calm ? 12 : 0,
		.max_accepts = ending == BY_MAX_ACCEPTS ? max_accepts() : 0,
		.max_tls_handshakes = calm ? 0 : 6,
		.worker_start = worker_start,
		.worker_stop = worker_stop,
		.ctx = &stress,
	};
	const struct tcp_pool_options po = {
		.max_threads = 4,
		.shards = 2,
		.queue_max = 16,
		.idle_ms = 20,
		.thread_name = "job",
	};

	forget_counts();
	claim(tcp_pool_new(&stress.pool, &po) == 0, "no pool");
	claim(tcp_server_new(&stress.server, &so) == 0, "no server");
	stress.tls = context(2);
	open_listeners();
}

static void check_counts(enum ending ending)
{
	struct tcp_server_stats s;

	tcp_server_stats(stress.server, &s);
	ck_assert_uint_eq(s.active, 0);
	ck_assert_uint_eq(s.handshakes, 0);
	ck_assert_uint_eq(s.tasks, 0);
	ck_assert_uint_eq(s.relays, 0);
	if (ending == BY_MAX_ACCEPTS)
		ck_assert_uint_eq(s.accepted, max_accepts());
	ck_assert_uint_eq(stress.ended + stress.blockless, s.accepted);
	ck_assert_uint_eq(stress.blockless, stress.failed);
	ck_assert_uint_eq(stress.relays, stress.relays_ended);
	ck_assert_uint_eq(stress.workers, WORKERS);
	ck_assert_uint_eq(stress.workers_stopped, WORKERS);
}

static void tear_down(enum ending ending)
{
	struct tcp_pool_stats p;

	check_counts(ending);
	tcp_server_free(TAKE_PTR(stress.server));
	ck_assert_uint_eq(stress.made - stress.failed, stress.freed);
	ck_assert_int_eq(tcp_pool_stop(stress.pool, false, -1), 0);
	tcp_pool_stats(stress.pool, &p);
	ck_assert_uint_eq(p.threads, 0);
	ck_assert_uint_eq(p.queued, 0);
	tcp_pool_free(TAKE_PTR(stress.pool));
	ck_assert_uint_eq(stress.jobs, stress.jobs_released);
	ck_assert_uint_le(stress.alone_done, stress.alone);
	tcp_tls_unref(TAKE_PTR(stress.tls));
}

static void *halt_later(void *arg UNUSED)
{
	nap(20);
	tcp_server_halt(stress.server);
	return NULL;
}

static void *run(void *arg UNUSED)
{
	claim(tcp_server_run(stress.server) == 0, "run fails");
	return NULL;
}

static void thread(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
	claim(pthread_create(ret, NULL, fn, arg) == 0, "no thread");
}

static void serve_and_end(enum ending ending, unsigned round)
{
	pthread_t other;

	switch (ending) {
	case BY_SHUTDOWN:
		nap(ROUND_MS * slowness());
		if (round / ENDINGS % 2)
			tcp_server_stop_accepting(stress.server);
		(void)tcp_server_shutdown(stress.server, round % 7 * 10);
		break;
	case BY_HALT:
		nap(ROUND_MS * slowness());
		thread(&other, halt_later, NULL);
		(void)tcp_server_shutdown(stress.server, -1);
		(void)pthread_join(other, NULL);
		break;
	case BY_MAX_ACCEPTS:
		(void)run(NULL);
		break;
	case BY_RUN:
		thread(&other, run, NULL);
		nap(ROUND_MS * slowness());
		if (round / ENDINGS % 2)
			tcp_server_halt(stress.server);
		else
			(void)tcp_server_shutdown(stress.server, 30);
		(void)pthread_join(other, NULL);
		break;
	case ENDINGS:
		break;
	}
}

static void stress_once(unsigned round)
{
	struct disturbance d = { .round = round, .state = round };
	enum ending ending = round % ENDINGS;
	pthread_t client[CLIENTS_MAX];
	unsigned fds = fds_open();

	set_up(ending);
	if (ending == BY_HALT)
		claim(tcp_server_prepare(stress.server) == 0, "not prepared");
	if (ending == BY_SHUTDOWN || ending == BY_HALT)
		claim(tcp_server_start(stress.server) == 0, "no start");
	for (unsigned i = 0; i < clients(); i++)
		thread(&client[i], stress_client,
		       (void *)(uintptr_t)(round * CLIENTS_MAX + i + 1));
	thread(&d.thread, disturb, &d);
	serve_and_end(ending, round);
	nap(5); /* all the others find it gone */
	atomic_store(&stress.enough, true);
	for (unsigned i = 0; i < clients(); i++)
		(void)pthread_join(client[i], NULL);
	(void)pthread_join(d.thread, NULL);
	tear_down(ending);
	ck_assert_uint_eq(fds_open(), fds);
}

START_TEST(every_talk_over_every_way_goes_to_its_end)
{
	unsigned fds = fds_open();

	stress.calm = true;
	set_up(BY_SHUTDOWN);
	ck_assert_int_eq(tcp_server_start(stress.server), 0);
	stress_ask_all();
	ck_assert_uint_eq(tcp_server_shutdown(stress.server, SOON_MS), 0);
	tear_down(BY_SHUTDOWN);
	ck_assert_uint_eq(fds_open(), fds);
	stress_report(false);
}
END_TEST

START_TEST(nothing_is_left_however_a_server_under_load_ends)
{
	int64_t until = now_ms() + seconds() * 1000;
	unsigned round = 0;

	while (round < ENDINGS || now_ms() < until)
		stress_once(round++);
	(void)printf("%u rounds\n", round);
	stress_report(!RUNNING_ON_VALGRIND);
}
END_TEST

/* --- All rounds --------------------------------------------------------- */

static void make_file(void)
{
	stress.file = memfd_create("pattern", MFD_CLOEXEC);
	ck_assert_int_ge(stress.file, 0);
	for (size_t at = 0; at < STRESS_FILE_BYTES; at += PATTERN_RUN)
		ck_assert_int_eq(pwrite(stress.file, pattern(at), PATTERN_RUN,
					(off_t)at),
				 PATTERN_RUN);
}

static void begin(void)
{
	tls_files_open();
	certificate[0] = TLS_FILES(.key = TLS_RSA, .cn = "localhost",
				   .san = "DNS:localhost");
	certificate[1] = TLS_FILES(.cn = "localhost", .san = "DNS:localhost");
	stress.client_tls = tls_files_client(NULL);
	make_file();
}

static void end(void)
{
	close_fd(&stress.file);
	tcp_tls_unref(TAKE_PTR(stress.client_tls));
	tls_files_close();
}

int main(void)
{
	Suite *s = suite_create("stress");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, (double)seconds() + 80);
	tcase_add_unchecked_fixture(t, begin, end);
	tcase_add_test(t, every_talk_over_every_way_goes_to_its_end);
	tcase_add_test(t, nothing_is_left_however_a_server_under_load_ends);
	suite_add_tcase(s, t);
	return run_suite(s);
}
