/*
 * What a worker that was broken into must not be able to do: run a program,
 * open a file but to read in the folders that names come from and to append
 * to the log, bind a port that is not ours, use system calls that it has no
 * need of.  Landlock where the kernel has it, seccomp by libseccomp.
 *
 * Entering takes 1.5 ms.  From then on a system call costs 40 ns more: 760 ns
 * rather than 680 for a byte written to a pipe and read again (Linux 6.18,
 * x86-64), where the filter is not even run.
 */
#pragma once

#include "core/base.h"

struct sandbox {
	/*
	 * Absolute paths of folders, or of files, there or not: those are put
	 * up with all that is in their folder, where others may be renamed to
	 * their names, and a link with the folder that it leads to.
	 */
	const char *const *read;
	size_t read_count;
	const char *log; /* absolute path of the log file, or NULL; likewise */
	/* That of a file that is written anew and renamed; or NULL. */
	const char *state;
	/*
	 * TCP ports that may still be bound, beside those that the kernel
	 * picks; others are refused where the kernel can (Landlock 4).
	 */
	const uint16_t *ports;
	size_t port_count;
	/*
	 * And those from the first to the last, for clients of BIND; 0: none.
	 * Of more than SANDBOX_PORTS_MAX no list is made, for it takes 3 µs a
	 * port; those below 1024 need a capability as ever.
	 */
	uint16_t first_port, last_port;
};

#define SANDBOX_PORTS_MAX 16384

/*
 * Confines this process for good, and turns core dumps off; call it while
 * there is one thread (else -EBUSY), after privileges_drop() (no_new_privs
 * must be set).  On failure returns -errno with a sentence in why[size]; who
 * is confined already gets -EPERM.  What the kernel lacks is left out and said
 * in why, which is empty otherwise.  Under a sanitizer or valgrind and where
 * coverage is counted, which need more, nothing is confined, and why says so.
 */
int sandbox_enter(const struct sandbox *s, char *why, size_t size) MUST_CHECK;
