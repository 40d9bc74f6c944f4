/*
 * From a danted.conf (Dante 1.4) to a spliced.conf, with a remark for each
 * line that means something else afterwards, or nothing.  Pure but for what a
 * caller tells of the machine.
 */
#pragma once

#include "conf/arena.h"
#include "core/addr.h"

#include <stdio.h>

enum danted_grade {
	DANTED_NOTE,    /* carried over, in another form */
	DANTED_CHANGED, /* carried over, but not the same in every case */
	DANTED_LOST,    /* left out; nobody may do more because of that */
	DANTED_REFUSED, /* cannot be expressed, or is wrong: no result */
};
#define DANTED_GRADES (DANTED_REFUSED + 1)

struct danted_remark {
	enum danted_grade grade;
	unsigned line; /* 0: the file as a whole */
	const char *text;
};

/* How many are kept; the rest is only counted. */
#define DANTED_REMARKS_MAX 2000

/* Starts as {}, ends with danted_remarks_done(). */
struct danted_remarks {
	struct conf_arena *arena;
	struct danted_remark *list; /* by line */
	size_t kept, room;
	size_t counts[DANTED_GRADES];
};

/* What only the machine knows that the file was written for. */
struct danted_world {
	void *ctx;
	/* The port of a service (services(5)), or 0. */
	uint16_t (*service)(void *ctx, const char *name);
	/*
	 * Addresses of an interface, of a host: at most `max` into *out; how
	 * many.  0: there is none of that name.
	 */
	size_t (*interface)(void *ctx, const char *name, struct tcp_addr *out,
			    size_t max);
	size_t (*host)(void *ctx, const char *name, struct tcp_addr *out,
		       size_t max);
};

#define DANTED_ADDRS_MAX 64

/* Longer files are no danted.conf. */
#define DANTED_FILE_MAX ((size_t)1 << 20)

/*
 * Translates text[len], which the remarks and comments call `name`, and writes
 * a file that conf_load() takes to `out`.  -EBADMSG: something is refused, and
 * nothing is written; -ENOMEM; or -errno of the stream.
 */
int danted_import(const char *text, size_t len, const char *name,
		  const struct danted_world *world, FILE *out,
		  struct danted_remarks *remarks) MUST_CHECK;

/* Adds one; where memory is short it is counted but not kept. */
void danted_remark(struct danted_remarks *r, enum danted_grade grade,
		   unsigned line, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Writes one line each, "NAME:LINE: lost: sentence". */
void danted_remarks_print(const struct danted_remarks *r, const char *name,
			  FILE *out);
const char *danted_grade_word(enum danted_grade grade);
void danted_remarks_done(struct danted_remarks *r);
