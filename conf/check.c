/*
 * Checks across options: names that must differ, addresses that collide,
 * passwords that nobody could verify.
 */
#include "conf/admin.h"
#include "conf/check_internal.h"

#include <stdlib.h>
#include <string.h>

const char *conf_line_of(const char *where)
{
	const char *colon = strrchr(where, ':');

	return colon ? colon + 1 : where;
}

static bool is_wildcard(const struct conf_endpoint *e, sa_family_t family)
{
	return !e->interface && e->addr.family == family &&
	       addr_is_any(&e->addr);
}

/* [::] without v6only takes 0.0.0.0 too. */
static bool takes_both(const struct conf_listener *l,
		       const struct conf_endpoint *e)
{
	return !l->v6only && is_wildcard(e, AF_INET6);
}

static bool endpoints_collide(const struct conf_listener *a,
			      const struct conf_endpoint *x,
			      const struct conf_listener *b,
			      const struct conf_endpoint *y)
{
	if (x->socket || y->socket)
		return x->socket && y->socket && !strcmp(x->socket, y->socket);
	if (!x->addr.port || x->addr.port != y->addr.port ||
	    strcmp(a->device, b->device) != 0)
		return false;
	if ((takes_both(a, x) && is_wildcard(y, AF_INET)) ||
	    (takes_both(b, y) && is_wildcard(x, AF_INET)))
		return true;
	if (!x->interface || !y->interface)
		return !x->interface && !y->interface &&
		       addr_equal(&x->addr, &y->addr);
	return !strcmp(x->interface, y->interface);
}

/* Complains of the first address before (l, i) that collides with it. */
static void check_endpoint(struct check *k, size_t l, size_t i)
{
	const struct conf_listener *b = &k->c->listeners[l];
	const struct conf_endpoint *y = &b->address.at[i];
	char text[128];

	for (size_t m = 0; m <= l; m++) {
		const struct conf_listener *a = &k->c->listeners[m];
		size_t count = m == l ? i : a->address.count;

		for (size_t n = 0; n < count; n++) {
			if (!endpoints_collide(a, &a->address.at[n], b, y))
				continue;
			conf_endpoint_format(y, true, text, sizeof(text));
			if (m == l)
				COMPLAIN(k, b->where,
					 "listener '%s' collides with itself "
					 "on %s",
					 b->name, text);
			else
				COMPLAIN(k, b->where,
					 "listener '%s' collides on %s with "
					 "'%s' of line %s",
					 b->name, text, a->name,
					 conf_line_of(a->where));
			return;
		}
	}
}

/* Of the listener for metrics; port 0 collides with nothing. */
static void check_admin_endpoint(struct check *k, const struct conf_listener *a,
				 const struct conf_endpoint *x)
{
	char text[128];

	for (size_t l = 0; l < k->c->listener_count; l++) {
		const struct conf_listener *b = &k->c->listeners[l];

		for (size_t i = 0; i < b->address.count; i++)
			if (endpoints_collide(a, x, b, &b->address.at[i]))
				COMPLAIN(k, b->where,
					 "listener '%s' collides on %s with "
					 "'http' of 'admin'",
					 b->name,
					 conf_endpoint_format(x, true, text,
							      sizeof(text)));
	}
	if (x->socket && !strcmp(x->socket, k->c->admin.socket))
		COMPLAIN(k, a->where,
			 "admin: 'socket' and 'http' have the same path");
}

static void check_addresses(struct check *k)
{
	const struct conf_listener admin = conf_admin_listener(k->c);

	for (size_t l = 0; l < k->c->listener_count; l++)
		for (size_t i = 0; i < k->c->listeners[l].address.count; i++)
			check_endpoint(k, l, i);
	for (size_t i = 0; i < admin.address.count; i++)
		check_admin_endpoint(k, &admin, &admin.address.at[i]);
}

/* The name of an entry, for finding two of a kind by sorting. */
struct named {
	const char *name;
	const char *where;
	size_t index;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order)
		return order;
	return (x->index > y->index) - (x->index < y->index);
}

static void check_names(struct check *k, const char *kind, struct named *list,
			size_t count)
{
	qsort(list, count, sizeof(*list), compare_named);
	for (size_t i = 1; i < count; i++)
		if (!strcmp(list[i].name, list[i - 1].name))
			COMPLAIN(k, list[i].where,
				 "the %s of line %s has the name '%s' already",
				 kind, conf_line_of(list[i - 1].where),
				 list[i].name);
}

#define CHECK_NAMES(k, kind, entries, count, list)                             \
	do {                                                                   \
		for (size_t i_ = 0; i_ < (count); i_++)                        \
			(list)[i_] = (struct named){ (entries)[i_].name,       \
						     (entries)[i_].where,      \
						     i_ };                     \
		check_names(k, kind, list, count);                             \
	} while (0)

static void check_all_names(struct check *k)
{
	const struct conf *c = k->c;
	size_t most = max_size(max_size(c->listener_count, c->tls_count),
			       max_size(c->client_count, c->rule_count));
	struct named *list = calloc(
		max_size(max_size(most, c->upstream_count), c->quota_count) + 1,
		sizeof(*list));

	if (!list) {
		k->result = -ENOMEM;
		return;
	}
	CHECK_NAMES(k, "tls", c->tls, c->tls_count, list);
	CHECK_NAMES(k, "upstream", c->upstreams, c->upstream_count, list);
	CHECK_NAMES(k, "listener", c->listeners, c->listener_count, list);
	CHECK_NAMES(k, "client entry", c->clients, c->client_count, list);
	CHECK_NAMES(k, "rule", c->rules, c->rule_count, list);
	CHECK_NAMES(k, "quota", c->quotas, c->quota_count, list);
	free(list);
}

/* Whom nobody could verify would be locked out. */
static void check_logins(struct check *k)
{
	for (size_t i = 0; !*k->c->auth.users_file && i < k->c->client_count;
	     i++) {
		const struct conf_client *e = &k->c->clients[i];

		if (e->action == CONF_ALLOW && e->auth.set & CONF_AUTH_PASSWORD)
			COMPLAIN(k, e->where,
				 "'%s' asks for a password, but there are no "
				 "users: 'auth' has no 'users_file'",
				 e->name);
	}
	for (size_t i = 0; !*k->c->auth.groups_file && i < k->c->rule_count;
	     i++)
		if (k->c->rules[i].groups.count)
			COMPLAIN(k, k->c->rules[i].where,
				 "'%s' names groups, but there are none: "
				 "'auth' has no 'groups_file'",
				 k->c->rules[i].name);
}

static void check_quotas(struct check *k)
{
	for (size_t i = 0; i < k->c->quota_count; i++) {
		const struct conf_quota *q = &k->c->quotas[i];

		if (q->groups.count && !*k->c->auth.groups_file)
			COMPLAIN(k, q->where,
				 "'%s' names groups, but there are none: "
				 "'auth' has no 'groups_file'",
				 q->name);
	}
}

static void check_names_group(struct check *k)
{
	if (k->c->names.ttl_min_ms > k->c->names.ttl_max_ms)
		COMPLAIN(k, k->c->path,
			 "names: 'ttl_min' is longer than 'ttl_max'");
}

int conf_check_addresses(const struct conf *c, struct conf_errors *errors)
{
	struct check k = { .c = c, .errors = errors };

	check_addresses(&k);
	return k.result;
}

int conf_check(const struct conf *c, struct conf_errors *errors)
{
	struct check k = { .c = c, .errors = errors };

	if (!c->listener_count)
		COMPLAIN(&k, c->path,
			 "no 'listeners': nothing would be served; write as in "
			 "listeners: ( { name = \"lan\"; address = "
			 "\"192.0.2.1:1080\"; } );");
	check_all_names(&k);
	check_addresses(&k);
	check_logins(&k);
	check_quotas(&k);
	conf_check_listeners(&k);
	conf_check_upstreams(&k);
	conf_check_admin(&k);
	check_names_group(&k);
	return k.result;
}
