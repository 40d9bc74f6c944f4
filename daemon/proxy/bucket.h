/*
 * A rate that many share, whichever threads they are on.
 *
 * Who wants to move bytes takes a place for some of them at the end of a line
 * in which every byte has its time.  All who stand in the line take about the
 * same, come up one after the other, and so move equally fast; who wants less
 * stands in it more rarely, and leaves the rest to the others.
 */
#pragma once

#include "core/base.h"

#include <stdatomic.h>

struct bucket {
	uint64_t rate;               /* bytes a second, > 0 */
	atomic_int_fast64_t next_ns; /* the end of the line */
	atomic_uint waiting;         /* whose time has not come */
};

#define BUCKET_BURST_MS 100 /* of a rate that nobody used */

/* Times are of one clock; nothing of the past can be used. */
void bucket_init(struct bucket *b, uint64_t rate, int64_t now_ms);

/*
 * What somebody who wants to move now should take: little enough for the line
 * to pass within a few ms, or some more where that would be mere crumbs.  For
 * one who has stood in the line before it is his part of what has passed since
 * he joined it, `since_us`, when it was `line_us` long; both are 0 for others.
 * Between 1 and BUCKET_SHARE_MAX.
 */
uint32_t bucket_share(struct bucket *b, int64_t since_us, int64_t line_us);
#define BUCKET_SHARE_MAX (4u << 20)

/*
 * What may pass without standing in the line: a segment, for those who want
 * little and want it soon.
 */
uint32_t bucket_least(const struct bucket *b);

/*
 * Tells whether it may for who did not want anything for so long.  He takes a
 * place all the same, and where many do the line becomes too long for that.
 */
bool bucket_lets_by(struct bucket *b, int64_t away_us, int64_t now_ms);

/* How long the line is: 0 where what is asked for now may pass now. */
int64_t bucket_line_us(struct bucket *b, int64_t now_ms);

/* Takes a place for so many bytes; returns its time, which may be past. */
int64_t bucket_take(struct bucket *b, uint32_t bytes, int64_t now_ms);

/* So many bytes of a place did not pass; the line becomes shorter. */
void bucket_give(struct bucket *b, uint32_t bytes);
