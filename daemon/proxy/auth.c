/*
 * Verification of passwords.
 */
#include "daemon/proxy/auth.h"

int auth_new(struct auth **ret, const struct auth_options *o UNUSED)
{
	*ret = NULL;
	return 0;
}

void auth_free(struct auth *a UNUSED)
{
}

int auth_password(struct auth *a UNUSED, struct span name UNUSED,
		  struct span password UNUSED, int64_t deadline UNUSED)
{
	return -EACCES;
}
