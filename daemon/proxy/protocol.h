/*
 * What a protocol between a client and us is.
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/session.h"

struct request;

/*
 * A protocol is one of these; every function may suspend.  Whichever answers
 * last may set rq->again: then the session ends as the outcome says, and
 * read_request() is called once more for the next one, request_next().
 */
struct proxy_protocol {
	enum session_protocol number;
	bool is_silent; /* the listener says it, no byte of the client */
	/* Reads up to and with the request; OUTCOME_NONE: go on. */
	enum outcome (*read_request)(struct request *rq);
	/* In the place of request_connect(); may be NULL. */
	enum outcome (*connect)(struct request *rq);
	/* The target is connected: tells the client.  0 or -errno. */
	int (*grant)(struct request *rq);
	/* It is not: tells the client why.  Unless rq->again the connection is
	 * then closed. */
	void (*refuse)(struct request *rq, enum outcome why);
};

extern const struct proxy_protocol socks5_protocol;
extern const struct proxy_protocol socks4_protocol;
extern const struct proxy_protocol http_protocol;
extern const struct proxy_protocol forward_protocol;
extern const struct proxy_protocol transparent_protocol;
