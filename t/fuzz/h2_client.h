/*
 * The client of fuzz_h2: a connection in memory.
 */
#pragma once

#include "core/conn.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define CAME_MAX   (96u << 10) /* bytes that wait for a read */
#define FRAME_HEAD 9           /* bytes, RFC 9113 §4.1 */

static struct {
	struct tcp_conn *conn; /* NULL: closed */
	uint8_t came[CAME_MAX];
	size_t came_at, came_len;
	size_t room; /* for what goes out */
	bool ended;
	uint8_t head[FRAME_HEAD]; /* of the frame that goes out */
	size_t head_len, left;
} client;

static ssize_t peek(struct tcp_conn *c, void *to, size_t len)
{
	size_t n = min_size(len, client.came_len);

	if (n)
		memcpy(to, client.came + client.came_at, n);
	else if (!client.ended)
		conn_note_recv(c, -EAGAIN, 0);
	return n || client.ended ? (ssize_t)n : -EAGAIN;
}

static void take(struct tcp_conn *c UNUSED, size_t len)
{
	client.came_at += len;
	client.came_len -= len;
}

static ssize_t receive(struct tcp_conn *c, void *to, size_t len)
{
	ssize_t n = peek(c, to, len);

	if (n > 0)
		take(c, (size_t)n);
	return n;
}

/* RFC 9113 §4.1, and nothing longer than what every client takes. */
static void look_at_head(void)
{
	const uint8_t *h = client.head;

	client.left = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
	ASSERT(client.left <= 16384);
	ASSERT(h[3] <= NGHTTP2_CONTINUATION && !(h[5] & 0x80));
	client.head_len = 0;
}

static void look_at(const uint8_t *at, size_t len)
{
	while (len > 0) {
		size_t n = min_size(len, client.left);

		client.left -= n;
		at += n;
		len -= n;
		if (len == 0)
			return;
		client.head[client.head_len++] = *at++;
		len--;
		if (client.head_len == FRAME_HEAD)
			look_at_head();
	}
}

static ssize_t send_out(struct tcp_conn *c, const void *from, size_t len)
{
	size_t n = min_size(len, client.room);

	look_at(from, n);
	client.room -= n;
	conn_note_send(c, n ? (ssize_t)n : -EAGAIN, len);
	return n ? (ssize_t)n : -EAGAIN;
}
