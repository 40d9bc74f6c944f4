/*
 * What a generation that serves leaves to those that come after it, however it
 * ends: bytes that the master does not understand, and that nobody else may
 * see.  They are in no segment and in no log.
 */
#include "daemon/master_internal.h"

#include <string.h>

void master_give_keys(struct master *m, struct member *g)
{
	const struct handoff_msg msg = { .type = HANDOFF_KEYS_BEFORE,
					 .text = { m->keys, m->keys_len } };

	if (m->keys_len && g->control.fd >= 0)
		member_sent(g, handoff_send(g->control.fd, &msg, NULL, 0));
}

void master_take_keys(struct member *g, const struct handoff_msg *msg)
{
	struct master *m = g->master;

	if (g == m->serving && msg->text.len <= sizeof(m->keys)) {
		explicit_bzero(m->keys, sizeof(m->keys));
		m->keys_len = msg->text.len;
		if (m->keys_len)
			memcpy(m->keys, msg->text.at, m->keys_len);
		if (m->candidate)
			master_give_keys(m, m->candidate);
	}
	explicit_bzero(m->received.bytes, sizeof(m->received.bytes));
}
