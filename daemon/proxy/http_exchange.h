/*
 * One request and its response: both directions at once, for a response may
 * come before the request has ended.
 */
#pragma once

#include "daemon/proxy/http_head.h"
#include "daemon/proxy/http_pump.h"
#include "daemon/proxy/http_write.h"

/* Made once and used again, for one request at a time. */
struct http_exchange {
	struct list link; /* in the worker's spare ones */
	struct request *rq;
	struct http_head request, response;
	struct http_pump up, down;
	struct http_out out; /* a head on its way out */
	uint8_t *held;       /* the begin of a response that came in pieces */
	size_t held_len;
	size_t used;      /* of the input, that was sent already */
	int64_t moved_ms; /* when anything has last moved */
	int64_t told_ms;  /* when the record has last been told */
	int64_t expires_ms;
	unsigned interim;  /* 1xx that have come */
	bool held_unread;  /* what is held has not been looked at */
	bool absolute;     /* to a parent, which is to forward it */
	bool keeps_server; /* we mean to use its connection again */
	bool answered;     /* a byte of a response has come */
	bool head_done;    /* its head is on its way to the client */
	bool up_over;      /* nothing more is to be sent, or can be */
	bool upgraded;     /* HTTP has ended here */
	bool persists;     /* the client was told that it may ask again */
	bool server_persists;
};

/* Makes it ready for a request to rq->server; x->request is read. */
void http_exchange_begin(struct http_exchange *x, struct bandwidth *pace);

/* Gives back what it holds. */
void http_exchange_end(struct http_exchange *x);

/*
 * Sends the request, whose head is the begin of rq->input, and passes on what
 * comes back.  rq->granted: the client has been told something.
 *
 * OUTCOME_CLOSED: all is done.  OUTCOME_NONE: both sides have agreed on another
 * protocol.  Else what went wrong, with rq->error; where x->answered is not set
 * the server has taken no notice.
 */
enum outcome http_exchange_run(struct http_exchange *x);

/* Tells whether the request may be sent once more to another connection. */
bool http_exchange_may_repeat(const struct http_exchange *x);
