/*
 * TLS for the load's tunnels: full handshakes of TLS 1.3, no certificate is
 * verified.  Errors come as of recv(2) and send(2).
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

extern SSL_CTX *secure_ctx; /* NULL: tunnels have no TLS */

bool secure_init(void);

/* NULL: no memory. */
SSL *secure_new(int fd);

/* 0, -EAGAIN or another error. */
int secure_shake(SSL *s);

/* All that is there: nothing stays behind in `s` that epoll would not tell. */
ssize_t secure_recv(SSL *s, void *buf, size_t size);

ssize_t secure_send(SSL *s, const void *buf, size_t size);

/* Whether the other side has said that it ends. */
bool secure_ended(SSL *s);
