/*
 * One thread runs the loop, the other one is the server.
 */
#include "t/unit/resolver_jobs.h"

#include "core/net.h"
#include "core/task.h"
#include "t/unit/dns_server.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct loop *loop;
struct resolver *resolver;
struct tcp_addr server;
struct resolver_options options;
unsigned running;
static struct net net;
char hosts[] = "/tmp/check_resolver.hosts.XXXXXX";
char conf[] = "/tmp/check_resolver.conf.XXXXXX";

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void write_file(const char *path, const char *text)
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

void resolver_setup(void)
{
	dns_server_start();
	server = dns_server_addr();
	options = (struct resolver_options){
		.servers = &server,
		.server_count = 1,
		.timeout_ms = 1200,
		.tries = 1,
		.cache_entries = 100,
		.ttl_max_ms = 3600000,
		.negative_ttl_ms = 5000,
		.max_pending = 50,
		.ndots = -1,
	};
	make_temporary(hosts);
	make_temporary(conf);
	ck_assert_int_eq(loop_new(&loop), 0);
	ck_assert_int_eq(net_init(&net, loop, &(struct net_options){ 0 }), 0);
}

void make_resolver(void)
{
	ck_assert_int_eq(resolver_new(&resolver, loop, &options), 0);
}

void resolver_teardown(void)
{
	ck_assert_uint_eq(task_count(), 0);
	resolver_free(resolver);
	resolver = NULL;
	net_done(&net);
	loop_free(loop);
	(void)remove(hosts);
	(void)remove(conf);
	dns_server_stop();
}

void job_ended(void)
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
	job_ended();
}

static void cancel_main(void *arg)
{
	struct job *j = arg;

	(void)!task_sleep(deadline_in(j->cancel_ms));
	task_cancel(j->task);
	job_ended();
}

void run_jobs(struct job *jobs, size_t count)
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
	loop_run(loop);
}

void pass_time(int64_t ms)
{
	struct job j = { .name = "127.0.0.1", .after_ms = ms };

	run_jobs(&j, 1);
}

const char *text_of(const struct job *j)
{
	static char text[RESOLVE_MAX * (TCPSERVER_ADDR_STRLEN + 1) + 8];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; j->result == 0 && i < j->answer.count; i++) {
		char ip[TCPSERVER_ADDR_STRLEN];

		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			addr_format_ip(&j->answer.addr[i], ip, sizeof(ip)));
	}
	if (j->result == 0 && j->answer.partial)
		(void)snprintf(text + len, sizeof(text) - len, " ...");
	return text;
}

const char *whole(const char *name, int *ret_error)
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

int error_of(const char *name)
{
	int r;

	ck_assert_str_eq(whole(name, &r), "");
	return r;
}

void expect_asked(const char *name, unsigned v6, unsigned v4)
{
	unsigned asked6 = dns_server_asked(name, AF_INET6);
	unsigned asked4 = dns_server_asked(name, AF_INET);

	ck_assert_msg(asked6 == v6 && asked4 == v4,
		      "%s was asked for %u and %u times, not %u and %u", name,
		      asked6, asked4, v6, v4);
}
