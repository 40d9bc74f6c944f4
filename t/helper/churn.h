/*
 * What churn knows: tunnels, their two ends, what it has counted.
 */
#pragma once

#include <signal.h>
#include <sys/epoll.h>

#include "t/bench/args.h"
#include "t/bench/ask.h"
#include "t/bench/errors.h"
#include "t/bench/hist.h"
#include "t/bench/net.h"
#include "t/bench/wire.h"

#define TUNNELS_MAX 8192u /* a power of two: the slot is in the flow */
#define EVENTS      256
#define BUF_BYTES   (256 << 10)
#define PING_BYTES  64u
#define HALF_BYTES  (64u << 10)
#define SECOND      1000000000ull

enum kind {
	EXCHANGE = 'x',
	IDLE = 'i',
	NEAR = 'n',
	FAR = 'f',
	UP = 'u',
	DOWN = 'd'
};
enum state { CLOSED, CONNECTING, METHOD, REPLY, OPEN };

/* One end of a tunnel: `near` is the client's, `far` the target's. */
struct side {
	struct tunnel *tunnel; /* NULL: its head has not come yet */
	int fd;
	uint32_t mask;
	uint64_t sent, got;
	uint64_t goal; /* bytes to send so far */
	bool fin;      /* then the end */
	bool fin_sent, eof;
};

struct tunnel {
	struct side near, far;
	enum kind kind;
	enum state state;
	bool holds;    /* lasts, and is open */
	uint32_t flow; /* slot + TUNNELS_MAX * how often it was used */
	uint32_t have; /* of the message of the handshake */
	uint64_t since;
};

/* A connection to the target, before it has said whose it is. */
struct guest {
	struct side side;
	uint32_t have;
	uint8_t head[WIRE_HEAD];
};

struct count {
	uint64_t started, ok, bytes;
	uint64_t begin_ns, slowest_ns; /* when the slowest one ended */
	struct errors errors;
	struct hist hist;
};

static struct churn {
	union net_addr proxy, target;
	double seconds, rate, pace;
	uint64_t patience_ns;
	uint32_t clients, bytes;
	int epoll_fd, listen_fd;
	struct tunnel *tunnel;
	uint32_t free[TUNNELS_MAX], free_count;
	uint32_t busy;                        /* exchanges under way */
	uint32_t wanted, opened, held, whole; /* tunnels that last */
	bool finishing, input_ended;
	uint64_t begin_ns;
	double started; /* exchanges, since begin_ns */
	struct count count;
	struct errors held_errors;
	uint8_t request[64];
	size_t request_len;
	uint8_t buf[BUF_BYTES];
} churn;
