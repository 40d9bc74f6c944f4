/*
 * A small HTTP/1.1 server on libtcpserver.  "http 127.0.0.1:8080" or
 * "http unix:/tmp/socket" answers each GET and HEAD with the same text, and
 * keeps the connection for as long as the client wants to ask more.
 */
#define _GNU_SOURCE 1 /* for strcasestr(), memmem() */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tcpserver.h>
#include <time.h>

#define HEAD_MAX   2048
#define REQUEST_MS 10000 /* for a whole head, and between requests */
#define ANSWER_MS  10000

/* What a client sent and we did not use yet. */
struct input {
	size_t len;
	char text[HEAD_MAX + 1];
};

static const char end_of_head[] = "\r\n\r\n";

/*
 * Reads up to the end of a request's head.  Returns its length, or 0 when the
 * client has no more requests, took too long or sent a head that is too long.
 */
static size_t read_head(struct tcp_conn *c, struct input *in)
{
	int64_t deadline = tcp_deadline(REQUEST_MS);

	for (;;) {
		char *end = memmem(in->text, in->len, end_of_head, 4);
		ssize_t n;

		if (end)
			return (size_t)(end - in->text) + 4;
		if (in->len == HEAD_MAX)
			return 0;
		n = tcp_conn_read(c, in->text + in->len, HEAD_MAX - in->len,
				  deadline);
		if (n <= 0)
			return 0;
		in->len += (size_t)n;
	}
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the connection stays, by RFC 9112: what comes after a body, which
 * we do not read, would be taken for a request. */
static bool stays(const char *head)
{
	return strstr(head, " HTTP/1.1\r\n") &&
	       !strcasestr(head, "\r\nConnection: close") &&
	       !strcasestr(head, "\r\nContent-Length:") &&
	       !strcasestr(head, "\r\nTransfer-Encoding:");
}

static int answer(struct tcp_conn *c, const char *head, bool stay)
{
	bool known = starts_with(head, "GET ") || starts_with(head, "HEAD ");
	const char *body = known ? "Hello, world\n" : "GET and HEAD only\n";
	time_t now = time(NULL);
	char date[40], text[320];
	struct tm tm;
	int len;

	strftime(date, sizeof(date), "%a, %d %b %Y %T GMT",
		 gmtime_r(&now, &tm));
	len = snprintf(text, sizeof(text),
		       "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: text/plain\r\n"
		       "Content-Length: %zu\r\n%s%s\r\n%s",
		       known ? "200 OK" : "405 Method Not Allowed", date,
		       strlen(body), known ? "" : "Allow: GET, HEAD\r\n",
		       stay ? "" : "Connection: close\r\n",
		       starts_with(head, "HEAD ") ? "" : body);
	return tcp_conn_write_all(c, text, (size_t)len,
				  tcp_deadline(ANSWER_MS));
}

static void serve(struct tcp_conn *c, void *ctx)
{
	struct input in = { .len = 0 };
	bool stay = true;
	size_t len;

	while (stay && (len = read_head(c, &in)) > 0) {
		char after = in.text[len];

		in.text[len] = '\0';
		stay = stays(in.text);
		if (answer(c, in.text, stay) < 0)
			return;
		in.text[len] = after;
		memmove(in.text, in.text + len, in.len -= len);
	}
	tcp_conn_linger(c, 65536, tcp_deadline(ANSWER_MS));
}

int main(int argc, char **argv)
{
	struct tcp_listen_options options = { .nodelay = true };
	struct tcp_server *s;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: http ADDRESS\n");
		return 2;
	}
	r = tcp_server_new(&s, NULL);
	if (r == 0)
		r = tcp_server_listen_text(s, argv[1], &options, serve, NULL,
					   NULL);
	if (r == 0)
		r = tcp_server_run(s);
	if (r < 0)
		fprintf(stderr, "http: %s: %s\n", argv[1], strerror(-r));
	return r < 0;
}
