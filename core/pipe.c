/*
 * Pooled pipes.
 *
 * Capacity is counted in slots, not bytes: a pipe of sixteen takes 256 KiB of
 * bulk but 3 KiB of small segments.  An unprivileged user gets pipes of full
 * size only until pipe-user-pages-soft is used up, pipe(7).  What is left then
 * are pipes of two slots, and a splice through these costs half as much again
 * as a copy does: none is better.
 */
#include "core/pipe.h"

#include <fcntl.h>
#include <stdlib.h>

void pipes_init(struct pipes *pool, size_t limit)
{
	*pool = (struct pipes){ .limit = limit };
	list_init(&pool->idle);
	list_init(&pool->stuck);
}

static void pipe_free(struct pipes *pool, struct pipe *p)
{
	close_fd(&p->in);
	close_fd(&p->out);
	free(p);
	pool->count--;
}

void pipes_done(struct pipes *pool)
{
	while (!list_empty(&pool->idle)) {
		struct pipe *p = list_first(&pool->idle, struct pipe, link);

		list_remove(&p->link);
		pipe_free(pool, p);
	}
	ASSERT(pool->count == 0);
}

/* Who has been refused one need not ask again at each of so many turns. */
#define REFUSED_TURNS 1024

static int pipe_open(struct pipe *p)
{
	int fd[2], size;

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	size = fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (size < 0)
		size = fcntl(fd[1], F_GETPIPE_SZ);
	*p = (struct pipe){ .in = fd[1], .out = fd[0], .size = (size_t)size };
	if (size >= (int)PIPE_BYTES_LEAST)
		return 0;
	close_fd(&p->in);
	close_fd(&p->out);
	return -ENOSPC;
}

static struct pipe *pipe_new(struct pipes *pool)
{
	struct pipe *p;

	if (pool->refused > 0) {
		pool->refused--;
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || pipe_open(p) < 0) {
		pool->refused = REFUSED_TURNS;
		free(p);
		return NULL;
	}
	pool->count++;
	return p;
}

struct pipe *pipe_get(struct pipes *pool)
{
	struct pipe *p;

	if (list_empty(&pool->idle))
		return pool->count < pool->limit ? pipe_new(pool) : NULL;
	/* The one put back last: its pages are still in the cache. */
	p = list_entry(pool->idle.prev, struct pipe, link);
	list_remove(&p->link);
	return p;
}

void pipe_put(struct pipes *pool, struct pipe *p)
{
	list_remove(&p->link);
	p->holder = NULL;
	if (p->stuck)
		pipe_free(pool, p);
	else
		list_append(&pool->idle, &p->link);
}

void pipe_hold(struct pipes *pool, struct pipe *p, void *holder)
{
	list_remove(&p->link);
	p->holder = holder;
	list_append(&pool->stuck, &p->link);
}

struct pipe *pipes_oldest(struct pipes *pool)
{
	if (list_empty(&pool->stuck))
		return NULL;
	return list_first(&pool->stuck, struct pipe, link);
}
