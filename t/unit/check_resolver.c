/*
 * Names to addresses, against a DNS server that does as it is told.
 */
#include "core/resolver.h"

#include "core/task.h"
#include "t/unit/dns_server.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* One lookup in a task of its own, and how it ended. */
struct job {
	const char *name;
	int64_t after_ms;    /* when to begin */
	int64_t deadline_ms; /* 0: none */
	int64_t cancel_ms;   /* cancel it when it is this old; 0: never */
	bool whole;
	struct resolve_answer answer;
	int result;
	int64_t took_ms;
	struct task *task;
};

static struct loop *loop;
static struct resolver *resolver;
static struct addr server;
static struct resolver_options options;
static unsigned running;
static char hosts[] = "/tmp/check_resolver.hosts.XXXXXX";
static char conf[] = "/tmp/check_resolver.conf.XXXXXX";

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void make_temporary(char *path)
{
	int fd;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close_fd(&fd);
}

static void setup(void)
{
	dns_server_start();
	server = dns_server_addr();
	options = (struct resolver_options){
		.servers = &server,
		.server_count = 1,
		.timeout_ms = 400,
		.tries = 2,
		.cache_entries = 100,
		.ttl_max_ms = 3600000,
		.negative_ttl_ms = 5000,
		.max_pending = 50,
	};
	make_temporary(hosts);
	make_temporary(conf);
	ck_assert_int_eq(loop_new(&loop), 0);
}

static void make(void)
{
	ck_assert_int_eq(resolver_new(&resolver, loop, &options), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(task_count(), 0);
	resolver_free(resolver);
	resolver = NULL;
	loop_free(loop);
	(void)remove(hosts);
	(void)remove(conf);
	dns_server_stop();
}

static void ended(void)
{
	if (--running == 0)
		loop_stop(loop);
}

static void job_main(void *arg)
{
	struct job *j = arg;
	int64_t began;

	if (j->after_ms)
		(void)!task_sleep(deadline_in(j->after_ms));
	began = now_ms();
	j->result = (j->whole ? resolver_rest : resolver_lookup)(
		resolver, j->name, &j->answer,
		j->deadline_ms ? deadline_in(j->deadline_ms) : TIMER_NEVER);
	j->took_ms = now_ms() - began;
	ended();
}

static void cancel_main(void *arg)
{
	struct job *j = arg;

	(void)!task_sleep(deadline_in(j->cancel_ms));
	task_cancel(j->task);
	ended();
}

static void run_jobs(struct job *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		running += jobs[i].cancel_ms ? 2 : 1;
		jobs[i].result = 1;
	}
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(task_start(job_main, &jobs[i], &jobs[i].task),
				 0);
		if (jobs[i].cancel_ms)
			ck_assert_int_eq(
				task_start(cancel_main, &jobs[i], NULL), 0);
	}
	if (running)
		loop_run(loop);
	else
		loop_stop(loop), loop_run(loop);
}

static void pass(int64_t ms)
{
	struct job j = { .name = "127.0.0.1", .after_ms = ms };

	run_jobs(&j, 1);
}

/* An answer as "2001:db8::1 10.0.0.1", with " ..." where it is partial. */
static const char *text_of(const struct job *j)
{
	static char text[RESOLVE_MAX * (ADDR_STRLEN + 1) + 8];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; j->result == 0 && i < j->answer.count; i++) {
		char ip[ADDR_STRLEN];

		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			addr_format_ip(&j->answer.addr[i], ip, sizeof(ip)));
	}
	if (j->result == 0 && j->answer.partial)
		(void)snprintf(text + len, sizeof(text) - len, " ...");
	return text;
}

/* Both families of a name, or "" and *ret_error. */
static const char *whole(const char *name, int *ret_error)
{
	static struct job j;

	j = (struct job){ .name = name, .whole = true };
	run_jobs(&j, 1);
	if (ret_error)
		*ret_error = j.result;
	else
		ck_assert_int_eq(j.result, 0);
	return text_of(&j);
}

static int error_of(const char *name)
{
	int r;

	ck_assert_str_eq(whole(name, &r), "");
	return r;
}

#define EXPECT(name, text)    ck_assert_str_eq(whole(name, NULL), text)
#define EXPECT_ERROR(name, e) ck_assert_int_eq(error_of(name), e)

static void expect_asked(const char *name, unsigned v6, unsigned v4)
{
	unsigned asked6 = dns_server_asked(name, AF_INET6);
	unsigned asked4 = dns_server_asked(name, AF_INET);

	ck_assert_msg(asked6 == v6 && asked4 == v4,
		      "%s was asked for %u and %u times, not %u and %u", name,
		      asked6, asked4, v6, v4);
}

/* --- Without DNS -------------------------------------------------------- */

START_TEST(literals_and_localhost_ask_nobody)
{
	make();
	EXPECT("10.1.2.3", "10.1.2.3");
	EXPECT("2001:db8::7", "2001:db8::7");
	EXPECT("::ffff:127.0.0.1", "127.0.0.1");
	EXPECT("localhost", "::1 127.0.0.1");
	EXPECT("LocalHost.", "::1 127.0.0.1");
	EXPECT("a.b.localhost", "::1 127.0.0.1");
	EXPECT_ERROR("secret.onion", -ENOENT);
	ck_assert_uint_eq(dns_server_total(), 0);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	char name[300];

	make();
	memset(name, 'a', sizeof(name));
	name[299] = '\0';
	EXPECT_ERROR("", -EINVAL);
	EXPECT_ERROR(".", -EINVAL);
	EXPECT_ERROR("a..b", -EINVAL);
	EXPECT_ERROR("a b", -EINVAL);
	EXPECT_ERROR("[::1]", -EINVAL);
	EXPECT_ERROR(name, -EINVAL);
	ck_assert_uint_eq(dns_server_total(), 0);
}
END_TEST

START_TEST(the_hosts_file_comes_before_dns)
{
	write_file(hosts, "10.9.9.9 both.test printer\n::9 printer\n"
			  "10.9.9.8 PRINTER\n127.0.0.5 localhost\n");
	options.hosts = hosts;
	make();
	EXPECT("both.test", "10.9.9.9");
	EXPECT("Both.Test.", "10.9.9.9");
	EXPECT("printer", "::9 10.9.9.9 10.9.9.8");
	EXPECT("localhost", "127.0.0.5");
	EXPECT("sub.localhost", "::1 127.0.0.1");
	ck_assert_uint_eq(dns_server_total(), 0);
	EXPECT("v4.test", "10.0.0.1");
}
END_TEST

START_TEST(a_changed_hosts_file_counts_within_a_second)
{
	write_file(hosts, "10.9.9.9 printer\n");
	options.hosts = hosts;
	make();
	EXPECT("printer", "10.9.9.9");
	write_file(hosts, "10.9.9.10 printer\n");
	pass(1010);
	EXPECT("printer", "10.9.9.10");
}
END_TEST

/* --- Answers of all kinds ------------------------------------------------ */

START_TEST(addresses_of_each_family_are_found)
{
	make();
	EXPECT("v4.test", "10.0.0.1");
	EXPECT("v6.test", "2001:db8::1");
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT("BOTH.TEST.", "2001:db8::1 10.0.0.1");
	EXPECT("cname.test", "10.0.0.1");
	EXPECT("mapped.test", "127.0.0.1");
	EXPECT("half.test", "10.0.0.1");
}
END_TEST

START_TEST(many_addresses_are_cut_and_take_turns)
{
	struct job j = { .name = "many.test", .whole = true };

	make();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, 0);
	ck_assert_uint_eq(j.answer.count, RESOLVE_MAX);
	for (unsigned i = 0; i < RESOLVE_MAX; i++) {
		ck_assert_int_eq(j.answer.addr[i].family,
				 i % 2 ? AF_INET : AF_INET6);
		ck_assert_int_eq(j.answer.addr[i].ip[15], i / 2 + 1);
	}
}
END_TEST

START_TEST(a_cut_reply_is_asked_for_over_tcp)
{
	struct job j = { .name = "trunc.test", .whole = true };

	make();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, 0);
	ck_assert_uint_eq(j.answer.count, RESOLVE_MAX);
	ck_assert_uint_eq(dns_server_tcp(), 2);
}
END_TEST

START_TEST(names_without_addresses_do_not_exist)
{
	make();
	EXPECT_ERROR("nx.test", -ENOENT);
	EXPECT_ERROR("nodata.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	EXPECT_ERROR("dangling.test", -ENOENT);
}
END_TEST

START_TEST(failing_servers_are_told_from_missing_names)
{
	make();
	EXPECT_ERROR("fail.test", -EIO);
	EXPECT_ERROR("refused.test", -EIO);
	EXPECT_ERROR("garbage.test", -EIO);
	EXPECT_ERROR("silent.test", -ETIMEDOUT);
	EXPECT_ERROR("noise.test", -ETIMEDOUT);
}
END_TEST

START_TEST(a_dead_server_is_an_error_at_once)
{
	struct job j = { .name = "v4.test" };

	server.port = 1; /* nobody there: ICMP says so */
	make();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, -EIO);
	ck_assert_int_lt(j.took_ms, 390);
}
END_TEST

START_TEST(the_second_server_steps_in)
{
	struct addr servers[2] = { server, server };

	servers[0].port = 1;
	options.servers = servers;
	options.server_count = 2;
	make();
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
}
END_TEST

/* --- Both families ------------------------------------------------------- */

START_TEST(ipv4_waits_50_ms_for_ipv6)
{
	struct job jobs[] = {
		{ .name = "slow6.test" },
		{ .name = "slow6.test", .after_ms = 100 },
		{ .name = "slow6.test", .after_ms = 100, .whole = true },
	};

	make();
	run_jobs(jobs, 3);
	ck_assert_str_eq(text_of(&jobs[0]), "10.0.0.1 ...");
	ck_assert_int_ge(jobs[0].took_ms, 45);
	ck_assert_int_lt(jobs[0].took_ms, 250);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1 ...");
	ck_assert_int_lt(jobs[1].took_ms, 45);
	ck_assert_str_eq(text_of(&jobs[2]), "2001:db8::1 10.0.0.1");
	ck_assert_int_ge(jobs[2].took_ms, 100);
	expect_asked("slow6.test", 1, 1);
}
END_TEST

START_TEST(ipv6_waits_for_nothing)
{
	struct job jobs[] = { { .name = "slow4.test" },
			      { .name = "slow4.test", .whole = true } };

	make();
	run_jobs(jobs, 2);
	ck_assert_str_eq(text_of(&jobs[0]), "2001:db8::1 ...");
	ck_assert_int_lt(jobs[0].took_ms, 200);
	ck_assert_str_eq(text_of(&jobs[1]), "2001:db8::1 10.0.0.1");
	ck_assert_int_ge(jobs[1].took_ms, 250);
}
END_TEST

START_TEST(a_family_that_stays_silent_is_left_out)
{
	struct job jobs[] = { { .name = "silent6.test" },
			      { .name = "silent6.test", .whole = true } };

	make();
	run_jobs(jobs, 2);
	ck_assert_str_eq(text_of(&jobs[0]), "10.0.0.1 ...");
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
	ck_assert_int_lt(jobs[0].took_ms, 300);
}
END_TEST

/* --- The cache ----------------------------------------------------------- */

START_TEST(what_is_known_is_not_asked_again)
{
	make();
	for (int i = 0; i < 3; i++) {
		EXPECT("both.test", "2001:db8::1 10.0.0.1");
		EXPECT_ERROR("nx.test", -ENOENT);
		EXPECT_ERROR("nodata.test", -ENOENT);
		EXPECT_ERROR("bare.test", -ENOENT);
	}
	EXPECT("Both.TEST", "2001:db8::1 10.0.0.1");
	expect_asked("both.test", 1, 1);
	expect_asked("nx.test", 1, 1);
	expect_asked("nodata.test", 1, 1);
	expect_asked("bare.test", 1, 1);
}
END_TEST

START_TEST(what_has_expired_is_asked_again)
{
	options.negative_ttl_ms = 500;
	make();
	EXPECT("count.test", "10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	EXPECT("cname.test", "10.0.0.1"); /* an alias expires first */
	EXPECT("fresh4.test", "2001:db8::1 10.0.0.1");
	pass(700);
	EXPECT("count.test", "10.0.0.1");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT_ERROR("bare.test", -ENOENT);
	pass(400);
	EXPECT("count.test", "10.0.0.2");
	EXPECT_ERROR("brief.test", -ENOENT);
	EXPECT("cname.test", "10.0.0.1");
	EXPECT("fresh4.test", "2001:db8::1 10.0.0.1");
	expect_asked("count.test", 1, 2);
	expect_asked("brief.test", 2, 2);
	expect_asked("bare.test", 2, 2);
	expect_asked("cname.test", 1, 2);
	expect_asked("fresh4.test", 2, 1);
}
END_TEST

START_TEST(ttls_are_bounded)
{
	options.ttl_min_ms = 3000;
	make();
	EXPECT("short.test", "2001:db8::1 10.0.0.1");
	pass(1100);
	EXPECT("short.test", "2001:db8::1 10.0.0.1");
	expect_asked("short.test", 1, 1);
	resolver_free(TAKE_PTR(resolver));
	options.ttl_min_ms = 0;
	options.ttl_max_ms = 200;
	make();
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("nx.test", -ENOENT);
	pass(300);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT_ERROR("nx.test", -ENOENT);
	expect_asked("both.test", 2, 2);
	expect_asked("nx.test", 2, 2);
}
END_TEST

START_TEST(failures_are_soon_forgotten)
{
	options.tries = 1;
	make();
	EXPECT_ERROR("fail.test", -EIO);
	EXPECT_ERROR("fail.test", -EIO);
	expect_asked("fail.test", 1, 1);
	pass(1100);
	EXPECT_ERROR("fail.test", -EIO);
	expect_asked("fail.test", 2, 2);
}
END_TEST

START_TEST(the_name_unused_for_longest_is_evicted)
{
	options.cache_entries = 2;
	make();
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.b.test", "10.0.0.1");
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.c.test", "10.0.0.1");
	EXPECT("v4.a.test", "10.0.0.1");
	EXPECT("v4.b.test", "10.0.0.1");
	expect_asked("v4.a.test", 1, 1);
	expect_asked("v4.b.test", 2, 2);
}
END_TEST

START_TEST(without_a_cache_all_is_asked)
{
	options.cache_entries = 0;
	make();
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	expect_asked("both.test", 2, 2);
}
END_TEST

/* --- Who waits ----------------------------------------------------------- */

START_TEST(questions_for_one_name_are_joined)
{
	struct job jobs[40];

	make();
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		jobs[i] = (struct job){ .name = i % 2 ? "slow.test"
						      : "SLOW.test",
					.after_ms = (int64_t)(i * 5) };
	run_jobs(jobs, ARRAY_SIZE(jobs));
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		ck_assert_int_eq(jobs[i].result, 0);
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(each_who_waits_has_a_deadline_of_its_own)
{
	struct job jobs[] = {
		{ .name = "slow.test", .deadline_ms = 50 },
		{ .name = "slow.test" },
		{ .name = "slow.test", .deadline_ms = 100, .after_ms = 20 },
	};

	make();
	run_jobs(jobs, 3);
	ck_assert_int_eq(jobs[0].result, -ETIMEDOUT);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -ETIMEDOUT);
	ck_assert_int_lt(jobs[0].took_ms, 200);
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(who_is_cancelled_leaves_the_others_alone)
{
	struct job jobs[] = {
		{ .name = "slow.test", .cancel_ms = 30 },
		{ .name = "slow.test" },
		{ .name = "slow.test", .cancel_ms = 60 },
		{ .name = "silent.test", .cancel_ms = 60 },
	};

	make();
	run_jobs(jobs, 4);
	ck_assert_int_eq(jobs[0].result, -ECANCELED);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -ECANCELED);
	ck_assert_int_eq(jobs[3].result, -ECANCELED);
}
END_TEST

START_TEST(an_answer_that_nobody_awaits_is_kept)
{
	struct job j = { .name = "slow.test", .deadline_ms = 20 };

	make();
	run_jobs(&j, 1);
	ck_assert_int_eq(j.result, -ETIMEDOUT);
	ck_assert_uint_eq(resolver_pending(resolver), 1);
	pass(500);
	ck_assert_uint_eq(resolver_pending(resolver), 0);
	EXPECT("slow.test", "2001:db8::1 10.0.0.1");
	expect_asked("slow.test", 1, 1);
}
END_TEST

START_TEST(names_in_question_are_bounded)
{
	struct job jobs[] = { { .name = "slow.a.test" },
			      { .name = "slow.b.test" },
			      { .name = "slow.c.test" },
			      { .name = "slow.a.test" } };

	options.max_pending = 2;
	make();
	run_jobs(jobs, 4);
	ck_assert_int_eq(jobs[0].result, 0);
	ck_assert_int_eq(jobs[1].result, 0);
	ck_assert_int_eq(jobs[2].result, -EBUSY);
	ck_assert_int_eq(jobs[3].result, 0);
}
END_TEST

static void free_main(void *arg)
{
	(void)arg;
	(void)!task_sleep(deadline_in(50));
	resolver_free(TAKE_PTR(resolver));
	ended();
}

START_TEST(a_resolver_may_go_with_questions_in_flight)
{
	struct job jobs[] = { { .name = "silent.test" },
			      { .name = "silent.test" },
			      { .name = "slow.test" },
			      { .name = "silent6.test", .whole = true },
			      { .name = "silent6.test", .deadline_ms = 50 } };

	make();
	running = 1;
	ck_assert_int_eq(task_start(free_main, NULL, NULL), 0);
	run_jobs(jobs, 5);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(jobs[i].result, -ECANCELED);
}
END_TEST

START_TEST(a_flood_of_names_is_survived)
{
	enum { WAVES = 40, WAVE = 50 };
	static struct job jobs[WAVE];
	static char names[WAVE][32];

	options.cache_entries = 64;
	make();
	for (int wave = 0; wave < WAVES; wave++) {
		for (int i = 0; i < WAVE; i++) {
			snprintf(names[i], sizeof(names[i]), "%s.n%d.test",
				 i % 2 ? "both" : "nx", wave * WAVE + i);
			jobs[i] = (struct job){ .name = names[i],
						.whole = true };
		}
		run_jobs(jobs, WAVE);
		for (int i = 0; i < WAVE; i++)
			ck_assert_int_eq(jobs[i].result, i % 2 ? 0 : -ENOENT);
	}
	ck_assert_uint_ge(dns_server_total(), 2 * WAVES * WAVE);
}
END_TEST

static void flood_main(void *arg)
{
	unsigned *failed = arg;
	static unsigned count;
	struct resolve_answer a;
	char name[32];

	while (count < 3000) {
		snprintf(name, sizeof(name), "both.n%u.test", count++);
		*failed += resolver_rest(resolver, name, &a, TIMER_NEVER) < 0;
	}
	ended();
}

START_TEST(a_busy_resolver_changes_its_port)
{
	unsigned failed = 0;

	make();
	/* More than one at a time: the channel is never idle. */
	running = 8;
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(task_start(flood_main, &failed, NULL), 0);
	loop_run(loop);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_ge(dns_server_ports(), 6000 / 600);
}
END_TEST

START_TEST(running_out_of_descriptors_is_told)
{
	struct rlimit was, none = { 0, 0 };
	int r;

	make();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none.rlim_max = was.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	r = error_of("both.test");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	ck_assert_int_eq(r, -EMFILE);
	pass(1100);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
}
END_TEST

/* --- resolv.conf --------------------------------------------------------- */

START_TEST(the_search_list_is_followed)
{
	write_file(conf, "search one.off.test two.test three.test\n");
	options.resolv_conf = conf;
	make();
	EXPECT("both", "2001:db8::1 10.0.0.1");
	expect_asked("both.one.off.test", 1, 1);
	expect_asked("both.two.test", 1, 1);
	expect_asked("both.three.test", 0, 0);
	expect_asked("both", 0, 0);
	EXPECT("v4.x", "10.0.0.1"); /* ndots is 1: as it is, first */
	expect_asked("v4.x", 1, 1);
	expect_asked("v4.x.one.off.test", 0, 0);
	EXPECT_ERROR("nodata.", -ENOENT);
	expect_asked("nodata", 1, 1);
	expect_asked("nodata.two.test", 0, 0);
	EXPECT_ERROR("nx", -ENOENT);
	expect_asked("nx.one.off.test", 1, 1);
	expect_asked("nx.two.test", 1, 1);
	expect_asked("nx.three.test", 1, 1);
	expect_asked("nx", 1, 1);
}
END_TEST

START_TEST(ndots_and_domains_that_fail)
{
	char name[256];

	write_file(conf, "search two.test .\noptions ndots:3\n");
	options.resolv_conf = conf;
	options.tries = 1;
	make();
	EXPECT("both.x", "2001:db8::1 10.0.0.1");
	expect_asked("both.x.two.test", 1, 1);
	expect_asked("both.x", 0, 0);
	EXPECT_ERROR("fail.x", -EIO);
	expect_asked("fail.x.two.test", 1, 1);
	expect_asked("fail.x", 1, 1);
	EXPECT_ERROR("silent.x", -ETIMEDOUT);
	expect_asked("silent.x", 0, 0);
	/* Too long with a domain, fine without. */
	snprintf(name, sizeof(name), "v4.%.*s%.*s%.*s", 60,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
		 60,
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.",
		 60,
		 "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc");
	EXPECT(name, "10.0.0.1");
}
END_TEST

START_TEST(a_changed_resolv_conf_is_followed)
{
	struct job jobs[] = { { .name = "slow.", .after_ms = 1 },
			      { .name = "v4", .after_ms = 100 } };

	write_file(conf, "search one.off.test\n");
	options.resolv_conf = conf;
	make();
	EXPECT_ERROR("v4.one.off.test.", -ENOENT);
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	write_file(conf, "search four.test\n");
	pass(5100);
	/* The first finds the change; both are asked on the new channel. */
	run_jobs(jobs, 2);
	ck_assert_int_eq(jobs[0].result, 0);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
	expect_asked("v4.four.test", 1, 1);
	/* What the former servers said is forgotten. */
	EXPECT("both.test", "2001:db8::1 10.0.0.1");
	expect_asked("both.test", 2, 2);
}
END_TEST

START_TEST(questions_in_flight_move_to_the_new_channel)
{
	struct job jobs[] = { { .name = "silent", .after_ms = 4700 },
			      { .name = "v4", .after_ms = 5200 } };

	write_file(conf, "search one.test\n");
	options.resolv_conf = conf;
	options.timeout_ms = 600;
	options.tries = 1;
	make();
	EXPECT_ERROR("nx", -ENOENT);
	write_file(conf, "search four.test\n");
	run_jobs(jobs, 2);
	expect_asked("silent.one.test", 1, 1);
	expect_asked("silent.four.test", 1, 1);
	ck_assert_int_eq(jobs[0].result, -ETIMEDOUT);
	ck_assert_int_gt(jobs[0].took_ms, 1000);
	ck_assert_str_eq(text_of(&jobs[1]), "10.0.0.1");
}
END_TEST

static SRunner *runner(void)
{
	Suite *s = suite_create("resolver");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, literals_and_localhost_ask_nobody);
	tcase_add_test(t, what_is_no_name_is_refused);
	tcase_add_test(t, the_hosts_file_comes_before_dns);
	tcase_add_test(t, a_changed_hosts_file_counts_within_a_second);
	tcase_add_test(t, addresses_of_each_family_are_found);
	tcase_add_test(t, many_addresses_are_cut_and_take_turns);
	tcase_add_test(t, a_cut_reply_is_asked_for_over_tcp);
	tcase_add_test(t, names_without_addresses_do_not_exist);
	tcase_add_test(t, failing_servers_are_told_from_missing_names);
	tcase_add_test(t, a_dead_server_is_an_error_at_once);
	tcase_add_test(t, the_second_server_steps_in);
	tcase_add_test(t, ipv4_waits_50_ms_for_ipv6);
	tcase_add_test(t, ipv6_waits_for_nothing);
	tcase_add_test(t, a_family_that_stays_silent_is_left_out);
	tcase_add_test(t, what_is_known_is_not_asked_again);
	tcase_add_test(t, what_has_expired_is_asked_again);
	tcase_add_test(t, ttls_are_bounded);
	tcase_add_test(t, failures_are_soon_forgotten);
	tcase_add_test(t, the_name_unused_for_longest_is_evicted);
	tcase_add_test(t, without_a_cache_all_is_asked);
	tcase_add_test(t, questions_for_one_name_are_joined);
	tcase_add_test(t, each_who_waits_has_a_deadline_of_its_own);
	tcase_add_test(t, who_is_cancelled_leaves_the_others_alone);
	tcase_add_test(t, an_answer_that_nobody_awaits_is_kept);
	tcase_add_test(t, names_in_question_are_bounded);
	tcase_add_test(t, a_resolver_may_go_with_questions_in_flight);
	tcase_add_test(t, a_flood_of_names_is_survived);
	tcase_add_test(t, a_busy_resolver_changes_its_port);
	tcase_add_test(t, running_out_of_descriptors_is_told);
	tcase_add_test(t, the_search_list_is_followed);
	tcase_add_test(t, ndots_and_domains_that_fail);
	tcase_add_test(t, a_changed_resolv_conf_is_followed);
	tcase_add_test(t, questions_in_flight_move_to_the_new_channel);
	suite_add_tcase(s, t);
	return srunner_create(s);
}

int main(void)
{
	SRunner *sr = runner();
	int failed;

	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
