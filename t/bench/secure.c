#include "t/bench/secure.h"

#include <errno.h>
#include <openssl/err.h>

SSL_CTX *secure_ctx;

bool secure_init(void)
{
	secure_ctx = SSL_CTX_new(TLS_client_method());
	if (!secure_ctx)
		return false;
	SSL_CTX_set_min_proto_version(secure_ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(secure_ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(secure_ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(secure_ctx,
			 SSL_MODE_RELEASE_BUFFERS |
				 SSL_MODE_ENABLE_PARTIAL_WRITE |
				 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return true;
}

SSL *secure_new(int fd)
{
	SSL *s = SSL_new(secure_ctx);

	if (s && SSL_set_fd(s, fd) == 1) {
		SSL_set_connect_state(s);
		return s;
	}
	SSL_free(s);
	return NULL;
}

/* What SSL_read() and its like have said, as an errno. */
static int secure_errno(SSL *s, int r)
{
	switch (SSL_get_error(s, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return EAGAIN;
	case SSL_ERROR_SYSCALL:
		return errno ? errno : ECONNRESET;
	default:
		return EPROTO;
	}
}

/* 0, -EAGAIN or another error. */
int secure_shake(SSL *s)
{
	int r;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(s);
	return r == 1 ? 0 : -secure_errno(s, r);
}

/* All that is there: nothing stays behind in `s` that epoll would not tell. */
ssize_t secure_recv(SSL *s, void *buf, size_t size)
{
	size_t n = 0;
	int r = 0;

	while (n < size) {
		ERR_clear_error();
		errno = 0;
		r = SSL_read(s, (char *)buf + n, (int)(size - n));
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	if (n || SSL_get_error(s, r) == SSL_ERROR_ZERO_RETURN)
		return (ssize_t)n;
	errno = secure_errno(s, r);
	return -1;
}

/* Whether the other side has said that it ends. */
bool secure_ended(SSL *s)
{
	return SSL_get_shutdown(s) & SSL_RECEIVED_SHUTDOWN;
}

ssize_t secure_send(SSL *s, const void *buf, size_t size)
{
	size_t n = 0;
	int r = 0;

	while (n < size) {
		ERR_clear_error();
		errno = 0;
		r = SSL_write(s, (const char *)buf + n, (int)(size - n));
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	if (n)
		return (ssize_t)n;
	errno = secure_errno(s, r);
	return -1;
}
