/*
 * A client.  Its answer is complete before the first byte of it is sent: what
 * it was made from may be gone when the client reads it.
 */
#include "daemon/control_client.h"

#include "daemon/answer.h"
#include "daemon/handoff_msg.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_BYTES_MAX ((size_t)4 << 20)

void control_client_close(struct control_client *c)
{
	if (c->watch.fd < 0)
		return;
	timer_stop(c->loop, &c->timer);
	watch_remove(c->loop, &c->watch);
	close_fd(&c->watch.fd);
	free(TAKE_PTR(c->answer));
}

static void set_timer(struct control_client *c, int64_t ms)
{
	struct loop *l = c->loop;

	if (timer_set(l, &c->timer, loop_now(l) + ms) < 0)
		control_client_close(c);
}

/*
 * What a client sends beyond its line is taken out: closed with bytes unread,
 * the socket would make a reset of its end.
 */
static void finish(struct control_client *c)
{
	char rest[CONTROL_REQUEST_BYTES];

	for (int i = 0; i < 16; i++)
		if (recv(c->watch.fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	control_client_close(c);
}

static void send_rest(struct control_client *c)
{
	while (c->answer_at < c->answer_len) {
		ssize_t n = send(c->watch.fd, c->answer + c->answer_at,
				 c->answer_len - c->answer_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			control_client_close(c);
			return;
		}
		c->answer_at += (size_t)n;
	}
	finish(c);
}

/* Begins to answer with this text, which it takes; NULL: no memory. */
void control_client_answer(struct control_client *c, char *text)
{
	free(c->answer);
	c->answer = text;
	if (!text) {
		control_client_close(c);
		return;
	}
	c->answer_len = strlen(text);
	c->answer_at = 0;
	c->stage = CONTROL_ANSWER;
	if (c->answer_len > ANSWER_BYTES_MAX) {
		control_client_answer(c,
				      answer_error("the answer is too long"));
		return;
	}
	set_timer(c, c->patience->answer_ms);
	if (c->watch.fd >= 0)
		send_rest(c);
}

/*
 * The same with descriptors, which go with the first byte: later they might be
 * closed.  A socket that nothing was sent to takes that byte.
 */
void control_client_answer_fds(struct control_client *c, char *text,
			       const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(HANDOFF_FDS_MAX * sizeof(int))];
	} space = { 0 };
	struct iovec first = { text, 1 };
	struct msghdr m = {
		.msg_iov = &first,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&m);

	if (!text || count == 0) {
		control_client_answer(c, text);
		return;
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	if (sendmsg(c->watch.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
		const char *why = strerror(errno);

		free(text);
		control_client_answer(c, answer_error(why));
		return;
	}
	memmove(text, text + 1, strlen(text));
	control_client_answer(c, text);
}

/* --- Its line ----------------------------------------------------------- */

/* Takes what stands in front of the line's end as the request. */
static void take_line(struct control_client *c, size_t len)
{
	if (len && c->request[len - 1] == '\r')
		len--;
	for (size_t i = 0; i < len; i++)
		if (c->request[i] < ' ' || c->request[i] > '~') {
			control_client_answer(
				c, answer_error("printable ASCII only"));
			return;
		}
	c->request[len] = '\0';
	c->asked(c, c->request);
}

/* An end without a line feed ends the line as well. */
static void read_line(struct control_client *c)
{
	while (c->watch.fd >= 0 && c->stage == CONTROL_REQUEST) {
		char *at = c->request + c->request_len, *end;
		size_t room = sizeof(c->request) - c->request_len;
		ssize_t n;

		if (room == 0) {
			control_client_answer(
				c, answer_error("the line is too long"));
			return;
		}
		n = recv(c->watch.fd, at, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 || (n == 0 && c->request_len == 0)) {
			control_client_close(c);
			return;
		}
		c->request_len += (size_t)n;
		end = memchr(at, '\n', (size_t)n);
		if (end || n == 0)
			take_line(c, end ? (size_t)(end - c->request)
					 : c->request_len);
	}
}

static void event(struct watch *w)
{
	struct control_client *c = container_of(w, struct control_client,
						watch);
	uint32_t ready = w->ready;

	w->ready = 0;
	switch (c->stage) {
	case CONTROL_REQUEST:
		read_line(c);
		break;
	case CONTROL_RELOAD:
		/* Half-closed by the client is no end: it waits for us. */
		if (ready & (EPOLLHUP | EPOLLERR))
			control_client_close(c);
		break;
	case CONTROL_ANSWER:
		send_rest(c);
		break;
	}
}

static void late(struct timer *t)
{
	struct control_client *c = container_of(t, struct control_client,
						timer);

	switch (c->stage) {
	case CONTROL_REQUEST:
	case CONTROL_ANSWER:
		control_client_close(c);
		break;
	case CONTROL_RELOAD:
		control_client_answer(
			c, answer_error("the reload takes too long"));
		break;
	}
}

void control_client_begin(struct control_client *c, int fd)
{
	c->watch = (struct watch){ .notify = event, .fd = fd };
	c->timer = (struct timer){ .fire = late };
	c->stage = CONTROL_REQUEST;
	c->request_len = 0;
	if (watch_add(c->loop, &c->watch,
		      EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) < 0)
		close_fd(&c->watch.fd);
	else
		set_timer(c, c->patience->request_ms);
}

void control_client_wait(struct control_client *c, uint64_t number)
{
	c->stage = CONTROL_RELOAD;
	c->number = number;
	set_timer(c, c->patience->reload_ms);
}
