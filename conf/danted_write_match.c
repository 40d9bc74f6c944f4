/*
 * "from" and "to" of a danted.conf as elements of rules here.  Names of hosts
 * and interfaces mean the addresses that they have now, for Dante compares
 * addresses where rules here compare what was asked for.
 */
#include "conf/danted_write.h"

#include <string.h>

uint32_t danted_family(const struct tcp_addr *a)
{
	return a->family == AF_INET ? DANTED_IPV4 : DANTED_IPV6;
}

uint32_t danted_prefix_family(const struct prefix *p)
{
	return p->v4 ? DANTED_IPV4 : DANTED_IPV6;
}

bool danted_is_all(const struct danted_addr *a, uint32_t families)
{
	if (a->has_ports)
		return false;
	if (a->kind == DANTED_PREFIX)
		return danted_prefix_family(&a->prefix) == families &&
		       a->prefix.bits == (a->prefix.v4 ? 96 : 0);
	return a->kind == DANTED_ALL;
}

static void add_all(struct danted_writer *w, uint32_t families,
		    struct conf_texts *ret)
{
	if (families & DANTED_IPV4)
		danted_add(w, ret, "0.0.0.0/0");
	if (families & DANTED_IPV6)
		danted_add(w, ret, "::/0");
}

static void add_prefix(struct danted_writer *w, const struct prefix *p,
		       struct conf_texts *ret)
{
	char text[PREFIX_STRLEN];

	danted_add(w, ret, "%s", prefix_format(p, text, sizeof(text)));
}

static void add_addrs(struct danted_writer *w, const struct tcp_addr *list,
		      size_t count, uint32_t families, struct conf_texts *ret)
{
	char text[TCPSERVER_ADDR_STRLEN];

	for (size_t i = 0; i < count; i++)
		if (danted_family(&list[i]) & families)
			danted_add(
				w, ret, "%s",
				addr_format_ip(&list[i], text, sizeof(text)));
}

size_t danted_addrs_of(const struct danted_writer *w,
		       const struct danted_addr *a, struct tcp_addr *out)
{
	const struct danted_world *world = w->world;

	if (a->kind == DANTED_PREFIX) {
		addr_set(out, a->prefix.v4 ? AF_INET : AF_INET6,
			 a->prefix.ip + (a->prefix.v4 ? 12 : 0), 0);
		return 1;
	}
	return a->kind == DANTED_INTERFACE
		       ? world->interface(world->ctx, a->text, out,
					  DANTED_ADDRS_MAX)
		       : world->host(world->ctx, a->text, out,
				     DANTED_ADDRS_MAX);
}

/* Adds the addresses that an interface or host has; false: it has none. */
static bool add_known(struct danted_writer *w, const struct danted_addr *a,
		      uint32_t families, struct conf_texts *ret)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count = danted_addrs_of(w, a, list);

	if (!count)
		return false;
	add_addrs(w, list, count, families, ret);
	danted_remark(w->remarks, DANTED_CHANGED, a->line,
		      "'%.100s' means the addresses that it has now: change "
		      "the rule when they do",
		      a->text);
	return true;
}

bool danted_from(struct danted_writer *w, const struct danted_rule *r,
		 const struct danted_addr *a, uint32_t families,
		 struct conf_texts *ret)
{
	*ret = (struct conf_texts){ 0 };
	if (a->has_ports)
		return danted_cannot(w, r, a->line,
				     "ports of clients are not looked at");
	switch (a->kind) {
	case DANTED_ALL:
		if (families != (DANTED_IPV4 | DANTED_IPV6))
			add_all(w, families, ret);
		return true;
	case DANTED_PREFIX:
		if (!(danted_prefix_family(&a->prefix) & families))
			return danted_never(w, r,
					    "'from' and 'to' are of "
					    "different families");
		add_prefix(w, &a->prefix, ret);
		return true;
	case DANTED_INTERFACE:
	case DANTED_NAME:
		if (!add_known(w, a, families, ret))
			return danted_cannot(w, r, a->line,
					     "'from' is a name that has no "
					     "address now");
		if (!ret->count)
			return danted_never(w, r,
					    "'from' and 'to' are of "
					    "different families");
		return true;
	case DANTED_SUFFIX:
	case DANTED_DIRECT:
	case DANTED_URL:
		break;
	}
	return danted_cannot(w, r, a->line,
			     "clients are not looked up in DNS by address");
}

/* --- Targets ------------------------------------------------------------ */

/* What people write who mean this machine. */
static bool is_loopback(const struct danted_writer *w,
			const struct danted_addr *a)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count;

	if (a->kind == DANTED_NAME)
		return !strcmp(a->text, "lo0") || !strcmp(a->text, "lo");
	count = a->kind == DANTED_INTERFACE ? danted_addrs_of(w, a, list) : 0;
	for (size_t i = 0; i < count; i++)
		if (!addr_is_loopback(&list[i]))
			return false;
	return count > 0;
}

static bool add_loopback(struct danted_writer *w, const struct danted_rule *r,
			 const struct danted_addr *a, struct conf_texts *ret)
{
	if (r->pass && a->kind == DANTED_NAME)
		return danted_never(w, r, "there is no interface lo0");
	if (r->pass) {
		danted_add(w, ret, "127.0.0.1");
		danted_add(w, ret, "::1");
		return true;
	}
	danted_add(w, ret, "127.0.0.0/8");
	danted_add(w, ret, "::1/128");
	danted_remark(w->remarks, DANTED_CHANGED, a->line,
		      "'%.20s' means all of 127.0.0.0/8, and ::1", a->text);
	return true;
}

/* A name as an element; one that reads as a keyword ends in a dot. */
static bool add_name(struct danted_writer *w, const struct danted_rule *r,
		     const struct danted_addr *a, struct conf_texts *ret)
{
	char name[CONF_NAME_BYTES], why[CONF_WHY_BYTES];
	struct conf_match m;
	const char *text = conf_arena_format(w->f->arena, "%s.", a->text);

	if (!text) {
		w->no_memory = true;
		return true;
	}
	if (conf_match_parse(&m, a->text, name, why) == 0 &&
	    (m.kind == CONF_MATCH_NAME || m.kind == CONF_MATCH_SUFFIX))
		text = a->text;
	else if (conf_match_parse(&m, text, name, why) < 0 ||
		 (m.kind != CONF_MATCH_NAME && m.kind != CONF_MATCH_SUFFIX))
		return danted_cannot(w, r, a->line, "'to' is no host name");
	danted_add(w, ret, "%s", text);
	return true;
}

static bool add_suffix(struct danted_writer *w, const struct danted_rule *r,
		       const struct danted_addr *a, struct conf_texts *ret)
{
	if (!strcmp(a->text, "."))
		return danted_cannot(w, r, a->line,
				     "'.', every name, cannot be said");
	danted_remark(w->remarks, DANTED_CHANGED, a->line,
		      "'%.100s' is that domain and what is below it; danted "
		      "takes 'not%.100s' for it, too, and looks up the names "
		      "of addresses",
		      a->text, a->text + 1);
	return add_name(w, r, a, ret);
}

bool danted_to(struct danted_writer *w, const struct danted_rule *r,
	       const struct danted_addr *a, struct conf_texts *ret)
{
	*ret = (struct conf_texts){ 0 };
	if (a->has_ports && !a->port_count)
		return danted_never(w, r, "no port is like that");
	if (is_loopback(w, a))
		return add_loopback(w, r, a, ret);
	switch (a->kind) {
	case DANTED_ALL:
		add_all(w, DANTED_IPV4 | DANTED_IPV6, ret);
		return true;
	case DANTED_PREFIX:
		add_prefix(w, &a->prefix, ret);
		return true;
	case DANTED_INTERFACE:
		return add_known(w, a, DANTED_IPV4 | DANTED_IPV6, ret) ||
		       danted_cannot(w, r, a->line,
				     "this interface has no address now");
	case DANTED_NAME:
		if (!add_name(w, r, a, ret))
			return false;
		if (!add_known(w, a, DANTED_IPV4 | DANTED_IPV6, ret))
			danted_remark(w->remarks, DANTED_CHANGED, a->line,
				      "'%.100s' has no address now: only "
				      "requests for that very name match",
				      a->text);
		return true;
	case DANTED_SUFFIX:
		return add_suffix(w, r, a, ret);
	case DANTED_DIRECT:
	case DANTED_URL:
		break;
	}
	return danted_cannot(w, r, a->line, "'to' is no address");
}
