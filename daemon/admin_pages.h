/*
 * The paths of the admin listener, and what a response is made of.
 */
#pragma once

#include "daemon/admin_internal.h"
#include "daemon/metrics.h"

#include <stdio.h>

/* One response that is being made. */
struct admin_answer {
	struct admin *admin;
	const struct admin_view *view; /* NULL: the path needs none */
	bool openmetrics;              /* that is what the client asks for */
	FILE *body;
	int status;         /* 200 unless it is set */
	const char *type;   /* Content-Type; that of the path */
	const char *policy; /* Content-Security-Policy, or NULL */
	char policy_text[512];
	struct span host;  /* the field's value, or empty */
	struct span query; /* what stands behind '?' */
};

struct admin_path {
	const char *path;
	const char *type;
	bool looks; /* it needs a view */
	bool open;  /* for all: who asks for it cannot log in */
	/* Writes the body; must not suspend.  -ENOMEM. */
	int (*make)(struct admin_answer *a);
};

/* NULL: there is none. */
const struct admin_path *admin_path_find(struct span path);

/* Text of a generation's making, in JSON: "" where it is no UTF-8. */
json_t *admin_text(const char *text, size_t len);

/* Adds up what all segments of a view hold; to be done with.  -ENOMEM. */
int admin_metrics(struct metrics *m, const struct admin_view *v) MUST_CHECK;

/* The page and the program for browsers, admin_page.c. */
int admin_make_page(struct admin_answer *a) MUST_CHECK;
int admin_make_pac(struct admin_answer *a) MUST_CHECK;

/* Sessions, and the bytes of those that have not ended; admin_sessions.c. */
int admin_make_sessions(struct admin_answer *a) MUST_CHECK;
json_t *admin_running(const struct admin_view *v);

/* The counts that are nearest to their bounds, admin_limits.c. */
json_t *admin_fullest(const struct admin_view *v);

/* The response to /metrics, metrics_text.c. */
int admin_make_metrics(struct admin_answer *a) MUST_CHECK;
