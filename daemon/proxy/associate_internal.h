/*
 * Inside UDP ASSOCIATE: one association, which lives as long as the task of
 * its control connection, and what a worker's associations share.
 *
 *   associate.c        the request, the control connection, the end
 *   associate_open.c   sockets, ports, buffers
 *   associate_up.c     datagrams from the client
 *   associate_down.c   replies
 *   associate_name.c   datagrams whose target is a name
 *   associate_table.c  whom it has talked to
 */
#pragma once

#include "core/dgram.h"
#include "core/net.h"
#include "daemon/proxy/associate.h"
#include "daemon/proxy/associate_table.h"
#include "daemon/proxy/proxy_internal.h"
#include "daemon/proxy/socks_udp.h"

#define CLIENT_BUCKETS 256u

/* The pages of a task's stack that waits. */
#define TASK_BYTES (8u << 10)

/* One worker's. */
struct associations {
	struct associate_options o;
	struct dgram_batch *batch; /* of whoever has its turn */
	struct budget budget;
	struct siphash_key key;
	size_t count;
	uint64_t opened;                    /* ever */
	struct list client[CLIENT_BUCKETS]; /* those of one client together */
	struct list moved;                  /* whose progress is to be told */
	struct list busy;                   /* that have more than a batch */
	struct work turns;                  /* of these */
	struct timer tell; /* once a second while there are such */
};

/* A socket, and what its buffers are counted as. */
struct association_socket {
	struct dgram d;
	size_t buffer; /* SO_RCVBUF, SO_SNDBUF; 0: closed */
};

/* Where datagrams with one and the same header go. */
struct association_way {
	union dgram_name to;
	int64_t until_ms; /* a name's address may change */
	size_t len;       /* of the header; 0: there is none */
	uint8_t header[SOCKS_UDP_HEADER_MAX];
};

/* What datagrams from one and the same sender get. */
struct association_sender {
	union dgram_name from;
	bool known, allowed;
	uint8_t len; /* of the header */
	uint8_t header[SOCKS_UDP_REPLY_MAX];
};

struct association {
	struct associations *all;
	struct proxy_worker *here;
	const struct proxy_listener *listener;
	struct session *session;
	struct proxy_counts *counts;
	struct outbound_choice out;
	struct rule_query query;             /* but for the target */
	struct association_socket client;    /* towards the client */
	struct association_socket target[2]; /* IPv4, IPv6; from first use */
	struct tcp_addr peer; /* the client; port 0: the first that is heard */
	union dgram_name peer_name; /* whom replies go to */
	bool heard;                 /* peer_name is set */
	bool noted;                 /* the record tells a target */
	struct contacts contacts;
	size_t reserved;            /* of the budget, see association_claim() */
	struct association_way way; /* the last one */
	struct association_sender sender; /* the last one */
	uint32_t lost;     /* contacts.lost, as of way and sender */
	struct list names; /* that wait, see associate_name.c */
	unsigned waiting;  /* datagrams for these */
	size_t waiting_bytes;
	uint64_t bytes_up, bytes_down;
	int64_t moved_ms; /* when a datagram passed last */
	size_t client_hash;
	struct list same_client, moved, busy;
};

/* --- Life --------------------------------------------------------------- */

/* Datagrams passed, `bytes` of payload in all; up: from the client. */
void association_moved(struct association *a, bool up, unsigned count,
		       size_t bytes);

/* So many came that were not passed on. */
void association_dropped(struct association *a, unsigned count);

/* Something may be there to read. */
void association_wake(struct association *a, struct association_socket *s);

/* --- Sockets, associate_open.c ------------------------------------------ */

/*
 * Opens the socket towards the client: at the address that the control
 * connection came to, which `inbound` is.  -EADDRINUSE: no port is left;
 * -ENOBUFS: the worker's memory is used up; -errno.
 */
int association_open_client(struct association *a,
			    const struct tcp_addr *inbound) MUST_CHECK;

/*
 * Gives back the memory that is set aside for the first contact and the first
 * socket towards targets, since these are made now.  Without them a client
 * would be let in and everything that it sends be dropped.
 */
void association_claim(struct association *a);

/* What a client is told of an association's socket. */
struct tcp_addr association_told(const struct association *a);

/* The socket towards targets of a family; NULL: there is none to be had. */
struct association_socket *association_target(struct association *a,
					      sa_family_t family);

/* Tells whether the kernel knows a way to an address. */
bool association_has_way(const struct association *a,
			 const struct tcp_addr *to);

/* So many came at once: a socket that was full, or half so, gets more room, if
 * there is some. */
void association_grow(struct association *a, struct association_socket *s,
		      unsigned count, size_t bytes);

/* Nothing has come for a while: what was grown may be wanted elsewhere. */
void association_shrink(struct association *a);

void association_close_socket(struct association *a,
			      struct association_socket *s);

/* --- Datagrams ---------------------------------------------------------- */

/* Handles one batch; true: there may be more. */
bool association_up(struct association *a);
bool association_down(struct association *a, struct association_socket *s);

/*
 * Tells whether datagrams may go to an address, which `host` led to, or which
 * was asked for itself where that is "".
 */
bool association_may_send(struct association *a, const struct tcp_addr *to,
			  const char *host);

/* --- Names, associate_name.c -------------------------------------------- */

/*
 * Finds the address of a name.  -EAGAIN: a copy of the payload waits for it;
 * any other error: the datagram is to be dropped.
 */
int association_find(struct association *a, const struct target *t,
		     struct span payload, struct tcp_addr *ret) MUST_CHECK;

/* Drops what waits for names. */
void association_forget_names(struct association *a);
