/*
 * The input of a request while its protocol is spoken.
 */
#include "core/arrival.h"
#include "daemon/proxy/proxy_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A client gets this long, and may send this much, after a refusal. */
#define LINGER_MS    2000
#define LINGER_BYTES (64u << 10)

#define FIRST_BYTES (8u << 10)

/*
 * The begin of another request of the same client, by the thread's scratch
 * area: all of it in one call, though few are longer than what is at hand.
 */
static ssize_t read_first(struct request *rq)
{
	uint8_t *scratch = net_self()->scratch;
	struct input *in = &rq->input;
	ssize_t n = conn_rest_here(rq->client, scratch, FIRST_BYTES,
				   rq->deadline);

	ASSERT(in->len == 0);
	if (n > 0 && request_grow(rq, (size_t)n) < 0)
		return -ENOMEM;
	if (n > 0)
		memcpy(in->at, scratch, (size_t)n);
	return n;
}

enum outcome request_read(struct request *rq)
{
	struct input *in = &rq->input;
	ssize_t n;

	ASSERT(in->len < in->size);
	n = rq->waiting ? read_first(rq)
			: tcp_conn_read(rq->client, in->at + in->len,
					in->size - in->len, rq->deadline);
	if (n > 0) {
		in->len += (size_t)n;
		if (rq->waiting)
			request_arrived(rq);
		return OUTCOME_NONE;
	}
	rq->error = (int)n;
	switch (n) {
	case -ETIMEDOUT:
		rq->error = 0;
		return OUTCOME_HANDSHAKE;
	case -ECANCELED:
		rq->error = 0;
		return OUTCOME_SHUTDOWN;
	case -ENOMEM:
		return OUTCOME_NO_RESOURCES;
	default:
		return OUTCOME_CLIENT_LEFT;
	}
}

int request_grow(struct request *rq, size_t size)
{
	struct input *in = &rq->input;
	uint8_t *at;

	if (size <= in->size)
		return 0;
	at = realloc(in->at == in->first ? NULL : in->at, size);
	if (!at)
		return -ENOMEM;
	if (in->at == in->first)
		memcpy(at, in->first, in->len);
	in->at = at;
	in->size = size;
	return 0;
}

void request_consume(struct request *rq, size_t len)
{
	struct input *in = &rq->input;

	in->len -= len;
	memmove(in->at, in->at + len, in->len);
}

void request_wipe(struct request *rq, size_t len)
{
	struct input *in = &rq->input;

	request_consume(rq, len);
	/* All that is free: what was dropped before has left copies there. */
	explicit_bzero(in->at + in->len, in->size - in->len);
}

bool request_needs_login(const struct request *rq)
{
	return !rq->user_len &&
	       !(rules_client_auth(policy_rules(rq->here->policy),
				   rq->session->client_rule) &
		 AUTH_BIT(AUTH_NONE));
}

bool request_user_is_gone(const struct request *rq, const struct policy *now)
{
	const struct span user = { (const uint8_t *)rq->user, rq->user_len };

	if (rq->method != AUTH_PASSWORD || policy_number(now) == rq->policy)
		return false;
	return !policy_users(now) || !users_has(policy_users(now), user, false);
}

void request_set_user(struct request *rq, struct span name)
{
	struct session *s = rq->session;
	size_t len = min_size(name.len, SESSION_USER_BYTES);

	session_begin(s);
	s->user_len = (uint8_t)len;
	if (len)
		memcpy(s->user, name.at, len);
	session_end(s);
}

int request_bandwidth(const struct request *rq, struct bandwidth **ret)
{
	struct span user = { .at = (const uint8_t *)rq->user,
			     .len = rq->user_len };

	return bandwidth_open(ret, rq->here->proxy->bandwidths, rq->rule, user,
			      tcp_deadline(0));
}

void request_set_target(struct request *rq, const struct target *t)
{
	size_t len = min_size(t->host.len, HOST_NAME_BYTES);

	rq->target = t->addr;
	rq->port = t->port;
	for (size_t i = 0; i < len; i++)
		rq->host[i] = (char)tolower(t->host.at[i]);
	rq->host[len] = '\0';
}

void request_last_words(struct request *rq, const void *reply, size_t len)
{
	int64_t deadline = tcp_deadline(LINGER_MS);

	if (tcp_conn_write_all(rq->client, reply, len, deadline) < 0)
		return;
	tcp_conn_linger(rq->client, LINGER_BYTES, deadline);
}
