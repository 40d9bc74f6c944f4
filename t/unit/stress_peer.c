/*
 * Clients of the server under stress, by plain system calls and OpenSSL.
 */
#include "t/unit/stress_peer.h"

#include "core/addr.h"
#include "core/bytes.h"
#include "t/unit/tcp_pair.h"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static NO_RETURN void stuck(const struct peer *p, const char *call)
{
	ck_abort_msg("%s: nothing happens in %s", p->doing, call);
	__builtin_unreachable();
}

/* --- Connecting --------------------------------------------------------- */

static void set_option(int fd, int level, int name, const void *value,
		       socklen_t len)
{
	claim(setsockopt(fd, level, name, value, len) == 0,
	      "setsockopt() fails");
}

static void set_options(int fd, enum stress_side side)
{
	const struct timeval soon = { .tv_sec = SOON_MS / 1000 };
	int on = 1, room = 256 << 10;

	set_option(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	set_option(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	set_option(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	if (side != STRESS_LOCAL)
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static socklen_t address_of(enum stress_side side, struct sockaddr_storage *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)ret;
	size_t len = strlen(stress.local);

	if (side != STRESS_LOCAL)
		return tcp_addr_to_sockaddr(&stress.addr[side], ret);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, stress.local, len);
	un->sun_path[0] = '\0'; /* was '@' */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

bool peer_connect(struct peer *p, enum stress_side side)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = address_of(side, &ss);

	p->ssl = NULL;
	p->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	claim(p->fd >= 0 || errno == EMFILE, "no socket: %s", strerror(errno));
	if (p->fd < 0)
		return false;
	set_options(p->fd, side);
	if (connect(p->fd, (struct sockaddr *)&ss, len) == 0)
		return true;
	if (errno == EAGAIN || errno == EINPROGRESS)
		stuck(p, "connect()");
	close_fd(&p->fd);
	return false;
}

/* --- TLS ---------------------------------------------------------------- */

/*
 * What OpenSSL's failure means: 0 for an end in order, -1 for any other end;
 * whatever says that bytes were wrong fails the test.
 */
static int tls_end(struct peer *p, int r, const char *call)
{
	int error = SSL_get_error(p->ssl, r);
	unsigned long why = ERR_peek_error();
	char text[200];

	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		stuck(p, call);
	ERR_error_string_n(why, text, sizeof(text));
	ERR_clear_error();
	claim(error == SSL_ERROR_SYSCALL ||
		      ERR_GET_REASON(why) == SSL_R_UNEXPECTED_EOF_WHILE_READING,
	      "%s: %s says %s", p->doing, call, text);
	return -1;
}

bool peer_secure(struct peer *p, SSL_CTX *ctx, int version,
		 SSL_SESSION *session)
{
	int r;

	p->ssl = SSL_new(ctx);
	claim(p->ssl && SSL_set_fd(p->ssl, p->fd) &&
		      SSL_set_min_proto_version(p->ssl, version) &&
		      SSL_set_max_proto_version(p->ssl, version) &&
		      SSL_set_tlsext_host_name(p->ssl, "localhost"),
	      "no SSL");
	if (session)
		(void)SSL_set_session(p->ssl, session);
	ERR_clear_error();
	r = SSL_connect(p->ssl);
	return r == 1 || (tls_end(p, r, "SSL_connect()"), false);
}

/* --- Bytes -------------------------------------------------------------- */

static bool send_plain(struct peer *p, const uint8_t *at, size_t len)
{
	while (len > 0) {
		ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			stuck(p, "send()");
		if (n < 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool peer_send(struct peer *p, const void *from, size_t len)
{
	int r;

	if (!p->ssl)
		return send_plain(p, from, len);
	ERR_clear_error();
	r = SSL_write(p->ssl, from, (int)len);
	return r > 0 || (tls_end(p, r, "SSL_write()"), false);
}

bool peer_ask(struct peer *p, enum stress_verb verb, uint8_t argument,
	      size_t len)
{
	uint8_t bytes[STRESS_REQUEST] = { (uint8_t)verb, argument };

	put_be16(bytes + 4, (uint16_t)(len >> 16));
	put_be16(bytes + 6, (uint16_t)len);
	return peer_send(p, bytes, sizeof(bytes));
}

ssize_t peer_recv(struct peer *p, void *to, size_t len)
{
	ssize_t n;

	if (p->ssl) {
		ERR_clear_error();
		n = SSL_read(p->ssl, to, (int)len);
		return n > 0 ? n : tls_end(p, (int)n, "SSL_read()");
	}
	n = recv(p->fd, to, len, 0);
	if (n < 0 && errno == EAGAIN)
		stuck(p, "recv()");
	return n;
}

bool peer_expect(struct peer *p, size_t from, size_t len)
{
	uint8_t got[4096];

	while (len > 0) {
		ssize_t n = peer_recv(p, got, min_size(len, sizeof(got)));

		if (n <= 0)
			return false;
		claim(memcmp(got, pattern(from), (size_t)n) == 0,
		      "%s: wrong bytes", p->doing);
		from += (size_t)n;
		len -= (size_t)n;
	}
	return true;
}

bool peer_expect_byte(struct peer *p, const char *wanted)
{
	char byte;

	if (peer_recv(p, &byte, 1) != 1)
		return false;
	claim(byte && strchr(wanted, byte), "%s: answered with byte %d",
	      p->doing, byte);
	return true;
}

bool peer_expect_end(struct peer *p)
{
	char byte;
	ssize_t n = peer_recv(p, &byte, 1);

	claim(n <= 0, "%s: byte %d after the end", p->doing, byte);
	return n == 0;
}

/* --- Ends --------------------------------------------------------------- */

bool peer_shut(struct peer *p)
{
	int r;

	if (!p->ssl)
		return shutdown(p->fd, SHUT_WR) == 0;
	ERR_clear_error();
	r = SSL_shutdown(p->ssl);
	return r >= 0 || (tls_end(p, r, "SSL_shutdown()"), false);
}

bool peer_close(struct peer *p, enum peer_end how)
{
	const struct linger now = { .l_onoff = 1 };
	bool in_order = true;

	if (how == PEER_IN_ORDER)
		in_order = peer_shut(p) && peer_expect_end(p);
	else if (how == PEER_RESET)
		set_option(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	SSL_free(TAKE_PTR(p->ssl));
	close_fd(&p->fd);
	return in_order;
}
