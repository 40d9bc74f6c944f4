/*
 * What an association is, and what a worker's associations share.
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
	bool parent;      /* by the parent, with a header: */
	uint8_t out_len;  /* of `out`, in the header's place; 0: as it came */
	uint8_t out[SOCKS_UDP_REPLY_MAX];
	size_t len; /* of the header; 0: there is none */
	uint8_t header[SOCKS_UDP_HEADER_MAX];
};

/* What datagrams from one and the same sender get. */
struct association_sender {
	union dgram_name from;
	bool known, allowed;
	uint8_t len; /* of the header */
	uint8_t header[SOCKS_UDP_REPLY_MAX];
};

/* The parent by which some of the datagrams go; group 0: there is none. */
struct association_parent {
	uint16_t group;
	bool remote;  /* it is given names */
	bool by_name; /* it was given one: who replies is not known here */
	struct tcp_addr at;
	union dgram_name relay;
};

struct association_pace;

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
	uint64_t policy; /* whose verdicts contacts, way and sender have */
	size_t reserved; /* of the budget, see association_claim() */
	struct association_way way;       /* the last one */
	struct association_sender sender; /* the last one */
	struct association_parent parent;
	uint32_t lost;     /* contacts.lost, as of way and sender */
	struct list names; /* that wait, see associate_name.c */
	unsigned waiting;  /* datagrams for these */
	size_t waiting_bytes;
	uint64_t bytes_up, bytes_down;
	int64_t moved_ms;              /* when a datagram passed last */
	struct association_pace *pace; /* NULL: as fast as they come */
	struct list same_client, moved, busy;
};
