/*
 * How many may come: places, one for each connection that is there, and
 * tickets, one for each that ever was, where max_accepts bounds these.
 *
 * Both are taken before accept(2) is asked, for what it gave cannot be put
 * back into the kernel's queue.
 */
#include "core/server_internal.h"

void server_places_init(struct tcp_server *s)
{
	size_t max = s->options.max_connections;

	tcp_server_set_max_connections(s, max ? max : SIZE_MAX);
	atomic_init(&s->tickets, s->options.max_accepts);
}

static bool take_ticket(struct tcp_server *s)
{
	uint_least64_t left = atomic_load_explicit(&s->tickets,
						   memory_order_relaxed);

	while (left > 0)
		if (atomic_compare_exchange_weak_explicit(
			    &s->tickets, &left, left - 1, memory_order_relaxed,
			    memory_order_relaxed))
			return true;
	return false;
}

bool server_admit(struct tcp_server *s)
{
	uint64_t before;

	if (s->options.max_accepts && !take_ticket(s))
		return false;
	before = atomic_fetch_add_explicit(&s->active, 1, memory_order_relaxed);
	if (before <
	    atomic_load_explicit(&s->max_connections, memory_order_relaxed))
		return true;
	server_unadmit(s);
	return false;
}

void server_unadmit(struct tcp_server *s)
{
	server_release(s);
	if (s->options.max_accepts)
		(void)atomic_fetch_add_explicit(&s->tickets, 1,
						memory_order_relaxed);
}

void server_admitted(struct tcp_server *s)
{
	uint64_t max = s->options.max_accepts;

	if (max == 0 || atomic_fetch_add(&s->used, 1) + 1 < max)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->full = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

void server_release(struct tcp_server *s)
{
	(void)atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
}

void tcp_server_set_max_connections(struct tcp_server *s, size_t n)
{
	/* Those who wait for room look again by themselves. */
	atomic_store_explicit(&s->max_connections, n, memory_order_relaxed);
}
