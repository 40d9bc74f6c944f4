/*
 * One listener at a time, with options.
 */
#pragma once

#include "core/listener.h"
#include "t/unit/bound.h"

extern struct tcp_listener *listener;
extern struct tcp_listen_options listener_options;

void listener_teardown(void);

/* Binds, and listens too, at the address that a text says. */
void bind_at(const char *text, unsigned count);
void open_at(const char *text, unsigned count);

/* Binds what cannot be bound; returns why. */
int open_in_vain(const struct tcp_addr *a);
