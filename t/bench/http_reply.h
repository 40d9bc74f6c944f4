/*
 * Answers of the benchmark's HTTP servers.  A block holds head and content in
 * one piece, so that one write sends it; a plain one is made ahead and sent
 * by many, one with AES is encrypted anew for each.  All of it belongs to one
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define HTTP_SIZE_MAX  (16u << 20)
#define HTTP_HEAD_ROOM 256u
#define HTTP_IV_BYTES  16u
/* What counts is the work: those who decrypt may know it. */
#define HTTP_AES_KEY "0123456789abcdef"

/* What an answer says of the connection. */
enum http_kind {
	HTTP_GOES_ON,     /* nothing: HTTP/1.1 goes on */
	HTTP_GOES_ON_1_0, /* keep-alive, which HTTP/1.0 has to be told */
	HTTP_CLOSES,
	HTTP_KINDS,
};

struct http_block {
	struct http_block *next; /* of the free ones */
	unsigned users;
	bool current; /* others may get it too */
	size_t head_len, len;
	char bytes[];
};

struct http_replies {
	size_t size, sent_size; /* of the content, plain and as it is sent */
	char *content;
	EVP_CIPHER_CTX *aes;   /* NULL: plain */
	int64_t date_until_ms; /* when the date is a second old */
	char head[HTTP_KINDS][HTTP_HEAD_ROOM]; /* with that date */
	struct http_block *current[HTTP_KINDS];
	struct http_block *free;
	unsigned free_count;
};

/* Content of `size` bytes; 0, or -1: no memory, or OpenSSL failed. */
int http_replies_init(struct http_replies *r, size_t size, bool aes);
void http_replies_done(struct http_replies *r);

/*
 * Gives an answer with the date of `now_ms` (CLOCK_MONOTONIC).  Its bytes do
 * not change until http_reply_put().  NULL: no memory, or OpenSSL failed.
 */
struct http_block *http_reply_get(struct http_replies *r, enum http_kind kind,
				  int64_t now_ms);
void http_reply_put(struct http_replies *r, struct http_block *b);

/*
 * Writes an answer that has no content and closes into
 * out[HTTP_HEAD_ROOM]; returns its length.
 */
size_t http_reply_error(struct http_replies *r, int status, int64_t now_ms,
			char *out);
