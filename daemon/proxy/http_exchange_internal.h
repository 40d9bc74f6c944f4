/*
 * Inside an exchange: its heads, http_exchange_heads.c, and what moves them and
 * the bodies, http_exchange.c.
 */
#pragma once

#include "daemon/proxy/http_exchange.h"

/* The request's head, and what is there of its body, in one call. */
enum pump_step exchange_send_request(struct http_exchange *x) MUST_CHECK;

/*
 * Reads and passes on what comes before the body of the final response, and the
 * begin of that: x->head_done.  Nothing of an interim one is stuck.
 */
enum pump_step exchange_read_response(struct http_exchange *x) MUST_CHECK;

/* Nothing of a response has come. */
void exchange_expect_response(struct http_exchange *x);

/* Frees what is kept of one. */
void exchange_hold_nothing(struct http_exchange *x);
