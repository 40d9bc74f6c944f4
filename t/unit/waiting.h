/*
 * A passive open with whoever it is for, for tests of one task.
 */
#pragma once

#include "core/passive.h"

extern struct tcp_dial_options passive_options;
extern struct passive passive;
extern struct passive_wish wish; /* wants all but `unwanted` */
extern uint16_t unwanted;        /* the port that one comes from, or 0 */
extern unsigned asked;           /* how often it was asked */
extern struct tcp_addr local;    /* 127.0.0.1, port 0 */
extern struct tcp_conn *beside;  /* on whose behalf */
extern int beside_far;           /* its other end */

/* Listens on `local`; closes all. */
void waiting_begin(void);
void waiting_end(void);

int wait_ms(struct tcp_conn **ret, int64_t ms) MUST_CHECK;

/* Why nobody was let in; fails if somebody was. */
int wait_in_vain(int64_t ms) MUST_CHECK;
