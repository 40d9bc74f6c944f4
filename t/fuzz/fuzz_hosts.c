/*
 * Hosts files from arbitrary bytes (block lists come from strangers): no read
 * beyond them, and what is found is within its bounds.
 */
#include "core/hosts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void find(const struct hosts *h, const char *name)
{
	const struct tcp_addr *found[HOSTS_NAME_MAX];
	static const sa_family_t families[] = { AF_INET, AF_INET6 };

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		unsigned n = hosts_find(h, name, strlen(name), families[f],
					found, ARRAY_SIZE(found));

		ASSERT(n <= ARRAY_SIZE(found));
		for (unsigned i = 0; i < n; i++)
			ASSERT(found[i]->family == families[f]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct hosts *h;

	if (hosts_parse(&h, (const char *)bytes, size) < 0)
		return 0;
	ASSERT(hosts_count(h) <= size / 2);
	find(h, "a");
	find(h, "localhost");
	find(h, "ads.example.com");
	hosts_put(h);
	return 0;
}
