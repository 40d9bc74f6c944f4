/*
 * A port is a lock around the pointer to the loop.  Posting holds it, so that
 * the loop cannot end between the look at the pointer and the mail's arrival.
 */
#include "core/reply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct reply_port {
	pthread_mutex_t lock;
	struct loop *loop; /* NULL: it has ended */
	atomic_size_t references;
};

int reply_port_new(struct reply_port **ret, struct loop *l)
{
	struct reply_port *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct reply_port){ .loop = l, .references = 1 };
	(void)pthread_mutex_init(&p->lock, NULL);
	*ret = p;
	return 0;
}

struct reply_port *reply_port_get(struct reply_port *p)
{
	(void)atomic_fetch_add_explicit(&p->references, 1,
					memory_order_relaxed);
	return p;
}

void reply_port_put(struct reply_port *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->references, 1,
					    memory_order_acq_rel) > 1)
		return;
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

void reply_port_close(struct reply_port *p)
{
	struct loop *l;

	(void)pthread_mutex_lock(&p->lock);
	l = TAKE_PTR(p->loop);
	(void)pthread_mutex_unlock(&p->lock);
	if (l)
		loop_read_mail(l);
}

void reply_post(struct reply_port *p, struct reply *r)
{
	bool open;

	(void)pthread_mutex_lock(&p->lock);
	open = p->loop;
	if (open)
		loop_post(p->loop, &r->mail);
	(void)pthread_mutex_unlock(&p->lock);
	if (!open)
		r->dropped(r);
}
