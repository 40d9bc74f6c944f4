/*
 * Replies: from whom something was sent to, whatever its port, or, where that
 * is configured, from whom the rules let something be sent to.  The header goes
 * right in front of what came.
 */
#include "daemon/proxy/associate_up.h"

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

/*
 * From the parent's end: has its header, which is the client's, too; the
 * length, or 0.
 */
static size_t parents_header(struct association *a, const struct dgram_in *in)
{
	struct target from;
	int len = socks_udp_parse(&from, (struct span){ in->at, in->len });

	if (len < 0)
		return 0;
	if (a->parent.by_name || a->all->o.any_reply)
		return (size_t)len;
	return from.addr.family != AF_UNSPEC &&
			       contacts_has(&a->contacts, &from.addr)
		       ? (size_t)len
		       : 0;
}

static bool is_parents(const struct association *a, const struct dgram_in *in)
{
	return a->parent.group && dgram_name_equal(in->from, &a->parent.relay);
}

bool association_down(struct association *a, struct association_socket *s)
{
	struct dgram_batch *b = a->all->batch;
	unsigned count = dgram_receive(&s->d, b);
	struct dgram_sent sent;
	size_t headers = 0, bytes = 0;
	unsigned queued;

	for (unsigned i = 0; i < count && a->heard; i++) {
		struct dgram_in in = dgram_batch_at(b, i);
		const struct association_sender *from;

		bytes += in.len;
		if (is_parents(a, &in)) {
			size_t header = parents_header(a, &in);

			headers += header;
			if (header)
				dgram_batch_put(b, in.at, in.len,
						&a->peer_name);
			continue;
		}
		from = sender_of(a, in.from);
		if (!from->allowed)
			continue;
		headers += from->len;
		memcpy(in.at - from->len, from->header, from->len);
		dgram_batch_put(b, in.at - from->len, in.len + from->len,
				&a->peer_name);
	}
	queued = dgram_batch_queued(b);
	sent = dgram_flush(&a->client.d, b);
	/* Without parents all headers of a socket have one length. */
	if (queued)
		association_moved(a, false, sent.count,
				  sent.bytes - headers * sent.count / queued);
	association_dropped(a, count - sent.count);
	association_grow(a, s, count, bytes);
	return count == DGRAM_BATCH;
}
