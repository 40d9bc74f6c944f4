/*
 * Heads of responses from arbitrary bytes, as fuzz_http_head.c does it with
 * requests; the first byte chooses what was asked.
 */
#include "daemon/proxy/http_head.h"
#include "t/fuzz/http_check.h"
#include "t/fuzz/http_check_passed.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct http_head h;
	struct http_body b;
	struct span in;

	if (!size)
		return 0;
	in = (struct span){ bytes + 1, size - 1 };
	if (http_check_cuts(&h, HTTP_RESPONSE, in) < 0)
		return 0;
	ASSERT(h.status >= 100 && h.status <= 999);
	http_response_body(&h, (enum http_method)(bytes[0] % 9), &b);
	ASSERT(b.framing != HTTP_FRAMING_CHUNKED || h.chunked);
	ASSERT(b.framing != HTTP_FRAMING_LENGTH || h.has_length);
	http_check_passed_on(&h, in);
	return 0;
}
