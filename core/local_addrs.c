/*
 * The table of local addresses.  A change is rare and a machine has few
 * addresses, so each event reads the whole table anew: nothing can be missed,
 * not even when the kernel dropped events (ENOBUFS).
 */
#include "core/local_addrs.h"

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX   65536u
#define REPLY_BYTES 32768u
#define REREAD_MS   50 /* events come in swarms */

/* How well an address serves as a source; the best ones are taken. */
enum standing {
	STANDING_GLOBAL,
	STANDING_DEPRECATED,
	STANDING_LINK,
	STANDING_NONE, /* nobody can bind to it, or not yet */
};

struct local_addr {
	struct tcp_addr addr;
	uint32_t interface;
	enum standing standing;
};

struct local_addrs {
	struct loop *loop;
	struct watch events;
	struct timer reread;
	void (*on_change)(void *ctx);
	void *ctx;
	struct local_addr *table;
	size_t count, cap;
};

static int netlink_open(uint32_t groups)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK,
				    .nl_groups = groups };
	CLEANUP(close_fd)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int ask_for_all(int fd)
{
	struct {
		struct nlmsghdr head;
		struct ifaddrmsg body;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = RTM_GETADDR,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .ifa_family = AF_UNSPEC },
	};

	return send(fd, &ask, sizeof(ask), 0) < 0 ? -errno : 0;
}

static int append(struct local_addrs *t, const struct local_addr *entry)
{
	if (t->count == TABLE_MAX)
		return 0;
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct local_addr *table = realloc(t->table,
						   cap * sizeof(*table));

		if (!table)
			return -ENOMEM;
		t->table = table;
		t->cap = cap;
	}
	t->table[t->count++] = *entry;
	return 0;
}

static enum standing standing_of(const struct ifaddrmsg *m)
{
	bool sure = !(m->ifa_flags & IFA_F_TENTATIVE) ||
		    m->ifa_flags & IFA_F_OPTIMISTIC;

	if (!sure || m->ifa_flags & IFA_F_DADFAILED)
		return STANDING_NONE;
	if (m->ifa_scope >= RT_SCOPE_LINK)
		return STANDING_LINK;
	return m->ifa_flags & IFA_F_DEPRECATED ? STANDING_DEPRECATED
					       : STANDING_GLOBAL;
}

static int take_address(struct local_addrs *t, const struct nlmsghdr *head)
{
	const struct ifaddrmsg *m = NLMSG_DATA(head);
	int len = (int)IFA_PAYLOAD(head);
	const uint8_t *ip = NULL;
	size_t want = m->ifa_family == AF_INET ? 4 : 16;
	struct local_addr entry = { .interface = m->ifa_index };

	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return 0;
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, len);
	     a = RTA_NEXT(a, len)) {
		bool local = a->rta_type == IFA_LOCAL;

		/* On a point-to-point link IFA_ADDRESS is the other end. */
		if ((local || (a->rta_type == IFA_ADDRESS && !ip)) &&
		    RTA_PAYLOAD(a) >= want)
			ip = RTA_DATA(a);
	}
	if (!ip)
		return 0;
	addr_set(&entry.addr, m->ifa_family, ip, 0);
	entry.standing = standing_of(m);
	if (m->ifa_scope == RT_SCOPE_LINK && m->ifa_family == AF_INET6)
		entry.addr.scope = m->ifa_index;
	return append(t, &entry);
}

/* Takes one datagram of the answer; 1: there is more to come. */
static int take_answer(struct local_addrs *t, const char *bytes, size_t size)
{
	unsigned len = (unsigned)size;

	for (const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;
	     NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		int r = 0;

		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (h->nlmsg_type == RTM_NEWADDR)
			r = take_address(t, h);
		if (r < 0)
			return r;
	}
	return 1;
}

/* Reads the whole table; what was known stays where that fails. */
static int read_table(struct local_addrs *t)
{
	CLEANUP(close_fd) int fd = netlink_open(0);
	struct local_addrs fresh = { 0 };
	char *bytes;
	int r;

	if (fd < 0)
		return fd;
	bytes = malloc(REPLY_BYTES);
	if (!bytes)
		return -ENOMEM;
	r = ask_for_all(fd);
	if (r == 0)
		r = 1;
	while (r > 0) {
		ssize_t n = recv(fd, bytes, REPLY_BYTES, 0);

		r = n < 0 ? -errno : take_answer(&fresh, bytes, (size_t)n);
	}
	free(bytes);
	if (r < 0) {
		free(fresh.table);
		return r;
	}
	free(t->table);
	t->table = fresh.table;
	t->count = fresh.count;
	t->cap = fresh.cap;
	return 0;
}

static void reread(struct timer *timer)
{
	struct local_addrs *t = container_of(timer, struct local_addrs, reread);

	if (read_table(t) < 0) /* short of something: once more, later */
		(void)!timer_set(t->loop, &t->reread, loop_now(t->loop) + 1000);
	else if (t->on_change)
		t->on_change(t->ctx);
}

static void changed(struct watch *w)
{
	struct local_addrs *t = container_of(w, struct local_addrs, events);
	char sink[512];

	w->ready = 0;
	while (recv(w->fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
	if (!timer_armed(&t->reread))
		(void)!timer_set(t->loop, &t->reread,
				 loop_now(t->loop) + REREAD_MS);
}

static int follow(struct local_addrs *t)
{
	int fd = netlink_open(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			      RTMGRP_LINK);

	if (fd < 0)
		return fd;
	t->events.fd = fd;
	t->events.notify = changed;
	t->reread.fire = reread;
	return watch_add(t->loop, &t->events, EPOLLIN);
}

int local_addrs_new(struct local_addrs **ret, struct loop *l)
{
	struct local_addrs *t = calloc(1, sizeof(*t));
	int r = 0;

	if (!t)
		return -ENOMEM;
	t->loop = l;
	t->events.fd = -1;
	/* Listening first: a change while we read is not missed. */
	if (l)
		r = follow(t);
	if (r == 0)
		r = read_table(t);
	if (r < 0) {
		local_addrs_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void local_addrs_on_change(struct local_addrs *t, void (*fn)(void *ctx),
			   void *ctx)
{
	t->on_change = fn;
	t->ctx = ctx;
}

void local_addrs_free(struct local_addrs *t)
{
	if (!t)
		return;
	if (t->loop && t->events.fd >= 0) {
		timer_stop(t->loop, &t->reread);
		watch_remove(t->loop, &t->events);
		close_fd(&t->events.fd);
	}
	free(t->table);
	free(t);
}

bool local_addrs_has(const struct local_addrs *t, const struct tcp_addr *a)
{
	if (addr_is_loopback(a) || addr_is_any(a))
		return true;
	for (size_t i = 0; i < t->count; i++)
		if (memcmp(t->table[i].addr.ip, a->ip, sizeof(a->ip)) == 0)
			return true;
	return false;
}

int local_addrs_routed_here(const struct tcp_addr *a)
{
	CLEANUP(close_fd) int fd = netlink_open(0);
	struct {
		struct nlmsghdr head;
		struct rtmsg body;
		struct rtattr to;
		uint8_t ip[16];
	} ask = { 0 };
	_Alignas(struct nlmsghdr) char answer[512];
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	const struct rtmsg *route = NLMSG_DATA(head);
	size_t len;
	const uint8_t *ip = addr_bytes(a, &len);
	ssize_t n;

	if (fd < 0)
		return fd;
	memcpy(ask.ip, ip, len);
	ask.to.rta_type = RTA_DST;
	ask.to.rta_len = (unsigned short)RTA_LENGTH(len);
	ask.body.rtm_family = (unsigned char)a->family;
	ask.body.rtm_dst_len = (unsigned char)(8 * len);
	ask.head.nlmsg_type = RTM_GETROUTE;
	ask.head.nlmsg_flags = NLM_F_REQUEST;
	ask.head.nlmsg_len = NLMSG_LENGTH(sizeof(ask.body)) + ask.to.rta_len;
	if (send(fd, &ask, ask.head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	/* Else an error: there is no route at all. */
	return (size_t)n >= NLMSG_LENGTH(sizeof(*route)) &&
	       head->nlmsg_type == RTM_NEWROUTE && route->rtm_type == RTN_LOCAL;
}

static size_t in_standing(const struct local_addrs *t, uint32_t interface,
			  sa_family_t family, enum standing standing,
			  struct tcp_addr *ret, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct local_addr *e = &t->table[i];

		if (e->interface != interface || e->addr.family != family ||
		    e->standing != standing)
			continue;
		if (count < max)
			ret[count] = e->addr;
		count++;
	}
	return count;
}

int local_addrs_sources(const struct local_addrs *t, const char *interface,
			sa_family_t family, struct tcp_addr *ret, size_t max)
{
	uint32_t index = if_nametoindex(interface);
	size_t count = 0;

	if (!index)
		return -ENODEV;
	for (int s = 0; count == 0 && s < STANDING_NONE; s++)
		count = in_standing(t, index, family, (enum standing)s, ret,
				    max);
	return (int)count;
}

int local_addrs_of(const struct local_addrs *t, const char *interface,
		   sa_family_t family, struct tcp_addr *ret)
{
	int count = local_addrs_sources(t, interface, family, ret, 1);

	if (count < 0)
		return count;
	return count > 0 ? 0 : -EADDRNOTAVAIL;
}

int local_addrs_all(const struct local_addrs *t, const char *interface,
		    struct tcp_addr *ret, size_t max)
{
	uint32_t index = if_nametoindex(interface);
	size_t count = 0;

	if (!index)
		return -ENODEV;
	for (size_t i = 0; i < t->count; i++) {
		if (t->table[i].interface != index)
			continue;
		if (count < max)
			ret[count] = t->table[i].addr;
		count++;
	}
	return (int)count;
}
