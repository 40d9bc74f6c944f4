/*
 * Addresses of a danted.conf, with the ports that may stand behind them.
 */
#include "conf/danted_read.h"
#include "conf/endpoint.h"

#include <string.h>

/* --- Ports -------------------------------------------------------------- */

static void add_range(struct danted_addr *a, int64_t lo, int64_t hi)
{
	lo = max_i64(lo, 1);
	hi = min_i64(hi, UINT16_MAX);
	if (lo > hi)
		return;
	a->ports[a->port_count].lo = (uint16_t)lo;
	a->ports[a->port_count++].hi = (uint16_t)hi;
}

static void set_range(struct danted_addr *a, int64_t lo, int64_t hi)
{
	a->has_ports = lo > 1 || hi < UINT16_MAX;
	if (a->has_ports)
		add_range(a, lo, hi);
}

/* Takes a token of the key's row. */
static bool take(struct danted_parser *p, const struct danted_token *key,
		 struct danted_token *ret)
{
	danted_peek(p, DANTED_PORT, ret);
	if (ret->row != key->row || ret->kind == DANTED_CLOSE ||
	    ret->kind == DANTED_END || ret->kind == DANTED_FAULT)
		return danted_wrong(p, key, "there is no port behind 'port'");
	danted_lex_next(&p->lex, DANTED_PORT, ret);
	return true;
}

static bool read_port(struct danted_parser *p, const struct danted_token *t,
		      int64_t *ret)
{
	int64_t n = 0;

	if (t->kind != DANTED_WORD)
		return danted_wrong(p, t, "a port is expected here");
	if (*t->at >= '0' && *t->at <= '9') {
		for (size_t i = 0; i < t->len && n <= UINT16_MAX; i++)
			n = 10 * n + t->at[i] - '0';
		if (n > UINT16_MAX)
			return danted_wrong(p, t, "this is no port");
	} else {
		n = p->world->service(p->world->ctx, danted_copy(p, t));
		if (!n)
			return danted_wrong(p, t,
					    "no service is known by that name");
	}
	*ret = n;
	return true;
}

/* What "ge 1024" and the like mean. */
static bool compare(struct danted_parser *p, const struct danted_token *op,
		    int64_t n, struct danted_addr *a)
{
	static const struct {
		const char *word;
		int below, equal, above;
	} ops[] = {
		{ "eq", 0, 1, 0 },  { "=", 0, 1, 0 },  { "ne", 1, 0, 1 },
		{ "neq", 1, 0, 1 }, { "!=", 1, 0, 1 }, { "ge", 0, 1, 1 },
		{ ">=", 0, 1, 1 },  { "le", 1, 1, 0 }, { "<=", 1, 1, 0 },
		{ "gt", 0, 0, 1 },  { ">", 0, 0, 1 },  { "lt", 1, 0, 0 },
		{ "<", 1, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (op->len != strlen(ops[i].word) ||
		    memcmp(op->at, ops[i].word, op->len))
			continue;
		if (ops[i].below && ops[i].above) {
			a->has_ports = true;
			add_range(a, 1, n - 1);
			add_range(a, n + 1, UINT16_MAX);
		} else {
			set_range(a,
				  ops[i].below   ? 1
				  : ops[i].equal ? n
						 : n + 1,
				  ops[i].above   ? UINT16_MAX
				  : ops[i].equal ? n
						 : n - 1);
		}
		return true;
	}
	return danted_wrong(p, op, "this is no way to compare ports");
}

/* Takes what may stand behind a port: "-8999". */
static bool read_end(struct danted_parser *p, const struct danted_token *key,
		     int64_t lo, int64_t *ret, bool *ret_found)
{
	struct danted_token t;

	danted_peek(p, DANTED_PORT, &t);
	*ret_found = t.kind == DANTED_SIGN && *t.at == '-' && t.row == key->row;
	if (!*ret_found)
		return true;
	danted_lex_next(&p->lex, DANTED_PORT, &t);
	if (!take(p, key, &t) || !read_port(p, &t, ret))
		return false;
	return *ret >= lo || danted_wrong(p, &t, "this is below the first one");
}

/* Reads what stands behind "port". */
static bool read_ports(struct danted_parser *p, const struct danted_token *key,
		       struct danted_addr *a)
{
	struct danted_token op, t;
	int64_t n = 0, hi = 0;
	bool range;

	if (!take(p, key, &op))
		return false;
	t = op;
	if (op.kind != DANTED_WORD || *op.at < '0' || *op.at > '9')
		if (!take(p, key, &t))
			return false;
	if (!read_port(p, &t, &n) || !read_end(p, key, n, &hi, &range))
		return false;
	if (range)
		set_range(a, n, hi);
	else if (!n && (op.kind != DANTED_SIGN || *op.at == '='))
		return danted_wrong(p, key, "port 0 means nothing here");
	else if (op.kind == DANTED_SIGN ||
		 (op.kind == DANTED_WORD && op.at != t.at))
		return compare(p, &op, n, a);
	else
		set_range(a, n, n);
	return true;
}

/* --- Addresses ---------------------------------------------------------- */

static void clear_host_bits(struct prefix *x)
{
	for (unsigned bit = x->bits; bit < 128; bit++)
		x->ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

/* The prefix of an address in the 16-byte form that struct prefix has. */
static void set_prefix(struct prefix *x, const struct tcp_addr *addr,
		       unsigned bits)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	size_t len;
	const uint8_t *ip = addr_bytes(addr, &len);

	*x = (struct prefix){ .v4 = len == 4 };
	memcpy(x->ip, mapped, x->v4 ? sizeof(mapped) : 0);
	memcpy(x->ip + 16 - len, ip, len);
	x->bits = (uint8_t)(bits + (x->v4 ? 96 : 0));
	clear_host_bits(x);
}

/* Reads "/24"; without bits they are all of them. */
static bool read_bits(struct danted_parser *p, const struct danted_token *t,
		      const char *text, bool wanted, unsigned max,
		      unsigned *ret)
{
	unsigned n = 0;

	*ret = max;
	if (!text && !wanted)
		return true;
	if (!text)
		return danted_wrong(p, t,
				    "an address in a rule needs \"/BITS\" "
				    "behind it");
	if (!wanted)
		return danted_wrong(p, t, "\"/BITS\" has no place here");
	for (const char *c = text; *c && n <= 128; c++)
		n = *c < '0' || *c > '9' ? 1000 : 10 * n + (unsigned)(*c - '0');
	if (!*text || n > max)
		return danted_wrong(p, t, "its bits are odd");
	*ret = n;
	return true;
}

/* Tells whether a text can be written as an interface in a result. */
static bool reads_as_interface(const char *text)
{
	char why[CONF_WHY_BYTES];
	struct conf_endpoint e;
	size_t len;

	return conf_endpoint_parse_source(&e, &len, text, why) == 0 &&
	       e.interface && len == strlen(text);
}

/* What is no address is an interface of this machine, or a host. */
static void set_name(struct danted_parser *p, bool rule, struct danted_addr *a)
{
	struct tcp_addr addrs[1];

	a->kind = *a->text == '.' ? DANTED_SUFFIX : DANTED_NAME;
	if (strstr(a->text, "://"))
		a->kind = DANTED_URL;
	else if (a->kind == DANTED_NAME && reads_as_interface(a->text) &&
		 (p->world->interface(p->world->ctx, a->text, addrs, 1) ||
		  (!rule && !strchr(a->text, '.'))))
		a->kind = DANTED_INTERFACE;
}

static bool read_address(struct danted_parser *p, const struct danted_token *t,
			 bool bits, struct danted_addr *a)
{
	char *text = conf_arena_copy(p->f->arena, t->at, t->len), *slash;
	struct tcp_addr addr;
	unsigned n;

	if (!text) {
		p->no_memory = true;
		return false;
	}
	a->text = text;
	if (!strcmp(text, "0/0")) {
		a->kind = DANTED_ALL;
		return bits || danted_wrong(p, t, "this is no address");
	}
	slash = strstr(text, "://") ? NULL : strchr(text, '/');
	if (slash)
		*slash++ = '\0';
	if (addr_parse_ip(&addr, text) < 0) {
		if (slash || !*text)
			return danted_wrong(p, t, "this is no address");
		set_name(p, bits, a);
		return true;
	}
	a->kind = DANTED_PREFIX;
	if (!read_bits(p, t, slash, bits, addr.family == AF_INET ? 32 : 128,
		       &n))
		return false;
	set_prefix(&a->prefix, &addr, n);
	return true;
}

bool danted_address(struct danted_parser *p, const struct danted_token *key,
		    bool bits, struct danted_addr *ret)
{
	struct danted_addr a = { .line = key->line };
	struct danted_token t;

	if (!danted_colon(p, key))
		return false;
	danted_peek(p, DANTED_VALUE, &t);
	if (t.kind != DANTED_WORD || t.row != key->row)
		return danted_wrong(p, key, "there is no address behind it");
	danted_lex_next(&p->lex, DANTED_VALUE, &t);
	if (!read_address(p, &t, bits, &a))
		return false;
	danted_peek(p, DANTED_KEY, &t);
	if (danted_token_is(&t, "port") && t.row == key->row) {
		danted_lex_next(&p->lex, DANTED_KEY, &t);
		if (!read_ports(p, key, &a))
			return false;
	}
	*ret = a;
	return true;
}
