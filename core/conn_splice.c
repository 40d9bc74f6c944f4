/*
 * Moving bytes from one connection to another for a task: one direction of a
 * relay with an end to it.  What was taken from the source and not delivered
 * is in a pipe or buffer of the threads' pools, never on the task's stack.
 */
#include "core/flow.h"
#include "core/task.h"

/* Both may be the same connection. */
static int wait_for_either(const struct flow *f, struct tcp_conn *from,
			   struct tcp_conn *to, int64_t deadline)
{
	int r = conn_lost(to); /* the source may be silent */

	if (r < 0)
		return r;
	return conn_wait_either(
		from, flow_stuck(f) ? 0 : conn_read_bits(from), to,
		flow_waits_for_room(f, to) ? conn_write_bits(to) : 0, deadline);
}

static int move(struct flow *f, struct tcp_conn *from, struct tcp_conn *to,
		size_t len, int64_t deadline)
{
	while (flow_stuck(f) || f->bytes < len) {
		uint64_t before = f->bytes;
		int error = 0;
		int r = 0;

		f->most = (uint32_t)min_size(len - f->bytes, UINT32_MAX);
		switch (flow_step(f, from, to, &error)) {
		case FLOW_AGAIN:
			task_spend((ssize_t)(f->bytes - before));
			r = task_take_turns(deadline);
			break;
		case FLOW_SPENT: /* never, with `most` as above */
		case FLOW_WAIT:
			r = wait_for_either(f, from, to, deadline);
			break;
		case FLOW_AT_END:
			return 0;
		case FLOW_READ_FAILED:
		case FLOW_WRITE_FAILED:
			return -error;
		case FLOW_NO_MEMORY:
			return -ENOMEM;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

ssize_t tcp_conn_splice(struct tcp_conn *to, struct tcp_conn *from, size_t len,
			int64_t deadline)
{
	/* Less than that is cheaper to copy. */
	struct flow f = { .splicing = len >= FLOW_BULK };
	int r = move(&f, from, to, len, deadline);

	flow_close(&f);
	return r < 0 ? r : (ssize_t)f.bytes;
}
