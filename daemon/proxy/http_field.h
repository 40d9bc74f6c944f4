/*
 * The fields of HTTP messages that a proxy itself has to know.
 */
#pragma once

#include "core/base.h"

#include <string.h>

enum http_field_id {
	HTTP_FIELD_OTHER, /* one that only the two ends understand */
	HTTP_FIELD_HOST,
	HTTP_FIELD_CONTENT_LENGTH,
	HTTP_FIELD_TRANSFER_ENCODING,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_PROXY_CONNECTION,
	HTTP_FIELD_PROXY_AUTHORIZATION,
	HTTP_FIELD_PROXY_AUTHENTICATE,
	HTTP_FIELD_PROXY, /* any further Proxy-..., but Proxy-Status */
	HTTP_FIELD_KEEP_ALIVE,
	HTTP_FIELD_TE,
	HTTP_FIELD_TRAILER,
	HTTP_FIELD_UPGRADE,
	HTTP_FIELD_AUTHORIZATION,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_MAX_FORWARDS,
	HTTP_FIELD_VIA,
	HTTP_FIELD_FORWARDED,
	HTTP_FIELD_X_FORWARDED_FOR,
};

#define HTTP_FIELD_COUNT (HTTP_FIELD_X_FORWARDED_FOR + 1)

/* Bytes of the head. */
struct http_run {
	uint16_t at, len;
};

struct http_field {
	struct http_run name, value; /* the value without white space around */
	uint8_t id;                  /* enum http_field_id */
	bool named;                  /* by Connection: ends here */
};

/* A run of the head that was read from `in`. */
static inline struct span http_span(struct http_run run, struct span in)
{
	return (struct span){ in.at + run.at, run.len };
}

/* Which field a name, made of token bytes, is of: without regard to case. */
enum http_field_id http_field_id(struct span name);

/*
 * A bit, 1 << id, for each that ends at a proxy (RFC 9110 §7.6.1) or says who
 * may use it.  Transfer-Encoding does not: bodies are passed on as they come.
 */
#define HTTP_HOP_FIELDS                                                        \
	(1u << HTTP_FIELD_CONNECTION | 1u << HTTP_FIELD_PROXY_CONNECTION |     \
	 1u << HTTP_FIELD_PROXY_AUTHORIZATION |                                \
	 1u << HTTP_FIELD_PROXY_AUTHENTICATE | 1u << HTTP_FIELD_PROXY |        \
	 1u << HTTP_FIELD_KEEP_ALIVE | 1u << HTTP_FIELD_TE |                   \
	 1u << HTTP_FIELD_UPGRADE)

static inline bool http_field_is_hop(enum http_field_id id)
{
	return HTTP_HOP_FIELDS >> id & 1;
}

/*
 * Tells whether it may stand behind a body: nothing that says how a message is
 * framed, routed or admitted may (RFC 9110 §6.5.1).
 */
bool http_field_may_trail(enum http_field_id id);

/* Tells whether a and b are the same name. */
bool http_name_equal(struct span a, struct span b);

/*
 * The same for a text in lower case, letters, digits and '-', and a name (or
 * value) without control characters other than tabs.
 */
bool http_name_is_text(const uint8_t *name, const char *lower, size_t len);

static inline bool http_name_is(struct span name, const char *lower)
{
	size_t len = strlen(lower);

	return name.len == len && http_name_is_text(name.at, lower, len);
}

/*
 * Takes the next element of a comma-separated list (RFC 9110 §5.6.1) off
 * *list, without the white space around it; empty ones are left out.  False:
 * there is none.  Commas in quoted strings count, too.
 */
bool http_list_next(struct span *list, struct span *ret);

/* Without spaces and tabs at both ends. */
struct span http_trim(struct span text);
