/*
 * The state of one request, and what protocols have in common.
 */
#pragma once

#include "core/list.h"
#include "daemon/proxy/outbound.h"
#include "daemon/proxy/protocol.h"
#include "daemon/proxy/proxy_listener.h"
#include "daemon/proxy/target.h"
#include "daemon/proxy/users.h"

struct proxy_worker;
struct task;

/* Bytes of a client that nobody has used yet. */
#define INPUT_FIRST_BYTES 520 /* the longest SOCKS message, one of 4a */

struct input {
	uint8_t *at; /* `first`, or a larger allocation */
	size_t len, size;
	uint8_t first[INPUT_FIRST_BYTES];
};

/* One client's request, on the stack of its task. */
struct request {
	struct list link;  /* in the worker's list */
	struct task *task; /* that serves it */
	uint64_t policy;   /* its number when this began */
	bool killed,
		over_quota; /* by hand, its user is gone; or has had enough */
	struct tcp_conn *client, *server; /* server: once connected */
	struct proxy_worker *here;
	const struct proxy_listener *listener;
	const struct proxy_protocol *protocol;
	struct session *session;
	int64_t deadline;           /* of the handshake */
	int64_t state_ms;           /* when its state began; see tally.h */
	int64_t idle_ms;            /* how long it may wait for another */
	struct tcp_addr target;     /* AF_UNSPEC: `host` is to be resolved */
	struct outbound_choice out; /* how to get there; request_choose_out() */
	struct tcp_addr reached;    /* as a PROXY header says; or AF_UNSPEC */
	struct tcp_addr relay;      /* UDP: the parent's end, for datagrams */
	struct tcp_addr bound;      /* our end towards it, what grant() tells */
	uint16_t port;
	uint16_t rule;          /* that decided, or SESSION_NONE */
	uint16_t upstream, hop; /* it leaves by; of a chain 0; SESSION_NONE */
	enum session_command command;
	enum auth_method method;    /* by which it has logged in */
	uint8_t user_len;           /* 0: it has not */
	char user[USER_NAME_BYTES]; /* who it is, once that is known */
	bool parent_forwards;       /* see request_via_http_parent() */
	uint8_t parent_health;      /* enum parent_health, as it was chosen */
	uint64_t parents_silent;    /* that let it down: a bit for each */
	bool agreed, granted;       /* SOCKS5: on a method; a reply said so */
	bool again;   /* the client's connection takes another request */
	bool waiting; /* for the first byte of that one: request_next() */
	bool resting; /* the connection does so, without this task */
	bool may_reuse, reused; /* HTTP: a connection of before; it is one */
	bool is_head, is_options, uploads; /* HTTP: method; it has content */
	uint32_t whole; /* HTTP: bytes of input that are all of the request */
	struct http_exchange *exchange; /* HTTP: of a forwarded request */
	int error;                      /* -errno behind the outcome, or 0 */
	char host[HOST_NAME_BYTES + 1]; /* lower case; "" for an address */
	struct input input;
};

/* Reads more input.  OUTCOME_NONE, or how the client failed. */
enum outcome request_read(struct request *rq) MUST_CHECK;

/* Makes room for inputs of `size` bytes.  0 or -ENOMEM. */
int request_grow(struct request *rq, size_t size) MUST_CHECK;

/* Drops the first `len` bytes of the input. */
void request_consume(struct request *rq, size_t len);

/* The same, and leaves no trace of them in memory. */
void request_wipe(struct request *rq, size_t len);

/* Tells whether only who logs in may pass: by the client's rule. */
bool request_needs_login(const struct request *rq);

/*
 * Tells whether who logged in is gone since, where that can be known: from the
 * file of users.
 */
bool request_user_is_gone(const struct request *rq, const struct policy *now);

/* What bounds it, NULL if nothing does; see bandwidth_open().  -ENOMEM. */
int request_bandwidth(const struct request *rq, struct bandwidth **ret)
	MUST_CHECK;

/* Notes in the record who the client says it is. */
void request_set_user(struct request *rq, struct span name);

/* Takes over what a parser found. */
void request_set_target(struct request *rq, const struct target *t);

/* Sends a last reply and waits, bounded, until the client has read it. */
void request_last_words(struct request *rq, const void *reply, size_t len);
