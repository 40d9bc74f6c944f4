/*
 * UDP ASSOCIATE, RFC 1928 §7.
 */
#include "daemon/proxy/associate.h"

#include "daemon/proxy/proxy_internal.h"

int associations_new(struct associations **ret,
		     const struct associate_options *o UNUSED)
{
	*ret = NULL;
	return 0;
}

void associations_free(struct associations *a UNUSED)
{
}

enum outcome request_associate(struct request *rq UNUSED)
{
	return OUTCOME_BAD_COMMAND;
}
