/*
 * Lists from arbitrary bytes (strangers collect what is known for evil): what
 * one is refused for has a line and a reason, and what one holds is found.
 */
#include "daemon/proxy/match_list.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void find(const struct match_list *l, const struct rule_match *m)
{
	struct folded_name name;
	struct prefix_key key;
	struct tcp_addr a;

	if (m->type == RULE_MATCH_PREFIX) {
		a = (struct tcp_addr){ .family = m->prefix.v4 ? AF_INET
							      : AF_INET6 };
		memcpy(a.ip, m->prefix.ip, sizeof(a.ip));
		/* Those of IPv4 within IPv6 that are shorter hold nothing. */
		key = prefix_key(&a);
		ASSERT(match_list_has_addr(l, &key) || key.family != a.family);
		return;
	}
	folded_name_set(&name, (struct span){ (const uint8_t *)m->name,
					      strlen(m->name) });
	ASSERT(match_list_has_name(l, &name));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	CLEANUP(close_fd) int fd = memfd_create("list", MFD_CLOEXEC);
	struct match_list_fault fault = { 0 };
	struct match_list *l;
	const struct rule_match *m;
	char path[40];
	size_t count;
	int r;

	ASSERT(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = match_list_load(&l, path, size % 2 == 0, &fault);
	if (r < 0) {
		ASSERT(r == -EBADMSG && fault.line && fault.why[0]);
		return 0;
	}
	m = match_list_entries(l, &count);
	ASSERT(count <= size);
	for (size_t i = 0; i < count; i++)
		find(l, &m[i]);
	match_list_free(l);
	return 0;
}
