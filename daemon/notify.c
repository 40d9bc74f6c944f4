/*
 * A thin layer over sd_notify(3).  Its messages are lists of lines, so what
 * is put into one must not bring line feeds of its own.
 */
#include "daemon/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* The kernel takes 253 a message; one less for what a relay may add. */
#define STORE_FDS_MAX 252
#define FDNAME_MAX    255

static int send_state(const char *state, const char *status)
{
	char text[384];
	int head, len;

	head = snprintf(text, sizeof(text), "%sSTATUS=", state);
	len = snprintf(text + head, sizeof(text) - (size_t)head, "%s", status);
	if (len < 0)
		return -EINVAL;
	for (char *at = text + head; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	return sd_notify(0, text);
}

int notify_ready(const char *status)
{
	return send_state("READY=1\n", status);
}

int notify_status(const char *fmt, ...)
{
	char status[320];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(status, sizeof(status), fmt, ap);
	va_end(ap);
	return len < 0 ? -EINVAL : send_state("", status);
}

int notify_reloading(const char *status)
{
	char state[64];
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
		return -errno;
	(void)snprintf(state, sizeof(state),
		       "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n",
		       (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	return send_state(state, status);
}

int notify_stopping(const char *status)
{
	return send_state("STOPPING=1\n", status);
}

int notify_extend(int64_t usec, const char *status)
{
	char state[64];

	(void)snprintf(state, sizeof(state),
		       "EXTEND_TIMEOUT_USEC=%" PRId64 "\n", max_i64(usec, 0));
	return status ? send_state(state, status) : sd_notify(0, state);
}

int64_t notify_watchdog_usec(void)
{
	uint64_t usec = 0;

	/* A value that makes no sense is like none: we run without. */
	if (sd_watchdog_enabled(0, &usec) <= 0 || usec > INT64_MAX)
		return 0;
	return (int64_t)usec;
}

int notify_watchdog(void)
{
	return sd_notify(0, "WATCHDOG=1");
}

/* --- The descriptor store ------------------------------------------------ */

bool notify_name_valid(const char *name)
{
	size_t len = 0;

	for (; name[len]; len++)
		if (name[len] < ' ' || name[len] > '~' || name[len] == ':')
			return false;
	return len > 0 && len <= FDNAME_MAX;
}

int notify_store(const char *name, const int *fds, size_t count)
{
	char state[64 + FDNAME_MAX];
	int r = 0;

	if (!notify_name_valid(name))
		return -EINVAL;
	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
		       name);
	for (size_t done = 0, n; done < count; done += n) {
		n = min_size(count - done, STORE_FDS_MAX);
		r = sd_pid_notify_with_fds(0, 0, state, fds + done,
					   (unsigned int)n);
		if (r <= 0)
			break;
	}
	return r;
}

int notify_unstore(const char *name)
{
	char state[64 + FDNAME_MAX];

	if (!notify_name_valid(name))
		return -EINVAL;
	(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s",
		       name);
	return sd_notify(0, state);
}
