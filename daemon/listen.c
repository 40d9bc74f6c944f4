/*
 * From the listeners of the configuration to sockets.
 */
#include "daemon/listen.h"

#include "core/local_addrs.h"
#include "daemon/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERFACE_ADDRS_MAX 64

static bool known(const struct listening *l, const struct conf_endpoint *e,
		  const struct addr *a)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].endpoint == e && l->entries[i].open &&
		    addr_same_ip(&l->entries[i].addr, a))
			return true;
	return false;
}

static struct listen_entry *add(struct listening *l,
				const struct conf_listener *listener,
				const struct conf_endpoint *e)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct listen_entry *entries = realloc(l->entries,
						       cap * sizeof(*entries));

		if (!entries)
			return NULL;
		l->entries = entries;
		l->cap = cap;
	}
	l->entries[l->count] = (struct listen_entry){ .listener = listener,
						      .endpoint = e };
	return &l->entries[l->count++];
}

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
		       "device and mark)";
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

static void complain(const struct listening *l, const struct listen_entry *e,
		     int r)
{
	char text[ADDR_STRLEN + 64];

	(void)l;
	(void)conf_endpoint_format(e->endpoint, true, text, sizeof(text));
	log_line(e->listener->optional ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR,
		 "%s: listener \"%s\" cannot listen on %s: %s%s%s",
		 e->listener->where, e->listener->name, text, strerror(-r),
		 advice(r), e->listener->optional ? "; tried again" : "");
}

static int open_addr(struct listening *l, const struct conf_listener *listener,
		     const struct conf_endpoint *endpoint, const struct addr *a)
{
	struct setup *s = l->setup;
	size_t number = (size_t)(listener - s->conf->listeners);
	struct tcp_listen_options o = setup_listen_options(s->conf, listener);
	struct tcp_listener *opened;
	struct listen_entry *e;
	int r;

	r = tcp_server_listen(s->server, a, &o, proxy_serve,
			      &s->listeners[number], &opened);
	if (r < 0)
		return r;
	e = add(l, listener, endpoint);
	if (!e)
		return -ENOMEM;
	e->addr = *tcp_listener_addr(opened);
	e->open = true;
	proxy_add_own(s->proxy, &e->addr);
	return 0;
}

/* Opens one element of `address`; for an interface, what it has of them. */
static int open_endpoint(struct listening *l,
			 const struct conf_listener *listener,
			 const struct conf_endpoint *e)
{
	struct addr list[INTERFACE_ADDRS_MAX];
	struct local_addrs *table;
	int count, r;

	if (!e->interface)
		return known(l, e, &e->addr)
			       ? 0
			       : open_addr(l, listener, e, &e->addr);
	r = local_addrs_new(&table, NULL);
	if (r < 0)
		return r;
	count = local_addrs_all(table, e->interface, list, ARRAY_SIZE(list));
	local_addrs_free(table);
	if (count <= 0)
		return count < 0 ? count : -EADDRNOTAVAIL;
	for (int i = 0; i < (int)min_size((size_t)count, ARRAY_SIZE(list));
	     i++) {
		list[i].port = e->addr.port;
		if (known(l, e, &list[i]))
			continue;
		r = open_addr(l, listener, e, &list[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Opens what is not open; loud: says what fails. */
static int open_all(struct listening *l, bool loud)
{
	const struct conf *c = l->setup->conf;
	int first = 0;

	l->missing = 0;
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *listener = &c->listeners[i];

		for (size_t k = 0; k < listener->address.count; k++) {
			struct listen_entry e = {
				.listener = listener,
				.endpoint = &listener->address.at[k],
			};
			int r = open_endpoint(l, listener, e.endpoint);

			if (r == 0)
				continue;
			if (loud)
				complain(l, &e, r);
			if (listener->optional)
				l->missing++;
			else if (first == 0)
				first = r;
		}
	}
	return first;
}

int listening_open(struct listening *l, struct setup *s)
{
	int r;

	*l = (struct listening){ .setup = s };
	r = open_all(l, true);
	if (r == 0 && l->count == 0) {
		log_line(LOG_LEVEL_ERROR, "no address to listen on is there");
		r = -EADDRNOTAVAIL;
	}
	if (r < 0)
		listening_done(l);
	return r;
}

size_t listening_retry(struct listening *l)
{
	size_t before = l->count;
	char text[ADDR_STRLEN];

	(void)open_all(l, false);
	for (size_t i = before; i < l->count; i++)
		log_line(LOG_LEVEL_NOTICE, "listener \"%s\" listens on %s now",
			 l->entries[i].listener->name,
			 addr_format(&l->entries[i].addr, text, sizeof(text)));
	return l->count - before;
}

void listening_format(const struct listening *l, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < l->count && len + ADDR_STRLEN + 1 < size; i++) {
		char text[ADDR_STRLEN];

		len += (size_t)snprintf(
			out + len, size - len, "%s%s", i ? " " : "",
			addr_format(&l->entries[i].addr, text, sizeof(text)));
	}
}

void listening_done(struct listening *l)
{
	free(TAKE_PTR(l->entries));
	l->count = l->cap = 0;
}
