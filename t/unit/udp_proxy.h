/*
 * UDP associations for tests: a proxy in a server of its own, and its clients.
 */
#pragma once

#include "daemon/proxy/proxy_listener.h"

/* What the proxy will be made of; a test may change it before it starts. */
extern struct proxy_options udp_options;
extern struct proxy_listener udp_listener;
extern struct rule_match udp_target; /* where clients may send to */

/* What its one worker has counted. */
extern struct proxy_counts *udp_counts;
uint64_t udp_count(const uint64_t *at);

/* Sets the options to 10 associations of loopback's, 4 MiB. */
void udp_proxy_init(void);
void udp_proxy_start(void);

/* Fails the test where anything is left. */
void udp_proxy_stop(void);

struct udp_client {
	int control, udp;
	struct tcp_addr relay;
	uint8_t code; /* of the reply */
};

/* Asks for an association and takes the reply. */
struct udp_client udp_associate(void);
void udp_leave(struct udp_client *c);

/* Sends text to an address, or to a name and that address's port. */
void udp_send(const struct udp_client *c, const struct tcp_addr *to,
	      const char *text);
void udp_send_by_name(const struct udp_client *c, const char *host,
		      const struct tcp_addr *port_of, const char *text);

/*
 * A datagram socket of 127.0.0.1, made past whatever stands in the place of
 * libc's calls; *ret gets its address.
 */
int udp_socket(struct tcp_addr *ret);

/* Receives what must be that text. */
void udp_expect(int fd, const char *text);
