/*
 * Headers of UDP datagrams from arbitrary bytes: no read beyond them, a target
 * that can be sent to, and a reply's header that is read back as it was.
 */
#include "daemon/proxy/socks_udp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_target(const struct target *t, struct span in, int len)
{
	ASSERT(t->port != 0);
	if (t->addr.family == AF_UNSPEC) {
		ASSERT(host_name_is_valid(t->host));
		ASSERT(t->host.at >= in.at &&
		       t->host.at + t->host.len <= in.at + len);
		return;
	}
	ASSERT(t->addr.family == AF_INET || t->addr.family == AF_INET6);
	ASSERT(!t->host.len && !addr_is_any(&t->addr));
	ASSERT(t->addr.port == t->port);
}

static void check_reply(const struct target *t)
{
	uint8_t out[SOCKS_UDP_REPLY_MAX];
	struct target back;
	size_t len;

	if (t->addr.family == AF_UNSPEC)
		return;
	len = socks_udp_format(out, &t->addr);
	ASSERT(len <= sizeof(out));
	ASSERT(socks_udp_parse(&back, (struct span){ out, len }) == (int)len);
	ASSERT(addr_equal(&back.addr, &t->addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int first = -EAGAIN;

	size = min_size(size, 400);
	/* What is behind a header changes nothing; what is cut off it does. */
	for (size_t len = size + 1; len-- > 0;) {
		uint8_t *copy = malloc(len + 1);
		struct span in = { copy + 1, len };
		struct target t;
		int r;

		ASSERT(copy);
		if (len)
			memcpy(copy + 1, bytes, len);
		r = socks_udp_parse(&t, in);
		ASSERT(r == -EBADMSG || r == -EOPNOTSUPP || r >= 10 ||
		       (r > 7 && bytes[3] == 0x03));
		ASSERT(r <= (int)len && r <= SOCKS_UDP_HEADER_MAX);
		if (first == -EAGAIN)
			first = r;
		ASSERT(first <= 0 || (int)len < first ? r < 0 : r == first);
		if (r > 0) {
			check_target(&t, in, r);
			check_reply(&t);
		}
		free(copy);
	}
	return 0;
}
