/*
 * What is best for a browser comes first: HTTP over TLS, which nobody on the
 * way reads and which may ask for a login; HTTP, which may ask for one too;
 * SOCKS, where browsers know no login.  Of each address only its best is told:
 * one that cannot be reached by HTTP cannot by SOCKS either.  DIRECT is never
 * told as a last resort, since it would lead around the rules.
 *
 * The program uses none of the functions that browsers lend to it: those ask
 * for names, one by one, while a page waits.
 */
#include "daemon/pac.h"

#include <string.h>

#define HOST_BYTES 256
#define WAY_BYTES  (HOST_BYTES + 16)

struct host {
	char text[HOST_BYTES]; /* as in a URL; "": not known */
	struct tcp_addr ip;    /* AF_UNSPEC: it is a name */
	bool loopback;
};

/* --- What the browser calls us -------------------------------------------- */

static bool is_name(const char *text)
{
	return *text && *text != '.' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       strlen(text);
}

static void host_of_address(struct host *h, const struct tcp_addr *a)
{
	struct tcp_addr ip = *a;
	char text[TCPSERVER_ADDR_STRLEN];

	addr_unmap(&ip);
	addr_format_ip(&ip, text, sizeof(text));
	(void)snprintf(h->text, sizeof(h->text),
		       ip.family == AF_INET6 ? "[%s]" : "%s", text);
	h->ip = ip;
	h->loopback = addr_is_loopback(&ip);
}

/* A name, an IPv4 address, or an IPv6 one without brackets. */
static void host_read(struct host *h, const char *text)
{
	struct tcp_addr ip;

	*h = (struct host){ .ip = { .family = AF_UNSPEC } };
	if (addr_parse_ip(&ip, text) == 0) {
		host_of_address(h, &ip);
	} else if (is_name(text)) {
		(void)snprintf(h->text, sizeof(h->text), "%s", text);
		h->loopback = strcasecmp(text, "localhost") == 0;
	}
}

/* Takes the port and the brackets away. */
static void host_read_field(struct host *h, struct span field)
{
	char text[HOST_BYTES] = "";
	char *begin = text, *end;

	if (field.len < sizeof(text) && !memchr(field.at, '\0', field.len))
		memcpy(text, field.at, field.len);
	if (*text == '[') {
		begin++;
		end = strchr(text, ']');
		if (!end || !memchr(begin, ':', (size_t)(end - begin)) ||
		    (end[1] && end[1] != ':'))
			end = begin;
	} else {
		end = begin + strcspn(text, ":");
	}
	*end = '\0';
	host_read(h, begin);
}

/* --- The ways to us ------------------------------------------------------ */

/* What a browser can speak there, the best first; NULL: nothing. */
static const char *word_of(const struct conf_listener *l)
{
	if (l->proxy_protocol_only)
		return NULL;
	if (l->protocols & CONF_HTTP)
		return l->tls ? "HTTPS" : "PROXY";
	if (l->tls)
		return NULL;
	if (l->protocols & CONF_SOCKS5)
		return "SOCKS5";
	return l->protocols & CONF_SOCKS4 ? "SOCKS" : NULL;
}

/*
 * By which host the browser reaches an address; false: by none.  A browser on
 * this machine calls it "localhost", but not what listens at one address only.
 */
static bool host_for(struct host *ret, const struct host *h,
		     const struct pac_address *a)
{
	bool any = addr_is_any(&a->addr), loopback = addr_is_loopback(&a->addr);
	bool known = h->ip.family != AF_UNSPEC;

	if (!any && (!*h->text || (h->loopback && !loopback) ||
		     (known && h->ip.family != a->addr.family))) {
		host_of_address(ret, &a->addr);
		return !loopback || h->loopback || !*h->text;
	}
	if (!*h->text || (loopback && !h->loopback))
		return false;
	*ret = *h;
	return !known || h->ip.family == a->addr.family ||
	       (a->addr.family == AF_INET6 && !a->listener->v6only);
}

/* "PROXY host:1080"; false: it has none. */
static bool way_of(char out[WAY_BYTES], const struct host *h,
		   const struct pac_address *a)
{
	const char *word = word_of(a->listener);
	struct host there;

	if (!word ||
	    (a->addr.family != AF_INET && a->addr.family != AF_INET6) ||
	    !host_for(&there, h, a))
		return false;
	(void)snprintf(out, WAY_BYTES, "%s %s:%u", word, there.text,
		       a->addr.port);
	return true;
}

/* Two addresses may be one by the name that both are reached by. */
static bool came_before(const struct host *h, const struct pac_address *at,
			size_t i, const char *way)
{
	char other[WAY_BYTES];

	for (size_t k = 0; k < i; k++)
		if (way_of(other, h, &at[k]) && strcmp(other, way) == 0)
			return true;
	return false;
}

static size_t put_ways(FILE *out, const struct host *h,
		       const struct pac_address *at, size_t count)
{
	static const char *const words[] = { "HTTPS ", "PROXY ", "SOCKS5 ",
					     "SOCKS " };
	char way[WAY_BYTES];
	size_t put = 0;

	for (size_t w = 0; w < ARRAY_SIZE(words); w++)
		for (size_t i = 0; i < count; i++) {
			if (!way_of(way, h, &at[i]) ||
			    strncmp(way, words[w], strlen(words[w])) != 0 ||
			    came_before(h, at, i, way))
				continue;
			(void)fprintf(out, "%s%s", put ? "; " : "var ways = \"",
				      way);
			put++;
		}
	if (put)
		(void)fputs("\";\n", out);
	return put;
}

/* --- What goes straight --------------------------------------------------- */

static const char *const class_nets[ADDR_CLASS_COUNT][8] = {
	[ADDR_CLASS_PRIVATE] = { "10.0.0.0/8", "172.16.0.0/12",
				 "192.168.0.0/16", "100.64.0.0/10", "fc00::/7",
				 "fec0::/10" },
	[ADDR_CLASS_LOOPBACK] = { "127.0.0.0/8", "::1" },
	[ADDR_CLASS_LINKLOCAL] = { "169.254.0.0/16", "fe80::/10" },
	[ADDR_CLASS_MULTICAST] = { "224.0.0.0/4", "255.255.255.255",
				   "ff00::/8" },
};

static void put_net(FILE *out, const struct prefix *p)
{
	(void)fputs("\t[[", out);
	for (size_t i = 0; i < sizeof(p->ip); i += 2)
		(void)fprintf(out, i ? ", %u" : "%u",
			      p->ip[i] * 256u + p->ip[i + 1]);
	(void)fprintf(out, "], %u],\n", p->bits);
}

static void put_nets(FILE *out, const struct conf_matches *direct)
{
	(void)fputs("var nets = [\n", out);
	for (size_t i = 0; i < direct->count; i++) {
		const struct conf_match *m = &direct->at[i];
		struct prefix p;

		if (m->kind == CONF_MATCH_PREFIX)
			put_net(out, &m->prefix);
		if (m->kind != CONF_MATCH_CLASS)
			continue;
		for (const char *const *net = class_nets[m->class]; *net; net++)
			if (prefix_parse(&p, *net) == 0)
				put_net(out, &p);
	}
	/* An old engine counts what follows the last comma. */
	(void)fputs("\tnull\n];\n", out);
}

/* "www.example.com" alone, ".example.com" with all below it. */
static bool put_names(FILE *out, const struct conf_matches *direct)
{
	bool plain = false;

	(void)fputs("var names = [\n", out);
	for (size_t i = 0; i < direct->count; i++) {
		const struct conf_match *m = &direct->at[i];

		if (m->kind == CONF_MATCH_SUFFIX)
			(void)fprintf(out, "\t\".%s\",\n", m->name);
		else if (m->kind == CONF_MATCH_NAME &&
			 strcmp(m->name, CONF_PAC_PLAIN) == 0)
			plain = true;
		else if (m->kind == CONF_MATCH_NAME)
			(void)fprintf(out, "\t\"%s\",\n", m->name);
		else if (m->kind == CONF_MATCH_CLASS &&
			 m->class == ADDR_CLASS_LOOPBACK)
			(void)fputs("\t\".localhost\",\n", out);
	}
	(void)fputs("\tnull\n];\n", out);
	return plain;
}

/* --- The program --------------------------------------------------------- */

static const char program[] =
	"\n"
	"/* Eight numbers of 16 bits, IPv4 as ::ffff:a.b.c.d; or null. */\n"
	"function ip_of(host) {\n"
	"\tvar four = /^(\\d+)\\.(\\d+)\\.(\\d+)\\.(\\d+)$/.exec(host);\n"
	"\tvar halves, all, rest, i;\n"
	"\tif (four)\n"
	"\t\treturn [0, 0, 0, 0, 0, 65535, four[1] * 256 + +four[2],\n"
	"\t\t\tfour[3] * 256 + +four[4]];\n"
	"\tif (!/^[0-9a-f:]*:[0-9a-f:]*$/.test(host))\n"
	"\t\treturn null;\n"
	"\thalves = host.split(\"::\");\n"
	"\tall = halves[0] ? halves[0].split(\":\") : [];\n"
	"\trest = halves[1] ? halves[1].split(\":\") : [];\n"
	"\twhile (all.length + rest.length < 8)\n"
	"\t\tall.push(\"0\");\n"
	"\tall = all.concat(rest);\n"
	"\tfor (i = 0; i < 8; i++)\n"
	"\t\tall[i] = parseInt(all[i], 16);\n"
	"\treturn all;\n"
	"}\n"
	"\n"
	"function is_in(ip, net, bits) {\n"
	"\tvar i, mask;\n"
	"\tfor (i = 0; i < 8 && bits > 0; i++, bits -= 16) {\n"
	"\t\tmask = bits < 16 ? 65536 - (1 << (16 - bits)) : 65535;\n"
	"\t\tif ((ip[i] ^ net[i]) & mask)\n"
	"\t\t\treturn false;\n"
	"\t}\n"
	"\treturn true;\n"
	"}\n"
	"\n"
	"function is_called(host, name) {\n"
	"\tif (name.charAt(0) === \".\")\n"
	"\t\treturn (\".\" + host).slice(-name.length) === name;\n"
	"\treturn host === name;\n"
	"}\n"
	"\n"
	"function FindProxyForURL(url, host) {\n"
	"\tvar i, ip;\n"
	"\thost = host.toLowerCase().replace(/^\\[|\\]$|\\.$/g, \"\");\n"
	"\tip = ip_of(host);\n"
	"\tfor (i = 0; ip && nets[i]; i++)\n"
	"\t\tif (is_in(ip, nets[i][0], nets[i][1]))\n"
	"\t\t\treturn \"DIRECT\";\n"
	"\tfor (i = 0; !ip && names[i]; i++)\n"
	"\t\tif (is_called(host, names[i]))\n"
	"\t\t\treturn \"DIRECT\";\n"
	"\tif (plain && !ip && host.indexOf(\".\") < 0)\n"
	"\t\treturn \"DIRECT\";\n"
	"\treturn ways;\n"
	"}\n";

int pac_write(FILE *out, const struct conf_admin *o,
	      const struct pac_address *at, size_t count, struct span host)
{
	struct host h;
	bool plain;

	if (*o->pac_host)
		host_read(&h, o->pac_host);
	else
		host_read_field(&h, host);
	if (!put_ways(out, &h, at, count))
		return -ENOENT;
	put_nets(out, &o->pac_direct);
	plain = put_names(out, &o->pac_direct);
	(void)fprintf(out, "var plain = %s;\n", plain ? "true" : "false");
	(void)fputs(program, out);
	return 0;
}
