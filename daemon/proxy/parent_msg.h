/*
 * What is said to parent proxies and what comes from them, as values: the
 * client's side of SOCKS5 (RFC 1928, 1929), of SOCKS4 and 4a, and CONNECT
 * (RFC 9110 §9.3.6).  The parsers look at the bytes that are there from the
 * start and return the length of the message (> 0), -EAGAIN while it may still
 * become a valid one, or -EBADMSG as soon as it cannot; more bytes never change
 * the last.  Nothing is kept between calls.
 */
#pragma once

#include "daemon/proxy/socks4_msg.h"
#include "daemon/proxy/socks5_msg.h"

/* Room for each message that is written. */
#define PARENT_MSG_MAX 1536

/* Whom a parent is asked for: an address, or else a name. */
struct parent_target {
	const struct tcp_addr *addr; /* NULL: the name */
	const char *host;
	uint16_t port;
};

/* Methods: none alone, or none and the password.  Returns the length. */
size_t parent_greeting(uint8_t *out, bool login);

/* RFC 1929 §2; each at most 255 bytes. */
size_t parent_login(uint8_t *out, const char *user, const char *password);

/* RFC 1928 §4. */
size_t parent_socks5_request(uint8_t *out, enum session_command command,
			     const struct parent_target *t);

/* CONNECT; 0: it has no place for an IPv6 address. */
size_t parent_socks4_request(uint8_t *out, const char *user,
			     const struct parent_target *t);

/* `fields` are whole field lines to go with it. */
size_t parent_connect(uint8_t *out, const struct parent_target *t,
		      struct span fields);

/*
 * What a proxy answers by itself (RFC 9110 §7.6.2) if it is well: with 200, or
 * that it does not do that.  `t` is the proxy.
 */
size_t parent_options(uint8_t *out, const struct parent_target *t,
		      struct span fields);

/*
 * Room for parent_basic(): "Proxy-Authorization: Basic ", twice 255 bytes and a
 * colon in base64 (RFC 4648 §4), CR LF.
 */
#define PARENT_BASIC_MAX (27 + (511 + 2) / 3 * 4 + 2)

/* RFC 7617 §2. */
size_t parent_basic(uint8_t *out, const char *user, const char *password);

/* The method that was chosen, RFC 1928 §3. */
int parent_choice_parse(uint8_t *ret_method, struct span in) MUST_CHECK;

/* RFC 1929 §2. */
int parent_status_parse(bool *ret_success, struct span in) MUST_CHECK;

struct parent_reply {
	uint8_t code;          /* SOCKS5_REP_*, SOCKS4_REP_* */
	struct tcp_addr bound; /* AF_UNSPEC: a name stands there */
};

/* RFC 1928 §6.  An address may be unspecified, a port 0. */
int parent_socks5_parse(struct parent_reply *ret, struct span in) MUST_CHECK;

/* A version of 0, as it should be, or 4, as some say. */
int parent_socks4_parse(struct parent_reply *ret, struct span in) MUST_CHECK;
