/*
 * Where connections and datagrams to targets come from: source addresses, one
 * or a list that rotates, an interface's, or those of an IPv6 prefix.  One
 * worker's; follows the interfaces.
 */
#pragma once

#include "core/local_addrs.h"
#include "core/siphash.h"
#include "daemon/proxy/rules.h"

struct outbound;

enum outbound_rotate {
	OUTBOUND_FIRST, /* of each family */
	OUTBOUND_PER_CONNECTION,
	OUTBOUND_PER_CLIENT,      /* the same for the same client address */
	OUTBOUND_SAME_AS_INBOUND, /* the address that the client came to; the
				   * first source, if any, of the other family
				   */
};

/* An address, a prefix of IPv6 addresses, or an interface's addresses. */
struct outbound_source {
	struct tcp_addr addr;  /* of a prefix, its first; port 0 */
	uint8_t prefix_bits;   /* 0: the very address */
	const char *interface; /* NULL: `addr` says it */
};

/* Of a family; what an interface has beyond that is left out. */
#define OUTBOUND_ADDRS_MAX 4096

/* Borrowed for the outbound's life. */
struct outbound_options {
	const struct outbound_source *sources;
	size_t source_count; /* 0: the kernel chooses */
	enum outbound_rotate rotate;
	/* The same one makes the same choices for the same clients. */
	struct siphash_key secret;
	struct tcp_dial_options dial; /* all but its sources and freebind */
	sa_family_t prefer; /* tried first; AF_UNSPEC: as the names say */
	/* Of a BIND: what its first reply tells, for what stands behind NAT
	 * (AF_UNSPEC: our own), and where it listens (0-0: any port). */
	struct tcp_addr bind_address4, bind_address6;
	struct port_range bind_ports;
};

/* How one request gets out. */
struct outbound_choice {
	struct tcp_dial_options dial; /* with sources, AF_UNSPEC: routed */
	bool ipv4, ipv6;              /* there is a way for the family */
};

/*
 * Makes a secret of this machine's machine-id(5), so that a client keeps its
 * source over a restart; where there is none, by chance.  -errno of
 * getrandom(2).
 */
int outbound_secret(struct siphash_key *ret) MUST_CHECK;

/*
 * `local` may be NULL where no source is an interface: addresses are then
 * taken to be there.  -ENOMEM, -errno of getrandom(2).
 */
int outbound_new(struct outbound **ret, const struct outbound_options *o,
		 struct local_addrs *local) MUST_CHECK;
void outbound_free(struct outbound *o);

/*
 * Chooses for a client that came to our address `inbound` and wants to reach
 * a target of a family (AF_UNSPEC: not known yet).
 */
void outbound_choose(struct outbound *o, sa_family_t family,
		     const struct tcp_addr *client,
		     const struct tcp_addr *inbound,
		     struct outbound_choice *ret);

/* The interfaces' addresses have changed. */
void outbound_refresh(struct outbound *o);
