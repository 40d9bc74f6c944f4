/*
 * What stands before a connection's protocol: the PROXY header, by which the
 * client is known and so only now is admitted, and then TLS.
 *
 * Behind the header follow the client's own bytes, so no more is taken than
 * belongs to it: its beginning is looked at until its length is known.
 */
#include "core/conn.h"
#include "daemon/proxy/admit.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/proxy_protocol.h"
#include "daemon/proxy/record.h"
#include "daemon/proxy/tls_failure.h"

/* The bytes that were looked at stay, and only more of them is an event. */
static int wait_for_more(struct tcp_conn *c, int64_t deadline)
{
	if (c->watch.ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		return -ECONNRESET;
	c->watch.ready &= ~(uint32_t)EPOLLIN;
	return conn_wait(c, CONN_READABLE, deadline);
}

static int skip(struct tcp_conn *c, size_t len, uint8_t *room, size_t size,
		int64_t deadline)
{
	while (len > 0) {
		ssize_t n = tcp_conn_read(c, room, min_size(len, size),
					  deadline);

		if (n <= 0)
			return n < 0 ? (int)n : -ECONNRESET;
		len -= (size_t)n;
	}
	return 0;
}

static int read_header(struct tcp_conn *c, struct proxy_header *ret,
		       int64_t deadline)
{
	uint8_t bytes[PROXY_HEADER_PEEK];
	int r;

	for (;;) {
		ssize_t n = conn_peek_now(c, bytes, sizeof(bytes));

		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		r = n < 0 ? -EAGAIN
			  : proxy_header_parse(
				    ret, (struct span){ bytes, (size_t)n });
		if (r != -EAGAIN)
			break;
		r = wait_for_more(c, deadline);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return skip(c, (size_t)r, bytes, sizeof(bytes), deadline);
}

static enum outcome outcome_of(int r)
{
	switch (r) {
	case -EBADMSG:
		return OUTCOME_PROXY_HEADER;
	case -ETIMEDOUT:
		return OUTCOME_HANDSHAKE;
	case -ECANCELED:
		return OUTCOME_SHUTDOWN;
	case -ENOMEM:
		return OUTCOME_NO_RESOURCES;
	default:
		return OUTCOME_CLIENT_LEFT;
	}
}

bool request_admit_late(struct request *rq)
{
	const struct proxy_listener *l = rq->listener;
	struct tcp_addr peer = *tcp_conn_peer(rq->client);
	struct proxy_header h;
	int r = read_header(rq->client, &h, rq->deadline);

	if (r < 0) {
		record_refused(l, &peer, SESSION_NONE, outcome_of(r));
		return false;
	}
	if (h.source.family != AF_UNSPEC)
		peer = h.source;
	if (h.destination.family != AF_UNIX)
		rq->reached = h.destination;
	r = admit_client(l, &peer);
	if (r < 0)
		return false;
	tcp_conn_set_peer(rq->client, &peer, (unsigned)r);
	return true;
}

enum outcome request_serve_tls(struct request *rq)
{
	int r = tcp_conn_serve_tls(rq->client, TCPSERVER_NEVER);

	if (r == 0)
		return OUTCOME_NONE;
	if (r == -EPROTO) {
		rq->error = r;
		tls_failure_note(rq->here->proxy, rq->session, rq->client);
	}
	return outcome_of_tls(r);
}
