/*
 * The stress test: the server under it, what its handlers understand, and what
 * both sides count.  Handlers are in stress_serve.c, clients in stress_ask.c
 * and stress_peer.c; check_stress.c lets them loose.
 */
#pragma once

#include "core/base.h"
#include "core/tcpserver.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

/* A request: verb, argument, two bytes unused, a length (be32). */
#define STRESS_REQUEST 8u

enum stress_verb {
	STRESS_ECHO,    /* `length` bytes come back */
	STRESS_FILE,    /* so many bytes of the stream that `argument` names */
	STRESS_WRITE,   /* the same, written */
	STRESS_SPLICE,  /* the same, from another connection */
	STRESS_DETOUR,  /* as echo, through another connection */
	STRESS_RELAY,   /* to the listener that `argument` names */
	STRESS_TUNNEL,  /* a relay between two others; a byte when it runs */
	STRESS_SINK,    /* takes `length` bytes, answers with one */
	STRESS_POOL,    /* a job of `length` ms, awaited for `argument` ms */
	STRESS_SLEEP,   /* `length` ms, then a byte */
	STRESS_WATCH,   /* sleeps until a reset, at most `length` ms */
	STRESS_STALL,   /* as write, with `argument` ms of time */
	STRESS_RESET,   /* ends by a reset */
	STRESS_LINGER,  /* answers with a byte and lingers */
	STRESS_SHUT,    /* ends its direction, waits for the other's end */
	STRESS_UPGRADE, /* a byte, then TLS */
	STRESS_END,     /* returns */
	STRESS_VERBS
};

/* Which listener; also what `argument` of STRESS_RELAY says. */
enum stress_side { STRESS_PLAIN, STRESS_LOCAL, STRESS_SECURE, STRESS_SIDES };

/* Who was told of a connection. */
enum stress_owner { STRESS_NOBODY, STRESS_HANDLER, STRESS_UNHANDLED };

struct stress {
	struct tcp_server *server;
	struct tcp_listener *listener[STRESS_SIDES];
	struct tcp_addr addr[STRESS_SIDES]; /* but STRESS_LOCAL */
	char local[64];                     /* "@name" */
	struct tcp_pool *pool;
	struct tcp_tls *client_tls;
	pthread_mutex_t lock; /* of tls */
	struct tcp_tls *tls;  /* what the listener has */
	int file;             /* STRESS_FILE_BYTES of pattern() */
	atomic_bool calm;     /* nothing fails by intention */
	atomic_bool enough;   /* the round is over */
	/* What happened in a round. */
	atomic_uint ended;               /* connections with a user block */
	atomic_uint blockless;           /* told of by unhandled() */
	atomic_uint made, failed, freed; /* user blocks */
	atomic_uint jobs, jobs_released, alone, alone_done;
	atomic_uint relays, relays_ended;
	atomic_uint workers, workers_stopped;
};

extern struct stress stress;

#define STRESS_TAG        4711
#define STRESS_FILE_BYTES (1u << 20)

/* The first byte of the stream that an argument names. */
static inline size_t stress_origin(uint8_t argument)
{
	return argument * 251u;
}

/* Unlike ck_assert_msg(), which writes to a file each time. */
#define claim(is, ...)                                                         \
	do {                                                                   \
		if (!(is))                                                     \
			ck_abort_msg(__VA_ARGS__);                             \
	} while (0)

/* stress_state.c */
extern const struct tcp_listen_options stress_listen;
void stress_own(struct tcp_conn *c, enum stress_owner owner);
/* A job: 'd' done, 't' too late, 'c' cancelled, 'f' refused. */
char stress_await(unsigned ms, int64_t deadline);
/* One that nobody awaits. */
void stress_submit(bool wait);

/* stress_serve.c */
void stress_handle(struct tcp_conn *c, void *ctx);

/* stress_ask.c: every talk over every way, none of which may be cut short. */
void stress_ask_all(void);
/* A client's thread: talks at random until `enough`; arg: its seed. */
void *stress_client(void *arg);
/* Prints how often each talk went to its end; fails where one never did. */
void stress_report(bool must);
