/*
 * The table of options: one row each.  Reading, printing, the sample file and
 * the manual all follow it.
 */
#pragma once

#include "conf/conf.h"

enum conf_type {
	CONF_TYPE_BOOL,      /* bool */
	CONF_TYPE_INT,       /* uint32_t */
	CONF_TYPE_SIZE,      /* uint64_t, bytes */
	CONF_TYPE_DURATION,  /* int64_t, milliseconds */
	CONF_TYPE_RATE,      /* struct conf_rate; min, max: its count */
	CONF_TYPE_STRING,    /* const char *; max is its length in bytes */
	CONF_TYPE_PATH,      /* the same: absolute, `zero`, "" if min is 0 */
	CONF_TYPE_NAME,      /* the same: letters, digits, '_', '.', '-' */
	CONF_TYPE_LOG,       /* struct conf_log: its path and journal */
	CONF_TYPE_MODE,      /* uint32_t, a file's mode; octal digits */
	CONF_TYPE_ENTRY,     /* uint16_t, the number from 1 of an entry of `of`
			      * by its name; `zero`: 0 */
	CONF_TYPE_WORD,      /* an enum; its value counts in `words` */
	CONF_TYPE_WORDS,     /* uint32_t, a bit for each of `words` */
	CONF_TYPE_RANKING,   /* struct conf_ranking of these */
	CONF_TYPE_ADDRESSES, /* struct conf_endpoints, with ports; sockets */
	CONF_TYPE_SERVERS,   /* the same: IPs, port 53 unless given */
	CONF_TYPE_SOURCES,   /* the same: without ports; also IPv6 prefixes */
	CONF_TYPE_TOLD,      /* the same: IPs that clients are told */
	CONF_TYPE_FROM,      /* struct conf_matches without names */
	CONF_TYPE_TRUSTED,   /* the same without files */
	CONF_TYPE_TO,        /* struct conf_matches */
	CONF_TYPE_PORTS,     /* struct conf_ports */
	CONF_TYPE_LISTENERS, /* struct conf_listener_set */
	CONF_TYPE_USERIDS,   /* struct conf_texts, of at most 255 bytes */
	CONF_TYPE_DOMAINS,   /* struct conf_texts; or "." alone */
	CONF_TYPE_PATHS,     /* the same: absolute, "" too */
	CONF_TYPE_TARGETS,   /* struct conf_targets */
	CONF_TYPE_WINDOWS,   /* struct conf_windows */
	CONF_TYPE_URLS,      /* struct conf_urls; credentials are hidden */
};

struct conf_option {
	const char *key;
	enum conf_type type;
	size_t offset; /* of the field in its section's struct */
	/* As dump writes it, without quotes; elements parted by blanks. */
	const char *def;
	bool required;    /* `def` is then an example */
	bool or_zero;     /* 0 may be said too, `zero` being a word */
	bool or_none;     /* a set of words may be empty */
	int64_t min, max; /* number, bytes, ms, length or count of elements */
	int64_t step;     /* a number is a multiple of it; 0: of 1 */
	const char *zero; /* the word for 0, or for `zero_is`, allowed beside
			   * min..max; of a path, a word in its place */
	int64_t zero_is;  /* of a number: what that word is stored as */
	const char *of;   /* the section that an entry is of */
	const char *const *words; /* NULL-terminated, in the field's order */
	const char *help;         /* one line, a sentence without a full stop */
};

/* The members that every entry of a list begins with. */
struct conf_entry {
	const char *where;
	const char *name;
};

struct conf_section {
	const char *name; /* "": the top level */
	const char *help;
	bool is_list;
	size_t offset;       /* of the struct, or of the pointer to a list */
	size_t count_offset; /* of a list: its number of entries, size_t */
	size_t size;         /* of an entry */
	size_t max;          /* number of entries */
	const struct conf_option *options;
	size_t option_count;
};

/* In the order of the file; what is spoken of before who speaks of it. */
extern const struct conf_section *const conf_sections[];
extern const size_t conf_section_count;

/* Tells whether a list of texts is a value (else exactly one is). */
bool conf_type_is_list(enum conf_type type);

#define CONF_BOUNDS_BYTES 128

/*
 * Writes what values are allowed, as in "1 to 65535", "0 or 100ms to 30d",
 * "one of: error info"; returns out[CONF_BOUNDS_BYTES], empty if nothing is
 * to be said.
 */
char *conf_option_bounds(const struct conf_option *o, char *out);
