/*
 * What the loop does to the tasks of its thread.
 */
#pragma once

/* Frees this thread's idle stacks; no task may be left. */
void tasks_done(void);
