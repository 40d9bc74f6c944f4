/*
 * BIND, RFC 1928 §4: one client of the target's, let in to the client.
 */
#include "daemon/proxy/proxy_internal.h"

enum outcome request_bind(struct request *rq UNUSED)
{
	return OUTCOME_BAD_COMMAND;
}
