/*
 * The daemon's answers as people read them.
 */
#pragma once

#include "daemon/ctl/ask.h"

#include <stdio.h>

/* Each prints to `out`; the stream keeps its errors for whoever closes it. */
void show_status(FILE *out, const struct reply *r);
int show_generations(FILE *out, const struct reply *r) MUST_CHECK; /* -ENOMEM */
void show_reload(FILE *out, const struct reply *r, bool waited);
void show_refresh(FILE *out, const struct reply *r);
void show_explain(FILE *out, const struct reply *r);
void show_log_level(FILE *out, const struct reply *r);
void show_version(FILE *out, const struct reply *r);

/* Tells whether what was explained is allowed. */
bool show_allows(const struct reply *r);

/* Every line as JSON. */
int show_json(FILE *out, const struct reply *r) MUST_CHECK; /* -ENOMEM */

/* Why the daemon said no, all lines of it. */
void show_error(FILE *out, const struct reply *r);
