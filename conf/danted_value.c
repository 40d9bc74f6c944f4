/*
 * Values of a danted.conf but for addresses: numbers, words, methods, lists.
 */
#include "conf/danted_read.h"

#include <string.h>

void danted_peek(const struct danted_parser *p, enum danted_expect expect,
		 struct danted_token *ret)
{
	struct danted_lex l = p->lex;

	danted_lex_next(&l, expect, ret);
}

void danted_skip_row(struct danted_parser *p, unsigned row)
{
	struct danted_token t;

	for (;;) {
		danted_peek(p, DANTED_VALUE, &t);
		if (t.kind == DANTED_END || t.kind == DANTED_FAULT ||
		    t.kind == DANTED_CLOSE || t.row != row)
			return;
		danted_lex_next(&p->lex, DANTED_VALUE, &t);
	}
}

bool danted_skip_key(struct danted_parser *p, const struct danted_token *key,
		     const struct danted_skip *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(list[i].key);

		if (list[i].key[len - 1] == '.'
			    ? key->len < len ||
				      memcmp(key->at, list[i].key, len)
			    : !danted_token_is(key, list[i].key))
			continue;
		danted_remark(p->remarks, list[i].grade, key->line, "%.*s: %s",
			      (int)min_size(key->len, 60), key->at,
			      list[i].why);
		return true;
	}
	return false;
}

bool danted_wrong(struct danted_parser *p, const struct danted_token *t,
		  const char *why)
{
	if (t->kind == DANTED_END)
		danted_remark(p->remarks, DANTED_REFUSED, t->line,
			      "the file ends here: %s", why);
	else if (t->kind == DANTED_FAULT)
		danted_remark(p->remarks, DANTED_REFUSED, t->line, "%s",
			      t->why);
	else
		danted_remark(p->remarks, DANTED_REFUSED, t->line, "'%.*s': %s",
			      (int)min_size(t->len, 60), t->at, why);
	return false;
}

const char *danted_copy(struct danted_parser *p, const struct danted_token *t)
{
	const char *text = conf_arena_copy(p->f->arena, t->at, t->len);

	p->no_memory |= !text;
	return text ? text : "";
}

bool danted_colon(struct danted_parser *p, const struct danted_token *key)
{
	struct danted_token t;

	danted_peek(p, DANTED_KEY, &t);
	if (t.kind != DANTED_COLON)
		return danted_wrong(p, key, "there is no ':' behind it");
	danted_lex_next(&p->lex, DANTED_KEY, &t);
	return true;
}

/* Takes a token of the key's row. */
static bool take(struct danted_parser *p, const struct danted_token *key,
		 enum danted_expect expect, struct danted_token *ret)
{
	danted_peek(p, expect, ret);
	if (ret->kind != DANTED_WORD || ret->row != key->row)
		return danted_wrong(p, key, "its value is missing, or odd");
	danted_lex_next(&p->lex, expect, ret);
	return true;
}

static bool read_number(struct danted_parser *p, const struct danted_token *t,
			int64_t *ret)
{
	int64_t n = 0;

	for (size_t i = 0; i < t->len; i++) {
		if (t->at[i] < '0' || t->at[i] > '9')
			return danted_wrong(p, t, "this is no number");
		n = 10 * n + t->at[i] - '0';
		if (n > INT32_MAX)
			return danted_wrong(p, t, "this is more than 2^31 - 1");
	}
	*ret = n;
	return true;
}

bool danted_number(struct danted_parser *p, const struct danted_token *key,
		   int64_t *ret)
{
	struct danted_token t;

	return danted_colon(p, key) && take(p, key, DANTED_KEY, &t) &&
	       read_number(p, &t, ret);
}

bool danted_yes(struct danted_parser *p, const struct danted_token *key,
		bool *ret)
{
	struct danted_token t;

	if (!danted_colon(p, key) || !take(p, key, DANTED_KEY, &t))
		return false;
	*ret = danted_token_is(&t, "yes");
	return *ret || danted_token_is(&t, "no") ||
	       danted_wrong(p, &t, "this is neither yes nor no");
}

/* Two numbers with a sign between them. */
static bool read_two(struct danted_parser *p, const struct danted_token *key,
		     char sign, int64_t *first, int64_t *second)
{
	struct danted_token t;

	if (!danted_colon(p, key) || !take(p, key, DANTED_PORT, &t) ||
	    !read_number(p, &t, first))
		return false;
	danted_lex_next(&p->lex, DANTED_PORT, &t);
	if (t.kind != DANTED_SIGN || *t.at != sign)
		return danted_wrong(p, key, "two numbers are expected");
	return take(p, key, DANTED_PORT, &t) && read_number(p, &t, second);
}

bool danted_rate(struct danted_parser *p, const struct danted_token *key,
		 struct danted_rate *ret)
{
	if (!read_two(p, key, '/', &ret->count, &ret->seconds))
		return false;
	if (ret->count && ret->seconds)
		return true;
	return danted_wrong(p, key, "neither number can be 0");
}

bool danted_range(struct danted_parser *p, const struct danted_token *key,
		  struct conf_port_range *ret)
{
	int64_t lo, hi;

	if (!read_two(p, key, '-', &lo, &hi))
		return false;
	if (lo < 1 || hi > UINT16_MAX || lo > hi)
		return danted_wrong(p, key, "this is no range of ports");
	ret->lo = (uint16_t)lo;
	ret->hi = (uint16_t)hi;
	return true;
}

bool danted_word(struct danted_parser *p, const struct danted_token *key,
		 const char **ret)
{
	struct danted_token t;

	if (!danted_colon(p, key) || !take(p, key, DANTED_VALUE, &t))
		return false;
	*ret = danted_copy(p, &t);
	return true;
}

/*
 * Takes the next word of a list, which ends with the row, with a '}', and
 * before the next key.
 */
static bool next_of_list(struct danted_parser *p,
			 const struct danted_token *key,
			 struct danted_token *ret)
{
	struct danted_lex ahead = p->lex;
	struct danted_token behind;

	danted_lex_next(&ahead, DANTED_KEY, ret);
	if (ret->kind != DANTED_WORD || ret->row != key->row)
		return false;
	danted_lex_next(&ahead, DANTED_KEY, &behind);
	if (behind.kind == DANTED_COLON)
		return false;
	danted_lex_next(&p->lex, DANTED_KEY, ret);
	return true;
}

static const struct danted_bit *find_bit(const struct danted_bit *words,
					 size_t count,
					 const struct danted_token *t)
{
	for (size_t i = 0; i < count; i++)
		if (danted_token_is(t, words[i].word))
			return &words[i];
	return NULL;
}

bool danted_bits(struct danted_parser *p, const struct danted_token *key,
		 const struct danted_bit *words, size_t count, uint32_t *ret)
{
	struct danted_token t;
	uint32_t bits = 0;
	size_t found = 0;

	if (!danted_colon(p, key))
		return false;
	for (; next_of_list(p, key, &t); found++) {
		const struct danted_bit *b = find_bit(words, count, &t);

		if (!b)
			return danted_wrong(p, &t, "this word is not known");
		bits |= b->bit;
		if (b->why)
			danted_remark(p->remarks, b->grade, t.line, "%s: %s",
				      b->word, b->why);
	}
	*ret |= bits;
	return found || danted_wrong(p, key, "its value is missing, or odd");
}

/* --- Methods ------------------------------------------------------------ */

static const struct danted_bit methods[] = {
	{ .word = "none", .bit = DANTED_NONE },
	{ .word = "username", .bit = DANTED_USERNAME },
	{ .word = "pam", .bit = DANTED_PAM },
	{ .word = "pam.username", .bit = DANTED_PAM },
};

static const char *const lost_methods[] = {
	"rfc931", "pam.any", "pam.address", "gssapi", "bsdauth", "ldapauth",
};

static bool wrong_method(struct danted_parser *p, const struct danted_token *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(lost_methods); i++)
		if (danted_token_is(t, lost_methods[i]))
			return danted_wrong(p, t,
					    "there is no such method "
					    "here, and without it the "
					    "wrong ones would be let in");
	return danted_wrong(p, t, "this method is not known");
}

static void add_method(struct danted_methods *m, uint32_t bit)
{
	for (unsigned i = 0; i < m->count; i++)
		if (m->at[i] == bit)
			return;
	m->at[m->count++] = (uint8_t)bit;
}

bool danted_methods(struct danted_parser *p, const struct danted_token *key,
		    struct danted_methods *ret)
{
	struct danted_methods m = { .line = key->line };
	struct danted_token t;

	if (!danted_colon(p, key))
		return false;
	while (next_of_list(p, key, &t)) {
		const struct danted_bit *b = find_bit(methods,
						      ARRAY_SIZE(methods), &t);

		if (!b)
			return wrong_method(p, &t);
		add_method(&m, b->bit);
	}
	if (!m.count)
		return danted_wrong(p, key, "its value is missing, or odd");
	*ret = m;
	return true;
}

bool danted_clientmethod(struct danted_parser *p,
			 const struct danted_token *key)
{
	struct danted_methods m = { 0 };

	if (!danted_methods(p, key, &m))
		return false;
	if (m.count == 1 && m.at[0] == DANTED_NONE)
		return true;
	return danted_wrong(p, key,
			    "only \"none\" is possible before a client "
			    "has said anything");
}

/* --- Lists of names ----------------------------------------------------- */

bool danted_texts(struct danted_parser *p, const struct danted_token *key,
		  struct conf_texts *ret)
{
	struct danted_lex first;
	struct danted_token t;
	size_t count = 0;

	if (!danted_colon(p, key))
		return false;
	first = p->lex;
	for (danted_peek(p, DANTED_VALUE, &t);
	     t.kind == DANTED_WORD && t.row == key->row;
	     danted_peek(p, DANTED_VALUE, &t), count++)
		danted_lex_next(&p->lex, DANTED_VALUE, &t);
	if (!count)
		return danted_wrong(p, key, "its value is missing, or odd");
	ret->at = conf_arena_alloc(p->f->arena, count, sizeof(*ret->at));
	p->no_memory |= !ret->at;
	p->lex = first;
	for (ret->count = 0; ret->at && ret->count < count; ret->count++) {
		danted_lex_next(&p->lex, DANTED_VALUE, &t);
		ret->at[ret->count] = danted_copy(p, &t);
	}
	return ret->at != NULL;
}
