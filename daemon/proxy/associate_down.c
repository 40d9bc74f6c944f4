/*
 * Replies: from whom something was sent to, whatever its port, or, where that
 * is configured, from whom the rules let something be sent to.  The header goes
 * right in front of what came.
 */
#include "daemon/proxy/associate_internal.h"

#include <string.h>

static bool may_reply(struct association *a, const struct tcp_addr *from)
{
	uint16_t rule;
	int known;

	if (contacts_has(&a->contacts, from))
		return true;
	if (!a->all->o.any_reply)
		return false;
	known = contacts_verdict(&a->contacts, from);
	if (known < 0) {
		known = association_may_send(a, from, &a->query, &rule);
		contacts_note(&a->contacts, from, known);
	}
	return known;
}

/* Most come from whom the one before came from. */
static const struct association_sender *sender_of(struct association *a,
						  const union dgram_name *from)
{
	struct association_sender *s = &a->sender;
	struct tcp_addr addr;

	if (s->known && dgram_name_equal(&s->from, from) &&
	    a->lost == a->contacts.lost)
		return s;
	dgram_name_get(from, &addr);
	addr_unmap(&addr);
	s->from = *from;
	s->allowed = may_reply(a, &addr);
	s->len = (uint8_t)socks_udp_format(s->header, &addr);
	s->known = true;
	if (a->lost != a->contacts.lost)
		a->way.len = 0;
	a->lost = a->contacts.lost;
	return s;
}

bool association_down(struct association *a, struct association_socket *s)
{
	struct dgram_batch *b = a->all->batch;
	unsigned count = dgram_receive(&s->d, b);
	struct dgram_sent sent;
	size_t header = 0, bytes = 0;

	for (unsigned i = 0; i < count && a->heard; i++) {
		struct dgram_in in = dgram_batch_at(b, i);
		const struct association_sender *from = sender_of(a, in.from);

		bytes += in.len;
		if (!from->allowed)
			continue;
		header = from->len; /* one socket, one family, one length */
		memcpy(in.at - header, from->header, header);
		dgram_batch_put(b, in.at - header, in.len + header,
				&a->peer_name);
	}
	sent = dgram_flush(&a->client.d, b);
	association_moved(a, false, sent.count,
			  sent.bytes - sent.count * header);
	association_dropped(a, count - sent.count);
	association_grow(a, s, count, bytes);
	return count == DGRAM_BATCH;
}
