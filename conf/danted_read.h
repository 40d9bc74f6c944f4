/*
 * What the files that read a danted.conf share.  Functions that take a key
 * read what stands behind its ':'; where that is wrong they say so, once, and
 * return false, and whoever called passes over the rest of the row.
 */
#pragma once

#include "conf/danted_file.h"
#include "conf/danted_lex.h"

struct danted_parser {
	struct danted_lex lex;
	struct danted_file *f;
	const struct danted_world *world;
	struct danted_remarks *remarks;
	bool no_memory;
};

typedef bool danted_take(struct danted_parser *p,
			 const struct danted_token *key);

/* What to do without reading the value: the first of these that fits. */
struct danted_skip {
	const char *key; /* with a '.' at its end: whatever comes behind it */
	enum danted_grade grade;
	const char *why;
};

struct danted_bit {
	const char *word;
	uint32_t bit;
	enum danted_grade grade; /* with `why` */
	const char *why;         /* a remark to make, or NULL */
};

/* Looks at the next token without taking it. */
void danted_peek(const struct danted_parser *p, enum danted_expect expect,
		 struct danted_token *ret);

/* Passes over the rest of a row, but not over a '}'. */
void danted_skip_row(struct danted_parser *p, unsigned row);

/* Makes the remark of what is not carried over; false: none fits. */
bool danted_skip_key(struct danted_parser *p, const struct danted_token *key,
		     const struct danted_skip *list, size_t count);

/* Says that something is wrong at a token; returns false. */
bool danted_wrong(struct danted_parser *p, const struct danted_token *t,
		  const char *why);

/* A NUL at the end; "" and no_memory where there is none. */
const char *danted_copy(struct danted_parser *p, const struct danted_token *t);

bool danted_colon(struct danted_parser *p, const struct danted_token *key);
bool danted_number(struct danted_parser *p, const struct danted_token *key,
		   int64_t *ret);
bool danted_yes(struct danted_parser *p, const struct danted_token *key,
		bool *ret);
bool danted_rate(struct danted_parser *p, const struct danted_token *key,
		 struct danted_rate *ret);
bool danted_range(struct danted_parser *p, const struct danted_token *key,
		  struct conf_port_range *ret);
bool danted_word(struct danted_parser *p, const struct danted_token *key,
		 const char **ret);
bool danted_bits(struct danted_parser *p, const struct danted_token *key,
		 const struct danted_bit *words, size_t count, uint32_t *ret);
bool danted_methods(struct danted_parser *p, const struct danted_token *key,
		    struct danted_methods *ret);
bool danted_texts(struct danted_parser *p, const struct danted_token *key,
		  struct conf_texts *ret);

/* Reads "clientmethod", of which only "none" can be carried over. */
bool danted_clientmethod(struct danted_parser *p,
			 const struct danted_token *key);

/* With bits: as in a rule; without: as in "internal". */
bool danted_address(struct danted_parser *p, const struct danted_token *key,
		    bool bits, struct danted_addr *ret);

/* Reads "route", "client pass", ... and what belongs to them. */
bool danted_body(struct danted_parser *p, const struct danted_token *key);

/* Gives room for one more element; NULL and no_memory: none. */
struct danted_addr *danted_more_addrs(struct danted_parser *p,
				      struct danted_addrs *list);
struct danted_rule *danted_more_rules(struct danted_parser *p,
				      struct danted_rules *list);
