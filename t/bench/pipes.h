/*
 * A thread's pool of pipes to splice through: one is borrowed only while
 * bytes are in it, so a few serve any number of tunnels.
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPE_BYTES   (256 << 10)
#define POOLED_PIPES 32

struct pipe {
	struct pipe *next;
	int fd[2];
};

struct pipes {
	struct pipe *free;
	int n;
};

static inline struct pipe *pipe_get(struct pipes *pool)
{
	struct pipe *p = pool->free;

	if (p) {
		pool->free = p->next;
		pool->n--;
		return p;
	}
	p = malloc(sizeof *p);
	if (p && pipe2(p->fd, O_NONBLOCK | O_CLOEXEC)) {
		free(p);
		return NULL;
	}
	/* Refused to a user who has too many: then it stays at 64 KiB. */
	if (p)
		fcntl(p->fd[1], F_SETPIPE_SZ, PIPE_BYTES);
	return p;
}

static inline void pipe_put(struct pipes *pool, struct pipe *p, bool empty)
{
	if (empty && pool->n < POOLED_PIPES) {
		p->next = pool->free;
		pool->free = p;
		pool->n++;
		return;
	}
	close(p->fd[0]);
	close(p->fd[1]);
	free(p);
}
