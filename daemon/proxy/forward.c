/*
 * Connecting to the targets of a listener, one after the other, until one is
 * there.  They are requests like any: rules, names, limits and ways out are
 * those of CONNECT, of each target anew.
 */
#include "daemon/proxy/forward.h"

#include "daemon/proxy/proxy_internal.h"

#define LATER_MS 10000

/* --- Which one ---------------------------------------------------------- */

/* The targets in the order in which they are tried. */
struct order {
	struct forward *f;
	size_t first, next; /* of 2 * count: those that wait come second */
	int64_t now_ms;
	uint64_t tried; /* a bit each */
};

_Static_assert(FORWARD_TARGETS_MAX <= 64, "each has its bit");

static struct order begin(struct forward *f)
{
	struct order o = { .f = f, .now_ms = tcp_deadline(0) };

	if (f->round_robin)
		o.first = atomic_fetch_add_explicit(&f->turn, 1,
						    memory_order_relaxed);
	return o;
}

static struct forward_target *next(struct order *o)
{
	size_t count = o->f->count;

	ASSERT(count > 0);
	while (o->next < 2 * count) {
		size_t i = (o->first + o->next) % count;
		bool last_resort = o->next++ >= count;
		struct forward_target *t = &o->f->targets[i];

		if (o->tried & UINT64_C(1) << i)
			continue;
		if (!last_resort &&
		    atomic_load_explicit(&t->later_ms, memory_order_relaxed) >
			    o->now_ms)
			continue;
		o->tried |= UINT64_C(1) << i;
		return t;
	}
	return NULL;
}

/* What rules and limits say is no fault of the target. */
static bool is_targets_fault(enum outcome o)
{
	switch (o) {
	case OUTCOME_NAME_NOT_FOUND:
	case OUTCOME_NAME_FAILED:
	case OUTCOME_NAME_TIMEOUT:
	case OUTCOME_REFUSED:
	case OUTCOME_NET_UNREACHABLE:
	case OUTCOME_HOST_UNREACHABLE:
	case OUTCOME_CONNECT_TIMEOUT:
	case OUTCOME_TARGET_LEFT:
	case OUTCOME_FAILED:
		return true;
	default:
		return false;
	}
}

static void note(struct forward_target *t, enum outcome o)
{
	int64_t later = is_targets_fault(o) ? tcp_deadline(LATER_MS) : 0;

	/* Most have nothing to write. */
	if (later ||
	    atomic_load_explicit(&t->later_ms, memory_order_relaxed) != 0)
		atomic_store_explicit(&t->later_ms, later,
				      memory_order_relaxed);
}

/* --- Connecting --------------------------------------------------------- */

static enum outcome send_header(struct request *rq)
{
	const struct forward *f = rq->listener->forward;
	uint8_t header[PROXY_HEADER_ROOM];
	struct tcp_addr reached = rq->reached;
	size_t len;

	if (f->send == PROXY_VERSION_NONE)
		return OUTCOME_NONE;
	if (reached.family == AF_UNSPEC &&
	    tcp_conn_local(rq->client, &reached) < 0)
		reached = (struct tcp_addr){ 0 };
	addr_unmap(&reached);
	len = proxy_header_format(header, f->send, tcp_conn_peer(rq->client),
				  &reached);
	rq->error = tcp_conn_write_all(
		rq->server, header, len,
		tcp_deadline(rq->here->proxy->options.timeouts.connect_ms));
	if (rq->error == 0)
		return OUTCOME_NONE;
	tcp_conn_close(TAKE_PTR(rq->server));
	return rq->error == -ECANCELED ? OUTCOME_SHUTDOWN : OUTCOME_TARGET_LEFT;
}

static enum outcome connect_to(struct request *rq, const struct target *t)
{
	enum outcome o;

	rq->error = 0;
	rq->rule = SESSION_NONE;
	request_set_target(rq, t);
	request_note(rq);
	o = request_connect(rq);
	return o == OUTCOME_NONE ? send_header(rq) : o;
}

static enum outcome connect_targets(struct request *rq)
{
	struct order order = begin(rq->listener->forward);
	struct forward_target *t = next(&order);
	enum outcome o = OUTCOME_FAILED;

	for (; t; t = next(&order)) {
		o = connect_to(rq, &t->target);
		note(t, o);
		if (o == OUTCOME_NONE || o == OUTCOME_SHUTDOWN)
			break;
		if (rq->server)
			tcp_conn_close(TAKE_PTR(rq->server));
	}
	return o;
}

/* --- The protocol ------------------------------------------------------- */

static enum outcome read_request(struct request *rq)
{
	if (request_needs_login(rq))
		return OUTCOME_AUTH_REQUIRED;
	rq->command = COMMAND_CONNECT;
	request_set_target(rq, &rq->listener->forward->targets[0].target);
	return OUTCOME_NONE;
}

static int grant(struct request *rq UNUSED)
{
	return 0;
}

/* There is no other word for it than an end that is none in order. */
static void refuse(struct request *rq, enum outcome why UNUSED)
{
	tcp_conn_set_reset(rq->client);
}

const struct proxy_protocol forward_protocol = {
	.number = PROTOCOL_FORWARD,
	.is_silent = true,
	.read_request = read_request,
	.connect = connect_targets,
	.grant = grant,
	.refuse = refuse,
};
