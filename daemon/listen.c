/*
 * From the listeners of the configuration to sockets.
 *
 * First every address is noted, then those with a port choose among the
 * sockets that were passed on, then those without: else one of these could
 * take what another asks for by its number.  Only then anything is opened.
 */
#include "daemon/listen.h"

#include "core/listener.h"
#include "core/local_addrs.h"
#include "core/sock.h"
#include "daemon/held.h"
#include "daemon/log.h"
#include "daemon/tls_contexts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE_ADDRS_MAX 64

/* --- Entries ------------------------------------------------------------ */

static bool known(const struct listening *l, const struct conf_endpoint *e,
		  const struct tcp_addr *a)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].endpoint == e &&
		    addr_same_ip(&l->entries[i].addr, a))
			return true;
	return false;
}

static int add(struct listening *l, const struct conf_listener *listener,
	       const struct conf_endpoint *e, const struct tcp_addr *a)
{
	if (known(l, e, a))
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct listen_entry *entries = realloc(l->entries,
						       cap * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		l->entries = entries;
		l->cap = cap;
	}
	l->entries[l->count++] = (struct listen_entry){ .listener = listener,
							.endpoint = e,
							.addr = *a };
	return 0;
}

static void entry_done(struct listen_entry *e)
{
	for (size_t i = 0; i < e->adopted_count; i++)
		close_fd(&e->adopted[i]);
	e->adopted_count = 0;
	free(TAKE_PTR(e->adopted));
}

/* Forgets what could not be opened; the next round notes it again. */
static void drop_unopened(struct listening *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (l->entries[i].open)
			l->entries[kept++] = l->entries[i];
		else
			entry_done(&l->entries[i]);
	}
	l->count = kept;
}

/* --- What goes wrong ---------------------------------------------------- */

/* What to do about a failure, in words. */
static const char *advice(int r)
{
	switch (r) {
	case -EADDRINUSE:
		return " (another program listens there: 'ss -lntp' shows it)";
	case -EACCES:
	case -EPERM:
		return " (this needs a privilege: CAP_NET_BIND_SERVICE for "
		       "ports below 1024, CAP_NET_RAW or CAP_NET_ADMIN for "
		       "device, mark and tproxy)";
	case -EADDRNOTAVAIL:
		return " (no interface has this address: 'optional' waits for "
		       "it, 'freebind' listens all the same)";
	case -ENODEV:
		return " (no such interface: 'optional' waits for it)";
	case -EAFNOSUPPORT:
		return " (this machine lacks the address family)";
	default:
		return "";
	}
}

static void complain(const struct conf_listener *listener,
		     const struct conf_endpoint *e, int r)
{
	char text[TCPSERVER_ADDR_STRLEN + 64]; /* a path, too */

	(void)conf_endpoint_format(e, true, text, sizeof(text));
	log_line(listener->optional ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR,
		 "%s: listener \"%s\" cannot listen on %s: %s%s%s",
		 listener->where, listener->name, text, strerror(-r), advice(r),
		 listener->optional ? "; tried again" : "");
}

/* One round over the configuration. */
struct round {
	bool loud; /* says what fails */
	int first; /* failure that is an error */
};

static void note_failure(struct listening *l, struct round *round,
			 const struct conf_listener *listener,
			 const struct conf_endpoint *e, int r)
{
	if (r == 0)
		return;
	if (round->loud)
		complain(listener, e, r);
	if (listener->optional)
		l->missing++;
	else if (round->first == 0)
		round->first = r;
}

/* --- Noting addresses --------------------------------------------------- */

/* Notes one element of `address`; for an interface, what it has of them. */
static int note_endpoint(struct listening *l,
			 const struct conf_listener *listener,
			 const struct conf_endpoint *e)
{
	struct tcp_addr list[INTERFACE_ADDRS_MAX];
	struct local_addrs *table;
	int count, r;

	if (e->socket) {
		static const struct tcp_addr none = { .family = AF_UNIX };

		return add(l, listener, e, &none);
	}
	if (!e->interface)
		return add(l, listener, e, &e->addr);
	r = local_addrs_new(&table, NULL);
	if (r < 0)
		return r;
	count = local_addrs_all(table, e->interface, list, ARRAY_SIZE(list));
	local_addrs_free(table);
	if (count <= 0)
		return count < 0 ? count : -EADDRNOTAVAIL;
	count = (int)min_size((size_t)count, ARRAY_SIZE(list));
	for (int i = 0; r == 0 && i < count; i++) {
		list[i].port = e->addr.port;
		r = add(l, listener, e, &list[i]);
	}
	return r;
}

static void note_all(struct listening *l, struct round *round)
{
	const struct listen_service *s = &l->service;

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_listener *listener = &s->listeners[i];

		for (size_t k = 0; k < listener->address.count; k++) {
			const struct conf_endpoint *e = &listener->address
								 .at[k];

			note_failure(l, round, listener, e,
				     note_endpoint(l, listener, e));
		}
	}
}

/* --- Taking over -------------------------------------------------------- */

static struct adopt_want want_of(const struct listen_entry *e)
{
	return (struct adopt_want){ .name = e->listener->name,
				    .path = e->endpoint->socket,
				    .addr = e->addr,
				    .device = e->listener->device,
				    .mark = e->listener->mark,
				    .v6only = e->listener->v6only,
				    .transparent = e->listener->tproxy };
}

/* Lets those that ask for a port choose, or those that do not. */
static int choose(struct listening *l, struct adopt *passed, bool with_port)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listen_entry *e = &l->entries[i];
		struct adopt_want want = want_of(e);
		int r;

		if (e->open || (e->addr.port != 0) != with_port)
			continue;
		r = adopt_take(passed, &want, &e->adopted, &e->adopted_count);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Where an option has changed that a socket keeps for its life, ours must be
 * opened beside the old one, which would otherwise look like another program's.
 * One is enough for the server to open the rest.
 */
static int join(struct listen_entry *e)
{
	const struct conf_listener *c = e->listener;
	bool v6 = e->addr.family == AF_INET6;
	CLEANUP(close_fd) int fd = sock_stream(e->addr.family);
	struct sockaddr_storage ss;
	socklen_t len = tcp_addr_to_sockaddr(&e->addr, &ss);
	int r;

	if (fd < 0)
		return fd;
	r = sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0)
		r = sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r == 0 && v6)
		r = sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, c->v6only);
	if (r == 0 && c->freebind)
		r = v6 ? sock_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
		       : sock_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (r == 0 && c->tproxy)
		r = v6 ? sock_set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
		       : sock_set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (r == 0 && c->mark)
		r = sock_set(fd, SOL_SOCKET, SO_MARK, (int)c->mark);
	if (r == 0 && *c->device)
		r = sock_bind_device(fd, c->device);
	if (r == 0 && bind(fd, (const struct sockaddr *)&ss, len) < 0)
		r = -errno;
	if (r < 0)
		return r;
	e->adopted = calloc(1, sizeof(*e->adopted));
	if (!e->adopted)
		return -ENOMEM;
	e->adopted[e->adopted_count++] = take_fd(&fd);
	return 0;
}

/* --- Opening ------------------------------------------------------------ */

static int open_entry(struct listening *l, struct listen_entry *e,
		      const struct adopt *passed)
{
	struct setup *s = l->setup;
	const struct listen_service *by = &l->service;
	void *ctx = by->ctx(s, (size_t)(e->listener - by->listeners));
	struct tcp_listen_options o = by->options(s->conf, e->listener);
	struct adopt_want want = want_of(e);
	const char *other = NULL;
	int r = 0;

	if (passed && e->adopted_count == 0)
		other = adopt_near_miss(passed, &want);
	if (other)
		r = join(e);
	if (r == -EADDRINUSE)
		log_line(LOG_LEVEL_ERROR,
			 "%s: a socket that was passed on has the address of "
			 "listener \"%s\" and another \"%s\", and lets no "
			 "other beside it",
			 e->listener->where, e->listener->name, other);
	if (r < 0)
		return r;
	o.adopted = e->adopted;
	o.adopted_count = e->adopted_count;
	o.tls = tls_contexts_get(s->tls, e->listener);
	if (e->endpoint->socket)
		r = tcp_server_listen_unix(by->server, e->endpoint->socket, &o,
					   by->handler, ctx, &e->opened);
	else
		r = tcp_server_listen(by->server, &e->addr, &o, by->handler,
				      ctx, &e->opened);
	e->adopted_count = 0; /* the server took them */
	free(TAKE_PTR(e->adopted));
	tcp_tls_unref(o.tls);
	if (r < 0)
		return r;
	r = tls_contexts_follow(s->tls, e->listener, e->opened);
	if (r < 0)
		return r;
	e->addr = *tcp_listener_addr(e->opened);
	e->open = true;
	e->joined = other != NULL;
	e->told = e->joined ? 0 : tcp_listener_adopted(e->opened);
	if (!e->endpoint->socket)
		proxy_add_own(s->proxy, &e->addr);
	return 0;
}

/* Opens what is not open.  -errno of the first that is an error. */
static int open_all(struct listening *l, struct adopt *passed, bool loud)
{
	struct round round = { .loud = loud };
	int r = 0;

	l->missing = 0;
	note_all(l, &round);
	if (passed)
		r = choose(l, passed, true);
	if (passed && r == 0)
		r = choose(l, passed, false);
	for (size_t i = 0; r == 0 && i < l->count; i++) {
		struct listen_entry *e = &l->entries[i];
		bool passed_on = e->adopted_count > 0;
		int failure = e->open ? 0 : open_entry(l, e, passed);

		note_failure(l, &round, e->listener, e->endpoint, failure);
		/* It listens, and without us nobody would accept. */
		if (passed_on && failure < 0)
			r = failure;
	}
	drop_unopened(l);
	return r < 0 ? r : round.first;
}

static void *proxy_ctx(struct setup *s, size_t listener)
{
	return &s->listeners[listener];
}

int listening_open(struct listening *l, struct setup *s, struct adopt *passed)
{
	const struct listen_service proxy = {
		.listeners = s->conf->listeners,
		.count = s->conf->listener_count,
		.server = s->server,
		.handler = proxy_serve,
		.ctx = proxy_ctx,
		.options = setup_listen_options,
	};

	return listening_open_for(l, s, &proxy, passed);
}

int listening_open_for(struct listening *l, struct setup *s,
		       const struct listen_service *service,
		       struct adopt *passed)
{
	int r;

	*l = (struct listening){ .setup = s, .service = *service };
	r = open_all(l, passed, true);
	if (r == 0 && l->count == 0) {
		log_line(LOG_LEVEL_ERROR, "no address to listen on is there");
		r = -EADDRNOTAVAIL;
	}
	if (r < 0)
		listening_done(l);
	return r;
}

int listening_begin(const struct listening *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct listen_entry *e = &l->entries[i];
		const int *fds;

		/* Who finds that one listens already does not look for others.
		 */
		if (e->joined && tcp_listener_sockets(e->opened, &fds) > 0 &&
		    listen(fds[0], SOMAXCONN) < 0)
			return -errno;
	}
	return 0;
}

/* The longest is a path. */
#define ENTRY_STRLEN 128

static const char *format_entry(const struct listen_entry *e, char *out)
{
	if (e->endpoint->socket)
		return conf_endpoint_format(e->endpoint, false, out,
					    ENTRY_STRLEN);
	return tcp_addr_format(&e->addr, out, ENTRY_STRLEN);
}

size_t listening_retry(struct listening *l)
{
	size_t before = l->count;
	char text[ENTRY_STRLEN];

	(void)open_all(l, NULL, false);
	for (size_t i = before; i < l->count; i++)
		log_line(LOG_LEVEL_NOTICE, "listener \"%s\" listens on %s now",
			 l->entries[i].listener->name,
			 format_entry(&l->entries[i], text));
	return l->count - before;
}

/* --- For the master ----------------------------------------------------- */

size_t listening_untold(struct listening *l, size_t max, const char **ret_name,
			const int **ret)
{
	for (size_t i = 0; i < l->count; i++) {
		struct listen_entry *e = &l->entries[i];
		size_t count = tcp_listener_sockets(e->opened, ret);

		if (e->told >= count)
			continue;
		*ret_name = e->listener->name;
		if (e->endpoint->socket) {
			*ret_name = HELD_UNIX;
			listener_keep_file(e->opened);
		}
		*ret += e->told;
		count = min_size(count - e->told, max);
		e->told += count;
		return count;
	}
	return 0;
}

int listening_adopt(struct listening *l, int fd)
{
	CLEANUP(close_fd) int owned = fd;
	struct adopt_socket is = { .fd = fd };
	int r = adopt_identify(&is);

	for (size_t i = 0; r == 0 && i < l->count; i++) {
		struct listen_entry *e = &l->entries[i];
		struct adopt_want want = want_of(e);
		const int *all;

		if (!e->open || !adopt_fits(&is, &want))
			continue;
		r = tcp_listener_adopt(e->opened, take_fd(&owned));
		/* Whoever passes it on knows of it. */
		if (r == 0)
			e->told = tcp_listener_sockets(e->opened, &all);
		return r;
	}
	return r < 0 ? r : -ENOENT;
}

void listening_format(const struct listening *l, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < l->count && len + ENTRY_STRLEN + 1 < size; i++) {
		char text[ENTRY_STRLEN];

		len += (size_t)snprintf(out + len, size - len, "%s%s",
					i ? " " : "",
					format_entry(&l->entries[i], text));
	}
}

void listening_done(struct listening *l)
{
	for (size_t i = 0; i < l->count; i++)
		entry_done(&l->entries[i]);
	free(TAKE_PTR(l->entries));
	l->count = l->cap = 0;
}
