/*
 * Two ends of a tunnel that write and read at once.
 */
#pragma once

#include "t/unit/on_loop.h"

/*
 * Sends so many bytes each way between the far ends of a tunnel, both ways at
 * once, and fails where any of them changes.
 */
void pump(struct tcp_conn *a, struct tcp_conn *b, size_t there, size_t back);
