/*
 * Where connections to targets come from.
 */
#include "conf/danted_write.h"

#include <string.h>

#define BOTH (DANTED_IPV4 | DANTED_IPV6)

struct sources {
	struct conf_texts list;
	uint32_t families; /* that some source is of, or may be */
	uint32_t fixed;    /* that an address was named of */
};

static void add_source(struct danted_writer *w, struct sources *s,
		       const struct tcp_addr *addr)
{
	uint32_t family = danted_family(addr);
	char text[TCPSERVER_ADDR_STRLEN];

	/* Without rotation only the first one is ever used. */
	if (s->fixed & family)
		return;
	s->fixed |= family;
	s->families |= family;
	danted_add(w, &s->list, "%s", addr_format_ip(addr, text, sizeof(text)));
}

static void add_interface(struct danted_writer *w, struct sources *s,
			  const struct danted_addr *a)
{
	uint32_t wanted = w->f->external_families ? w->f->external_families
						  : BOTH;
	struct tcp_addr list[DANTED_ADDRS_MAX];
	size_t count = danted_addrs_of(w, a, list);
	uint32_t there = count ? 0 : BOTH;

	for (size_t i = 0; i < count; i++)
		there |= danted_family(&list[i]);
	if (a->kind == DANTED_INTERFACE && !(there & ~wanted)) {
		danted_add(w, &s->list, "%s", a->text);
		s->families |= there;
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (danted_family(&list[i]) & wanted)
			add_source(w, s, &list[i]);
	danted_remark(w->remarks, count ? DANTED_CHANGED : DANTED_REFUSED,
		      a->line,
		      count ? "external: '%.100s' means the addresses that it "
			      "has now"
			    : "external: '%.100s' has no address now",
		      a->text);
}

static void find_sources(struct danted_writer *w, struct sources *s)
{
	const struct danted_addrs *list = &w->f->externals;

	for (size_t i = 0; i < list->count; i++) {
		const struct danted_addr *a = &list->at[i];
		struct tcp_addr addr;

		if (a->kind != DANTED_PREFIX) {
			add_interface(w, s, a);
			continue;
		}
		(void)danted_addrs_of(w, a, &addr);
		add_source(w, s, &addr);
	}
}

void danted_write_outbound(struct danted_writer *w)
{
	enum danted_rotation rotation = w->f->rotation;
	struct sources s = { .families = 0 };

	if (!w->f->externals.count)
		danted_remark(w->remarks, DANTED_CHANGED, 0,
			      "without 'external' danted does not start; the "
			      "source is as routed");
	find_sources(w, &s);
	(void)fputs("\noutbound: {\n", w->out);
	if (rotation == DANTED_SAME)
		danted_put_text(w, "\trotate", "same-as-inbound");
	else if (rotation == DANTED_ROUTE)
		danted_remark(w->remarks, DANTED_CHANGED, 0,
			      "external.rotation: the source is as routed, "
			      "also where 'external' does not list it");
	else if (s.list.count)
		danted_put_texts(w, "\tsource", &s.list);
	(void)fputs("};\n", w->out);
	if (rotation != DANTED_FIRST ||
	    (s.families != DANTED_IPV4 && s.families != DANTED_IPV6))
		return;
	(void)fprintf(w->out,
		      "\nnames: {\n"
		      "\t# There is no source of the other family.\n"
		      "\torder = \"%s-only\";\n"
		      "};\n",
		      s.families == DANTED_IPV4 ? "ipv4" : "ipv6");
}
