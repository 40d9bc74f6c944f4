/*
 * Lookups in tasks of their own, for tests of the resolver: one loop, one
 * resolver and one DNS server, made anew for each test.
 */
#pragma once

#include "core/resolver.h"

struct task;

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

extern struct loop *loop;
extern struct resolver *resolver;
extern struct tcp_addr server;
extern struct resolver_options options; /* may be changed before it is made */
extern unsigned running;                /* tasks that the loop runs for */
extern char hosts[], conf[];            /* names of empty files */

void resolver_setup(void);
void resolver_teardown(void);
void make_resolver(void);

void write_file(const char *path, const char *text);

/* Runs them all at once and returns when all have ended. */
void run_jobs(struct job *jobs, size_t count);

/* For other tasks that are counted in `running`. */
void job_ended(void);

void pass_time(int64_t ms);

/* An answer as "2001:db8::1 10.0.0.1", with " ..." where it is partial. */
const char *text_of(const struct job *j);

/* Both families of a name, or "" and *ret_error. */
const char *whole(const char *name, int *ret_error);
int error_of(const char *name);

/* Asserts how often the server was asked for the name's two families. */
void expect_asked(const char *name, unsigned v6, unsigned v4);

#define EXPECT(name, text)    ck_assert_str_eq(whole(name, NULL), text)
#define EXPECT_ERROR(name, e) ck_assert_int_eq(error_of(name), e)
