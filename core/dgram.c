/*
 * Batches of datagrams: recvmmsg(2), sendmmsg(2), and segmentation by the
 * kernel.
 *
 * A socket here is never connected, so that no ICMP message of a target makes
 * a later call fail, ip(7): errors of send calls are those of the datagram at
 * hand.
 */
#include "core/dgram.h"

#include "core/sock.h"

#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* The longest datagram, with its end still within the slot. */
#define PAYLOAD_BYTES 65536u

/*
 * Slots lie an odd number of cache lines beyond 64 KiB apart.  At 64 KiB all
 * of them would share the same few sets of the first cache, whose index is
 * made of the lowest 12 bits.
 */
#define SLOT_BYTES (PAYLOAD_BYTES + DGRAM_HEADROOM + 1056u)

_Static_assert(SLOT_BYTES % 64 == 0 && SLOT_BYTES / 64 % 2 == 1,
	       "beginnings of slots spread over all sets");

/* What the kernel takes in one piece: 64 segments, a datagram's length. */
#define PIECE_BYTES 65000u

struct control {
	_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct dgram_batch {
	struct mmsghdr in[DGRAM_BATCH], out[DGRAM_BATCH];
	struct iovec in_iov[DGRAM_BATCH], out_iov[DGRAM_BATCH];
	union dgram_name from[DGRAM_BATCH], to[DGRAM_BATCH];
	struct control control[DGRAM_BATCH];
	unsigned received, queued;
	uint8_t *memory;
};

/* --- Batches ------------------------------------------------------------ */

static void init_in(struct dgram_batch *b)
{
	for (unsigned i = 0; i < DGRAM_BATCH; i++) {
		b->in_iov[i] = (struct iovec){
			.iov_base = b->memory + (size_t)i * SLOT_BYTES +
				    DGRAM_HEADROOM,
			.iov_len = PAYLOAD_BYTES,
		};
		b->in[i].msg_hdr = (struct msghdr){
			.msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]),
			.msg_iov = &b->in_iov[i],
			.msg_iovlen = 1,
		};
	}
}

static void init_control(struct control *c)
{
	struct cmsghdr *head = (struct cmsghdr *)c->bytes;

	head->cmsg_level = IPPROTO_UDP;
	head->cmsg_type = UDP_SEGMENT;
	head->cmsg_len = CMSG_LEN(sizeof(uint16_t));
}

int dgram_batch_new(struct dgram_batch **ret)
{
	struct dgram_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	/* So large a block is a mapping: no page is there until it is used. */
	b->memory = aligned_alloc(64, (size_t)DGRAM_BATCH * SLOT_BYTES);
	if (!b->memory) {
		free(b);
		return -ENOMEM;
	}
	init_in(b);
	for (unsigned i = 0; i < DGRAM_BATCH; i++)
		init_control(&b->control[i]);
	*ret = b;
	return 0;
}

void dgram_batch_free(struct dgram_batch *b)
{
	if (!b)
		return;
	free(b->memory);
	free(b);
}

struct dgram_in dgram_batch_at(const struct dgram_batch *b, unsigned i)
{
	return (struct dgram_in){
		.at = b->in_iov[i].iov_base,
		.len = b->in[i].msg_len,
		.from = &b->from[i],
	};
}

void dgram_batch_put(struct dgram_batch *b, uint8_t *at, size_t len,
		     const union dgram_name *to)
{
	unsigned i = b->queued++;

	ASSERT(i < DGRAM_BATCH);
	b->out_iov[i] = (struct iovec){ .iov_base = at, .iov_len = len };
	b->to[i] = *to;
}

unsigned dgram_batch_queued(const struct dgram_batch *b)
{
	return b->queued;
}

/* --- Sockets ------------------------------------------------------------ */

int dgram_open(struct dgram *d, sa_family_t family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = 0;

	*d = (struct dgram)DGRAM_CLOSED;
	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		r = sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	d->watch.fd = fd;
	d->segment_max = UINT16_MAX;
	return 0;
}

int dgram_bind(struct dgram *d, const struct tcp_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	if (bind(d->watch.fd, (const struct sockaddr *)&ss, len) < 0)
		return -errno;
	return sock_local(d->watch.fd, &d->local);
}

int dgram_watch(struct dgram *d, void (*notify)(struct watch *w))
{
	d->watch.notify = notify;
	return watch_add(loop_self(), &d->watch, EPOLLIN | EPOLLET);
}

void dgram_close(struct dgram *d)
{
	if (!dgram_is_open(d))
		return;
	watch_forget(loop_self(), &d->watch);
	close_fd(&d->watch.fd);
	d->watch.ready = 0;
}

void dgram_set_buffers(struct dgram *d, size_t bytes)
{
	int value = (int)min_size(bytes, INT32_MAX / 2);

	/* Nothing but a wish: the system's maximum counts, too. */
	(void)!sock_set(d->watch.fd, SOL_SOCKET, SO_RCVBUF, value);
	(void)!sock_set(d->watch.fd, SOL_SOCKET, SO_SNDBUF, value);
}

/* --- Receiving ---------------------------------------------------------- */

unsigned dgram_receive(struct dgram *d, struct dgram_batch *b)
{
	int n;

	/* The kernel has written the lengths of those that came. */
	for (unsigned i = 0; i < b->received; i++)
		b->in[i].msg_hdr.msg_namelen = sizeof(b->from[i]);
	b->received = 0;
	for (int tries = 0; tries < 3; tries++) {
		n = recvmmsg(d->watch.fd, b->in, DGRAM_BATCH, MSG_DONTWAIT,
			     NULL);
		if (n >= 0 || errno == EAGAIN)
			break;
	}
	/* Fewer than asked for: that was all, and the next makes an edge. */
	if (n < (int)DGRAM_BATCH)
		d->watch.ready &= ~(uint32_t)EPOLLIN;
	b->received = n > 0 ? (unsigned)n : 0;
	return b->received;
}

/* --- Sending ------------------------------------------------------------ */

/* How many from `first` on the kernel can cut out of one piece. */
static unsigned piece(const struct dgram *d, const struct dgram_batch *b,
		      unsigned first)
{
	size_t len = b->out_iov[first].iov_len, total = len;
	unsigned i;

	if (len == 0 || len > d->segment_max)
		return 1;
	for (i = first + 1; i < b->queued; i++) {
		size_t more = b->out_iov[i].iov_len;

		if (more == 0 || more > len || total + more > PIECE_BYTES ||
		    !dgram_name_equal(&b->to[first], &b->to[i]))
			break;
		total += more;
		/* Only the last may be shorter. */
		if (more < len)
			return i + 1 - first;
	}
	return i - first;
}

/* Makes messages of what is queued from `first` on; how many. */
static unsigned make_messages(const struct dgram *d, struct dgram_batch *b,
			      unsigned first)
{
	unsigned count = 0;

	while (first < b->queued) {
		unsigned n = piece(d, b, first);
		struct msghdr *m = &b->out[count].msg_hdr;

		*m = (struct msghdr){
			.msg_name = &b->to[first],
			.msg_namelen = dgram_name_len(&b->to[first]),
			.msg_iov = &b->out_iov[first],
			.msg_iovlen = n,
		};
		if (n > 1) {
			struct control *c = &b->control[count];
			uint16_t size = (uint16_t)m->msg_iov->iov_len;

			memcpy(CMSG_DATA((struct cmsghdr *)c->bytes), &size,
			       sizeof(size));
			m->msg_control = c->bytes;
			m->msg_controllen = sizeof(c->bytes);
		}
		count++;
		first += n;
	}
	return count;
}

/*
 * Tells whether a piece failed for being one: too large for the way, which
 * fragments single ones only, or no segmentation there.
 */
static bool was_uncut(struct dgram *d, const struct msghdr *m, int error)
{
	if (m->msg_iovlen == 1)
		return false;
	if (error == EINVAL || error == EMSGSIZE)
		d->segment_max = (uint16_t)(m->msg_iov->iov_len - 1);
	else if (error == EIO || error == EOPNOTSUPP || error == ENOPROTOOPT)
		d->segment_max = 0;
	else
		return false;
	return true;
}

/* Which sendto(2) does with less ado. */
static struct dgram_sent send_one(struct dgram *d, struct dgram_batch *b)
{
	const struct iovec *iov = &b->out_iov[0];

	b->queued = 0;
	if (dgram_send(d, iov->iov_base, iov->iov_len, &b->to[0]) < 0)
		return (struct dgram_sent){ 0 };
	return (struct dgram_sent){ .count = 1, .bytes = iov->iov_len };
}

struct dgram_sent dgram_flush(struct dgram *d, struct dgram_batch *b)
{
	struct dgram_sent sent = { 0 };
	unsigned at = 0;

	if (b->queued == 1)
		return send_one(d, b);
	while (at < b->queued) {
		unsigned count = make_messages(d, b, at);
		int n = sendmmsg(d->watch.fd, b->out, count, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break; /* no room: none for those behind it either */
		if (n < 0 && was_uncut(d, &b->out[0].msg_hdr, errno))
			continue;
		if (n < 0)
			at += (unsigned)b->out[0].msg_hdr.msg_iovlen;
		for (int i = 0; i < n; i++) {
			unsigned some = (unsigned)b->out[i].msg_hdr.msg_iovlen;

			at += some;
			sent.count += some;
			sent.bytes += b->out[i].msg_len;
		}
	}
	b->queued = 0;
	return sent;
}

int dgram_send(struct dgram *d, const void *bytes, size_t len,
	       const union dgram_name *to)
{
	ssize_t n = sendto(d->watch.fd, bytes, len, MSG_DONTWAIT, &to->sa,
			   dgram_name_len(to));

	return n < 0 ? -errno : 0;
}

/* --- Names of sockets --------------------------------------------------- */

void dgram_name_set(union dgram_name *n, const struct tcp_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(a, &ss);

	memset(n, 0, sizeof(*n));
	memcpy(n, &ss, len);
}

void dgram_name_get(const union dgram_name *n, struct tcp_addr *ret)
{
	tcp_addr_from_sockaddr(ret, &n->sa);
}
