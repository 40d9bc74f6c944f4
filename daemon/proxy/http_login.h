/*
 * Logins in HTTP: by Proxy-Authorization (RFC 9110 §11.7), of the Basic scheme
 * (RFC 7617).
 */
#pragma once

#include "daemon/proxy/outcome.h"
#include "daemon/proxy/request.h"

/*
 * Verifies what the field says, of which nothing is left; at == NULL: there is
 * none.  OUTCOME_NONE, or why this client may not go on.
 */
enum outcome http_log_in(struct request *rq, struct span value);

/*
 * The status of a refusal, 0: there is none.  One that a login could lift asks
 * for that: 407.
 */
int http_refusal_status(const struct request *rq, enum outcome why);
