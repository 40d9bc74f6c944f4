/*
 * Entering the sandbox: core dumps off, then files and ports, then system
 * calls, among which those before are not.  Whether the build and whoever
 * runs it can be confined at all is decided here.
 */
#include "daemon/sandbox_internal.h"

#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifdef HAVE_VALGRIND_H
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
	__has_feature(memory_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

/* Only a program that counts what runs, gcc's or clang's way, has these. */
extern void __gcov_init(void *info) __attribute__((weak));
extern void llvm_gcov_init(void *write, void *reset) __attribute__((weak));

int sandbox_failed(const struct sandbox_report *why, int r, const char *fmt,
		   ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < why->size)
		(void)snprintf(why->text + len, why->size - (size_t)len, ": %s",
			       strerrordesc_np(-r));
	return r;
}

void sandbox_note(const struct sandbox_report *why, const char *fmt, ...)
{
	size_t used = strnlen(why->text, why->size);
	va_list ap;

	if (used > 0 && used + 2 < why->size) {
		memcpy(why->text + used, "; ", 3);
		used += 2;
	}
	if (used + 1 >= why->size)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(why->text + used, why->size - used, fmt, ap);
	va_end(ap);
}

/* What has needs of its own that nobody can list; NULL: nothing. */
static const char *runs_under(void)
{
	if (IS_SANITIZED)
		return "a sanitizer";
	if (__gcov_init || llvm_gcov_init)
		return "a coverage run";
	if (RUNNING_ON_VALGRIND)
		return "valgrind";
	return NULL;
}

/*
 * Landlock confines the calling thread only.  In procfs the number of links
 * of this folder is that of the threads and two; where there is no procfs,
 * nobody can tell.
 */
static int check_alone(const struct sandbox_report *why)
{
	struct stat st;

	if (stat("/proc/self/task", &st) == 0 && st.st_nlink > 3)
		return sandbox_failed(why, -EBUSY,
				      "cannot confine a process of %ju threads",
				      (uintmax_t)st.st_nlink - 2);
	return 0;
}

/* A core would hold what clients and targets said. */
static int forbid_cores(const struct sandbox_report *why)
{
	struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return sandbox_failed(why, -errno,
				      "cannot turn core dumps off");
	return 0;
}

int sandbox_enter(const struct sandbox *s, char *why, size_t size)
{
	struct sandbox_report report = { why, size };
	const char *under = runs_under();
	int r;

	ASSERT(size > 0);
	why[0] = '\0';
	if (under) {
		sandbox_note(&report, "not confined: this is %s", under);
		return 0;
	}
	r = check_alone(&report);
	if (r == 0)
		r = forbid_cores(&report);
	if (r == 0)
		r = sandbox_files(s, &report);
	if (r == 0)
		r = sandbox_calls(s, &report);
	return r;
}
