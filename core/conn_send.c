/*
 * Sending what does not lie in one piece of memory: slices and files.
 *
 * Where the kernel cannot take these as they are, they go through the thread's
 * scratch area, a TLS record at a time.  Nobody holds that over a suspension:
 * after it, it is filled once more with the same bytes, since TLS may have
 * made a record of them that is still to be sent.
 */
#include "core/conn.h"

#include "core/task.h"

#include <string.h>

#define RECORD_BYTES 16384u     /* RFC 8446 §5.1 */
#define SLICES_MAX   1024       /* UIO_MAXIOV */
#define CALL_BYTES   (1u << 20) /* of a file, in one call */

/* --- Slices ------------------------------------------------------------- */

struct slices {
	struct iovec *at;
	int count;
};

/* Leaves out what was written, and those that are empty. */
static void slices_skip(struct slices *s, size_t n)
{
	while (s->count > 0 && n >= s->at->iov_len) {
		n -= s->at->iov_len;
		s->at++;
		s->count--;
	}
	if (s->count > 0) {
		s->at->iov_base = (char *)s->at->iov_base + n;
		s->at->iov_len -= n;
	}
}

/* Fills a record with what is small; what fills one is written from there. */
static ssize_t write_gathered(struct tcp_conn *c, const struct slices *s)
{
	uint8_t *scratch = net_self()->scratch;
	size_t len = 0;

	if (s->count == 1 || s->at->iov_len >= RECORD_BYTES)
		return conn_write_now(c, s->at->iov_base, s->at->iov_len);
	for (int i = 0; i < s->count && len < RECORD_BYTES; i++) {
		size_t n = min_size(s->at[i].iov_len, RECORD_BYTES - len);

		if (n > 0)
			memcpy(scratch + len, s->at[i].iov_base, n);
		len += n;
	}
	return conn_write_now(c, scratch, len);
}

static ssize_t write_slices(struct tcp_conn *c, const struct slices *s)
{
	ssize_t n;

	if (!c->ops->writev)
		return write_gathered(c, s);
	do {
		n = c->ops->writev(c, s->at, s->count);
	} while (n == -EINTR);
	return n;
}

int tcp_conn_writev_all(struct tcp_conn *c, struct iovec *iov, int count,
			int64_t deadline)
{
	struct slices s = { .at = iov, .count = count };

	if (count < 0 || count > SLICES_MAX)
		return -EINVAL;
	slices_skip(&s, 0);
	while (s.count > 0) {
		int r = task_take_turns(TIMER_NEVER);
		ssize_t n;

		if (r < 0)
			return r;
		n = write_slices(c, &s);
		task_spend(n);
		if (n > 0) {
			slices_skip(&s, (size_t)n);
			continue;
		}
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		r = conn_wait(c, conn_write_bits(c), deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- Files -------------------------------------------------------------- */

struct sending {
	int fd;
	bool copying; /* not by the kernel */
	off_t offset;
	size_t left;
	size_t tried; /* what was read and found no room */
};

static ssize_t read_file(const struct sending *s, void *to, size_t len)
{
	ssize_t n;

	do {
		n = pread(s->fd, to, len, s->offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t copy_some(struct tcp_conn *c, struct sending *s)
{
	uint8_t *scratch = net_self()->scratch;
	ssize_t len = read_file(s, scratch, min_size(s->left, RECORD_BYTES));
	ssize_t n;

	/* A record of more than is left now may be under way. */
	if (len >= 0 && (size_t)len < s->tried)
		return -EIO;
	if (len <= 0)
		return len;
	n = conn_write_now(c, scratch, (size_t)len);
	s->tried = (size_t)(len - max_i64(n, 0));
	return n;
}

/*
 * Some files can only be read: sendfile(2) says EINVAL.  To a fast reader it
 * would send all there is in one call.
 */
static ssize_t send_some(struct tcp_conn *c, struct sending *s)
{
	ssize_t n;

	if (s->copying || !c->ops->sendfile)
		return copy_some(c, s);
	do {
		n = c->ops->sendfile(c, s->fd, s->offset,
				     min_size(s->left, CALL_BYTES));
	} while (n == -EINTR);
	if (n != -EINVAL && n != -ENOSYS && n != -EOPNOTSUPP)
		return n;
	s->copying = true;
	return copy_some(c, s);
}

ssize_t tcp_conn_sendfile(struct tcp_conn *c, int fd, off_t offset, size_t len,
			  int64_t deadline)
{
	struct sending s = { .fd = fd, .offset = offset, .left = len };

	while (s.left > 0) {
		int r = task_take_turns(deadline);
		ssize_t n;

		if (r < 0)
			return r;
		n = send_some(c, &s);
		task_spend(n);
		if (n == 0)
			break; /* here the file ends */
		if (n > 0) {
			s.offset += n;
			s.left -= (size_t)n;
			continue;
		}
		if (n != -EAGAIN)
			return n;
		r = conn_wait(c, conn_write_bits(c), deadline);
		if (r < 0)
			return r;
	}
	return (ssize_t)(len - s.left);
}
