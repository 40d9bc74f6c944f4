/*
 * Descriptors that are passed on to a program, and what it adopts of them.
 */
#pragma once

#include "daemon/adopt.h"

#define PASSED_MAX 16

extern struct adopt adopted;

/* What will be passed on. */
extern int passed_fds[PASSED_MAX];
extern char *passed_names[PASSED_MAX];
extern size_t passed_count;

/* How a socket is made. */
struct made {
	const char *ip;
	uint16_t port;
	bool v6only, listening, alone, marked;
};

/* -1: its mark needs a capability. */
int made_socket(const struct made *m);

int unbound_socket(int family, int type);

uint16_t port_of(int fd);

/* Adds one to what will be passed on, as it comes over exec; returns it. */
int pass(const char *name, int fd);

/* A listening socket on 127.0.0.1; port 0: any. */
uint16_t pass_listening(const char *name, uint16_t port);

/* Adopts all of them, and closes what nobody has taken. */
void passed_begin(void);
void passed_end(void);

struct adopt_want wanted_at(const char *name, const char *ip, uint16_t port);

/* Takes what is wanted, closes it, and returns how many there were. */
size_t take_wanted(const struct adopt_want *w);

/* How many nobody has taken. */
size_t unclaimed(void);
