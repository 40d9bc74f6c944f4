/*
 * A request: version, kind, then service, client, name and password, each with
 * a byte of length in front.  A reply: version and verdict.  Both sides may be
 * of two versions of the program: who gets another version of the message
 * refuses it.
 */
#include "daemon/proxy/helper_msg.h"

#include <string.h>

bool helper_service_is_sane(struct span service)
{
	if (!service.len || service.len > HELPER_SERVICE_BYTES ||
	    service.at[0] == '.')
		return false;
	for (size_t i = 0; i < service.len; i++) {
		uint8_t c = service.at[i];
		uint8_t lower = c | 0x20;

		if (!(lower >= 'a' && lower <= 'z') &&
		    !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
			return false;
	}
	return true;
}

static bool is_text(struct span s, size_t max)
{
	return s.len <= max && (!s.len || !memchr(s.at, '\0', s.len));
}

static bool is_sane(const struct helper_request *q)
{
	bool pam = q->kind == HELPER_PAM;

	return (pam || q->kind == HELPER_SYSTEM) &&
	       (pam ? helper_service_is_sane(q->service) : !q->service.len) &&
	       is_text(q->client, HELPER_CLIENT_BYTES) && q->name.len &&
	       is_text(q->name, 255) && is_text(q->password, 255);
}

static size_t put(uint8_t *out, size_t at, struct span s)
{
	out[at++] = (uint8_t)s.len;
	if (s.len)
		memcpy(out + at, s.at, s.len);
	return at + s.len;
}

int helper_request_encode(uint8_t out[HELPER_REQUEST_MAX],
			  const struct helper_request *q)
{
	size_t len = 2;

	if (!is_sane(q))
		return -EINVAL;
	out[0] = HELPER_VERSION;
	out[1] = (uint8_t)q->kind;
	len = put(out, len, q->service);
	len = put(out, len, q->client);
	len = put(out, len, q->name);
	return (int)put(out, len, q->password);
}

static bool take(struct span *in, struct span *ret)
{
	size_t len;

	if (!in->len)
		return false;
	len = in->at[0];
	if (in->len - 1 < len)
		return false;
	*ret = (struct span){ .at = in->at + 1, .len = len };
	in->at += 1 + len;
	in->len -= 1 + len;
	return true;
}

int helper_request_decode(struct helper_request *ret, struct span packet)
{
	struct helper_request q;

	if (packet.len < 2 || packet.at[0] != HELPER_VERSION)
		return -EBADMSG;
	q.kind = (enum helper_kind)packet.at[1];
	packet.at += 2;
	packet.len -= 2;
	if (!take(&packet, &q.service) || !take(&packet, &q.client) ||
	    !take(&packet, &q.name) || !take(&packet, &q.password) ||
	    packet.len || !is_sane(&q))
		return -EBADMSG;
	*ret = q;
	return 0;
}

void helper_reply_encode(uint8_t out[HELPER_REPLY_BYTES],
			 enum helper_verdict verdict)
{
	out[0] = HELPER_VERSION;
	out[1] = (uint8_t)verdict;
}

int helper_reply_decode(enum helper_verdict *ret, struct span packet)
{
	if (packet.len != HELPER_REPLY_BYTES ||
	    packet.at[0] != HELPER_VERSION || packet.at[1] > HELPER_FAILED)
		return -EBADMSG;
	*ret = (enum helper_verdict)packet.at[1];
	return 0;
}
