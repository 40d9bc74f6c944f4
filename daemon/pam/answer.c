/*
 * From a packet to the verdict.  The caller is a process that ends afterwards,
 * so that nothing of one login is there in the next, whatever PAM's modules
 * leave behind.
 */
#include "daemon/pam/answer.h"

#include "daemon/pam/verify.h"
#include "daemon/proxy/secret.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* The packet follows at once on the connection. */
#define REQUEST_MS 5000

struct question {
	uint8_t packet[HELPER_REQUEST_MAX + 1];
	struct verify_login login;
};

static int receive(int fd, struct question *q, struct helper_request *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int r = poll(&p, 1, REQUEST_MS);

	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	n = recv(fd, q->packet, sizeof(q->packet), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return helper_request_decode(
		ret, (struct span){ .at = q->packet, .len = (size_t)n });
}

/* Decoding has seen to it that it fits. */
static void copy(char *to, size_t size, struct span from)
{
	ASSERT(from.len < size);
	if (from.len)
		memcpy(to, from.at, from.len);
	to[from.len] = '\0';
}

/* A client that has gone needs no hash. */
static bool is_alone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

static int find_out(int fd, struct question *q)
{
	enum helper_verdict verdict = HELPER_FAILED;
	uint8_t reply[HELPER_REPLY_BYTES];
	struct verify_login *l = &q->login;
	struct helper_request said = { .kind = HELPER_PAM };
	int r = receive(fd, q, &said);

	if (r < 0)
		return r;
	if (is_alone(fd))
		return -EPIPE;
	copy(l->service, sizeof(l->service), said.service);
	copy(l->client, sizeof(l->client), said.client);
	copy(l->name, sizeof(l->name), said.name);
	copy(l->password, sizeof(l->password), said.password);
	switch (said.kind) {
	case HELPER_PAM:
		verdict = verify_by_pam(l);
		break;
	case HELPER_SYSTEM:
		verdict = verify_by_shadow(l);
		break;
	}
	helper_reply_encode(reply, verdict);
	return send(fd, reply, sizeof(reply), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int answer(int fd)
{
	struct question *q = secret_new(sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	r = find_out(fd, q);
	secret_free(q, sizeof(*q));
	return r;
}
