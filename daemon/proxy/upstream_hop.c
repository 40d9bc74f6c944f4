/*
 * What is said to one parent: SOCKS5 with or without a login, SOCKS4, CONNECT.
 * Of what comes back no byte is taken that is not the parent's: those behind
 * its last word are the target's, and stay in the socket.
 */
#include "daemon/proxy/upstream_way.h"

#include "core/conn.h"
#include "daemon/proxy/http_head.h"

#include <stdlib.h>
#include <string.h>

/* 1xx in front of the answer to CONNECT, RFC 9110 §15.2. */
#define INTERIM_MAX 8

struct dialog {
	struct upstream_way *way;
	const struct upstream_parent *parent;
	int64_t deadline;
	struct http_head head;
	uint8_t out[PARENT_MSG_MAX];
	uint8_t in[HTTP_HEAD_MAX + 1]; /* one more than a head may have */
};

int dialog_new(struct dialog **ret)
{
	*ret = malloc(sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void dialog_free(struct dialog *d)
{
	if (!d)
		return;
	explicit_bzero(d->out, sizeof(d->out)); /* a password, maybe */
	free(d);
}

/* --- Bytes --------------------------------------------------------------- */

typedef int parse_fn(void *ret, struct span in);

static int say(struct dialog *d, size_t len)
{
	return tcp_conn_write_all(d->way->conn, d->out, len, d->deadline);
}

/* What is there, without taking it; waits for at least a byte. */
static ssize_t look(struct dialog *d, size_t at)
{
	struct tcp_conn *c = d->way->conn;

	for (;;) {
		ssize_t n = -EAGAIN;
		int r;

		if (conn_can_read(c))
			n = conn_peek_now(c, d->in + at, sizeof(d->in) - at);
		if (n > 0)
			return n;
		if (n == 0)
			return -ECONNRESET; /* it had something to say */
		if (n != -EAGAIN)
			return n;
		r = conn_wait(c, conn_read_bits(c), d->deadline);
		if (r < 0)
			return r;
	}
}

/* Takes one message, and nothing that is behind it.  0 or -errno. */
static int hear(struct dialog *d, parse_fn *parse, void *ret)
{
	struct tcp_conn *c = d->way->conn;
	size_t len = 0;

	while (len < sizeof(d->in)) {
		ssize_t n = look(d, len);
		int r;

		if (n < 0)
			return (int)n;
		r = parse(ret, (struct span){ d->in, len + (size_t)n });
		if (r == -EBADMSG)
			return r;
		c->ops->take(c, r > 0 ? (size_t)r - len : (size_t)n);
		if (r > 0)
			return 0;
		len += (size_t)n;
	}
	return -EBADMSG;
}

static int parse_choice(void *ret, struct span in)
{
	return parent_choice_parse(ret, in);
}

static int parse_status(void *ret, struct span in)
{
	return parent_status_parse(ret, in);
}

static int parse_socks5(void *ret, struct span in)
{
	return parent_socks5_parse(ret, in);
}

static int parse_socks4(void *ret, struct span in)
{
	return parent_socks4_parse(ret, in);
}

static int parse_head(void *ret, struct span in)
{
	return http_head_parse(ret, in);
}

/* --- What it means ------------------------------------------------------- */

enum outcome upstream_error(struct upstream_way *w, int r)
{
	w->error = r;
	w->blame = BLAME_PARENT;
	switch (r) {
	case -ECANCELED:
		w->error = 0;
		w->blame = BLAME_NOBODY;
		return OUTCOME_SHUTDOWN;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -EADDRNOTAVAIL:
	case -EADDRINUSE:
		w->blame = BLAME_NOBODY;
		return OUTCOME_NO_RESOURCES;
	case -EBUSY:
		w->blame = BLAME_NOBODY;
		return OUTCOME_LIMIT;
	default:
		return OUTCOME_PARENT_FAILED;
	}
}

static enum outcome blame(struct upstream_way *w, enum upstream_blame who,
			  enum outcome o)
{
	w->blame = who;
	return o;
}

/* RFC 1928 §6. */
static enum outcome refused_socks5(struct upstream_way *w, uint8_t rep)
{
	switch (rep) {
	case SOCKS5_REP_NET_UNREACHABLE:
		return blame(w, BLAME_TARGET, OUTCOME_NET_UNREACHABLE);
	case SOCKS5_REP_HOST_UNREACHABLE:
		return blame(w, BLAME_TARGET, OUTCOME_HOST_UNREACHABLE);
	case SOCKS5_REP_REFUSED:
		return blame(w, BLAME_TARGET, OUTCOME_REFUSED);
	case SOCKS5_REP_TTL_EXPIRED:
		return blame(w, BLAME_TARGET, OUTCOME_CONNECT_TIMEOUT);
	case SOCKS5_REP_GENERAL_FAILURE:
		return blame(w, BLAME_TARGET, OUTCOME_PARENT_REFUSED);
	default:
		return blame(w, BLAME_REQUEST, OUTCOME_PARENT_REFUSED);
	}
}

/* SOCKS4 knows no reasons but those that concern the user. */
static enum outcome refused_socks4(struct upstream_way *w, uint8_t code)
{
	if (code == SOCKS4_REP_FAILED)
		return blame(w, BLAME_TARGET, OUTCOME_PARENT_REFUSED);
	return blame(w, BLAME_PARENT, OUTCOME_PARENT_AUTH);
}

/* RFC 9110 §15. */
static enum outcome refused_http(struct upstream_way *w, unsigned status)
{
	switch (status) {
	case 401:
	case 407:
		return blame(w, BLAME_PARENT, OUTCOME_PARENT_AUTH);
	case 502:
	case 503:
		return blame(w, BLAME_TARGET, OUTCOME_PARENT_REFUSED);
	case 504:
		return blame(w, BLAME_TARGET, OUTCOME_CONNECT_TIMEOUT);
	default:
		return blame(w, BLAME_REQUEST, OUTCOME_PARENT_REFUSED);
	}
}

/* It knows the target: an answer that does not come waits for that. */
static enum outcome unheard(struct upstream_way *w, int r)
{
	if (r != -ETIMEDOUT)
		return upstream_error(w, r);
	w->error = r;
	return blame(w, BLAME_NOBODY, OUTCOME_CONNECT_TIMEOUT);
}

/*
 * A word is enough, and so is an end: who hangs does neither.  What the word
 * means is not looked at, since it was asked for nothing.
 */
static enum outcome find_alive(struct dialog *d, size_t len)
{
	int r = say(d, len);

	if (r == 0)
		r = (int)min_i64(look(d, 0), 0);
	return r == 0 || r == -ECONNRESET || r == -EPIPE
		       ? OUTCOME_NONE
		       : upstream_error(d->way, r);
}

/* --- SOCKS5 -------------------------------------------------------------- */

static enum outcome log_in(struct dialog *d)
{
	const struct upstream_parent *p = d->parent;
	bool success = false;
	int r = say(d, parent_login(d->out, p->user, p->password));

	if (r == 0)
		r = hear(d, parse_status, &success);
	if (r < 0)
		return upstream_error(d->way, r);
	return success ? OUTCOME_NONE
		       : blame(d->way, BLAME_PARENT, OUTCOME_PARENT_AUTH);
}

static enum outcome agree_on_method(struct dialog *d)
{
	bool login = d->parent->user;
	uint8_t method = SOCKS5_METHOD_UNACCEPTABLE;
	int r = say(d, parent_greeting(d->out, login));

	if (r == 0)
		r = hear(d, parse_choice, &method);
	if (r < 0)
		return upstream_error(d->way, r);
	if (method == SOCKS5_METHOD_NONE)
		return OUTCOME_NONE;
	if (method == SOCKS5_METHOD_PASSWORD && login)
		return log_in(d);
	return blame(d->way, BLAME_PARENT, OUTCOME_PARENT_AUTH);
}

static enum outcome ask_socks5(struct dialog *d, const struct parent_target *t)
{
	/* RFC 1928 §4: where our datagrams will come from is not known yet. */
	static const struct tcp_addr any = { .family = AF_INET };
	static const struct parent_target anywhere = { .addr = &any };
	struct upstream_way *w = d->way;
	struct parent_reply reply = { 0 };
	enum outcome o = agree_on_method(d);
	int r;

	if (o != OUTCOME_NONE || !t)
		return o;
	if (w->command == COMMAND_UDP)
		t = &anywhere;
	d->deadline = w->hops_until;
	r = say(d, parent_socks5_request(d->out, w->command, t));
	if (r == 0)
		r = hear(d, parse_socks5, &reply);
	if (r < 0)
		return unheard(w, r);
	if (reply.code != SOCKS5_REP_SUCCEEDED)
		return refused_socks5(w, reply.code);
	w->bound = reply.bound;
	return OUTCOME_NONE;
}

/* --- SOCKS4 -------------------------------------------------------------- */

static enum outcome ask_socks4(struct dialog *d, const struct parent_target *t)
{
	/* No host has it: refused by whoever reads it. */
	static const struct tcp_addr none = { .family = AF_INET };
	static const struct parent_target nothing = { .addr = &none };
	struct upstream_way *w = d->way;
	const char *user = d->parent->user ? d->parent->user : "";
	struct parent_reply reply = { 0 };
	size_t len;
	int r;

	if (!t && w->probe)
		return find_alive(
			d, parent_socks4_request(d->out, user, &nothing));
	if (!t)
		return OUTCOME_NONE;
	len = parent_socks4_request(d->out, user, t);
	if (len == 0)
		return blame(w, BLAME_TARGET, OUTCOME_PARENT_REFUSED);
	d->deadline = w->hops_until;
	r = say(d, len);
	if (r == 0)
		r = hear(d, parse_socks4, &reply);
	if (r < 0)
		return unheard(w, r);
	return reply.code == SOCKS4_REP_GRANTED ? OUTCOME_NONE
						: refused_socks4(w, reply.code);
}

/* --- HTTP ---------------------------------------------------------------- */

static enum outcome ask_http(struct dialog *d, const struct parent_target *t)
{
	struct upstream_way *w = d->way;
	const struct span login = w->group->parent[w->hop].login;
	const struct upstream_host *at = &d->parent->at;
	const struct parent_target itself = {
		.addr = at->addr.family == AF_UNSPEC ? NULL : &at->addr,
		.host = at->host,
		.port = at->port,
	};
	int r;

	if (!t && w->probe)
		return find_alive(d, parent_options(d->out, &itself, login));
	if (!t)
		return OUTCOME_NONE;
	d->deadline = w->hops_until;
	r = say(d, parent_connect(d->out, t, login));
	for (unsigned i = 0; r == 0 && i < INTERIM_MAX; i++) {
		http_head_init(&d->head, HTTP_RESPONSE);
		r = hear(d, parse_head, &d->head);
		if (r == 0 && d->head.status >= 200)
			return d->head.status < 300
				       ? OUTCOME_NONE
				       : refused_http(w, d->head.status);
	}
	return unheard(w, r < 0 ? r : -EBADMSG);
}

enum outcome upstream_ask(struct upstream_way *w, struct dialog *d,
			  const struct parent_target *t, int64_t deadline)
{
	d->way = w;
	d->parent = &w->group->g->parents[w->hop];
	d->deadline = deadline;
	switch (d->parent->scheme) {
	case UPSTREAM_SOCKS5:
		return ask_socks5(d, t);
	case UPSTREAM_SOCKS4:
		return ask_socks4(d, t);
	case UPSTREAM_HTTP:
	case UPSTREAM_HTTPS:
		return ask_http(d, t);
	}
	return upstream_error(w, -EINVAL);
}
