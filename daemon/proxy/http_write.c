/*
 * What is kept of a head stays where it is: neighbours are one piece, short
 * ones and what a proxy adds are gathered in `text`.
 */
#include "daemon/proxy/http_write.h"

#include <stdio.h>
#include <string.h>

/* Pieces up to this are copied: a system call takes long to look at each. */
#define SHORT_PIECE 64

/*
 * The longest of what is added, all at once: " HTTP/1.1", Host, Max-Forwards,
 * Via, Forwarded, X-Forwarded-For, Connection.  Copies leave it room.
 */
#define ADDED_BYTES 352

_Static_assert(HTTP_OUT_TEXT >= ADDED_BYTES + 2 * SHORT_PIECE,
	       "text holds all that is added, and short pieces");

#define BIT(id) (1u << HTTP_FIELD_##id)

struct writer {
	struct http_out *out;
	const struct http_head *h;
	struct span in;
	const struct http_pass *how;
	unsigned drop; /* a bit for each enum http_field_id */
	bool full;     /* some piece had no room */
};

static void add_piece(struct writer *w, const void *at, size_t len)
{
	struct http_out *out = w->out;

	if (!len)
		return;
	out->len += len;
	if (out->count) {
		struct iovec *last = &out->piece[out->count - 1];

		if ((uint8_t *)last->iov_base + last->iov_len == at) {
			last->iov_len += len;
			return;
		}
	}
	if (out->count == HTTP_OUT_PIECES) {
		w->full = true;
		return;
	}
	out->piece[out->count++] = (struct iovec){ (void *)(uintptr_t)at, len };
}

static void add_copy(struct writer *w, const void *at, size_t len)
{
	char *to = w->out->text + w->out->text_len;

	if (!len)
		return;
	if (len > HTTP_OUT_TEXT - w->out->text_len) {
		w->full = true;
		return;
	}
	memcpy(to, at, len);
	w->out->text_len += len;
	add_piece(w, to, len);
}

static void add_text(struct writer *w, const char *text)
{
	add_copy(w, text, strlen(text));
}

static void add_span(struct writer *w, struct span s)
{
	if (s.len <= SHORT_PIECE &&
	    s.len + ADDED_BYTES <= HTTP_OUT_TEXT - w->out->text_len)
		add_copy(w, s.at, s.len);
	else
		add_piece(w, s.at, s.len);
}

/* Bytes of the head from `from` to `to`. */
static void add_run(struct writer *w, size_t from, size_t to)
{
	add_span(w, (struct span){ w->in.at + from, to - from });
}

/* --- What a proxy adds -------------------------------------------------- */

/* "VERSION NAME", RFC 9110 §7.6.3. */
static void add_via(struct writer *w)
{
	char version[] = "1.x ";

	version[2] = (char)('0' + w->h->minor);
	add_text(w, version);
	add_copy(w, w->how->via.at, min_size(w->how->via.len, HTTP_VIA_MAX));
}

/* Its address as text, "unknown" for what is none (RFC 7239 §6.2). */
static const char *client_text(const struct writer *w, char *out, size_t size)
{
	struct tcp_addr a;

	if (!w->how->client)
		return "unknown";
	a = *w->how->client;
	a.scope = 0; /* the name of an interface is nobody's business */
	if (a.family != AF_INET && a.family != AF_INET6)
		return "unknown";
	return addr_format_ip(&a, out, size);
}

static void add_forwarded(struct writer *w)
{
	const struct tcp_addr *a = w->how->client;
	char text[TCPSERVER_ADDR_STRLEN];
	bool quoted = a && a->family == AF_INET6;

	add_text(w, quoted ? "for=\"[" : "for=");
	add_text(w, client_text(w, text, sizeof(text)));
	if (quoted)
		add_text(w, "]\"");
}

static void add_forwarded_for(struct writer *w)
{
	char text[TCPSERVER_ADDR_STRLEN];

	add_text(w, client_text(w, text, sizeof(text)));
}

/* A list to whose end a proxy adds an element. */
struct list {
	enum http_field_id id;
	const char *name;
	void (*add)(struct writer *w);
};

static const struct list lists[] = {
	{ HTTP_FIELD_VIA, "Via: ", add_via },
	{ HTTP_FIELD_FORWARDED, "Forwarded: ", add_forwarded },
	{ HTTP_FIELD_X_FORWARDED_FOR, "X-Forwarded-For: ", add_forwarded_for },
};

static bool wants(const struct writer *w, const struct list *l)
{
	bool request = w->h->kind == HTTP_REQUEST;

	switch (l->id) {
	case HTTP_FIELD_VIA:
		return w->how->via.len;
	case HTTP_FIELD_FORWARDED:
		return request && w->how->forwarded;
	case HTTP_FIELD_X_FORWARDED_FOR:
		return request && w->how->x_forwarded_for;
	default:
		return false;
	}
}

/* The number of the field to whose value this is added, or -1. */
static int list_field(const struct writer *w, const struct list *l)
{
	int i = w->h->known[l->id] - 1;

	return i >= 0 && !w->h->field[i].named ? i : -1;
}

/* Those that the head does not have. */
static void add_new_lists(struct writer *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		if (!wants(w, &lists[i]) || list_field(w, &lists[i]) >= 0)
			continue;
		add_text(w, lists[i].name);
		lists[i].add(w);
		add_text(w, "\r\n");
	}
}

/* --- Fields ------------------------------------------------------------- */

static size_t line_end(const struct http_head *h, unsigned i)
{
	return i + 1u < h->count ? h->field[i + 1].name.at : h->len - 2u;
}

static bool is_left_out(const struct writer *w, const struct http_field *f)
{
	return f->named || (w->drop >> f->id & 1);
}

/* Writes what is kept of a line behind `from`; returns how far that was. */
static size_t write_field(struct writer *w, unsigned i, size_t from)
{
	const struct http_field *f = &w->h->field[i];
	size_t name_end = (size_t)f->name.at + f->name.len;
	size_t value_end = (size_t)f->value.at + f->value.len;

	/* RFC 9112 §5.1: the white space before the colon of a response. */
	if (w->in.at[name_end] != ':') {
		add_run(w, from, name_end);
		for (from = name_end; w->in.at[from] != ':';)
			from++;
	}
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		if (f->id != lists[k].id || !wants(w, &lists[k]) ||
		    list_field(w, &lists[k]) != (int)i)
			continue;
		add_run(w, from, value_end);
		if (f->value.len)
			add_text(w, ", ");
		lists[k].add(w);
		from = value_end;
	}
	return from;
}

static void write_fields(struct writer *w)
{
	const struct http_head *h = w->h;
	size_t from = h->count ? h->field[0].name.at : h->len - 2u;

	for (unsigned i = 0; i < h->count; i++) {
		if (is_left_out(w, &h->field[i])) {
			add_run(w, from, h->field[i].name.at);
			from = line_end(h, i);
		} else if (h->field[i].id != HTTP_FIELD_OTHER ||
			   h->kind == HTTP_RESPONSE) {
			from = write_field(w, i, from);
		}
	}
	add_run(w, from, h->len - 2u);
}

static int write_rest(struct writer *w)
{
	write_fields(w);
	add_new_lists(w);
	add_span(w, w->how->fields);
	if (w->how->upgrade)
		add_text(w, "Connection: upgrade\r\n");
	else if (w->how->close)
		add_text(w, "Connection: close\r\n");
	add_text(w, "\r\n");
	return w->full ? -ENOBUFS : 0;
}

static void begin(struct writer *w)
{
	w->out->count = 0;
	w->out->len = 0;
	w->out->text_len = 0;
	w->drop = HTTP_HOP_FIELDS;
	if (w->how->upgrade)
		w->drop &= ~BIT(UPGRADE);
}

/* --- Requests ----------------------------------------------------------- */

/* The method's space is behind it, and then what it is for. */
static void write_target(struct writer *w)
{
	const struct http_head *h = w->h;
	size_t word_end = (size_t)h->word.at + h->word.len + 1;
	size_t path_end = (size_t)h->path.at + h->path.len;

	if (w->how->absolute || h->form != HTTP_FORM_ABSOLUTE) {
		add_run(w, h->word.at, path_end);
		return;
	}
	add_run(w, h->word.at, word_end);
	if (!h->path.len)
		add_text(w, h->method == HTTP_METHOD_OPTIONS ? "*" : "/");
	else if (w->in.at[h->path.at] == '?')
		add_text(w, "/");
	add_run(w, h->path.at, path_end);
}

int http_write_request(struct http_out *out, const struct http_head *h,
		       struct span in, const struct http_pass *how)
{
	struct writer w = { .out = out, .h = h, .in = in, .how = how };

	begin(&w);
	write_target(&w);
	if (h->form == HTTP_FORM_ABSOLUTE) {
		w.drop |= BIT(HOST);
		add_text(&w, " HTTP/1.1\r\nHost: ");
		add_span(&w, http_span(h->authority, in));
		add_text(&w, "\r\n");
	} else {
		add_text(&w, " HTTP/1.1\r\n");
	}
	if (h->forwards > 0) {
		char line[48];

		w.drop |= BIT(MAX_FORWARDS);
		(void)snprintf(line, sizeof(line), "Max-Forwards: %lld\r\n",
			       (long long)h->forwards - 1);
		add_text(&w, line);
	}
	return write_rest(&w);
}

/* --- Responses ---------------------------------------------------------- */

static void write_status(struct writer *w)
{
	const struct http_head *h = w->h;
	size_t line = (size_t)h->word.at + h->word.len + 2;

	if (h->minor == 1 && h->word.len) {
		add_run(w, 0, line);
	} else {
		char text[sizeof("HTTP/1.1 999 ")];

		(void)snprintf(text, sizeof(text), "HTTP/1.1 %03u ",
			       h->status % 1000u);
		add_text(w, text);
		add_run(w, h->word.at, line);
	}
}

int http_write_response(struct http_out *out, const struct http_head *h,
			struct span in, const struct http_pass *how)
{
	struct writer w = { .out = out, .h = h, .in = in, .how = how };

	begin(&w);
	if (how->unchunked)
		w.drop |= BIT(TRANSFER_ENCODING) | BIT(TRAILER);
	if (h->status < 200 || h->status == 204)
		w.drop |= BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH);
	write_status(&w);
	if (how->chunked)
		add_text(&w, "Transfer-Encoding: chunked\r\n");
	return write_rest(&w);
}
