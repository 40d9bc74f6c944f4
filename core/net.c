/*
 * The per-thread state that connections and relays share.
 */
#include "core/net.h"

#include "core/reply.h"

#include <stdlib.h>

static _Thread_local struct net *self;

/* Of a net that nobody outside of its thread looks at. */
static _Thread_local struct tcp_worker_counts own_counts;

int net_init(struct net *n, struct loop *l, const struct net_options *o)
{
	*n = (struct net){ .loop = l, .worker = o->worker };
	n->counts = o->counts;
	if (!n->counts) {
		own_counts = (struct tcp_worker_counts){ 0 };
		n->counts = &own_counts;
	}
	list_init(&n->silent);
	list_init(&n->resting);
	list_init(&n->keepers);
	list_init(&n->relays);
	list_init(&n->moved);
	list_init(&n->tls_waiting);
	buffers_init(&n->buffers, o->buffer_bytes);
	pipes_init(&n->pipes, o->pipes);
	n->scratch = malloc(NET_SCRATCH_BYTES);
	if (!n->scratch)
		return -ENOMEM;
	self = n;
	return 0;
}

void net_done(struct net *n)
{
	if (!n->loop)
		return;
	if (n->port)
		reply_port_close(n->port);
	reply_port_put(TAKE_PTR(n->port));
	ASSERT(n->conn_count == 0 && list_empty(&n->relays));
	ASSERT(n->buffers.used == 0);
	timer_stop(n->loop, &n->tell);
	pipes_done(&n->pipes);
	free(TAKE_PTR(n->scratch));
	n->loop = NULL;
	self = NULL;
}

struct net *net_self(void)
{
	return self;
}

int net_port(struct net *n, struct reply_port **ret)
{
	int r = n->port ? 0 : reply_port_new(&n->port, n->loop);

	*ret = n->port;
	return r;
}
