/*
 * The steps by which a request is carried out, once it has been read.  All may
 * suspend.
 */
#pragma once

#include "core/resolver.h"
#include "daemon/proxy/request.h"

/* Rules, names and connecting: rq->server, or why not. */
enum outcome request_connect(struct request *rq);

/*
 * These two watch the client themselves.  BIND: rules, our listening address
 * told by a first grant(), then one client of those allowed in: rq->server, and
 * its address in rq->bound for a second grant().  The outcome of that;
 * rq->granted tells which reply failed.
 */
enum outcome request_bind(struct request *rq);

/*
 * UDP ASSOCIATE, from the rules to its end, grant() included.  Never
 * OUTCOME_NONE: how it ended, or, while rq->granted is false, why it is
 * refused.
 */
enum outcome request_associate(struct request *rq);

/*
 * COMMAND_REQUEST: one request with its response.  Never OUTCOME_NONE, unless
 * it asked for an upgrade, which was granted: rq->server is what to relay with,
 * and grant() has nothing to say any more.  Else how it ended; unless
 * rq->granted (a response began) refuse() tells the client.  Where rq->again is
 * set serve() waits for the next one, as long as rq->idle_ms.
 */
enum outcome request_forward(struct request *rq);

/*
 * This request has ended so, with rq->error, and another may come by the same
 * connection: closes the record with its line in the log, and opens one that
 * keeps what was counted at admission.  User and rule are given back, and rq
 * knows as little as at first, but for connection, protocol and input.  While
 * no byte of the next one is there it is rq->waiting, and an end then is no
 * session's: request_read() ends that, and sets rq->deadline anew.
 */
void request_next(struct request *rq, enum outcome o);

/* The first byte is there; for request_read(). */
void request_arrived(struct request *rq);

/* What slow addresses of a name get once those that came first have failed. */
#define REQUEST_REST_MS 2000

/* The addresses of rq->host; may leave out those of a family that is slow. */
enum outcome request_resolve(struct request *rq, struct resolve_answer *ret);

/*
 * What the search list made of rq->host for an answer that has just come, in
 * room[HOST_NAME_SIZE], or nothing.
 */
struct span request_full_name(const struct request *rq,
			      const struct resolve_answer *found, char *room);

/*
 * Nothing that has come so far will do, for the reason of `why`; what a partial
 * answer lacks may: waits for it.  OUTCOME_NONE: *found is all there is now.
 */
enum outcome request_resolve_rest(struct request *rq,
				  struct resolve_answer *found,
				  enum outcome why);
