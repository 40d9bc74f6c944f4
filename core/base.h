/*
 * The few macros and inline helpers that every file may rely on: compiler
 * attributes, ownership moves, bounds.  Nothing here allocates or logs.
 */
#pragma once

#include "core/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define UNUSED            __attribute__((unused))
#define NO_INLINE         __attribute__((noinline))
#define NO_RETURN         __attribute__((noreturn))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))

/* Moves a pointer out of a variable and leaves NULL behind. */
#define TAKE_PTR(p)                                                            \
	({                                                                     \
		typeof(p) taken_ = p;                                          \
		(p) = NULL;                                                    \
		taken_;                                                        \
	})

/*
 * States what must hold if our own code is right.  Never reachable from bytes
 * on a socket or in a file; stays on in releases.
 */
#define ASSERT(claim)                                                          \
	do {                                                                   \
		if (__builtin_expect(!(claim), 0))                             \
			assert_failed(#claim, __FILE__, __LINE__);             \
	} while (0)

NO_RETURN void assert_failed(const char *claim, const char *file, int line);

static inline size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Moves a descriptor out of a variable and leaves -1 behind. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes *fd unless it is -1, leaves -1 behind, keeps errno; for CLEANUP(). */
static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * Tells whether a failed call says "not now" and nothing worse: EAGAIN and
 * EINTR, as -errno.
 */
static inline bool err_is_transient(int r)
{
	return r == -EAGAIN || r == -EINTR;
}
