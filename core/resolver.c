/*
 * What a name is, in this order: an address, a line of the hosts file, a name
 * that means this machine, something in the cache, a question to DNS.
 *
 * Files are looked at while names are asked for, at most every so often; a
 * changed hosts file is read on another thread (hosts_file.c), a changed
 * resolv.conf makes a new channel (c-ares cannot read it again), on
 * which all that is in flight is asked once more.
 */
#include "core/resolver.h"

#include "core/file_stamp.h"
#include "core/host_name.h"
#include "core/name_local.h"
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
	struct hosts_view hosts;
	size_t max_pending;
	struct resolver_counts *counts; /* or NULL */
	const char *conf;               /* the file to follow; NULL: none */
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
	if (o->cache_entries == 0) /* see new_cache() */
		r->asker.ttl_min_ms = r->asker.ttl_max_ms =
			r->asker.negative_ttl_ms = 0;
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
	return o->hosts ? hosts_view_open(&r->hosts, o->hosts) : 0;
}

/*
 * Where nothing is to be kept, what has just come still is, as expired, for
 * those who got a part of it and come for the rest.
 */
static int new_cache(struct resolver *r, const struct resolver_options *o)
{
	size_t entries = o->cache_entries;

	return name_cache_new(&r->asker.cache,
			      entries > 0 ? entries : r->max_pending);
}

static void stamp_conf(const struct resolver *r, struct file_stamp *ret)
{
	struct stat st;

	/* An empty one is being written; others would make the loop wait. */
	if (stat(r->conf, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
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
	r->counts = o->counts;
	list_init(&r->asker.queries);
	error = copy_options(r, o);
	if (error == 0)
		error = new_cache(r, o);
	if (error == 0)
		error = name_shares_init(&r->asker.shares);
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
	hosts_view_close(&r->hosts);
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

/* --- With DNS ----------------------------------------------------------- */

/*
 * Does what a changed resolv.conf asks for.  One that is gone, empty or no file
 * changes nothing.
 */
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
	name_cache_forget(a->cache);
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
	if (!name_share_is_left(&a->shares, w->slot, a->query_count,
				r->max_pending))
		return -EBUSY;
	change_port(r);
	if (!e)
		e = name_cache_add(a->cache, name, len);
	return e ? name_query_start(a, e, w) : -ENOMEM;
}

/*
 * -EAGAIN: the entry, which may be missing, does not hold, or not yet.  The
 * `rest` of an answer may be had though it does not hold any more.
 */
static int from_entry(struct resolver *r, struct name_entry *e, bool rest,
		      struct resolve_answer *ret)
{
	int64_t now = loop_now(r->asker.loop);

	if (!e || e->holder)
		return -EAGAIN;
	if (!name_entry_fresh(e, now) && !(rest && name_entry_recent(e, now)))
		return -EAGAIN;
	name_cache_touch(r->asker.cache, e);
	return name_entry_answer(e, r->asker.order, ret);
}

static void note(struct resolver *r, bool hit)
{
	struct resolver_counts *n = r->counts;
	uint64_t *count;

	if (!n)
		return;
	count = hit ? &n->hits : &n->misses;
	__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&n->entries, name_cache_idle(r->asker.cache),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&n->pending, resolver_pending(r), __ATOMIC_RELAXED);
}

static int ask_dns(struct resolver *r, const char *name, size_t len,
		   struct name_waiter *w, int64_t deadline)
{
	struct name_entry *e;
	int error;

	follow_conf(r);
	e = name_cache_find(r->asker.cache, name);
	error = from_entry(r, e, w->whole, w->answer);
	if (!w->whole)
		note(r, error != -EAGAIN);
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

static int fold(char *ret, const char *name, size_t *ret_len)
{
	int len = host_name_fold(ret, name, strnlen(name, HOST_NAME_SIZE));

	*ret_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? len : 0;
}

static bool hosts_are_stale(struct resolver *r)
{
	return r->hosts.file &&
	       hosts_view_is_stale(&r->hosts, loop_now(r->asker.loop));
}

/* Completes the waiter, who says for whom and how much. */
static int resolve(struct resolver *r, const char *name, struct name_waiter *w,
		   struct resolve_answer *ret, int64_t deadline)
{
	char folded[HOST_NAME_SIZE];
	size_t len;
	int error;

	if (name_is_literal(name, ret))
		return 0;
	error = fold(folded, name, &len);
	if (error == 0 && hosts_are_stale(r))
		error = hosts_view_refresh(&r->hosts, deadline);
	if (error < 0)
		return error;
	error = name_local(&r->hosts, r->asker.order, folded, len, ret);
	if (error != -EAGAIN)
		return error;
	w->task = task_self();
	w->answer = ret;
	return ask_dns(r, folded, len, w, deadline);
}

int resolver_lookup(struct resolver *r, const char *name,
		    struct resolve_answer *ret, int64_t deadline)
{
	return resolver_lookup_for(r, NULL, name, ret, deadline);
}

int resolver_lookup_for(struct resolver *r, const struct tcp_addr *client,
			const char *name, struct resolve_answer *ret,
			int64_t deadline)
{
	struct name_waiter w = { .slot = name_slot(&r->asker.shares, client) };

	return resolve(r, name, &w, ret, deadline);
}

int resolver_rest(struct resolver *r, const char *name,
		  struct resolve_answer *ret, int64_t deadline)
{
	struct name_waiter w = { .slot = NAME_NO_SLOT, .whole = true };

	return resolve(r, name, &w, ret, deadline);
}

int resolver_peek(struct resolver *r, const char *name,
		  struct resolve_answer *ret)
{
	char folded[HOST_NAME_SIZE];
	struct name_entry *e;
	size_t len;
	int error;

	if (name_is_literal(name, ret))
		return 0;
	error = fold(folded, name, &len);
	if (error == 0 && hosts_are_stale(r))
		error = -EAGAIN;
	if (error < 0)
		return error;
	error = name_local(&r->hosts, r->asker.order, folded, len, ret);
	if (error != -EAGAIN)
		return error;
	follow_conf(r);
	e = name_cache_find(r->asker.cache, folded);
	return e && e->holder ? name_query_peek(e, ret)
			      : from_entry(r, e, false, ret);
}

size_t resolver_full_name(const struct resolver *r, const char *name,
			  const struct resolve_answer *a, char *ret)
{
	char folded[HOST_NAME_SIZE];
	size_t len;
	int n;

	if (a->place < 0 || fold(folded, name, &len) < 0)
		return 0;
	n = dns_search_name(r->asker.channel, folded, len, (unsigned)a->place,
			    ret);
	if (n <= 0 || ((size_t)n == len && memcmp(ret, folded, len) == 0))
		return 0;
	return (size_t)n;
}
