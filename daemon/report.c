/*
 * Sending to the master.  Its socket takes a few messages of the longest kind,
 * so it is only full when the master does not run.
 */
#include "daemon/report.h"

#include <poll.h>
#include <string.h>

#define PATIENCE_MS 60000 /* the master's own with us is shorter as a rule */

static int send_patiently(int control, const struct handoff_msg *m,
			  const int *fds, size_t count)
{
	struct pollfd room = { .fd = control, .events = POLLOUT };
	int r;

	if (control < 0)
		return 0;
	while ((r = handoff_send(control, m, fds, count)) == -EAGAIN) {
		int ready = poll(&room, 1, PATIENCE_MS);

		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
	return r;
}

static struct span text_span(const char *text)
{
	return (struct span){ .at = (const uint8_t *)text,
			      .len = strnlen(text, HANDOFF_TEXT_MAX) };
}

int report_segment(int control, int fd)
{
	const struct handoff_msg m = { .type = HANDOFF_SEGMENT };

	return send_patiently(control, &m, &fd, 1);
}

int report_sockets(int control, const char *name, const int *fds, size_t count)
{
	const struct handoff_msg m = { .type = HANDOFF_SOCKETS,
				       .text = text_span(name) };

	ASSERT(count <= HANDOFF_FDS_MAX);
	return send_patiently(control, &m, fds, count);
}

int report_unclaimed(int control, const struct adopt *a)
{
	const struct adopt_socket *s = NULL;
	uint64_t cookies[256]; /* HANDOFF_COOKIES_MAX would be a large frame */
	int r = 0;

	do {
		struct handoff_msg m = { .type = HANDOFF_UNCLAIMED,
					 .cookies = cookies };

		while (m.cookie_count < ARRAY_SIZE(cookies) &&
		       (s = adopt_unclaimed(a, s)))
			if (s->cookie)
				cookies[m.cookie_count++] = s->cookie;
		if (m.cookie_count)
			r = send_patiently(control, &m, NULL, 0);
	} while (r == 0 && s);
	return r;
}

int report_unclaimed_cookie(int control, uint64_t cookie)
{
	const struct handoff_msg m = { .type = HANDOFF_UNCLAIMED,
				       .cookies = &cookie,
				       .cookie_count = 1 };

	return send_patiently(control, &m, NULL, 0);
}

int report_prepared(int control, const struct conf *c)
{
	const struct handoff_msg m = {
		.type = HANDOFF_PREPARED,
		.settings = {
			.start_ms = c->timeouts.start_ms,
			.shutdown_ms = c->timeouts.shutdown_ms,
			.watchdog_ms = c->timeouts.watchdog_ms,
			.generations = c->limits.generations,
		},
	};

	return send_patiently(control, &m, NULL, 0);
}

int report_keys(int control, const void *bytes, size_t len)
{
	const struct handoff_msg m = { .type = HANDOFF_KEYS,
				       .text = { bytes, len } };

	ASSERT(len <= HANDOFF_TEXT_MAX);
	return control < 0 ? 0 : handoff_send(control, &m, NULL, 0);
}

int report_text(int control, enum handoff_type type, const char *text)
{
	const struct handoff_msg m = { .type = type, .text = text_span(text) };

	return send_patiently(control, &m, NULL, 0);
}
