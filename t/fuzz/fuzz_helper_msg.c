/*
 * Packets to and from spliced-pam from arbitrary bytes: no read beyond them,
 * and what was decoded is encoded to the very same bytes.
 */
#include "daemon/proxy/helper_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size + !size), out[HELPER_REQUEST_MAX];
	struct span in = { copy, size };
	enum helper_verdict verdict;
	struct helper_request q;

	ASSERT(copy);
	if (size)
		memcpy(copy, bytes, size);
	if (helper_request_decode(&q, in) == 0) {
		int len = helper_request_encode(out, &q);

		ASSERT(len > 0 && (size_t)len == size &&
		       memcmp(out, copy, size) == 0);
	}
	if (helper_reply_decode(&verdict, in) == 0) {
		helper_reply_encode(out, verdict);
		ASSERT(size == HELPER_REPLY_BYTES &&
		       memcmp(out, copy, size) == 0);
	}
	free(copy);
	return 0;
}
