/*
 * What a generation that serves leaves to those that come after it, however it
 * ends: bytes that the master does not understand, and that nobody else may
 * see.  They are in no segment and in no log.
 */
#pragma once

#include "daemon/member.h"

#include <stdio.h>

#define MASTER_KEYS_MAX 512u

struct master_keys {
	uint8_t at[MASTER_KEYS_MAX];
	size_t len; /* 0: none */
};

/* Keeps what a generation sent by HANDOFF_KEYS, and wipes the message. */
void master_take_keys(struct member *g, const struct handoff_msg *msg);

/* Gives it to one that starts. */
void master_give_keys(const struct master *m, struct member *g);

/* As a line of text, and from one: for another program in this process. */
void master_keys_write(const struct master_keys *k, FILE *f);
void master_keys_read(struct master_keys *k, const char *hex);
