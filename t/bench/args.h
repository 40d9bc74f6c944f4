/*
 * What the benchmark's programs share: options of the command line, the
 * descriptor limit, the clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* The word after `name`, or NULL. */
static inline const char *arg_text(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return NULL;
}

static inline long arg_number(int argc, char **argv, const char *name,
			      long without)
{
	const char *s = arg_text(argc, argv, name);

	return s ? strtol(s, NULL, 10) : without;
}

/* Which of the names it is, or -1. */
static inline int arg_choice(int argc, char **argv, const char *name,
			     const char *const *names, int n)
{
	const char *s = arg_text(argc, argv, name);

	for (int i = 0; s && i < n; i++)
		if (!strcmp(names[i], s))
			return i;
	return -1;
}

static inline bool arg_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static inline void raise_nofile(void)
{
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
