/*
 * What the service manager is told, where there is one (NOTIFY_SOCKET is
 * set); elsewhere nothing happens.  The daemon does not depend on being heard,
 * so the results may be ignored: > 0 sent, 0 nobody to tell, or -errno.
 *
 * A status is text of one line, for `systemctl status`; control characters
 * become spaces and what exceeds some 300 bytes is cut.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base.h"

/* We serve; it ends what notify_reloading() began, too. */
int notify_ready(const char *status);

/* Changes the status line. */
int notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * A reload begins; notify_ready() must follow, also when it failed.  A unit of
 * Type=notify-reload takes the time that is sent along for proof that the
 * message answers its signal (sd_notify(3)).
 */
int notify_reloading(const char *status);

/* We are about to end. */
int notify_stopping(const char *status);

/*
 * What the manager waits for, start or stop, may take `usec` microseconds
 * from now on, its timeout notwithstanding; to be repeated before that is
 * over.  A status of NULL leaves the status line as it is.
 */
int notify_extend(int64_t usec, const char *status);

/*
 * The interval in microseconds in which the manager wants to hear from this
 * very process (WATCHDOG_USEC, WATCHDOG_PID), or 0: it does not.  Call
 * notify_watchdog() at twice that rate at least.
 */
int64_t notify_watchdog_usec(void);

/* We are alive. */
int notify_watchdog(void);

/*
 * Whether the manager keeps `name` as it is: 1 to 255 printable ASCII
 * characters other than ':' (FDNAME= in sd_notify(3)).
 */
bool notify_name_valid(const char *name);

/*
 * Has the manager keep duplicates of `fds` under `name` until we start again
 * (FileDescriptorStoreMax=); ones that it has already it keeps once.  It does
 * not watch them: otherwise it would drop them at a hang-up.  Many take
 * several messages; the first one that fails ends it.  -EINVAL: not a valid
 * name.
 */
int notify_store(const char *name, const int *fds, size_t count);

/* The manager closes everything that it keeps under `name`. */
int notify_unstore(const char *name);
