/*
 * Processes that enter the sandbox, for its tests: what is done there cannot
 * be undone, so each claim is made by a child of its own.
 */
#pragma once

#include "core/base.h"

#include <errno.h>

/*
 * A folder in which everybody may do everything, so that what is refused is
 * refused by the sandbox:
 *
 *   names/hosts, names/other     read
 *   names/resolv.conf            a link to ../far/resolv.conf
 *   far/resolv.conf              read
 *   log/spliced.log, log/other   the log, and what lies beside it
 *   outside/secret               neither
 */
extern char base[];

/* Makes and removes it: a checked fixture. */
void confined_setup(void);
void confined_teardown(void);

/* The path of something in it; valid until the tenth call from here. */
const char *at(const char *name);

/* Version of Landlock, 0 without. */
int landlock_version(void);

/* Ports that enter() allows, beside 0. */
extern uint16_t own_port;
extern uint16_t own_range[2]; /* the first and the last; 0: none */

/*
 * In a child: gives root up and enters.  Ends the child, content, where the
 * build cannot be confined.
 */
void enter(void);

/*
 * Runs fn() in a child, which must end in order.  While it runs, `answer` (or
 * NULL) is called here for each request().
 */
void in_child(void (*fn)(void), void (*answer)(char what, pid_t child));

/* In a child: has the parent do something, and waits for that. */
void request(char what);

/* In a child: ends it where a claim does not hold. */
#define NEED(claim)                                                            \
	do {                                                                   \
		if (!(claim))                                                  \
			give_up(__FILE__, __LINE__, #claim);                   \
	} while (0)

/* The same for a call that must be refused, and not fail otherwise. */
#define REFUSED(call)                                                          \
	do {                                                                   \
		errno = 0;                                                     \
		NEED((call) < 0 && (errno == EPERM || errno == EACCES));       \
	} while (0)

NO_RETURN void give_up(const char *file, int line, const char *claim);
