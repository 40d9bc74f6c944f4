/*
 * Names of fields, found by their length and then by one comparison or two.
 */
#include "daemon/proxy/http_field.h"

#include <string.h>

struct known {
	const char *name; /* lower case */
	enum http_field_id id;
};

/* The longest has 19 bytes; at most two of a length, NULL after them. */
#define LENGTH_MAX 19

static const struct known known[LENGTH_MAX + 1][3] = {
	[2] = { { "te", HTTP_FIELD_TE } },
	[3] = { { "via", HTTP_FIELD_VIA } },
	[4] = { { "host", HTTP_FIELD_HOST } },
	[6] = { { "expect", HTTP_FIELD_EXPECT } },
	[7] = { { "upgrade", HTTP_FIELD_UPGRADE },
		{ "trailer", HTTP_FIELD_TRAILER } },
	[9] = { { "forwarded", HTTP_FIELD_FORWARDED } },
	[10] = { { "connection", HTTP_FIELD_CONNECTION },
		 { "keep-alive", HTTP_FIELD_KEEP_ALIVE } },
	[12] = { { "max-forwards", HTTP_FIELD_MAX_FORWARDS },
		 /* RFC 9209: meant for the client. */
		 { "proxy-status", HTTP_FIELD_OTHER } },
	[13] = { { "authorization", HTTP_FIELD_AUTHORIZATION } },
	[14] = { { "content-length", HTTP_FIELD_CONTENT_LENGTH } },
	[15] = { { "x-forwarded-for", HTTP_FIELD_X_FORWARDED_FOR } },
	[16] = { { "proxy-connection", HTTP_FIELD_PROXY_CONNECTION } },
	[17] = { { "transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING } },
	[18] = { { "proxy-authenticate", HTTP_FIELD_PROXY_AUTHENTICATE } },
	[19] = { { "proxy-authorization", HTTP_FIELD_PROXY_AUTHORIZATION } },
};

/*
 * Where control characters cannot stand, this bit makes lower case and nothing
 * else a letter, a digit or '-'.
 */
bool http_name_is_text(const uint8_t *name, const char *lower, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((name[i] | 0x20) != (uint8_t)lower[i])
			return false;
	return true;
}

enum http_field_id http_field_id(struct span name)
{
	static const char proxy[] = "proxy-";

	if (name.len <= LENGTH_MAX)
		for (const struct known *k = known[name.len]; k->name; k++)
			if (http_name_is_text(name.at, k->name, name.len))
				return k->id;
	if (name.len >= sizeof(proxy) - 1 &&
	    http_name_is_text(name.at, proxy, sizeof(proxy) - 1))
		return HTTP_FIELD_PROXY;
	return HTTP_FIELD_OTHER;
}

#define BIT(id) (1u << HTTP_FIELD_##id)

#define NEVER_TRAIL                                                            \
	(HTTP_HOP_FIELDS | BIT(HOST) | BIT(CONTENT_LENGTH) |                   \
	 BIT(TRANSFER_ENCODING) | BIT(TRAILER) | BIT(EXPECT) |                 \
	 BIT(MAX_FORWARDS) | BIT(VIA) | BIT(FORWARDED) | BIT(X_FORWARDED_FOR))

bool http_field_may_trail(enum http_field_id id)
{
	return !(NEVER_TRAIL >> id & 1);
}

static uint8_t lower_case(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool http_name_equal(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower_case(a.at[i]) != lower_case(b.at[i]))
			return false;
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct span http_trim(struct span text)
{
	while (text.len && is_blank(text.at[0]))
		text = (struct span){ text.at + 1, text.len - 1 };
	while (text.len && is_blank(text.at[text.len - 1]))
		text.len--;
	return text;
}

bool http_list_next(struct span *list, struct span *ret)
{
	while (list->len) {
		const uint8_t *comma = memchr(list->at, ',', list->len);
		size_t len = comma ? (size_t)(comma - list->at) : list->len;

		*ret = http_trim((struct span){ list->at, len });
		len += comma != NULL;
		*list = (struct span){ list->at + len, list->len - len };
		if (ret->len)
			return true;
	}
	return false;
}
