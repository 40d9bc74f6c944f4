/*
 * DNS replies from arbitrary bytes, as c-ares hands them over with a status:
 * no read beyond them, and results within their bounds.
 */
#include "core/dns_reply.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 65535

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_whole(sa_family_t family, int status, struct span message)
{
	struct dns_reply r;

	dns_reply_read(&r, family, status, message);
	ASSERT(r.count <= DNS_REPLY_MAX);
	ASSERT((r.error == 0) == (r.count > 0));
	ASSERT(r.ttl_s >= (r.error ? -1 : 0) && r.ttl_s <= INT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const int statuses[] = { ARES_SUCCESS, ARES_ENODATA,
					ARES_ENOTFOUND, ARES_ESERVFAIL };
	const struct span message = { bytes, size };
	int64_t ttl;

	if (size > MESSAGE_MAX)
		return 0;
	ttl = dns_negative_ttl(message);
	ASSERT(ttl == -EBADMSG || ttl == -ENOENT ||
	       (ttl >= 0 && ttl <= INT32_MAX));
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		read_whole(AF_INET, statuses[i], message);
		read_whole(AF_INET6, statuses[i], message);
	}
	return 0;
}
