/*
 * Answers made ahead change once a second, by their date.  One that somebody
 * is still sending is left alone then: whoever asks next gets a new one.
 *
 * Nothing here needs a deep stack, for it runs on that of a task.  So there
 * is no snprintf(3), which alone takes half a page.
 */
#include "t/bench/http_reply.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FREE_BLOCKS 64u /* more than ever are on their way at once, mostly */
#define DATE_LEN    29u

static const char status_line[] = "HTTP/1.1 200 OK\r\nDate: ";
#define DATE_AT (sizeof(status_line) - 1)

static char *put_text(char *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(at, text, len);
	return at + len;
}

/* At least `digits` of them. */
static char *put_number(char *at, size_t n, unsigned digits)
{
	char text[24];
	unsigned len = 0;

	for (; n > 0 || len < digits; n /= 10)
		text[sizeof(text) - ++len] = (char)('0' + n % 10);
	memcpy(at, text + sizeof(text) - len, len);
	return at + len;
}

/* --- The date ----------------------------------------------------------- */

/* RFC 9110 §5.6.7, whatever the locale says. */
static char *put_date(char *at, time_t t)
{
	static const char days[] = "Sun, Mon, Tue, Wed, Thu, Fri, Sat, ";
	static const char months[] = " Jan  Feb  Mar  Apr  May  Jun "
				     " Jul  Aug  Sep  Oct  Nov  Dec ";
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	memcpy(at, days + (size_t)tm.tm_wday * 5, 5);
	at = put_number(at + 5, (size_t)tm.tm_mday, 2);
	memcpy(at, months + (size_t)tm.tm_mon * 5, 5);
	at = put_number(at + 5, (size_t)tm.tm_year + 1900, 4);
	*at++ = ' ';
	at = put_number(at, (size_t)tm.tm_hour, 2);
	*at++ = ':';
	at = put_number(at, (size_t)tm.tm_min, 2);
	*at++ = ':';
	at = put_number(at, (size_t)tm.tm_sec, 2);
	return put_text(at, " GMT");
}

static void heed_date(struct http_replies *r, int64_t now_ms)
{
	struct timespec ts;

	if (now_ms < r->date_until_ms)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	r->date_until_ms = now_ms + 1000 - ts.tv_nsec / 1000000;
	for (int k = 0; k < HTTP_KINDS; k++) {
		struct http_block *b = r->current[k];

		(void)put_date(r->head[k] + DATE_AT, ts.tv_sec);
		if (!b)
			continue;
		if (b->users == 0) {
			memcpy(b->bytes + DATE_AT, r->head[k] + DATE_AT,
			       DATE_LEN);
			continue;
		}
		b->current = false;
		r->current[k] = NULL;
	}
}

/* --- Blocks ------------------------------------------------------------- */

static struct http_block *block_new(struct http_replies *r)
{
	struct http_block *b = r->free;

	if (!b)
		return malloc(sizeof(*b) + HTTP_HEAD_ROOM + r->sent_size);
	r->free = b->next;
	r->free_count--;
	return b;
}

static void block_free(struct http_replies *r, struct http_block *b)
{
	if (r->free_count == FREE_BLOCKS) {
		free(b);
		return;
	}
	b->next = r->free;
	r->free = b;
	r->free_count++;
}

/* The initialization vector goes first, RFC 3602 §3. */
static int encrypt(struct http_replies *r, uint8_t *to)
{
	uint8_t *at = to + HTTP_IV_BYTES;
	int len, rest;

	if (RAND_bytes(to, HTTP_IV_BYTES) != 1 ||
	    EVP_EncryptInit_ex2(r->aes, NULL, NULL, to, NULL) != 1 ||
	    EVP_EncryptUpdate(r->aes, at, &len, (const uint8_t *)r->content,
			      (int)r->size) != 1 ||
	    EVP_EncryptFinal_ex(r->aes, at + len, &rest) != 1)
		return -1;
	return 0;
}

static struct http_block *make(struct http_replies *r, enum http_kind kind)
{
	struct http_block *b = block_new(r);

	if (!b)
		return NULL;
	b->users = 0;
	b->current = !r->aes;
	b->head_len = strlen(r->head[kind]);
	b->len = b->head_len + r->sent_size;
	memcpy(b->bytes, r->head[kind], b->head_len);
	if (!r->aes) {
		memcpy(b->bytes + b->head_len, r->content, r->size);
	} else if (encrypt(r, (uint8_t *)b->bytes + b->head_len) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

struct http_block *http_reply_get(struct http_replies *r, enum http_kind kind,
				  int64_t now_ms)
{
	struct http_block *b;

	heed_date(r, now_ms);
	b = r->current[kind];
	if (!b) {
		b = make(r, kind);
		if (!b)
			return NULL;
		if (b->current)
			r->current[kind] = b;
	}
	b->users++;
	return b;
}

void http_reply_put(struct http_replies *r, struct http_block *b)
{
	if (--b->users == 0 && !b->current)
		block_free(r, b);
}

static const char *reason(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 413:
		return "Content Too Large";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

size_t http_reply_error(struct http_replies *r, int status, int64_t now_ms,
			char *out)
{
	char *at = put_text(out, "HTTP/1.1 ");

	heed_date(r, now_ms);
	at = put_number(at, (size_t)status, 3);
	*at++ = ' ';
	at = put_text(at, reason(status));
	at = put_text(at, "\r\nDate: ");
	memcpy(at, r->head[HTTP_CLOSES] + DATE_AT, DATE_LEN);
	at = put_text(at + DATE_LEN,
		      "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	return (size_t)(at - out);
}

/* --- Beginning and end -------------------------------------------------- */

static void make_head(struct http_replies *r, enum http_kind kind)
{
	static const char *const connection[HTTP_KINDS] = {
		[HTTP_GOES_ON] = "",
		[HTTP_GOES_ON_1_0] = "Connection: keep-alive\r\n",
		[HTTP_CLOSES] = "Connection: close\r\n",
	};
	char *at = put_text(r->head[kind], status_line);

	at = put_date(at, 0);
	at = put_text(at, "\r\nContent-Length: ");
	at = put_number(at, r->sent_size, 1);
	at = put_text(at, r->aes ? "\r\nContent-Type: application/octet-stream"
				 : "\r\nContent-Type: text/plain");
	at = put_text(at, "\r\n");
	at = put_text(at, connection[kind]);
	at = put_text(at, "\r\n");
	*at = '\0';
}

static int init_aes(struct http_replies *r)
{
	/* Padding makes at least a byte, RFC 5652 §6.3. */
	r->sent_size = HTTP_IV_BYTES + (r->size / 16 + 1) * 16;
	r->aes = EVP_CIPHER_CTX_new();
	if (!r->aes ||
	    EVP_EncryptInit_ex2(r->aes, EVP_aes_128_cbc(),
				(const uint8_t *)HTTP_AES_KEY, NULL, NULL) != 1)
		return -1;
	return 0;
}

int http_replies_init(struct http_replies *r, size_t size, bool aes)
{
	*r = (struct http_replies){ .size = size, .sent_size = size };
	r->content = malloc(size + 1);
	if (!r->content || (aes && init_aes(r) < 0)) {
		http_replies_done(r);
		return -1;
	}
	for (size_t i = 0; i < size; i++)
		r->content[i] = (char)('a' + i % 26);
	for (int k = 0; k < HTTP_KINDS; k++)
		make_head(r, (enum http_kind)k);
	return 0;
}

void http_replies_done(struct http_replies *r)
{
	struct http_block *b;

	for (int k = 0; k < HTTP_KINDS; k++)
		free(r->current[k]);
	while ((b = r->free)) {
		r->free = b->next;
		free(b);
	}
	EVP_CIPHER_CTX_free(r->aes);
	free(r->content);
	*r = (struct http_replies){ 0 };
}
