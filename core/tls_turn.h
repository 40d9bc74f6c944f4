/*
 * Whose turn it is: signatures take most of a millisecond, and a thread that
 * made one for each of a hundred clients in a row would stall all the others
 * for as long.  So a thread makes at most one step of a handshake that may
 * sign in each turn of its loop, in the order in which they were ready.
 */
#pragma once

#include "core/task.h"

/*
 * Waits for this task's turn.  As task_wait(); on success tls_turn_over()
 * must follow, and nothing between the two may suspend.
 */
int tls_turn_take(int64_t deadline) MUST_CHECK;
void tls_turn_over(void);
