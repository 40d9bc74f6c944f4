/*
 * What the files that write a translated danted.conf share.
 */
#pragma once

#include "conf/danted_file.h"

/* How BIND is carried over; see danted_write_bind.c. */
enum danted_bind {
	DANTED_BIND_NEVER,    /* no rule lets it pass */
	DANTED_BIND_TOGETHER, /* in rules with other commands */
	DANTED_BIND_APART,    /* in rules of its own */
};

/* One of `rules`, of a rule or of a part of one. */
struct danted_entry {
	const struct danted_rule *r; /* for all that is not here */
	struct danted_addr client, target;
	uint32_t commands, families; /* families: of target, 0: both */
	bool pass;
	unsigned part; /* the other rule that it is made of, or 0 */
	const struct danted_way *way; /* NULL: there are no parents */
};

struct danted_writer {
	const struct danted_file *f;
	const struct danted_world *world;
	struct danted_remarks *remarks;
	const char *name; /* of the file, in comments */
	FILE *out;
	uint32_t offered; /* methods that clients may come in with */
	enum danted_bind bind;
	/* Of the list that is being written; those of rules but for
	 * danted_write_bind(). */
	size_t entries, plain_entries;
	struct conf_port_range udp_ports; /* lo 0: any */
	const char *pam;                  /* NULL: none is named */
	struct conf_texts claimed;        /* addresses that are listened on */
	struct danted_way *ways; /* preferred first; only with parents */
	size_t way_count;
	bool groups, no_memory;
};

/* Adds a copy of the text that is formatted. */
void danted_add(struct danted_writer *w, struct conf_texts *list,
		const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "[ "a", "b" ]" with what libconfig wants escaped. */
void danted_put_texts(struct danted_writer *w, const char *key,
		      const struct conf_texts *list);
void danted_put_text(struct danted_writer *w, const char *key,
		     const char *text);
void danted_put_seconds(struct danted_writer *w, const char *key, int64_t s,
			int64_t max_s);

/* The beginning of an entry of a list, with where it comes from. */
void danted_open_entry(struct danted_writer *w, unsigned line,
		       const char *what);
void danted_close_entry(struct danted_writer *w);

/*
 * Says why a rule cannot be expressed: one that lets pass is left out, one
 * that blocks refuses all.  Returns false.
 */
bool danted_cannot(struct danted_writer *w, const struct danted_rule *r,
		   unsigned line, const char *why);

/* Says that a rule is left out because it matches nobody; returns false. */
bool danted_never(struct danted_writer *w, const struct danted_rule *r,
		  const char *why);

/*
 * Elements of "from" and "to".  Of addresses only those of `families` are
 * taken.  An empty list is everything.  false: the rule is left out.
 */
bool danted_from(struct danted_writer *w, const struct danted_rule *r,
		 const struct danted_addr *a, uint32_t families,
		 struct conf_texts *ret);
bool danted_to(struct danted_writer *w, const struct danted_rule *r,
	       const struct danted_addr *a, struct conf_texts *ret);

/* Tells whether this is every address, of both families or of these. */
bool danted_is_all(const struct danted_addr *a, uint32_t families);
uint32_t danted_family(const struct tcp_addr *a);
uint32_t danted_prefix_family(const struct prefix *p);

/* Addresses of an interface or host into out[DANTED_ADDRS_MAX]; how many. */
size_t danted_addrs_of(const struct danted_writer *w,
		       const struct danted_addr *a, struct tcp_addr *out);

/* What a rule is about: without "command" all of its protocols. */
uint32_t danted_commands(const struct danted_rule *r);

void danted_write_listeners(struct danted_writer *w);
void danted_write_clients(struct danted_writer *w);
void danted_write_rules(struct danted_writer *w);
void danted_write_entry(struct danted_writer *w, const struct danted_entry *e);
void danted_write_outbound(struct danted_writer *w);
void danted_write_bounds(struct danted_writer *w, const struct danted_rule *r);
void danted_write_log(struct danted_writer *w, const struct danted_rule *r);
