/*
 * One step of one direction.
 *
 * Small traffic is copied through the thread's scratch area: one read, one
 * write.  Bulk goes through a borrowed pipe.  Copying is cheaper below some
 * 32 KiB a wake-up, splicing above; measured by `make bench`.  Two kernel
 * facts shape the code: after splice(2) a short count may mean a full pipe as
 * well as an empty socket, so splicing goes on until EAGAIN; and urgent data
 * makes splice(2) answer EAGAIN for ever, so from EPOLLPRI until the next
 * EAGAIN of read the direction copies.
 */
#include "core/flow.h"

#include <fcntl.h>

#define QUIET_BYTES (8u << 10) /* a wake-up: splicing ends */

static ssize_t splice_now(int from, int to, size_t len)
{
	ssize_t n;

	do {
		n = splice(from, NULL, to, NULL, len,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Gives pipe or buffer back, with what is in it. */
static void drop(struct flow *f)
{
	if (f->piped)
		pipe_put(&net_self()->pipes, TAKE_PTR(f->pipe));
	else
		buffer_free(&net_self()->buffers, TAKE_PTR(f->buffer));
	f->piped = false;
}

void flow_close(struct flow *f)
{
	f->closed = true;
	if (flow_stuck(f))
		drop(f);
}

/* --- Delivering what is stuck ------------------------------------------- */

/*
 * Moves what sits in a pipe into the socket; f->pipe holds it.  The length is
 * exact: asked for more, splice(2) would let the kernel hold the last bytes
 * back as if more were to come.
 */
static ssize_t pipe_deliver(struct flow *f, struct tcp_conn *to)
{
	ssize_t n = splice_now(f->pipe->out, to->watch.fd, f->pipe->stuck);

	conn_note_send(to, n, f->pipe->stuck);
	if (n > 0)
		f->pipe->stuck -= (size_t)n;
	return n;
}

static ssize_t buffer_deliver(struct flow *f, struct tcp_conn *to)
{
	struct buffer *b = f->buffer;
	ssize_t n = conn_write_now(to, b->bytes + b->offset, b->len);

	if (n > 0) {
		b->offset += (uint32_t)n;
		b->len -= (uint32_t)n;
	}
	return n;
}

static enum flow_step deliver(struct flow *f, struct tcp_conn *to, int *error)
{
	ssize_t n;

	if (!conn_can_write(to))
		return FLOW_WAIT;
	n = f->piped ? pipe_deliver(f, to) : buffer_deliver(f, to);
	if (n == -EAGAIN) {
		to->watch.ready &= ~(uint32_t)(EPOLLHUP | EPOLLERR);
		return FLOW_WAIT;
	}
	if (n < 0) {
		*error = (int)-n;
		return FLOW_WRITE_FAILED;
	}
	f->bytes += (size_t)n;
	if (f->piped ? f->pipe->stuck == 0 : f->buffer->len == 0)
		drop(f);
	return FLOW_AGAIN;
}

static void took(struct flow *f, ssize_t n)
{
	if (f->most != FLOW_UNBOUNDED)
		f->most -= (uint32_t)n;
}

/* --- Copying ------------------------------------------------------------ */

/* Keeps what the receiver did not take. */
static enum flow_step keep(struct flow *f, const uint8_t *rest, size_t len)
{
	f->buffer = buffer_new(&net_self()->buffers, rest, len);
	return f->buffer ? FLOW_AGAIN : FLOW_NO_MEMORY;
}

static enum flow_step source_end(struct flow *f, ssize_t n, int *error)
{
	if (n == 0) {
		f->end = FLOW_ENDED;
		return FLOW_AGAIN;
	}
	*error = (int)-n;
	return FLOW_READ_FAILED;
}

/*
 * Copies though there is no room to keep what the receiver does not take: that
 * stays in the source's socket.  A system call more, but no tunnel stands
 * still because others have used the pool up.
 */
static enum flow_step copy_without_room(struct flow *f, struct tcp_conn *from,
					struct tcp_conn *to, int *error)
{
	uint8_t *scratch = net_self()->scratch;
	ssize_t n, m;

	n = conn_peek_now(from, scratch, min_size(NET_SCRATCH_BYTES, f->most));
	if (n == -EAGAIN)
		return FLOW_WAIT;
	if (n <= 0)
		return source_end(f, n, error);
	m = conn_write_now(to, scratch, (size_t)n);
	if (m == -EAGAIN)
		return FLOW_WAIT;
	if (m < 0) {
		*error = (int)-m;
		return FLOW_WRITE_FAILED;
	}
	from->ops->take(from, (size_t)m);
	took(f, m);
	f->bytes += (size_t)m;
	return FLOW_AGAIN;
}

static enum flow_step copy(struct flow *f, struct tcp_conn *from,
			   struct tcp_conn *to, int *error)
{
	struct net *net = net_self();
	ssize_t n, m;

	/* What is read must have a place, should the receiver not take it. */
	if (!buffers_have(&net->buffers, NET_SCRATCH_BYTES))
		return copy_without_room(f, from, to, error);
	n = conn_read_now(from, net->scratch,
			  min_size(NET_SCRATCH_BYTES, f->most));
	if (n == -EAGAIN)
		return FLOW_WAIT;
	if (n <= 0)
		return source_end(f, n, error);
	took(f, n);
	m = conn_write_now(to, net->scratch, (size_t)n);
	if (m == -EAGAIN)
		m = 0;
	if (m < 0) {
		*error = (int)-m;
		return FLOW_WRITE_FAILED;
	}
	f->bytes += (size_t)m;
	if (m < n)
		return keep(f, net->scratch + m, (size_t)(n - m));
	return FLOW_AGAIN;
}

/* --- Splicing ----------------------------------------------------------- */

/* Empties the pipe that was stuck longest into a buffer, to have its use. */
static void pipe_reclaim(struct net *net)
{
	struct pipe *p = pipes_oldest(&net->pipes);
	struct flow *holder;
	struct buffer *b;

	if (!p)
		return;
	holder = p->holder;
	b = buffer_room(&net->buffers, p->stuck);
	if (!b)
		return;
	while (p->stuck > 0) {
		ssize_t n = read(p->out, b->bytes + b->len, p->stuck);

		ASSERT(n > 0); /* nobody else reads it */
		b->len += (uint32_t)n;
		p->stuck -= (size_t)n;
	}
	drop(holder);
	holder->buffer = b;
}

static struct pipe *pipe_borrow(struct net *net)
{
	struct pipe *p = pipe_get(&net->pipes);

	if (p)
		return p;
	pipe_reclaim(net);
	return pipe_get(&net->pipes);
}

/*
 * Whether it only cannot be spliced: a control record of kernel TLS.  A read
 * takes that, or tells what is wrong.
 */
static bool is_for_read(ssize_t n)
{
	return n == -EINVAL || n == -EBADMSG || n == -EIO;
}

static enum flow_step bulk(struct flow *f, struct tcp_conn *from,
			   struct tcp_conn *to, int *error)
{
	struct net *net = net_self();
	ssize_t n;

	f->pipe = pipe_borrow(net);
	if (!f->pipe)
		return copy(f, from, to, error);
	f->piped = true;
	n = splice_now(from->watch.fd, f->pipe->in,
		       min_size(f->pipe->size, f->most));
	if (n <= 0) {
		drop(f);
		if (n == -EAGAIN) {
			from->watch.ready &= ~(uint32_t)(EPOLLIN | EPOLLERR);
			return FLOW_WAIT;
		}
		if (n < 0 && !is_for_read(n))
			return source_end(f, n, error);
		/* At an urgent mark splice(2) says 0 once a FIN has come. */
		if (n == 0)
			from->watch.ready |= EPOLLPRI;
		return copy(f, from, to, error);
	}
	took(f, n);
	f->pipe->stuck = (size_t)n;
	n = pipe_deliver(f, to);
	if (n < 0 && n != -EAGAIN) {
		*error = (int)-n;
		return FLOW_WRITE_FAILED;
	}
	f->bytes += (size_t)max_i64(n, 0);
	if (f->pipe->stuck)
		pipe_hold(&net->pipes, f->pipe, f);
	else
		drop(f);
	return FLOW_AGAIN;
}

/* --- Both --------------------------------------------------------------- */

enum flow_step flow_step(struct flow *f, struct tcp_conn *from,
			 struct tcp_conn *to, int *error)
{
	if (f->closed)
		return FLOW_WAIT;
	if (flow_stuck(f))
		return deliver(f, to, error);
	if (f->end != FLOW_OPEN)
		return FLOW_AT_END;
	if (!conn_can_read(from))
		return FLOW_WAIT;
	/* A receiver that is full is not read for; one that failed is told. */
	if (!conn_can_write(to))
		return FLOW_WAIT;
	if (f->paused_until) {
		if (loop_now(net_self()->loop) < f->paused_until)
			return FLOW_WAIT;
		f->paused_until = 0;
	}
	if (f->most == 0)
		return FLOW_SPENT;
	if (f->splicing && from->splice_in && to->splice_out &&
	    !from->pending && !(from->watch.ready & EPOLLPRI))
		return bulk(f, from, to, error);
	return copy(f, from, to, error);
}

void flow_measure(struct flow *f, uint64_t moved)
{
	if (f->mode != TCPSERVER_RELAY_ADAPTIVE || moved == 0)
		return;
	f->average = (uint32_t)((3 * (uint64_t)f->average + moved) / 4);
	if (f->average >= FLOW_BULK)
		f->splicing = true;
	else if (f->average < QUIET_BYTES)
		f->splicing = false;
}
