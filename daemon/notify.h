/*
 * What the service manager is told, where there is one (NOTIFY_SOCKET is
 * set); elsewhere nothing happens.  The daemon does not depend on being heard,
 * so the results may be ignored: > 0 sent, 0 nobody to tell, or -errno.
 */
#pragma once

#include "core/base.h"

/* We serve; `status` is what `systemctl status` shows. */
int notify_ready(const char *status);

/* Changes the status line. */
int notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* We are about to end. */
int notify_stopping(const char *status);
