/*
 * How churn opens and closes the ends of its tunnels, and how they fail.
 */
#pragma once

#include "t/helper/churn.h"

static struct side *other(const struct side *s)
{
	struct tunnel *t = s->tunnel;

	return s == &t->near ? &t->far : &t->near;
}

/* What the bytes are that this side sends: not those of the other one. */
static uint32_t stream(const struct side *s)
{
	return s->tunnel->flow * 2 + (s == &s->tunnel->far);
}

static void want(struct side *s, uint32_t mask)
{
	struct epoll_event ev = { .events = mask, .data.ptr = s };

	if (s->mask == mask)
		return;
	s->mask = mask;
	if (epoll_ctl(churn.epoll_fd, EPOLL_CTL_MOD, s->fd, &ev))
		perror("churn: epoll_ctl");
}

static void side_open(struct side *s, struct tunnel *t, int fd, uint32_t mask)
{
	struct epoll_event ev = { .events = mask, .data.ptr = s };

	*s = (struct side){ .tunnel = t, .fd = fd, .mask = mask };
	if (epoll_ctl(churn.epoll_fd, EPOLL_CTL_ADD, fd, &ev)) {
		perror("churn: epoll_ctl");
		exit(1);
	}
}

static void tunnel_close(struct tunnel *t)
{
	if (t->near.fd >= 0)
		close(t->near.fd);
	if (t->far.fd >= 0)
		close(t->far.fd);
	if (t->kind == EXCHANGE)
		churn.busy--;
	else
		churn.held--;
	t->near.fd = t->far.fd = -1;
	t->state = CLOSED;
	churn.free[churn.free_count++] = t->flow % TUNNELS_MAX;
}

static struct errors *errors_for(const struct tunnel *t)
{
	return t->kind == EXCHANGE ? &churn.count.errors : &churn.held_errors;
}

static void fail(struct tunnel *t, uint64_t *counter)
{
	++*counter;
	tunnel_close(t);
}

static void fail_errno(struct tunnel *t, int err)
{
	fail(t, errors_of(errors_for(t), err));
}

static void held_opened(struct tunnel *t)
{
	if (t->holds)
		return;
	t->holds = true;
	churn.opened++;
}
