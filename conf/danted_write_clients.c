/*
 * Listeners, and who may come in by them.
 */
#include "conf/danted_write.h"

#include <inttypes.h>
#include <string.h>

#define BOTH (DANTED_IPV4 | DANTED_IPV6)

/* Where Dante listens if no port is written. */
#define DANTED_DEFAULT_PORT 1080

static uint16_t port_of(const struct danted_addr *a)
{
	return a->has_ports && a->port_count ? a->ports[0].lo
					     : DANTED_DEFAULT_PORT;
}

/* --- Listeners ---------------------------------------------------------- */

/* Takes note of what is listened on; nothing may be twice. */
static void claim(struct danted_writer *w, const struct danted_addr *a,
		  const struct conf_texts *at)
{
	for (size_t i = 0; i < at->count; i++) {
		for (size_t k = 0; k < w->claimed.count; k++)
			if (!strcmp(at->at[i], w->claimed.at[k]))
				danted_remark(w->remarks, DANTED_REFUSED,
					      a->line,
					      "internal: %.100s stands twice",
					      at->at[i]);
		danted_add(w, &w->claimed, "%s", at->at[i]);
	}
}

static void add_endpoint(struct danted_writer *w, const struct tcp_addr *addr,
			 uint16_t port, struct conf_texts *ret)
{
	char text[TCPSERVER_ADDR_STRLEN];
	bool v4 = addr->family == AF_INET;

	danted_add(w, ret, "%s%s%s:%u", v4 ? "" : "[",
		   addr_format_ip(addr, text, sizeof(text)), v4 ? "" : "]",
		   port);
}

/* Adds what a listener listens on; nothing where it has no address. */
static void add_listener(struct danted_writer *w, const struct danted_addr *a,
			 struct conf_texts *ret)
{
	uint32_t families = w->f->internal_families;
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count;

	if (a->kind == DANTED_INTERFACE && (!families || families == BOTH)) {
		danted_add(w, ret, "%s:%u", a->text, port_of(a));
		return;
	}
	count = danted_addrs_of(w, a, list);
	for (size_t i = 0; i < count; i++)
		if (a->kind == DANTED_PREFIX || !families ||
		    danted_family(&list[i]) & families)
			add_endpoint(w, &list[i], port_of(a), ret);
	if (!ret->count)
		danted_remark(w->remarks, DANTED_REFUSED, a->line,
			      "internal: '%.100s' has no address now", a->text);
	else if (a->kind != DANTED_PREFIX)
		danted_remark(w->remarks, DANTED_CHANGED, a->line,
			      "internal: '%.100s' means the addresses that it "
			      "has now",
			      a->text);
}

void danted_write_listeners(struct danted_writer *w)
{
	const struct danted_addrs *list = &w->f->internals;

	(void)fputs("\nlisteners: (", w->out);
	w->entries = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct conf_texts at = { 0 };

		add_listener(w, &list->at[i], &at);
		claim(w, &list->at[i], &at);
		danted_open_entry(w, list->at[i].line, "internal");
		(void)fprintf(w->out, "\t\tname = \"internal-%zu\";\n", i + 1);
		danted_put_texts(w, "\t\taddress", &at);
		(void)fputs("\t\tprotocols = [ \"socks5\", \"socks4\" ];\n",
			    w->out);
		if (w->udp_ports.lo)
			(void)fprintf(w->out, "\t\tudp_ports = \"%u-%u\";\n",
				      w->udp_ports.lo, w->udp_ports.hi);
		danted_close_entry(w);
	}
	(void)fputs("\n);\n", w->out);
	if (list->count > 256)
		danted_remark(w->remarks, DANTED_REFUSED, list->at[256].line,
			      "internal: there are more than 256");
}

/* --- "to" of a rule for clients: where they have connected to ------------- */

enum answer { NO, YES, UNSURE };

/* Tells whether an address is one of those that `to` means. */
static bool is_among(struct danted_writer *w, const struct danted_addr *to,
		     const struct tcp_addr *addr)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count;

	if (to->kind == DANTED_ALL)
		return true;
	if (to->kind == DANTED_PREFIX)
		return prefix_match(&to->prefix, addr);
	count = danted_addrs_of(w, to, list);
	for (size_t i = 0; i < count; i++)
		if (addr_same_ip(&list[i], addr))
			return true;
	return false;
}

/* All addresses of a listener, or of a family that it takes connections of. */
static enum answer listens_within(struct danted_writer *w,
				  const struct danted_addr *to,
				  const struct danted_addr *a)
{
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count, in = 0;

	if (to->kind == DANTED_ALL)
		return YES;
	if (a->kind == DANTED_INTERFACE && to->kind == DANTED_INTERFACE &&
	    !strcmp(a->text, to->text))
		return YES;
	count = danted_addrs_of(w, a, list);
	if (a->kind == DANTED_PREFIX && addr_is_any(&list[0])) {
		if (to->kind != DANTED_PREFIX)
			return UNSURE;
		if (danted_prefix_family(&to->prefix) !=
		    danted_family(&list[0]))
			return NO;
		return danted_is_all(to, danted_family(&list[0])) ? YES
								  : UNSURE;
	}
	for (size_t i = 0; i < count; i++)
		in += is_among(w, to, &list[i]);
	return !count ? UNSURE : in == count ? YES : in ? UNSURE : NO;
}

static bool has_port(const struct danted_addr *to, uint16_t port)
{
	for (unsigned i = 0; i < to->port_count; i++)
		if (port >= to->ports[i].lo && port <= to->ports[i].hi)
			return true;
	return !to->has_ports;
}

/*
 * Names the listeners that a rule is about; none: all of them.  `families`
 * narrows its clients: who comes by IPv4 has connected to an IPv4 address.
 */
static bool find_listeners(struct danted_writer *w, const struct danted_rule *r,
			   struct conf_texts *ret, uint32_t *families)
{
	struct danted_addr to = r->to;
	bool narrow = to.kind == DANTED_PREFIX &&
		      to.prefix.bits == (to.prefix.v4 ? 96 : 0);

	*families = narrow ? danted_prefix_family(&to.prefix) : BOTH;
	to.has_ports = false;
	for (size_t i = 0; i < w->f->internals.count; i++) {
		const struct danted_addr *a = &w->f->internals.at[i];
		enum answer in = listens_within(w, &to, a);

		if (in == NO || !has_port(&r->to, port_of(a)))
			continue;
		if (in == UNSURE && !narrow)
			return danted_cannot(w, r, r->to.line,
					     "which of a listener's addresses "
					     "a client has connected to is not "
					     "looked at");
		danted_add(w, ret, "internal-%zu", i + 1);
	}
	if (!ret->count)
		return danted_never(w, r, "nobody connects to its 'to'");
	if (ret->count == w->f->internals.count)
		ret->count = 0;
	return true;
}

/* --- Clients ------------------------------------------------------------ */

static const char *method_word(uint8_t method)
{
	return method == DANTED_NONE  ? "none"
	       : method == DANTED_PAM ? "pam"
				      : "system";
}

static void write_auth(struct danted_writer *w, const struct danted_rule *r)
{
	const struct danted_methods *m = r->methods.line ? &r->methods
							 : &w->f->methods;
	struct conf_texts words = { 0 };

	for (unsigned i = 0; i < m->count; i++) {
		danted_add(w, &words, "%s", method_word(m->at[i]));
		w->offered |= m->at[i];
	}
	danted_put_texts(w, "\t\tauth", &words);
}

/* What only requests can have here. */
static void tell_lost(struct danted_writer *w, const struct danted_rule *r)
{
	if (r->connect_s >= 0 || r->io_s >= 0 || r->udp_io_s >= 0)
		danted_remark(
			w->remarks, DANTED_LOST, r->line,
			"timeout: only 'rules' and 'timeouts' have these");
	if (r->bandwidth)
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "bandwidth: only 'rules' have one");
}

static void write_client(struct danted_writer *w, const struct danted_rule *r)
{
	bool methods = r->methods.line || w->f->methods.line;
	struct conf_texts listeners = { 0 }, from;
	uint32_t families;

	if (r->users.count || r->groups.count) {
		(void)danted_cannot(w, r, r->line,
				    "nobody has a name before he logs in");
		return;
	}
	if (!find_listeners(w, r, &listeners, &families) ||
	    !danted_from(w, r, &r->from, families, &from))
		return;
	if (r->pass && !methods)
		danted_remark(w->remarks, DANTED_CHANGED, r->line,
			      "without 'socksmethod' danted serves nobody");
	danted_open_entry(w, r->line, r->pass ? "client pass" : "client block");
	(void)fprintf(w->out, "\t\tname = \"client-%u\";\n", r->number);
	danted_put_text(w, "\t\taction", r->pass && methods ? "allow" : "deny");
	if (from.count)
		danted_put_texts(w, "\t\tfrom", &from);
	else
		danted_put_text(w, "\t\tfrom", "any");
	if (listeners.count)
		danted_put_texts(w, "\t\tlistener", &listeners);
	if (r->pass && methods)
		write_auth(w, r);
	danted_write_log(w, r);
	danted_write_bounds(w, r);
	danted_close_entry(w);
	tell_lost(w, r);
}

void danted_write_clients(struct danted_writer *w)
{
	(void)fputs("\nclients: (", w->out);
	w->entries = 0;
	for (size_t i = 0; i < w->f->clients.count; i++)
		write_client(w, &w->f->clients.at[i]);
	(void)fputs("\n);\n", w->out);
}
