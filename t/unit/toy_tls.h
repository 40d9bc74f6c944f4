/*
 * A stream with the manners of TLS and none of its virtues: records that are
 * read ahead into user space, writes that must be tried again as they were,
 * an end that is said in a record.  Both ends of a connection must speak it.
 */
#pragma once

#include "core/conn.h"

#define TOY_RECORD 16384u /* bytes of the stream in a record, at most */
#define TOY_HEADER 2u

struct toy {
	/* Knobs. */
	size_t slice;         /* a read gives at most so much; 0: any */
	unsigned deny_reads;  /* so many wait for room first, */
	unsigned deny_writes; /* so many for bytes, */
	unsigned deny_shuts;  /* so many for room */
	bool *closed;         /* told when the connection is closed */
	/* What was done with it. */
	unsigned reads, writes, shuts, records;
	bool said_end, heard_end;
	/* Read ahead; the first `plain` bytes are of an opened record. */
	uint8_t in[2 * (TOY_RECORD + TOY_HEADER)];
	size_t in_len, plain;
	/* A record that is not sent yet, and the bytes it was made of. */
	uint8_t out[TOY_RECORD + TOY_HEADER], tried[TOY_RECORD];
	size_t out_at, out_len, tried_len;
};

/* Makes such a stream of a connection, whose it is. */
struct toy *toy_start(struct tcp_conn *c);

/* The stream of a connection. */
struct toy *toy_of(const struct tcp_conn *c);

/* Has the loop tell once more what a connection is ready for. */
void toy_poke(struct tcp_conn *c);
