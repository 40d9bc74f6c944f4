/*
 * The BIO that OpenSSL reads and writes through.
 *
 * It is made of OpenSSL's socket BIO, which does the rest: above all it hands
 * the keys to the kernel, and reads records that the kernel has decrypted.
 */
#include "core/tls_bio.h"

#include <linux/tls.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* bio.h has these in a comment, as numbers that are taken. */
#define CTRL_SET_KTLS         72
#define CTRL_SET_RECORD_TYPE  74
#define CTRL_DROP_RECORD_TYPE 75

static BIO_METHOD *method;
static int (*socket_read)(BIO *b, char *to, int len);
static long (*socket_ctrl)(BIO *b, int cmd, long num, void *ptr);

/* --- Reading ------------------------------------------------------------ */

static int would_block(BIO *b)
{
	BIO_set_retry_read(b);
	errno = EAGAIN; /* OpenSSL asks for it where the kernel decrypts */
	return -1;
}

static int receive(int fd, char *to, int len)
{
	ssize_t n;

	do {
		n = recv(fd, to, (size_t)len, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return (int)n;
}

/* A record that the kernel has decrypted, with a header as if it had come. */
static int receive_record(BIO *b, char *to, int len)
{
	int n;

	do {
		n = socket_read(b, to, len);
	} while (n < 0 && errno == EINTR);
	BIO_clear_retry_flags(b);
	return n;
}

static int bio_read(BIO *b, char *to, int len)
{
	struct tcp_conn *c = BIO_get_data(b);
	struct tls_conn *t = c->tls;
	int n;

	BIO_clear_retry_flags(b);
	if (!(c->watch.ready & CONN_READABLE))
		return would_block(b);
	n = t->kernel_in ? receive_record(b, to, len)
			 : receive(c->watch.fd, to, len);
	if (n < 0 && errno == EAGAIN) {
		conn_note_recv(c, -EAGAIN, 0);
		return would_block(b);
	}
	if (n < 0)
		t->socket_error = -errno;
	else if (n == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	else if (!t->kernel_in) /* its records are short without being last */
		conn_note_recv(c, n, (size_t)len);
	return n;
}

/* --- Writing ------------------------------------------------------------ */

/* All of a record that is no data, or nothing; the kernel encrypts it. */
static ssize_t send_record(int fd, uint8_t type, const void *from, size_t len)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(uint8_t))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)from, .iov_len = len };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_TLS;
	h->cmsg_type = TLS_SET_RECORD_TYPE;
	h->cmsg_len = CMSG_LEN(sizeof(uint8_t));
	memcpy(CMSG_DATA(h), &type, sizeof(type));
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int bio_write(BIO *b, const char *from, int len)
{
	struct tcp_conn *c = BIO_get_data(b);
	struct tls_conn *t = c->tls;
	size_t want = (size_t)len;
	ssize_t n;

	BIO_clear_retry_flags(b);
	do {
		n = t->record_type ? send_record(c->watch.fd, t->record_type,
						 from, want)
				   : send(c->watch.fd, from, want,
					  MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		t->record_type = 0;
	/* Of a dial with TCP Fast Open the first write may be the connect. */
	if (n < 0 && (errno == EAGAIN || errno == EINPROGRESS)) {
		conn_note_send(c, -EAGAIN, 0);
		BIO_set_retry_write(b);
	} else if (n < 0) {
		t->socket_error = -errno;
	} else {
		conn_note_send(c, n, want);
	}
	return (int)n;
}

static int bio_puts(BIO *b, const char *text)
{
	return bio_write(b, text, (int)strlen(text));
}

void tls_bio_alert(struct tcp_conn *c, uint8_t description)
{
	uint8_t alert[] = { SSL3_AL_FATAL, description };

	(void)!send_record(c->watch.fd, SSL3_RT_ALERT, alert, sizeof(alert));
}

/* --- The kernel's encryption -------------------------------------------- */

/*
 * Whether the kernel may know TLS at all.  Asking costs a system call a
 * connection, and with enough privileges a search for the module; the answer
 * does not change often enough to ask twice.
 */
static bool kernel_knows(int fd)
{
	static atomic_bool unknown;

	if (atomic_load_explicit(&unknown, memory_order_relaxed))
		return false;
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ||
	    errno == EEXIST)
		return true;
	if (errno == ENOENT)
		atomic_store_explicit(&unknown, true, memory_order_relaxed);
	return false;
}

static long start_kernel(BIO *b, bool sends, void *keys)
{
	struct tcp_conn *c = BIO_get_data(b);
	long r = kernel_knows(c->watch.fd)
			 ? socket_ctrl(b, CTRL_SET_KTLS, sends, keys)
			 : 0;

	if (r && sends)
		c->tls->kernel_out = true;
	else if (r)
		c->tls->kernel_in = true;
	return r;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	struct tcp_conn *c = BIO_get_data(b);

	switch (cmd) {
	case CTRL_SET_KTLS:
		return start_kernel(b, num, ptr);
	case CTRL_SET_RECORD_TYPE:
		c->tls->record_type = (uint8_t)num;
		return 0;
	case CTRL_DROP_RECORD_TYPE:
		c->tls->record_type = 0;
		return 0;
	default:
		return socket_ctrl(b, cmd, num, ptr);
	}
}

/* --- Making one --------------------------------------------------------- */

static void make_method(void)
{
	const BIO_METHOD *s = BIO_s_socket();
	int type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK |
		   BIO_TYPE_DESCRIPTOR;
	BIO_METHOD *m = BIO_meth_new(type, "tcp connection");

	if (!m)
		return;
	socket_read = BIO_meth_get_read(s);
	socket_ctrl = BIO_meth_get_ctrl(s);
	if (BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_puts(m, bio_puts) && BIO_meth_set_ctrl(m, bio_ctrl) &&
	    BIO_meth_set_create(m, BIO_meth_get_create(s)) &&
	    BIO_meth_set_destroy(m, BIO_meth_get_destroy(s)))
		method = m;
	else
		BIO_meth_free(m);
}

BIO *tls_bio_new(struct tcp_conn *c)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *b;

	(void)pthread_once(&once, make_method);
	b = method ? BIO_new(method) : NULL;
	if (!b)
		return NULL;
	BIO_set_data(b, c);
	(void)BIO_set_fd(b, c->watch.fd, BIO_NOCLOSE);
	return b;
}
