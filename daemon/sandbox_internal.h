/*
 * The parts of the sandbox.  Each is entered once, for good, by the one thread
 * of the process; what is started later inherits it.
 */
#pragma once

#include "daemon/sandbox.h"

/* Where the sentences go. */
struct sandbox_report {
	char *text;
	size_t size;
};

/* Writes a sentence, "...: what r means", over all before it; returns r. */
int sandbox_failed(const struct sandbox_report *why, int r, const char *fmt,
		   ...) PRINTF_LIKE(3, 4);

/* Adds what is left out. */
void sandbox_note(const struct sandbox_report *why, const char *fmt, ...)
	PRINTF_LIKE(2, 3);

/* Landlock: files, ports, signals and abstract sockets.  0 or -errno. */
int sandbox_files(const struct sandbox *s, const struct sandbox_report *why)
	MUST_CHECK;

/* seccomp: system calls.  Goes last: it forbids Landlock's.  0 or -errno. */
int sandbox_calls(const struct sandbox *s, const struct sandbox_report *why)
	MUST_CHECK;
