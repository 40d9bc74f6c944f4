/*
 * Negative DNS replies from arbitrary bytes, and whole replies through c-ares:
 * no read beyond them, and results within their bounds.
 */
#include "core/dns_reply.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_whole(sa_family_t family, struct span message)
{
	struct dns_reply r;

	dns_reply_read(&r, family, ARES_SUCCESS, message);
	ASSERT(r.count <= DNS_REPLY_MAX);
	ASSERT((r.error == 0) == (r.count > 0));
	ASSERT(r.ttl_s >= (r.error ? -1 : 0) && r.ttl_s <= INT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span message = { bytes, min_size(size, 4096) };
	int64_t ttl = dns_negative_ttl(message);

	ASSERT(ttl == -EBADMSG || ttl == -ENOENT ||
	       (ttl >= 0 && ttl <= INT32_MAX));
	read_whole(AF_INET, message);
	read_whole(AF_INET6, message);
	return 0;
}
