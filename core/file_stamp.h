/*
 * What tells one content of a file from the next without reading it.
 */
#pragma once

#include "core/base.h"

#include <sys/stat.h>

struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec mtime;
};

static inline struct file_stamp file_stamp(const struct stat *st)
{
	return (struct file_stamp){ .device = st->st_dev,
				    .inode = st->st_ino,
				    .size = st->st_size,
				    .mtime = st->st_mtim };
}

static inline bool file_stamp_equal(const struct file_stamp *a,
				    const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}
