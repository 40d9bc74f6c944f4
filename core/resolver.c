/*
 * What a name is, in this order: an address, a line of the hosts file, a name
 * that means this machine, something in the cache, a question to DNS.
 *
 * Files are looked at while names are asked for, at most every so often; a
 * changed resolv.conf makes a new channel (c-ares cannot read it again), on
 * which all that is in flight is asked once more.
 */
#include "core/resolver.h"

#include "core/file_stamp.h"
#include "core/host_name.h"
#include "core/hosts_file.h"
#include "core/name_order.h"
#include "core/name_query.h"
#include "core/task.h"

#include <stdlib.h>
#include <string.h>

#define CONF_INTERVAL_MS 5000
#define CONF_DEFAULT     "/etc/resolv.conf"

/* c-ares tells its questions apart by 16 bits. */
#define PENDING_MAX 16384

/*
 * A busy channel sends from one port for as long as it is never idle, which
 * would leave 16 bits for a forger to guess.  So after this many questions a
 * new one takes over; the old ones end what they have.
 */
#define STREAK_MAX   512
#define RETIRING_MAX 4

struct resolver {
	struct name_asker asker;
	struct dns_options dns; /* its pointers are our own copies */
	struct dns_channel *retiring[RETIRING_MAX];
	struct hosts_file hosts;
	size_t max_pending;
	const char *conf; /* the file to follow; NULL: none */
	struct file_stamp conf_stamp;
	int64_t conf_checked_at;
};

/* --- Life --------------------------------------------------------------- */

static int copy_search(struct resolver *r, const struct resolver_options *o)
{
	char **search;

	r->dns.no_search = o->no_search;
	r->dns.ndots = o->ndots;
	if (o->search_count == 0)
		return 0;
	search = calloc(o->search_count, sizeof(*search));
	if (!search)
		return -ENOMEM;
	r->dns.search = (const char *const *)search;
	for (size_t i = 0; i < o->search_count; i++) {
		search[i] = strdup(o->search[i]);
		if (!search[i])
			return -ENOMEM;
		r->dns.search_count++;
	}
	return 0;
}

static int copy_options(struct resolver *r, const struct resolver_options *o)
{
	struct tcp_addr *servers = NULL;

	if (o->server_count > 0) {
		servers = calloc(o->server_count, sizeof(*servers));
		if (!servers)
			return -ENOMEM;
		memcpy(servers, o->servers, o->server_count * sizeof(*servers));
	}
	r->dns = (struct dns_options){
		.servers = servers,
		.server_count = o->server_count,
		.timeout_ms = o->timeout_ms,
		.tries = o->tries,
	};
	r->asker.order = o->order;
	r->asker.ttl_min_ms = o->ttl_min_ms;
	r->asker.ttl_max_ms = o->ttl_max_ms;
	r->asker.negative_ttl_ms = o->negative_ttl_ms;
	r->max_pending = min_size(o->max_pending, PENDING_MAX);
	if (o->resolv_conf) {
		r->dns.resolv_conf = strdup(o->resolv_conf);
		if (!r->dns.resolv_conf)
			return -ENOMEM;
	}
	if (o->resolv_conf || o->server_count == 0)
		r->conf = r->dns.resolv_conf ? r->dns.resolv_conf
					     : CONF_DEFAULT;
	if (copy_search(r, o) < 0)
		return -ENOMEM;
	return o->hosts ? hosts_file_init(&r->hosts, o->hosts) : 0;
}

static void stamp_conf(const struct resolver *r, struct file_stamp *ret)
{
	struct stat st;

	if (stat(r->conf, &st) == 0)
		*ret = file_stamp(&st);
}

int resolver_new(struct resolver **ret, struct loop *l,
		 const struct resolver_options *o)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->asker.loop = l;
	list_init(&r->asker.queries);
	error = copy_options(r, o);
	if (error == 0)
		error = name_cache_new(&r->asker.cache, o->cache_entries);
	if (error == 0 && r->conf) {
		r->conf_checked_at = loop_now(l);
		stamp_conf(r, &r->conf_stamp);
	}
	if (error == 0)
		error = dns_channel_new(&r->asker.channel, l, &r->dns);
	if (error < 0) {
		resolver_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	name_queries_cancel(&r->asker);
	dns_channel_free(r->asker.channel);
	for (size_t i = 0; i < RETIRING_MAX; i++)
		dns_channel_free(r->retiring[i]);
	name_cache_free(r->asker.cache);
	hosts_file_done(&r->hosts);
	for (size_t i = 0; i < r->dns.search_count; i++)
		free((void *)r->dns.search[i]);
	free((void *)r->dns.search);
	free((void *)r->dns.servers);
	free((void *)r->dns.resolv_conf);
	free(r);
}

size_t resolver_pending(const struct resolver *r)
{
	return r->asker.query_count;
}

/* --- Without DNS -------------------------------------------------------- */

static bool from_literal(const char *name, struct resolve_answer *ret)
{
	struct tcp_addr a;

	if (addr_parse_ip(&a, name) < 0)
		return false;
	addr_unmap(&a);
	ret->addr[0] = a;
	ret->count = 1;
	ret->partial = false;
	return true;
}

/*
 * 0, -EAGAIN where the file does not know the name, or -ENOMEM.  A name that
 * it knows never goes to DNS: who blocks one with an address of IPv4 does not
 * want to hear what the world says of IPv6.
 */
static int from_hosts(struct resolver *r, const char *name, size_t len,
		      struct resolve_answer *ret)
{
	const struct tcp_addr *found[NAME_FAMILIES][RESOLVE_MAX];
	unsigned count[NAME_FAMILIES];
	enum resolver_order order = r->asker.order;
	int error;

	if (!r->hosts.path)
		return -EAGAIN;
	error = hosts_file_refresh(&r->hosts, loop_now(r->asker.loop));
	/*
	 * A file that cannot be read leaves what it said before.  Without
	 * memory for a first look, DNS must not answer what it may overrule.
	 */
	if (!r->hosts.table)
		return error == -ENOMEM ? error : -EAGAIN;
	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		count[f] = hosts_find(r->hosts.table, name, len,
				      name_socket_family(f), found[f],
				      RESOLVE_MAX);
	if (count[NAME_V6] + count[NAME_V4] == 0)
		return -EAGAIN;
	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		if (!order_wants(order, f))
			count[f] = 0;
	if (!answer_begin(ret, count))
		return -ENOENT;
	for (enum name_family f = 0; f < NAME_FAMILIES; f++)
		for (unsigned i = 0; i < count[f]; i++)
			answer_place(ret, order, count, f, i, found[f][i]);
	return 0;
}

/* RFC 6761 §6.3: such names never go to DNS. */
static void answer_loopback(enum resolver_order order,
			    struct resolve_answer *ret)
{
	static const uint8_t ip[NAME_FAMILIES][16] = {
		[NAME_V6] = { [15] = 1 },
		[NAME_V4] = { 127, 0, 0, 1 },
	};
	const unsigned count[NAME_FAMILIES] = {
		[NAME_V6] = order_wants(order, NAME_V6),
		[NAME_V4] = order_wants(order, NAME_V4),
	};
	struct tcp_addr a;

	(void)answer_begin(ret, count);
	for (enum name_family f = 0; f < NAME_FAMILIES; f++) {
		if (count[f] == 0)
			continue;
		addr_set(&a, name_socket_family(f), ip[f], 0);
		answer_place(ret, order, count, f, 0, &a);
	}
}

/*
 * Writes the name folded, and its length.  -EAGAIN: DNS is to be asked; 0 or
 * any other error: this is the answer.
 */
static int without_dns(struct resolver *r, const char *name, char *folded,
		       size_t *ret_len, struct resolve_answer *ret)
{
	int len, found;

	if (from_literal(name, ret))
		return 0;
	len = host_name_fold(folded, name, strnlen(name, HOST_NAME_SIZE));
	if (len < 0)
		return len;
	*ret_len = (size_t)len;
	found = from_hosts(r, folded, *ret_len, ret);
	if (found != -EAGAIN)
		return found;
	if (host_name_within(folded, *ret_len, "localhost")) {
		answer_loopback(r->asker.order, ret);
		return 0;
	}
	/* RFC 7686 §2: DNS must not hear of them. */
	return host_name_within(folded, *ret_len, "onion") ? -ENOENT : -EAGAIN;
}

/* --- With DNS ----------------------------------------------------------- */

/* Does what a changed resolv.conf asks for.  One that is gone changes none. */
static void follow_conf(struct resolver *r)
{
	struct name_asker *a = &r->asker;
	int64_t now = loop_now(a->loop);
	struct file_stamp stamp = r->conf_stamp;
	struct dns_channel *channel, *old = a->channel;

	if (!r->conf || now - r->conf_checked_at < CONF_INTERVAL_MS)
		return;
	r->conf_checked_at = now;
	stamp_conf(r, &stamp);
	if (file_stamp_equal(&stamp, &r->conf_stamp) ||
	    dns_channel_new(&channel, a->loop, &r->dns) < 0)
		return;
	r->conf_stamp = stamp;
	name_cache_clear(a->cache);
	a->channel = channel;
	name_queries_restart(a);
	dns_channel_free(old);
}

/* Frees the old channels that are done and returns a free place, or NULL. */
static struct dns_channel **retired(struct resolver *r)
{
	struct dns_channel **empty = NULL;

	for (size_t i = 0; i < RETIRING_MAX; i++) {
		struct dns_channel **c = &r->retiring[i];

		if (*c && dns_channel_load(*c) == 0)
			dns_channel_free(TAKE_PTR(*c));
		if (!*c)
			empty = c;
	}
	return empty;
}

static void change_port(struct resolver *r)
{
	struct dns_channel **place, *channel;

	if (dns_channel_streak(r->asker.channel) < STREAK_MAX)
		return;
	place = retired(r);
	if (!place || dns_channel_new(&channel, r->asker.loop, &r->dns) < 0)
		return;
	*place = r->asker.channel;
	r->asker.channel = channel;
}

/* Asks DNS for the name, or joins whoever does. */
static int join_query(struct resolver *r, const char *name, size_t len,
		      struct name_entry *e, struct name_waiter *w)
{
	struct name_asker *a = &r->asker;

	if (e && e->holder) {
		name_query_join(e, w);
		return 0;
	}
	if (a->query_count >= r->max_pending)
		return -EBUSY;
	change_port(r);
	if (!e)
		e = name_cache_add(a->cache, name, len);
	return e ? name_query_start(a, e, w) : -ENOMEM;
}

/* -EAGAIN: the entry, which may be missing, does not hold, or not yet. */
static int from_entry(struct resolver *r, struct name_entry *e,
		      struct resolve_answer *ret)
{
	if (!e || e->holder || !name_entry_fresh(e, loop_now(r->asker.loop)))
		return -EAGAIN;
	name_cache_touch(r->asker.cache, e);
	return name_entry_answer(e, r->asker.order, ret);
}

static int ask_dns(struct resolver *r, const char *name, size_t len,
		   struct name_waiter *w, int64_t deadline)
{
	struct name_entry *e;
	int error;

	follow_conf(r);
	e = name_cache_find(r->asker.cache, name);
	error = from_entry(r, e, w->answer);
	if (error != -EAGAIN)
		return error;
	error = join_query(r, name, len, e, w);
	if (error < 0 || w->done)
		return error < 0 ? error : w->result;
	error = task_wait(deadline);
	/* What came in the same turn as the deadline is still an answer. */
	if (w->done)
		return error == -ECANCELED ? error : w->result;
	name_waiter_leave(w);
	return error;
}

static int resolve(struct resolver *r, const char *name,
		   struct resolve_answer *ret, int64_t deadline, bool whole)
{
	struct name_waiter w = {
		.task = task_self(),
		.answer = ret,
		.whole = whole,
	};
	char folded[HOST_NAME_SIZE];
	size_t len;
	int error = without_dns(r, name, folded, &len, ret);

	if (error != -EAGAIN)
		return error;
	return ask_dns(r, folded, len, &w, deadline);
}

int resolver_lookup(struct resolver *r, const char *name,
		    struct resolve_answer *ret, int64_t deadline)
{
	return resolve(r, name, ret, deadline, false);
}

int resolver_rest(struct resolver *r, const char *name,
		  struct resolve_answer *ret, int64_t deadline)
{
	return resolve(r, name, ret, deadline, true);
}

int resolver_peek(struct resolver *r, const char *name,
		  struct resolve_answer *ret)
{
	char folded[HOST_NAME_SIZE];
	struct name_entry *e;
	size_t len;
	int error = without_dns(r, name, folded, &len, ret);

	if (error != -EAGAIN)
		return error;
	follow_conf(r);
	e = name_cache_find(r->asker.cache, folded);
	return e && e->holder ? name_query_peek(e, ret) : from_entry(r, e, ret);
}
