/*
 * The hosts file has the first word, then what RFCs say of special names.
 */
#include "core/name_local.h"

#include "core/host_name.h"
#include "core/name_order.h"

bool name_is_literal(const char *name, struct resolve_answer *ret)
{
	struct tcp_addr a;

	if (addr_parse_ip(&a, name) < 0)
		return false;
	addr_unmap(&a);
	ret->addr[0] = a;
	ret->count = 1;
	ret->partial = false;
	ret->place = -1;
	return true;
}

/*
 * A name that the file knows never goes to DNS: who blocks one with an address
 * of IPv4 does not want to hear what the world says of IPv6.
 */
static int from_hosts(const struct hosts *h, enum resolver_order order,
		      const char *name, size_t len, struct resolve_answer *ret)
{
	const struct tcp_addr *found[NAME_FAMILIES][RESOLVE_MAX];
	unsigned count[NAME_FAMILIES];

	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		count[f] = hosts_find(h, name, len, name_socket_family(f),
				      found[f], RESOLVE_MAX);
	if (count[NAME_V6] + count[NAME_V4] == 0)
		return -EAGAIN;
	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		if (!order_wants(order, f))
			count[f] = 0;
	if (!answer_begin(ret, count))
		return -ENOENT;
	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		for (unsigned i = 0; i < count[f]; i++)
			answer_place(ret, order, count, f, i, found[f][i]);
	return 0;
}

static void answer_loopback(enum resolver_order order,
			    struct resolve_answer *ret)
{
	static const uint8_t ip[NAME_FAMILIES][16] = {
		[NAME_V6] = { [15] = 1 },
		[NAME_V4] = { 127, 0, 0, 1 },
	};
	const unsigned count[NAME_FAMILIES] = {
		[NAME_V6] = order_wants(order, NAME_V6),
		[NAME_V4] = order_wants(order, NAME_V4),
	};
	struct tcp_addr a;

	(void)answer_begin(ret, count);
	for (enum name_family f = 0; f < NAME_FAMILIES; f++) {
		if (count[f] == 0)
			continue;
		addr_set(&a, name_socket_family(f), ip[f], 0);
		answer_place(ret, order, count, f, 0, &a);
	}
}

int name_local(struct hosts_view *hosts, enum resolver_order order,
	       const char *name, size_t len, struct resolve_answer *ret)
{
	const struct hosts *h = hosts->file ? hosts_view_table(hosts) : NULL;
	int r = h ? from_hosts(h, order, name, len, ret) : -EAGAIN;

	if (r != -EAGAIN)
		return r;
	/* RFC 6761 §6.3: such names never go to DNS. */
	if (host_name_within(name, len, "localhost")) {
		answer_loopback(order, ret);
		return 0;
	}
	/* RFC 7686 §2: DNS must not hear of them. */
	return host_name_within(name, len, "onion") ? -ENOENT : -EAGAIN;
}
