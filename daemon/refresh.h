/*
 * Data that change while a generation lives: users, groups and lists are read
 * anew when somebody asks for it or a file has changed, checked, and given to
 * all workers.  A thread of its own, started once there is something to do,
 * does that, and answers those clients of the
 * control socket whom the master passes on, so that neither a slow disk nor a
 * slow reader holds up anything else.
 */
#pragma once

#include "daemon/data_files.h"
#include "daemon/setup.h"

struct quota_keeper;
struct refresh;

#define REFRESH_CLIENTS_MAX 32 /* that wait; others are told so */

/*
 * For a setup whose workers run, until refresh_free(): nobody else touches
 * s->policy meanwhile.  Takes *files over, whose stamps are older than that
 * policy; borrows `quotas`, which may be NULL.  -ENOMEM, -errno of
 * pthread_create(3): nothing was taken.
 */
int refresh_new(struct refresh **ret, struct setup *s, struct data_files *files,
		struct quota_keeper *quotas) MUST_CHECK;

/*
 * Ends the thread, after what it is doing; who waits is closed without an
 * answer.  The workers must run until then.  NULL is harmless.
 */
void refresh_free(struct refresh *r);

/*
 * A line of the control socket, a verb and words, from a client that the
 * master has passed on: takes its descriptor and sees to the answer.  -1:
 * nobody wants one.  With `r` NULL it says that there is nobody to do it.
 */
void refresh_ask(struct refresh *r, struct span line, int fd);

/* --- refresh_verbs.c, on the thread -------------------------------------- */

/* How a refresh went. */
struct refreshed {
	bool ok;
	int64_t ms;
	size_t users, ended; /* users now; sessions that were ended */
	int contexts;        /* of TLS, made anew; -errno: one cannot be */
	const char *error;   /* "FILE:LINE: sentence" */
};

/*
 * Reads and checks all files and, if they are right, lets all workers use what
 * they say.  `who` is for the log.  What it returns points into *r.
 */
struct refreshed refresh_now(struct refresh *r, bool enforce, const char *who);

/*
 * Lines of JSON, to be freed; NULL: there is no memory.  `fd`: the client, for
 * the log; -1: none.
 */
char *refresh_answer(struct refresh *r, char *line, int fd);

/* steer_verbs.c: "kill" and "log-level", likewise; `who` asks. */
char *steer_kill(const struct setup *s, char *words, const char *who);
char *steer_log_level(char *words, const char *who);

struct quota_keeper *refresh_quotas(const struct refresh *r);
const struct setup *refresh_setup(const struct refresh *r);
