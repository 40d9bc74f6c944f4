/*
 * A chunk is one allocation: the connection first, then the user's block.
 * While it is idle its first bytes are the link to the next one, and
 * AddressSanitizer reports whoever touches the rest.
 */
#include "core/user_pool.h"

#include "core/conn.h"
#include "core/listener.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

struct user_chunk {
	struct user_chunk *next;
};

static const struct tcp_listen_options *options(const struct user_pool *p)
{
	return &p->listener->options;
}

static size_t chunk_bytes(const struct user_pool *p)
{
	return CONN_USER_OFFSET + options(p)->user_bytes;
}

static void *user_block(struct tcp_conn *c)
{
	return (char *)c + CONN_USER_OFFSET;
}

/* --- One chunk ---------------------------------------------------------- */

static int chunk_new(const struct user_pool *p, struct tcp_conn **ret)
{
	const struct tcp_listen_options *o = options(p);
	struct tcp_conn *c;
	int r;

	if (o->user_bytes > PTRDIFF_MAX - CONN_USER_OFFSET)
		return -ENOMEM;
	c = calloc(1, chunk_bytes(p));
	if (!c)
		return -ENOMEM;
	r = o->user_init ? o->user_init(user_block(c), p->listener->ctx) : 0;
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void chunk_free(const struct user_pool *p, struct tcp_conn *c)
{
	const struct tcp_listen_options *o = options(p);

	if (o->user_done)
		o->user_done(user_block(c), p->listener->ctx);
	free(c);
}

/* --- What is idle ------------------------------------------------------- */

static void push(struct user_pool *p, struct tcp_conn *c)
{
	struct user_chunk *chunk = (struct user_chunk *)c;

	chunk->next = p->idle;
	p->idle = chunk;
	p->idle_count++;
	ASAN_POISON_MEMORY_REGION(chunk + 1, chunk_bytes(p) - sizeof(*chunk));
}

static struct tcp_conn *pop(struct user_pool *p)
{
	struct user_chunk *chunk = p->idle;

	ASAN_UNPOISON_MEMORY_REGION(chunk, chunk_bytes(p));
	p->idle = chunk->next;
	p->idle_count--;
	return (struct tcp_conn *)chunk;
}

/* Memory that calloc() has from the kernel comes at the first write. */
static void touch(struct tcp_conn *c, size_t bytes)
{
	volatile char *at = (volatile char *)c;

	for (size_t i = 0; i < bytes; i += 4096) {
		char byte = at[i];

		at[i] = byte;
	}
}

/* --- The pool ----------------------------------------------------------- */

void user_pool_init(struct user_pool *p, const struct tcp_listener *l)
{
	*p = (struct user_pool){ .listener = l, .floor = USER_POOL_FLOOR };
}

void user_pool_done(struct user_pool *p)
{
	ASSERT(p->used_count == 0);
	while (p->idle)
		chunk_free(p, pop(p));
}

int user_pool_reserve(struct user_pool *p, size_t count)
{
	p->floor = max_size(p->floor, count);
	while (p->idle_count < count) {
		struct tcp_conn *c;
		int r = chunk_new(p, &c);

		if (r < 0)
			return r;
		touch(c, chunk_bytes(p));
		push(p, c);
	}
	return 0;
}

int user_pool_get(struct user_pool *p, struct tcp_conn **ret)
{
	if (p->idle) {
		*ret = pop(p);
	} else {
		int r = chunk_new(p, ret);

		if (r < 0)
			return r;
	}
	p->used_count++;
	return 0;
}

void user_pool_put(struct user_pool *p, struct tcp_conn *c)
{
	const struct tcp_listen_options *o = options(p);

	if (o->user_reset)
		o->user_reset(user_block(c), p->listener->ctx);
	p->used_count--;
	push(p, c);
	/* After a flood this is two at a time, until the floor is reached. */
	while (p->idle_count > max_size(p->used_count, p->floor))
		chunk_free(p, pop(p));
}

void listener_conn_free(struct tcp_conn *c)
{
	const struct tcp_listener *l = c->listener;

	user_pool_put(&l->slot[net_self()->worker].pool, c);
}
