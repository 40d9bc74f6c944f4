/*
 * The memory that a generation shares with its master, with later generations
 * and with splicedctl: one memfd of its own, made and sized by it and then
 * sealed, so that nobody else can map it writable or change its size.  A
 * directory of tables stands in front; a reader takes from it what it knows
 * and bounds every index.
 */
#pragma once

#include "core/base.h"

struct segment;

#define SEGMENT_NAME_BYTES 16
#define SEGMENT_TABLES_MAX 32u

struct segment_spec {
	const char *name; /* not empty, shorter than SEGMENT_NAME_BYTES */
	uint32_t size;    /* of an element, bytes, > 0 */
	uint32_t count;
};

/*
 * Makes one with these tables, each zeroed and aligned to 64 bytes; memory is
 * used as pages are touched, also by readers.  -errno of memfd_create(2),
 * ftruncate(2), mmap(2), fcntl(2) (-EINVAL before Linux 5.1); -EINVAL: a spec
 * that is too much, unnamed or there twice; -ENOMEM.
 */
int segment_new(struct segment **ret, const struct segment_spec *tables,
		unsigned count) MUST_CHECK;

/*
 * Maps somebody else's for reading; takes the descriptor, also on failure.
 * Whatever its owner does later, pages stay readable and tables where they
 * were.  -EBADMSG: it is not sealed, or its directory makes no sense.
 */
int segment_open(struct segment **ret, int fd) MUST_CHECK;

/* Unmaps and closes it; NULL is harmless. */
void segment_free(struct segment *s);

int segment_fd(const struct segment *s);

/*
 * Copies bytes of a table, at `at` in it, without making the pages be used
 * that nobody has touched yet.  -errno of pread(2); -EBADMSG.
 */
int segment_peek(const struct segment *s, const void *at, void *out,
		 size_t bytes) MUST_CHECK;

/*
 * A table of elements of exactly `size` bytes and how many it has, or NULL.
 * Only whoever made the segment may write to it; all others get SIGSEGV, and
 * trust nothing that it holds.
 */
void *segment_table(const struct segment *s, const char *name, uint32_t size,
		    uint32_t *ret_count);
