/*
 * Messages of HTTP in the unit tests: parsed cut at every byte, each cut anew
 * and all of them one after the other.
 */
#pragma once

#include "daemon/proxy/http_head.h"

struct span http_text(const char *text);

/*
 * Reads a head from exact copies, so that a sanitizer sees a read beyond the
 * cut, and checks that an answer other than -EAGAIN never changes.  Returns
 * what http_head_parse() does with all of it.
 */
int http_text_parse(struct http_head *ret, enum http_kind kind, struct span in);

/* The fault of a head; OUTCOME_NONE: it is good, or not complete. */
enum outcome http_text_fault(enum http_kind kind, const char *text);

/* A head to its end and nothing behind it. */
bool http_text_is_good(enum http_kind kind, const char *text);

/* Tells whether a run of a head reads like this. */
bool http_text_is(struct http_run run, const char *head, const char *text);
