/*
 * Heads of requests from arbitrary bytes: no read beyond them, the same answer
 * however they arrive, nothing in an accepted head that another parser could
 * understand in another way, and what is passed on of it is accepted again.
 */
#include "daemon/proxy/http_head.h"
#include "t/fuzz/http_check.h"
#include "t/fuzz/http_check_passed.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_target(const struct http_head *h, struct span in)
{
	const struct target *t = &h->target;

	if (h->form == HTTP_FORM_ORIGIN || h->form == HTTP_FORM_ASTERISK) {
		ASSERT(!t->port && !t->host.len && h->path.len);
		return;
	}
	ASSERT((h->form == HTTP_FORM_AUTHORITY) ==
	       (h->method == HTTP_METHOD_CONNECT));
	ASSERT(t->port && h->authority.len);
	if (t->addr.family == AF_UNSPEC) {
		ASSERT(host_name_is_valid(t->host));
		ASSERT(t->host.at == in.at + h->authority.at);
	} else {
		ASSERT(!t->host.len && !addr_is_any(&t->addr));
		ASSERT(t->addr.port == t->port);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct span in = { bytes, size };
	struct http_head h;

	if (http_check_cuts(&h, HTTP_REQUEST, in) > 0) {
		check_target(&h, in);
		http_check_passed_on(&h, in);
	}
	return 0;
}
