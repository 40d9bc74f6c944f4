/*
 * Says how spliced understands messages of HTTP, for t/func/test_http_differ.py
 * to hold it against other parsers.  On standard input: a letter (q a request,
 * s a response, h one to HEAD), a length of four bytes in network order, and as
 * many bytes; and so on.  For each a line: how it ended (whole, more, bad), how
 * many bytes were of it, minor version, method or status, content, and each
 * field as name:value; bytes in hexadecimal.
 */
#include "daemon/proxy/http_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 65536

static void print_hex(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		printf("%02x", s.at[i]);
}

static void print_head(const struct http_head *h, struct span in)
{
	printf(" %u ", h->minor);
	if (h->kind == HTTP_REQUEST)
		print_hex(http_span(h->word, in));
	else
		printf("%u", h->status);
}

static void print_fields(const struct http_head *h, struct span in)
{
	for (unsigned i = 0; i < h->count; i++) {
		printf(" ");
		print_hex(http_span(h->field[i].name, in));
		printf(":");
		print_hex(http_span(h->field[i].value, in));
	}
}

/* Reads the body behind `*end` into `content`; how the message ended. */
static const char *read_body(struct http_body *b, struct span in, size_t *end,
			     uint8_t *content, size_t *content_len)
{
	while (!http_body_is_whole(b) && *end < in.len) {
		struct span rest = { in.at + *end, in.len - *end }, piece;
		ssize_t r = http_body_content(b, rest, &piece);

		if (r < 0)
			return "bad";
		memcpy(content + *content_len, piece.at, piece.len);
		*content_len += piece.len;
		*end += (size_t)r;
	}
	return http_body_is_whole(b) ? "whole" : "more";
}

static void say(int letter, struct span in)
{
	static uint8_t content[MESSAGE_MAX];
	struct http_head h;
	struct http_body b;
	size_t end, len = 0;
	const char *how;
	int r;

	http_head_init(&h, letter == 'q' ? HTTP_REQUEST : HTTP_RESPONSE);
	r = http_head_parse(&h, in);
	if (r < 0) {
		puts(r == -EAGAIN ? "more" : "bad");
		return;
	}
	end = (size_t)r;
	if (letter == 'q')
		http_request_body(&h, &b);
	else
		http_response_body(
			&h, letter == 'h' ? HTTP_METHOD_HEAD : HTTP_METHOD_GET,
			&b);
	how = read_body(&b, in, &end, content, &len);
	printf("%s %zu", how, end);
	print_head(&h, in);
	printf(" ");
	print_hex((struct span){ content, len });
	print_fields(&h, in);
	puts("");
}

int main(void)
{
	static uint8_t message[MESSAGE_MAX];
	uint8_t begin[5];

	while (fread(begin, sizeof(begin), 1, stdin) == 1) {
		size_t len = get_be32(begin + 1);

		if (len > sizeof(message) ||
		    fread(message, 1, len, stdin) != len)
			return EXIT_FAILURE;
		say(begin[0], (struct span){ message, len });
	}
	return EXIT_SUCCESS;
}
