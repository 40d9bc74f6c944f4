/*
 * Inside the admin listener.
 *
 *   admin.c        its life: server, sockets, thread
 *   admin_look.c   what the master says of all generations
 *   admin_http.c   requests and responses
 *   admin_login.c  who may look
 *   admin_pages.c  which path is what; status and health
 *   admin_sessions.c, admin_limits.c  what has many rows
 *   admin_page.c   the status page, and the program for browsers
 *   metrics_*.c    metrics as Prometheus reads them
 */
#pragma once

#include "core/list.h"
#include "core/loop.h"
#include "daemon/admin.h"

#include <jansson.h>
#include <pthread.h>

struct admin_login;

/* So many are served at a time; one more takes the place of who is silent. */
#define ADMIN_CLIENTS 32u

/* Until a stranger's first head has come; with TLS, until he has shaken hands,
 * and as long again. */
#define ADMIN_FIRST_MS 5000

/* What was to be seen at one moment; counted, for the admin's thread only. */
struct admin_view {
	unsigned references;
	json_t *status; /* answer_overview() */
	struct segment *segments[HANDOFF_FDS_MAX];
	size_t count;
};

struct admin {
	struct setup *setup;
	struct conf_listener listener;
	struct listening listening;
	const struct listening *proxy; /* where clients are served */
	pthread_mutex_t lock;          /* of `proxy` */
	char machine[256];             /* its own name */
	struct tcp_server *server;
	struct loop *loop;   /* of its thread */
	int control;         /* our own; -1: without a master */
	struct list waiting; /* who wait for the next view */
	struct list silent;  /* of whom a request is awaited, longest first */
	unsigned clients;    /* the last two: for its thread only */
	int64_t asked_until; /* an answer may come so long; 0: none */
	struct admin_login *login; /* NULL: everybody may look */
	bool draining, running;
	bool stopped;  /* another generation serves: clients shall go there */
	unsigned busy; /* clients who have not got what they came for */
	int64_t started_us; /* CLOCK_REALTIME */
};

/* --- admin.c ------------------------------------------------------------ */

/* Notes what only this process knows where all may read it. */
void admin_note_process(const struct admin *a);

/* --- admin_look.c ------------------------------------------------------- */

/*
 * Suspends until there is one that is newer than the call before; to be given
 * back.  NULL: the master does not answer in time, or there is no memory.
 */
struct admin_view *admin_look(struct admin *a, int64_t deadline);
void admin_view_put(struct admin_view *v); /* NULL is harmless */

/* --- admin_login.c ------------------------------------------------------ */

/* -errno after a line in the log. */
int admin_login_new(struct admin_login **ret, const struct conf *c) MUST_CHECK;
void admin_login_free(struct admin_login *l);

/*
 * Verifies the value of Authorization, of which nothing is left; at == NULL:
 * there is none.  True: he may look.
 */
bool admin_log_in(struct admin_login *l, struct tcp_conn *c, struct span value,
		  int64_t deadline);

/*
 * Tells whether a client may be answered who calls us by this value of Host,
 * empty: by none.  Where nobody logs in, a browser on this machine shall not
 * show what is here to a page whose own name was made to lead here.
 */
bool admin_is_called(const struct admin *a, const struct tcp_conn *c,
		     struct span host);

/* --- admin_http.c ------------------------------------------------------- */

/* The handler of its connections; ctx: the admin. */
void admin_serve(struct tcp_conn *c, void *ctx);
