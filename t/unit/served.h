/*
 * A server for tests, with handlers that need no more than a word: the test
 * is its client, with blocking sockets, in a thread of its own.
 */
#pragma once

#include "core/tcpserver.h"

/* The one server of a test; stopped and freed by served_stop(). */
extern struct tcp_server *served;

/* Its listener at 127.0.0.1. */
extern struct tcp_listener *served_listener;

/* Makes both, without starting anything; the address. */
struct tcp_addr served_bound(const struct tcp_server_options *so,
			     const struct tcp_listen_options *lo,
			     tcp_handler *handler, void *ctx);

/* The same, and starts it. */
struct tcp_addr served_start(const struct tcp_server_options *so,
			     const struct tcp_listen_options *lo,
			     tcp_handler *handler, void *ctx);

/* Shuts it down within SOON_MS, checks that all counts are zero, frees it. */
void served_stop(void);

/* Answers each byte with the same, until the end. */
void handle_echo(struct tcp_conn *c, void *ctx);

/* Answers one byte, then returns. */
void handle_once(struct tcp_conn *c, void *ctx);

/* Connects to the address that `ctx` points at and relays. */
void handle_relay(struct tcp_conn *c, void *ctx);

/* Sends a byte and expects the same; fails the test when it stays out. */
void ask(int fd);

/* Tells within a few ms whether anything came: bytes, an end or a reset. */
bool hears_nothing(int fd);

/* Reads until the end; 0: it came in order, else the errno. */
int ended_how(int fd);

/* Waits until a count of the server has a value. */
#define served_until(field, value)                                             \
	served_until_at(offsetof(struct tcp_server_stats, field), value)
void served_until_at(size_t offset, uint64_t value);
