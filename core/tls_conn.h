/*
 * TLS on a connection: its handshake, and the operations that take the place
 * of the plain ones.  The public half is in tcpserver.h.
 */
#pragma once

#include "core/conn.h"
#include "core/tls.h"

#include <openssl/err.h>

struct tls_texts;

/* What a connection has besides when it is TLS; c->tls. */
struct tls_conn {
	SSL *ssl;
	struct tcp_tls *context; /* a reference: SSL calls back into it */
	struct tls_texts *texts; /* for tcp_conn_tls_info() */
	char *error;             /* the last failure in words, or NULL */
	/* What calls return from now on, -errno: after a failure of TLS, and
	 * after one of the socket in writing, which leaves reading alone. */
	int failed, write_failed;
	int socket_error;    /* of the BIO's last call that failed */
	uint8_t record_type; /* of the BIO's next write; 0: data */
	uint8_t messages;    /* of handshakes that came since there was data */
	bool established : 1;
	bool kernel_in : 1, kernel_out : 1; /* it decrypts, encrypts */
	bool ended : 1;                     /* our close_notify was sent */
	bool half_written : 1;              /* OpenSSL holds part of a write */
	bool alerted : 1;                   /* the peer may have an alert */
};

/* The operations of a connection from tcp_conn_start_tls() on. */
extern const struct conn_ops conn_tls_ops;

/*
 * What a call of OpenSSL that returned `ret` <= 0 came to: -EAGAIN, and then
 * *wants_out tells for which direction; 0: the peer has ended in order; or the
 * failure, of which tcp_conn_tls_error() tells.
 */
int tls_outcome(struct tcp_conn *c, int ret, bool *wants_out) MUST_CHECK;

/* All that is done from now on fails with this; `why` in words, or NULL. */
void tls_fail(struct tcp_conn *c, int error, const char *why);

/* Told by OpenSSL of each message, to find a flood of them. */
void tls_count_message(int sent, int version, int type, const void *message,
		       size_t len, SSL *ssl, void *conn);

/* Tells whether both sides have agreed on that protocol, RFC 7301. */
bool tls_speaks(const struct tcp_conn *c, const char *protocol);

/* Lest an error of before is taken for one of the next call. */
static inline void tls_forget_errors(void)
{
	if (ERR_peek_error())
		ERR_clear_error();
}
