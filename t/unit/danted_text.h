/*
 * Texts of danted.conf, for the tests of the importer.
 */
#pragma once

#include "conf/danted.h"

/* In front and behind of what is tried. */
#define HEAD                                                                   \
	"internal: 192.0.2.1 port = 1080\n"                                    \
	"external: 192.0.2.1\n"
#define CLIENT "client pass { from: 0/0 to: 0/0 }\n"
#define NONE   "socksmethod: none\n"
#define MIXED  "socksmethod: username none\n"
#define BASE   HEAD NONE CLIENT

struct done {
	int r;
	char *text, *said;
	struct danted_remarks remarks;
};

/* What becomes of a text; to be freed by danted_done(). */
struct done danted_translate(const char *text, size_t len);
void danted_done(struct done *d);

/* What was written is a configuration. */
void danted_loads(const char *text);

/* With a grade and words of a remark (NULL: none), and what is written. */
void danted_becomes(const char *text, const char *said, const char *written);

void danted_is_refused(const char *text, const char *said);
