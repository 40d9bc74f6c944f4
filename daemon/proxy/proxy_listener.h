/*
 * What a listener's sockets are given: the hooks by which the server calls the
 * proxy.
 */
#pragma once

#include "daemon/proxy/proxy.h"
#include "daemon/proxy/rule_spec.h"

struct forward;

/* A listener's part; ctx of proxy_serve(). */
struct proxy_listener {
	struct proxy *proxy;
	uint16_t number;    /* in the configuration, from 1 */
	uint32_t protocols; /* PROTOCOL_BIT()s */
	/* Told to clients of UDP ASSOCIATE, for what stands behind NAT;
	 * AF_UNSPEC: the address that they are connected to. */
	struct tcp_addr udp_address4, udp_address6;
	struct port_range udp_ports; /* on our side of clients; 0-0: any */
	/* Whose connections begin with a PROXY header: prefixes, classes. */
	struct rule_match *header_from;
	size_t header_from_count;
	bool header_only; /* nobody else is served */
	bool tls_late;    /* TLS is begun behind that header */
	bool tproxy;      /* transparent: by TPROXY, not by REDIRECT */
	bool drained;     /* by hand: it answers, and does nothing; atomic */
	struct forward *forward; /* targets; NULL: clients name them */
};

/* The tcp_handler: from first byte to relay. */
void proxy_serve(struct tcp_conn *c, void *listener);

/* The `admit` of a listener: client rules and limits.  Logs whom it denies. */
int proxy_admit(const struct tcp_addr *peer, void *listener);

/* The `forgotten` of a listener. */
void proxy_forgotten(const struct tcp_addr *peer, int tag, void *listener);

/* The `unhandled` of a listener: a client that never said a word. */
void proxy_unhandled(struct tcp_conn *c, int r, void *listener);
