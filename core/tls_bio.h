/*
 * Between OpenSSL and the socket of a connection: a BIO that keeps
 * watch.ready true, makes no system call when nothing is there, and raises no
 * SIGPIPE.
 */
#pragma once

#include "core/tls_conn.h"

/* The BIO of a connection; SSL_set_bio() takes it.  NULL: no memory. */
BIO *tls_bio_new(struct tcp_conn *c) MUST_CHECK;

/*
 * Sends a fatal alert past OpenSSL, for a connection on which the kernel
 * encrypts what is sent; as far as the socket takes it.
 */
void tls_bio_alert(struct tcp_conn *c, uint8_t description);
