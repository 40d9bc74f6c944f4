/*
 * What the elements of `from`, `to`, `ports` and `search` say, as plain
 * values, and the reading of their texts.  Pure.
 */
#pragma once

#include "core/prefix.h"

enum conf_match_kind {
	CONF_MATCH_PREFIX, /* "10.0.0.0/8", "192.0.2.1" */
	CONF_MATCH_CLASS,  /* "any", "private", ... */
	CONF_MATCH_NAME,   /* "www.example.com" */
	CONF_MATCH_SUFFIX, /* ".example.com": it and everything below */
	CONF_MATCH_FILE,   /* "@/path": what stands in that file */
};

struct conf_match {
	enum conf_match_kind kind;
	union {
		struct prefix prefix;
		enum addr_class class;
		/* Lower case, no dot at either end, at most 253 bytes. */
		const char *name;
		const char *file; /* absolute */
	};
};

/* Never empty in a loaded configuration: what is not said is "any". */
struct conf_matches {
	struct conf_match *at;
	size_t count;
};

struct conf_port_range {
	uint16_t lo, hi; /* both included, lo <= hi, 1..65535 */
};

/* Empty: every port. */
struct conf_ports {
	struct conf_port_range *at;
	size_t count;
};

/* Which listeners an entry is about, by index; empty: all. */
struct conf_listener_set {
	uint16_t *at;
	size_t count;
};

struct conf_texts {
	const char **at;
	size_t count;
};

/* Room for a sentence that says what is wrong with a text. */
#define CONF_WHY_BYTES 512

/* Enough for the longest host name of RFC 1035 §2.3.4 with its NUL. */
#define CONF_NAME_BYTES 254

/*
 * Reads one element other than a file.  A name is written into `name`
 * (CONF_NAME_BYTES) and ret->name points there; with `name` NULL a name is
 * refused, as in `from`. Returns 0, or -EINVAL with the reason in
 * why[CONF_WHY_BYTES].
 */
int conf_match_parse(struct conf_match *ret, const char *text, char *name,
		     char *why) MUST_CHECK;

/* Reads "80" or "1024-65535".  As above. */
int conf_ports_parse(struct conf_port_range *ret, const char *text, char *why)
	MUST_CHECK;

/*
 * Reads a domain into name[CONF_NAME_BYTES], lower case and without a dot at
 * its end; "." stays as it is.  As above.
 */
int conf_domain_parse(char *name, const char *text, char *why) MUST_CHECK;

/* The same for a prefix alone, as in sources. */
int conf_prefix_parse(struct prefix *ret, const char *text, char *why)
	MUST_CHECK;

/* Writes a reason into why[CONF_WHY_BYTES] and returns -EINVAL. */
int conf_refuse(char *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define CONF_SHOWN "%.100s" /* as much of a wrong text as a reason repeats */

/* Writes the text that reads back as the same value; returns out. */
char *conf_match_format(const struct conf_match *m, char *out, size_t size);
char *conf_ports_format(const struct conf_port_range *r, char *out,
			size_t size);
