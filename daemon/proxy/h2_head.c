/*
 * The fields of an HTTP/2 request.
 */
#include "daemon/proxy/h2_head.h"

#include "daemon/proxy/http_head.h"

#include <string.h>

#define FIELD_OVERHEAD 32u /* RFC 9113 §6.5.2 */

static bool is(struct span text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

static void fail(struct h2_head *h, enum outcome o)
{
	if (h->fault == OUTCOME_NONE)
		h->fault = (uint8_t)o;
}

static void take_authority(struct h2_head *h, struct span value)
{
	if (value.len > sizeof(h->authority)) {
		fail(h, OUTCOME_BAD_AUTHORITY);
		return;
	}
	memcpy(h->authority, value.at, value.len);
	h->authority_len = (uint16_t)value.len;
}

/* Two of them may mean two things (RFC 9110 §11.7.2). */
static void take_credentials(struct h2_head *h, struct span value)
{
	if (h->has_credentials) {
		fail(h, OUTCOME_BAD_REQUEST);
		return;
	}
	h->has_credentials = true;
	if (value.len > sizeof(h->credentials)) {
		fail(h, OUTCOME_TOO_LARGE);
		return;
	}
	memcpy(h->credentials, value.at, value.len);
	h->credentials_len = (uint16_t)value.len;
}

void h2_head_add(struct h2_head *h, struct span name, struct span value)
{
	size_t bytes = h->bytes + name.len + value.len + FIELD_OVERHEAD;

	h->bytes = (uint32_t)min_size(bytes, UINT32_MAX);
	if (h->bytes > H2_HEAD_MAX)
		fail(h, OUTCOME_TOO_LARGE);
	if (h->fault != OUTCOME_NONE || value.len == 0)
		return;
	if (is(name, ":method"))
		h->is_connect = is(value, "CONNECT");
	else if (is(name, ":authority"))
		take_authority(h, value);
	else if (is(name, "proxy-authorization"))
		take_credentials(h, value);
}

/* What is a target in one version is one in the other: one parser says so. */
static enum outcome parse_authority(const struct h2_head *h, struct target *ret)
{
	static const char before[] = "CONNECT ", after[] = " HTTP/1.0\r\n\r\n";
	uint8_t line[sizeof(before) + H2_AUTHORITY_BYTES + sizeof(after)];
	struct span in = { .at = line };
	struct http_head head;

	for (size_t i = 0; i < h->authority_len; i++)
		if (h->authority[i] <= ' ')
			return OUTCOME_BAD_AUTHORITY;
	memcpy(line, before, sizeof(before) - 1);
	in.len = sizeof(before) - 1;
	memcpy(line + in.len, h->authority, h->authority_len);
	in.len += h->authority_len;
	memcpy(line + in.len, after, sizeof(after) - 1);
	in.len += sizeof(after) - 1;
	http_head_init(&head, HTTP_REQUEST);
	if (http_head_parse(&head, in) != (int)in.len)
		return OUTCOME_BAD_AUTHORITY;
	*ret = head.target;
	/* It points into the line. */
	if (ret->host.len)
		ret->host.at = h->authority + (ret->host.at - line) -
			       (sizeof(before) - 1);
	return OUTCOME_NONE;
}

enum outcome h2_head_target(const struct h2_head *h, struct target *ret)
{
	if (h->fault != OUTCOME_NONE)
		return (enum outcome)h->fault;
	if (!h->is_connect)
		return OUTCOME_BAD_METHOD;
	return parse_authority(h, ret);
}
