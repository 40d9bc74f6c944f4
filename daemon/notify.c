/*
 * A thin layer over sd_notify(3).  Its message is a list of lines, so a status
 * must not bring line feeds of its own.
 */
#include "daemon/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

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

int notify_stopping(const char *status)
{
	return send_state("STOPPING=1\n", status);
}
