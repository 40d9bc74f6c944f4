/*
 * A generation that serves may have been broken into, but then it knows the
 * keys anyway; others are not heard.
 */
#include "daemon/master_keys.h"

#include "daemon/master_internal.h"

#include <string.h>

void master_give_keys(const struct master *m, struct member *g)
{
	const struct handoff_msg msg = { .type = HANDOFF_KEYS_BEFORE,
					 .text = { m->keys.at, m->keys.len } };

	if (m->keys.len && g->control.fd >= 0)
		member_sent(g, handoff_send(g->control.fd, &msg, NULL, 0));
}

void master_take_keys(struct member *g, const struct handoff_msg *msg)
{
	struct master *m = g->master;

	if (g == m->serving && msg->text.len <= sizeof(m->keys.at)) {
		explicit_bzero(&m->keys, sizeof(m->keys));
		m->keys.len = msg->text.len;
		if (m->keys.len)
			memcpy(m->keys.at, msg->text.at, m->keys.len);
		if (m->candidate)
			master_give_keys(m, m->candidate);
	}
	explicit_bzero(m->received.bytes, sizeof(m->received.bytes));
}

void master_keys_write(const struct master_keys *k, FILE *f)
{
	if (!k->len)
		return;
	(void)fputs("keys ", f);
	for (size_t i = 0; i < k->len; i++)
		(void)fprintf(f, "%02x", k->at[i]);
	(void)fputs("\n", f);
}

/* What makes no sense is not told, lest it be: clients shake hands in full. */
void master_keys_read(struct master_keys *k, const char *hex)
{
	unsigned byte;

	for (k->len = 0;
	     k->len < sizeof(k->at) && sscanf(hex, "%2x", &byte) == 1;
	     hex += hex[1] ? 2 : 1)
		k->at[k->len++] = (uint8_t)byte;
}
