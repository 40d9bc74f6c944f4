/*
 * The record of one session: all that its relay needs to go on and to write
 * its last log line.  A plain struct of 256 bytes without pointers in a slot
 * of one array, so that the array can stand in memory that other processes
 * read and a session can change its process.  Guarded by a sequence count and
 * written at events and once a second, never per packet.
 */
#pragma once

#include "core/addr.h"
#include "daemon/proxy/outcome.h"

enum session_state {
	SESSION_FREE,
	SESSION_HANDSHAKE,
	SESSION_NAME,
	SESSION_CONNECT,
	SESSION_RELAY,
	SESSION_ENDED,
	SESSION_MORE, /* the tail of another slot's long host name */
};

enum session_protocol {
	PROTOCOL_NONE,
	PROTOCOL_SOCKS5,
	PROTOCOL_HTTP,
	PROTOCOL_SOCKS4,      /* and 4a */
	PROTOCOL_FORWARD,     /* none: the listener names the target */
	PROTOCOL_TRANSPARENT, /* none: the client meant to reach the target */
	PROTOCOL_HTTP2,       /* a stream of one */
};

#define PROTOCOL_COUNT (PROTOCOL_HTTP2 + 1)

enum session_command {
	COMMAND_NONE,
	COMMAND_CONNECT,
	COMMAND_BIND,
	COMMAND_UDP,
	COMMAND_REQUEST, /* HTTP, with a target in its request line */
};

#define COMMAND_COUNT (COMMAND_REQUEST + 1)

/* What the log calls them; NULL for PROTOCOL_NONE, COMMAND_NONE and others. */
const char *session_protocol_word(unsigned protocol);
const char *session_command_word(unsigned command);

#define SESSION_NONE 0 /* no rule, upstream or further slot: count from 1 */

/* In `hop`: it counts as one of that parent's. */
#define SESSION_HOP_HELD 0x8000u

#define SESSION_USER_BYTES 32
#define SESSION_HOST_BYTES 64

struct session {
	uint32_t sequence;   /* odd while it is being written */
	uint8_t state;       /* enum session_state */
	uint8_t protocol;    /* enum session_protocol */
	uint8_t command : 4; /* enum session_command */
	uint8_t method : 4;  /* enum auth_method: how `user` has logged in */
	uint8_t outcome;     /* enum outcome */
	uint64_t id;         /* unique in this process; slot and age */
	int64_t started_us;  /* CLOCK_REALTIME */
	int64_t started_ms;  /* CLOCK_MONOTONIC */
	int64_t changed_ms;  /* last time that bytes moved, CLOCK_MONOTONIC */
	int64_t ended_ms;    /* CLOCK_MONOTONIC; 0 while it lives */
	uint64_t bytes_up;   /* from client to target */
	uint64_t bytes_down; /* from target to client */
	struct tcp_addr client;
	struct tcp_addr target; /* the address connected to; port: requested */
	struct tcp_addr bound;  /* our own address towards the target */
	uint16_t worker;
	uint16_t hop; /* of the upstream, from 1: who took it, or failed */
	uint32_t generation; /* of the configuration that the numbers mean */
	uint32_t more;       /* slot that holds the tail of `host` */
	uint16_t listener;   /* number in the configuration, from 1 */
	uint16_t client_rule, rule, upstream; /* likewise */
	int16_t error; /* errno behind the outcome, or 0 */
	uint8_t user_len, host_len;
	char user[SESSION_USER_BYTES]; /* not terminated */
	char host[SESSION_HOST_BYTES]; /* requested name, or why TLS failed */
};

_Static_assert(sizeof(struct session) == 256, "a slot holds 256 bytes");

#define SESSION_SLOT_BYTES 256

static inline unsigned session_hop(const struct session *s)
{
	return s->hop & ~SESSION_HOP_HELD;
}
