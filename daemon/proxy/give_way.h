/*
 * For work that takes longer than a loop should wait for its CPU: reading and
 * sorting a hundred thousand users.  A scheduler lets who computes go on for a
 * slice, and looks again at its next tick: a worker that wakes on that CPU
 * would wait for milliseconds.  Neither a lower priority nor a shorter slice
 * is to be had under every system call filter; to yield always is.
 */
#pragma once

/* What a step costs, to yield after some 10 to 30 us: a connection is a dozen
 * steps of three processes, and each may have to wait that long. */
#define GIVE_WAY_ENTRY 1u /* looked at, or compared in a sort */
#define GIVE_WAY_LINE  8u /* of a file */
#define GIVE_WAY_NOW   1024u

/* Bytes of a file that are read at once. */
#define GIVE_WAY_BYTES (32u << 10)

/* Any thread: counts the cost, and yields when there is enough of it. */
void give_way(unsigned cost);
