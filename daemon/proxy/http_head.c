/*
 * Reads the head of a CONNECT request byte by byte, so that each fault is told
 * by the byte that makes it.  Whatever could be understood in two ways by two
 * parsers (bare LF, folded lines, space before the colon, a length) is refused:
 * RFC 9112 §11.2.  Every step returns 0, -EAGAIN or -EBADMSG.
 */
#include "daemon/proxy/http_head.h"

#include <string.h>
#include <strings.h>

#define METHOD_BYTES 32

/* A host with its trailing dot, a colon and a port. */
#define AUTHORITY_BYTES (HOST_NAME_BYTES + 1 + 1 + 5)

struct reader {
	struct span in;
	size_t at;          /* first byte not yet read */
	enum outcome fault; /* why, where a step returned -EBADMSG */
	unsigned fields, hosts;
};

static int fail(struct reader *r, enum outcome fault)
{
	r->fault = fault;
	return -EBADMSG;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* strchr() that does not find the NUL at the end. */
static bool is_one_of(uint8_t c, const char *set)
{
	return c && strchr(set, c);
}

bool http_is_token_byte(uint8_t byte)
{
	return is_alnum(byte) || is_one_of(byte, "!#$%&'*+-.^_`|~");
}

/* What host names and addresses are made of, and the colon before the port. */
static bool is_authority_byte(uint8_t c)
{
	return is_alnum(c) || is_one_of(c, "-._:[]");
}

/* uri-host [ ":" port ], RFC 9110 §7.2; each byte that RFC 3986 allows. */
static bool is_host_byte(uint8_t c)
{
	return is_alnum(c) || is_one_of(c, "-._~%!$&'()*+,;=:[]");
}

/* RFC 9110 §5.5: visible, obs-text, space and tab. */
static bool is_value_byte(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool is_word(struct span s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.at, word, s.len) == 0;
}

static bool is_name(struct span s, const char *name)
{
	return s.len == strlen(name) &&
	       strncasecmp((const char *)s.at, name, s.len) == 0;
}

/* Takes exactly these bytes. */
static int expect(struct reader *r, const char *bytes)
{
	for (; *bytes; bytes++, r->at++) {
		if (r->at == r->in.len)
			return -EAGAIN;
		if (r->in.at[r->at] != (uint8_t)*bytes)
			return fail(r, OUTCOME_BAD_REQUEST);
	}
	return 0;
}

/*
 * Takes bytes up to `end`, which is left unread; one that `allowed` does not
 * know or one more than `max` of them fails as `fault`.
 */
static int read_run(struct reader *r, struct span *ret,
		    bool (*allowed)(uint8_t), uint8_t end, size_t max,
		    enum outcome fault)
{
	size_t start = r->at;

	for (; r->at < r->in.len; r->at++) {
		uint8_t c = r->in.at[r->at];

		if (c == end) {
			*ret = (struct span){ r->in.at + start, r->at - start };
			return 0;
		}
		if (!allowed(c) || r->at - start == max)
			return fail(r, fault);
	}
	return -EAGAIN;
}

/* Other well-formed methods get an answer of their own (RFC 9110 §15.5.6). */
static int read_method(struct reader *r)
{
	struct span method;
	int e;

	e = read_run(r, &method, http_is_token_byte, ' ', METHOD_BYTES,
		     OUTCOME_BAD_REQUEST);
	if (e < 0)
		return e;
	if (!method.len)
		return fail(r, OUTCOME_BAD_REQUEST);
	if (!is_word(method, "CONNECT"))
		return fail(r, OUTCOME_BAD_METHOD);
	r->at++;
	return 0;
}

/* Reads 1..65535; 0 stands for everything else. */
static uint16_t read_port(struct span text)
{
	unsigned value = 0;

	if (text.len > 5)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.at[i]))
			return 0;
		value = value * 10 + (text.at[i] - (unsigned)'0');
	}
	return value <= UINT16_MAX ? (uint16_t)value : 0;
}

/* authority-form, RFC 9112 §3.2.3: host and port, both there. */
static int read_authority(struct reader *r, struct target *ret)
{
	struct span text, host;
	const uint8_t *colon;
	uint16_t port;
	int e;

	e = read_run(r, &text, is_authority_byte, ' ', AUTHORITY_BYTES,
		     OUTCOME_BAD_AUTHORITY);
	if (e < 0)
		return e;
	colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
	if (!colon)
		return fail(r, OUTCOME_BAD_AUTHORITY);
	host = (struct span){ text.at, (size_t)(colon - text.at) };
	port = read_port((struct span){ colon + 1, text.len - host.len - 1 });
	/* IPv6 without brackets: where does its port begin? */
	if (host.len && host.at[0] != '[' && memchr(host.at, ':', host.len))
		return fail(r, OUTCOME_BAD_AUTHORITY);
	if (target_set_host(ret, host, port) < 0)
		return fail(r, OUTCOME_BAD_AUTHORITY);
	r->at++;
	return 0;
}

/*
 * A higher minor version is read as the highest that is known (RFC 9110 §2.5),
 * another major version is none of ours.
 */
static int read_version(struct reader *r, uint8_t *ret_minor)
{
	uint8_t major;
	int e;

	e = expect(r, "HTTP/");
	if (e < 0)
		return e;
	if (r->at == r->in.len)
		return -EAGAIN;
	major = r->in.at[r->at++];
	if (!is_digit(major))
		return fail(r, OUTCOME_BAD_REQUEST);
	e = expect(r, ".");
	if (e < 0)
		return e;
	if (r->at == r->in.len)
		return -EAGAIN;
	if (!is_digit(r->in.at[r->at]))
		return fail(r, OUTCOME_BAD_REQUEST);
	if (major != '1')
		return fail(r, OUTCOME_BAD_VERSION);
	*ret_minor = (uint8_t)(r->in.at[r->at++] - '0');
	return expect(r, "\r\n");
}

static struct span trim(struct span s)
{
	while (s.len && is_one_of(s.at[0], " \t"))
		s = (struct span){ s.at + 1, s.len - 1 };
	while (s.len && is_one_of(s.at[s.len - 1], " \t"))
		s.len--;
	return s;
}

/*
 * Looks at the few fields that decide: a second or malformed Host (RFC 9112
 * §3.2), and content, which CONNECT has none of (RFC 9110 §9.3.6) and which
 * would be taken for the tunnel's first bytes.
 */
static int check_field(struct reader *r, struct span name, struct span value)
{
	if (is_name(name, "Host")) {
		if (r->hosts++)
			return fail(r, OUTCOME_BAD_REQUEST);
		for (size_t i = 0; i < value.len; i++)
			if (!is_host_byte(value.at[i]))
				return fail(r, OUTCOME_BAD_REQUEST);
	}
	if (is_name(name, "Transfer-Encoding") ||
	    (is_name(name, "Content-Length") && !is_word(value, "0")))
		return fail(r, OUTCOME_BAD_REQUEST);
	return 0;
}

static int read_field(struct reader *r)
{
	struct span name, value;
	int e;

	if (r->fields++ == HTTP_FIELDS_MAX)
		return fail(r, OUTCOME_TOO_LARGE);
	e = read_run(r, &name, http_is_token_byte, ':', HTTP_HEAD_MAX,
		     OUTCOME_BAD_REQUEST);
	if (e < 0)
		return e;
	if (!name.len)
		return fail(r, OUTCOME_BAD_REQUEST);
	r->at++;
	e = read_run(r, &value, is_value_byte, '\r', HTTP_HEAD_MAX,
		     OUTCOME_BAD_REQUEST);
	if (e < 0)
		return e;
	e = expect(r, "\r\n");
	if (e < 0)
		return e;
	return check_field(r, name, trim(value));
}

static int read_head(struct reader *r, struct http_head *ret)
{
	int e = 0;

	/* One empty line before it is forgiven, RFC 9112 §2.2. */
	if (r->in.len && r->in.at[0] == '\r')
		e = expect(r, "\r\n");
	if (e == 0)
		e = read_method(r);
	if (e == 0)
		e = read_authority(r, &ret->target);
	if (e == 0)
		e = read_version(r, &ret->minor);
	while (e == 0 && r->at < r->in.len && r->in.at[r->at] != '\r')
		e = read_field(r);
	if (e == 0)
		e = expect(r, "\r\n");
	if (e == 0 && ret->minor > 0 && !r->hosts)
		return fail(r, OUTCOME_BAD_REQUEST);
	return e;
}

int http_head_parse(struct http_head *ret, struct span in,
		    enum outcome *ret_fault)
{
	struct reader r = {
		.in = { in.at, min_size(in.len, HTTP_HEAD_MAX) },
	};
	struct http_head head = { 0 };
	int e = read_head(&r, &head);

	if (e == -EAGAIN && in.len >= HTTP_HEAD_MAX)
		e = fail(&r, OUTCOME_TOO_LARGE);
	if (e == -EBADMSG)
		*ret_fault = r.fault;
	if (e < 0)
		return e;
	*ret = head;
	return (int)r.at;
}
