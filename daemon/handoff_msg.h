/*
 * What a master and its generations tell each other: one message a packet,
 * bytes in, struct out.  Both ends run on one machine, but not always in one
 * version, so a type that is not known is no error and is left out.
 */
#pragma once

#include "core/base.h"

enum handoff_type {
	/* From a generation to its master, in this order. */
	HANDOFF_SEGMENT = 1, /* fd: its shared segment */
	HANDOFF_SOCKETS,     /* text: whose; fds: sockets that it opened */
	HANDOFF_UNCLAIMED,   /* cookies of sockets that it has no use for */
	HANDOFF_PREPARED,    /* settings; it waits for HANDOFF_GO */
	HANDOFF_FAILED,      /* text: why, in lines; it ends */
	HANDOFF_ACCEPTING,   /* text: its addresses */
	HANDOFF_STOPPED,     /* it has stopped accepting, queues are empty */
	HANDOFF_KEYS,        /* text: bytes, secret, for whoever comes next */
	HANDOFF_LOOK,        /* it wants to know what HANDOFF_SEEN says */

	/* From the master. */
	HANDOFF_ACK = 64, /* of HANDOFF_SOCKETS */
	HANDOFF_GO,       /* accept */
	HANDOFF_DRAIN,    /* stop accepting, end when the last session has */
	HANDOFF_FINISH,   /* end now, the most idle sessions first */
	HANDOFF_SHUTDOWN, /* stop accepting, end within timeouts.shutdown */
	HANDOFF_HALT,     /* end at once */
	HANDOFF_REOPEN,   /* open the log file anew */
	HANDOFF_ADOPT,    /* text: whose; fds: sockets to accept from, too */
	HANDOFF_GONE,     /* number: a generation that does not live any more */
	HANDOFF_ASK,      /* text: a line of the control socket; fd: of its
			   * client, who gets the answer, or none */
	HANDOFF_KEYS_BEFORE, /* text: what HANDOFF_KEYS brought last */
	HANDOFF_SEEN,    /* text: the status, as JSON; number: who serves; fds:
			  * segments, that of the dead first */
	HANDOFF_DRAINED, /* text: listeners that are drained by hand, a
			  * line each */
};

/*
 * What the master must know of a configuration that it never reads.  Times
 * are 0..HANDOFF_MS_MAX, so that adding one to the clock never overflows.
 */
struct handoff_settings {
	int64_t start_ms;     /* patience with a new generation */
	int64_t shutdown_ms;  /* what sessions get when the daemon ends */
	int64_t watchdog_ms;  /* a loop silent for that long hangs; 0: off */
	uint32_t generations; /* alive at once */
};

#define HANDOFF_FDS_MAX     252u /* the kernel's bound is 253 */
#define HANDOFF_TEXT_MAX    32768u
#define HANDOFF_COOKIES_MAX 1024u
#define HANDOFF_MS_MAX      (INT64_C(1000) * 86400 * 3660)

struct handoff_msg {
	enum handoff_type type;
	uint32_t number;
	struct handoff_settings settings;
	struct span text;    /* borrowed; not terminated */
	const void *cookies; /* borrowed, unaligned uint64_t each: SO_COOKIE */
	size_t cookie_count;
};

/* Room for any message. */
#define HANDOFF_BYTES_MAX (64u + HANDOFF_TEXT_MAX)

/*
 * Writes it into out[HANDOFF_BYTES_MAX] and returns its length.  Text and
 * cookies together fit into HANDOFF_TEXT_MAX: who sends them sees to that.
 */
size_t handoff_encode(const struct handoff_msg *m, void *out);

/* Reads one; what it points at is in `bytes`.  0 or -EBADMSG. */
int handoff_decode(struct handoff_msg *ret, struct span bytes) MUST_CHECK;

/* The cookie number i < cookie_count. */
uint64_t handoff_cookie(const struct handoff_msg *m, size_t i);
