/*
 * Datagrams whose target is a name.  What hosts file or cache know goes on at
 * once; else a copy waits, bounded, while a task asks for the name.
 *
 * A task may outlive its association, since it unwinds itself when it is
 * cancelled: `a` is NULL then, and nothing waits any more.
 */
#include "daemon/proxy/associate_name.h"

#include "core/task.h"
#include "daemon/proxy/associate_up.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX   16u
#define WAITING_BYTES (64u << 10)

/* What the second family gets to come where the first is of no use. */
#define REST_MS 2000

/* How many addresses of a family are looked at for a way: each costs four
 * system calls, and whoever owns the name says how many there are. */
#define LOOKS_MAX 2u

struct datagram {
	struct datagram *next;
	size_t len;
	uint16_t port;
	uint8_t room[SOCKS_UDP_REPLY_MAX]; /* for a parent's header */
	uint8_t bytes[];
};

struct waiting_name {
	struct association *a;
	struct associations *all;
	struct task *task;
	struct list link; /* in a->names */
	struct datagram *first, **last;
	char host[HOST_NAME_BYTES + 1];
};

/* --- Which address ------------------------------------------------------ */

static bool has_both_families(const struct resolve_answer *found)
{
	for (unsigned i = 1; i < found->count; i++)
		if (found->addr[i].family != found->addr[0].family)
			return true;
	return false;
}

static int choose_family(struct association *a, const struct rule_query *about,
			 const struct resolve_answer *found, sa_family_t family,
			 struct tcp_addr *to)
{
	bool look = found->partial || has_both_families(found);
	unsigned looks[2] = { 0 }; /* of IPv4, of IPv6 */
	uint16_t port = to->port, rule;
	int r = -EACCES;

	for (unsigned i = 0; i < found->count; i++) {
		*to = found->addr[i];
		to->port = port;
		if ((family != AF_UNSPEC && to->family != family) ||
		    !association_may_send(a, to, about, &rule) ||
		    !association_has_room(a, rule))
			continue;
		a->way.parent = association_by_parent(a, rule);
		/* No answer tells a datagram that goes nowhere from one that
		 * is lost: so the way is tried before. */
		if (!look || a->way.parent ||
		    (looks[to->family == AF_INET6]++ < LOOKS_MAX &&
		     association_has_way(a, to))) {
			association_note_target(a, to, about->host, rule);
			return 0;
		}
		r = -ENETUNREACH;
	}
	return r;
}

/* Finds an address that the rules let datagrams go to; to->port is set. */
static int choose(struct association *a, const char *host,
		  const struct resolve_answer *found, struct tcp_addr *to)
{
	sa_family_t first = a->here->proxy->options.outbound.prefer;
	struct rule_query about = a->query;
	char full[HOST_NAME_SIZE];
	uint16_t port = to->port;
	int r;

	about.host = (struct span){ (const uint8_t *)host, strlen(host) };
	about.full = (struct span){ (const uint8_t *)full,
				    resolver_full_name(a->here->resolver, host,
						       found, full) };
	r = choose_family(a, &about, found, first, to);

	if (r < 0 && first != AF_UNSPEC) {
		to->port = port;
		r = choose_family(a, &about, found,
				  first == AF_INET ? AF_INET6 : AF_INET, to);
	}
	if (r < 0)
		to->port = port;
	return r;
}

/* --- What waits --------------------------------------------------------- */

static size_t datagram_bytes(size_t len)
{
	return sizeof(struct datagram) + len;
}

static size_t name_bytes(void)
{
	return sizeof(struct waiting_name) + TASK_BYTES;
}

static void free_datagram(struct association *a, struct datagram *d)
{
	a->waiting--;
	a->waiting_bytes -= d->len;
	budget_give(&a->all->budget, datagram_bytes(d->len));
	free(d);
}

static struct datagram *take_datagram(struct waiting_name *w)
{
	struct datagram *d = w->first;

	if (!d)
		return NULL;
	w->first = d->next;
	if (!w->first)
		w->last = &w->first;
	return d;
}

static int add_datagram(struct waiting_name *w, uint16_t port,
			struct span payload)
{
	struct association *a = w->a;
	struct datagram *d;

	if (a->waiting >= WAITING_MAX ||
	    a->waiting_bytes + payload.len > WAITING_BYTES ||
	    !budget_take(&a->all->budget, datagram_bytes(payload.len)))
		return -ENOBUFS;
	d = malloc(sizeof(*d) + payload.len);
	if (!d) {
		budget_give(&a->all->budget, datagram_bytes(payload.len));
		return -ENOMEM;
	}
	d->next = NULL;
	d->port = port;
	d->len = payload.len;
	if (payload.len)
		memcpy(d->bytes, payload.at, payload.len);
	*w->last = d;
	w->last = &d->next;
	a->waiting++;
	a->waiting_bytes += payload.len;
	return 0;
}

static void free_name(struct waiting_name *w)
{
	struct datagram *d;

	while (w->a && (d = take_datagram(w))) {
		association_dropped(w->a, 1);
		free_datagram(w->a, d);
	}
	list_remove(&w->link);
	budget_give(&w->all->budget, name_bytes());
	free(w);
}

/* --- The task ----------------------------------------------------------- */

static void send_now(struct association *a, const struct tcp_addr *to,
		     struct datagram *d, bool by_parent)
{
	const struct tcp_addr *next = by_parent ? &a->parent.at : to;
	uint8_t header[SOCKS_UDP_REPLY_MAX], *at = d->bytes;
	struct association_socket *s;
	union dgram_name name;
	size_t len = 0;

	ASSERT(d);
	association_claim(a);
	if (by_parent) {
		len = socks_udp_format(header, to);
		at -= len; /* into its room */
		memcpy(at, header, len);
	}
	s = association_target(a, next->family);
	dgram_name_set(&name, next);
	if (s && contacts_mark(&a->contacts, to) == 0 &&
	    dgram_send(&s->d, at, len + d->len, &name) == 0)
		association_moved(a, true, 1, d->len);
	else
		association_dropped(a, 1);
	a->sender.known = false;
}

/* Sends what waits.  < 0: none of these addresses will do; where others may
 * come, it waits on. */
static int send_all(struct waiting_name *w, const struct resolve_answer *found)
{
	int last = 0;

	w->a->way.len = 0; /* what it says of the way is of these */
	while (w->first) {
		struct tcp_addr to = { .port = w->first->port };
		int r = choose(w->a, w->host, found, &to);
		struct datagram *d;

		if (r < 0 && found->partial)
			return r;
		d = take_datagram(w);
		if (r == 0)
			send_now(w->a, &to, d, w->a->way.parent);
		else
			association_dropped(w->a, 1);
		free_datagram(w->a, d);
		last = r;
	}
	return last;
}

static void ask(void *arg)
{
	struct waiting_name *w = arg;
	const struct proxy_worker *here = proxy_here();
	struct resolver *resolver = here->resolver;
	int64_t wait = here->proxy->options.timeouts.name_ms;
	struct resolve_answer found;
	int r = resolver_lookup_for(resolver, w->a ? &w->a->query.client : NULL,
				    w->host, &found, tcp_deadline(wait));

	if (r == 0 && w->a && send_all(w, &found) < 0 && found.partial &&
	    w->first) {
		r = resolver_rest(resolver, w->host, &found,
				  tcp_deadline(REST_MS));
		found.partial = false;
		if (r == 0 && w->a)
			(void)!send_all(w, &found);
	}
	free_name(w);
}

static struct waiting_name *find_name(struct association *a, const char *host)
{
	struct list *at, *safe;

	list_for_each_safe (at, safe, &a->names) {
		struct waiting_name *w = list_entry(at, struct waiting_name,
						    link);

		if (strcmp(w->host, host) == 0)
			return w;
	}
	return NULL;
}

static int start_asking(struct association *a, const char *host, uint16_t port,
			struct span payload)
{
	struct waiting_name *w;
	int r;

	if (a->waiting >= WAITING_MAX ||
	    !budget_take(&a->all->budget, name_bytes()))
		return -ENOBUFS;
	w = calloc(1, sizeof(*w));
	if (!w) {
		budget_give(&a->all->budget, name_bytes());
		return -ENOMEM;
	}
	w->a = a;
	w->all = a->all;
	w->last = &w->first;
	memcpy(w->host, host, strlen(host) + 1);
	list_append(&a->names, &w->link);
	r = add_datagram(w, port, payload);
	if (r == 0)
		r = task_start(ask, w, &w->task); /* may be done by then */
	if (r == 0)
		return -EAGAIN;
	/* Whoever is told of the failure counts it. */
	if (w->first)
		free_datagram(a, take_datagram(w));
	free_name(w);
	return r == -EAGAIN ? -ENOBUFS : r;
}

static int wait_for_name(struct association *a, const char *host, uint16_t port,
			 struct span payload)
{
	struct waiting_name *w = find_name(a, host);
	int r = w ? add_datagram(w, port, payload)
		  : start_asking(a, host, port, payload);

	return r < 0 ? r : -EAGAIN;
}

int association_find(struct association *a, const struct target *t,
		     struct span payload, struct tcp_addr *ret)
{
	struct rule_query q = a->query;
	char host[HOST_NAME_BYTES + 1];
	struct resolve_answer found;
	int r;

	ASSERT(t->host.len < sizeof(host));
	for (size_t i = 0; i < t->host.len; i++)
		host[i] = (char)tolower(t->host.at[i]);
	host[t->host.len] = '\0';
	q.host = t->host;
	q.port = t->port;
	if (!rules_before_dns(policy_rules(a->here->policy), &q).allow)
		return -EACCES;
	r = resolver_peek(a->here->resolver, host, &found);
	if (r == 0) {
		ret->port = t->port;
		r = choose(a, host, &found, ret);
		/* What has not come yet may do. */
		if (r < 0 && found.partial)
			r = -EAGAIN;
	}
	return r == -EAGAIN ? wait_for_name(a, host, t->port, payload) : r;
}

void association_forget_names(struct association *a)
{
	while (!list_empty(&a->names)) {
		struct waiting_name *w = list_first(&a->names,
						    struct waiting_name, link);
		struct datagram *d;

		while ((d = take_datagram(w))) {
			association_dropped(a, 1);
			free_datagram(a, d);
		}
		list_remove(&w->link);
		w->a = NULL;
		task_cancel(w->task);
	}
}
