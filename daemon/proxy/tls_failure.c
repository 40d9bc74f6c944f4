/*
 * OpenSSL knows the beginnings of HTTP requests and sends no alert for them, so
 * that what is written then is the first that the client reads.
 */
#include "daemon/proxy/tls_failure.h"

#include "core/conn.h"
#include "daemon/proxy/proxy_internal.h"

#include <string.h>
#include <sys/socket.h>

/* Its reasons SSL_R_HTTP_REQUEST and, for CONNECT, SSL_R_HTTPS_PROXY_REQUEST.
 */
static bool is_http(const char *why)
{
	return strcmp(why, "http request") == 0 ||
	       strcmp(why, "https proxy request") == 0;
}

static void say_so(const struct tcp_conn *c)
{
	static const char reply[] =
		"HTTP/1.1 400 Bad Request\r\n"
		"Connection: close\r\n"
		"Content-Type: text/plain\r\n"
		"Content-Length: 58\r\n"
		"\r\n"
		"This port speaks TLS: the proxy's address begins https://\n";

	/* A socket that nothing was written to has room for it. */
	(void)!send(c->watch.fd, reply, sizeof(reply) - 1,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
}

void tls_failure_note(struct proxy *p, struct session *s,
		      const struct tcp_conn *c)
{
	const char *why = tcp_conn_tls_error(c);

	session_begin(s);
	sessions_set_host(p->sessions, s,
			  (struct span){ (const uint8_t *)why, strlen(why) });
	session_end(s);
	if (is_http(why))
		say_so(c);
}
