/*
 * Routes of a danted.conf that say "direct".  Once there is a route, Dante
 * serves only what one is for, so that everything else is denied.  Where there
 * are parents, too, danted_write_ways.c says so by other means.
 */
#include "conf/danted_write_ways.h"

#include <stdlib.h>
#include <string.h>

#define BOTH         (DANTED_IPV4 | DANTED_IPV6)
#define PREFIXES_MAX 4096

struct prefixes {
	struct prefix *at;
	size_t count;
};

/* Adds what `outer` holds and `inner`, which lies in it, does not. */
static bool add_rest(struct prefixes *list, const struct prefix *outer,
		     const struct prefix *inner)
{
	for (unsigned bit = outer->bits; bit < inner->bits; bit++) {
		struct prefix x = *inner;

		if (list->count == PREFIXES_MAX)
			return false;
		x.bits = (uint8_t)(bit + 1);
		x.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		for (unsigned i = bit + 1; i < 128; i++)
			x.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		list->at[list->count++] = x;
	}
	return true;
}

/* Takes a prefix out of a list; false: it would be too long. */
static bool take_out(struct prefixes *list, const struct prefix *p)
{
	size_t count = list->count;

	for (size_t i = 0; i < count;) {
		struct prefix x = list->at[i];
		bool holds = prefix_contains(&x, p);

		if (!holds && !prefix_contains(p, &x)) {
			i++;
			continue;
		}
		/* Those that follow are looked at; new ones need not be. */
		list->at[i] = list->at[--count];
		list->at[count] = list->at[--list->count];
		if (holds && !add_rest(list, &x, p))
			return false;
	}
	return true;
}

/* IPv4 first, then as they are written. */
static int compare(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->v4 != y->v4)
		return x->v4 ? -1 : 1;
	return memcmp(x->ip, y->ip, sizeof(x->ip));
}

/* Tells whether all that a route is for goes by it. */
static bool is_plain(const struct danted_rule *r)
{
	return !r->from.has_ports && !r->to.has_ports &&
	       (danted_is_all(&r->from, BOTH) ||
		(r->to.kind == DANTED_PREFIX && r->to.prefix.v4 &&
		 danted_is_all(&r->from, DANTED_IPV4))) &&
	       (r->to.kind == DANTED_PREFIX || r->to.kind == DANTED_ALL);
}

static bool take_route(struct danted_writer *w, const struct danted_rule *r,
		       struct prefixes *denied)
{
	if (!is_plain(r)) {
		danted_remark(w->remarks, DANTED_LOST, r->line,
			      "route: only one from everybody to a network, at "
			      "any port, can be carried over; what would go "
			      "this way is denied");
		return true;
	}
	if (r->to.kind == DANTED_PREFIX)
		return take_out(denied, &r->to.prefix);
	denied->count = 0;
	return true;
}

void danted_write_routes(struct danted_writer *w)
{
	const struct danted_rules *routes = &w->f->routes;
	struct prefixes denied = { .count = 2 };
	struct conf_texts to = { 0 };
	char text[PREFIX_STRLEN];
	bool fits = true;

	if (!routes->count || w->way_count)
		return;
	denied.at = conf_arena_alloc(w->f->arena, PREFIXES_MAX,
				     sizeof(*denied.at));
	if (!denied.at) {
		w->no_memory = true;
		return;
	}
	denied.at[0] = (struct prefix){ .v4 = true,
					.bits = 96,
					.ip = { [10] = 0xff, [11] = 0xff } };
	denied.at[1] = (struct prefix){ .bits = 0 };
	for (size_t i = 0; fits && i < routes->count; i++)
		fits = take_route(w, &routes->at[i], &denied);
	if (!fits)
		danted_remark(w->remarks, DANTED_REFUSED, routes->at[0].line,
			      "route: these are too many");
	qsort(denied.at, denied.count, sizeof(*denied.at), compare);
	for (size_t i = 0; fits && i < denied.count; i++)
		danted_add(w, &to, "%s",
			   prefix_format(&denied.at[i], text, sizeof(text)));
	if (!to.count)
		return;
	danted_open_entry(w, routes->at[0].line,
			  "what no route takes directly");
	(void)fputs("\t\tname = \"no-route\";\n\t\taction = \"deny\";\n",
		    w->out);
	danted_put_texts(w, "\t\tto", &to);
	danted_close_entry(w);
}
