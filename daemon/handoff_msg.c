/*
 * A fixed head, then the text, then the cookies; all numbers are native, as
 * both ends run on one machine.  What a later version adds to the head goes
 * into the reserved bytes, which are sent as zeros and not looked at; what
 * changes the meaning of the rest gets another magic number.
 */
#include "daemon/handoff_msg.h"

#include <string.h>

#define MAGIC 0x31487053u /* "SpH1" */

struct head {
	uint32_t magic;
	uint32_t type;
	uint32_t number;
	uint32_t generations;
	int64_t start_ms, shutdown_ms, watchdog_ms;
	uint32_t text_len;     /* bytes */
	uint32_t cookie_count; /* of 8 bytes each */
	uint8_t reserved[16];
};

_Static_assert(sizeof(struct head) == 64, "the head has no padding");
_Static_assert(HANDOFF_BYTES_MAX == sizeof(struct head) + HANDOFF_TEXT_MAX,
	       "HANDOFF_BYTES_MAX is enough for any message");
_Static_assert(HANDOFF_COOKIES_MAX * sizeof(uint64_t) <= HANDOFF_TEXT_MAX,
	       "all cookies fit into one message");

/* Tells whether what follows the head is within its bounds. */
static bool lengths_fit(size_t text_len, size_t cookie_count)
{
	return text_len <= HANDOFF_TEXT_MAX &&
	       cookie_count <= HANDOFF_COOKIES_MAX &&
	       text_len + cookie_count * sizeof(uint64_t) <= HANDOFF_TEXT_MAX;
}

static bool time_is_sane(int64_t ms)
{
	return ms >= 0 && ms <= HANDOFF_MS_MAX;
}

static bool settings_are_sane(const struct handoff_settings *s)
{
	return time_is_sane(s->start_ms) && time_is_sane(s->shutdown_ms) &&
	       time_is_sane(s->watchdog_ms);
}

size_t handoff_encode(const struct handoff_msg *m, void *out)
{
	size_t cookie_bytes = m->cookie_count * sizeof(uint64_t);
	uint8_t *at = out;
	struct head h = {
		.magic = MAGIC,
		.type = m->type,
		.number = m->number,
		.generations = m->settings.generations,
		.start_ms = m->settings.start_ms,
		.shutdown_ms = m->settings.shutdown_ms,
		.watchdog_ms = m->settings.watchdog_ms,
		.text_len = (uint32_t)m->text.len,
		.cookie_count = (uint32_t)m->cookie_count,
	};

	ASSERT(lengths_fit(m->text.len, m->cookie_count));
	ASSERT(settings_are_sane(&m->settings));
	memcpy(at, &h, sizeof(h));
	at += sizeof(h);
	if (m->text.len)
		memcpy(at, m->text.at, m->text.len);
	at += m->text.len;
	if (cookie_bytes)
		memcpy(at, m->cookies, cookie_bytes);
	return sizeof(h) + m->text.len + cookie_bytes;
}

int handoff_decode(struct handoff_msg *ret, struct span bytes)
{
	struct handoff_msg m;
	struct head h;

	if (bytes.len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, bytes.at, sizeof(h));
	if (h.magic != MAGIC || !lengths_fit(h.text_len, h.cookie_count) ||
	    bytes.len !=
		    sizeof(h) + h.text_len + h.cookie_count * sizeof(uint64_t))
		return -EBADMSG;
	m = (struct handoff_msg){
		.type = (enum handoff_type)h.type,
		.number = h.number,
		.settings = { .start_ms = h.start_ms,
			      .shutdown_ms = h.shutdown_ms,
			      .watchdog_ms = h.watchdog_ms,
			      .generations = h.generations },
		.text = { bytes.at + sizeof(h), h.text_len },
		.cookies = bytes.at + sizeof(h) + h.text_len,
		.cookie_count = h.cookie_count,
	};
	if (!settings_are_sane(&m.settings))
		return -EBADMSG;
	*ret = m;
	return 0;
}

uint64_t handoff_cookie(const struct handoff_msg *m, size_t i)
{
	uint64_t cookie;

	ASSERT(i < m->cookie_count);
	memcpy(&cookie, (const uint8_t *)m->cookies + i * sizeof(cookie),
	       sizeof(cookie));
	return cookie;
}
