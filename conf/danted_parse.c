/*
 * A danted.conf: the settings that stand before all rules, and the way through
 * the file.  The words are those of Dante 1.4 and older ones that it takes.
 */
#include "conf/danted_read.h"

#include <string.h>

static const struct danted_bit families[] = {
	{ .word = "ipv4", .bit = DANTED_IPV4 },
	{ .word = "ipv6", .bit = DANTED_IPV6 },
};

/* What is not read; the first that fits. */
static const struct danted_skip skipped[] = {
	{ "user.privileged", DANTED_NOTE,
	  "nothing runs as another user later; start as root, or by systemd" },
	{ "user.libwrap", DANTED_NOTE, "there are no TCP wrappers" },
	{ "errorlog", DANTED_CHANGED,
	  "errors go where everything goes; 'level' is how lines differ" },
	{ "srchost", DANTED_REFUSED,
	  "clients are not looked up in DNS, and without that the wrong ones "
	  "would be let in" },
	{ "libwrap.", DANTED_REFUSED,
	  "there are no TCP wrappers, and without them the wrong ones would "
	  "be let in" },
	{ "compatibility", DANTED_NOTE, "ports of clients are not kept" },
	{ "extension", DANTED_NOTE, "the extension of BIND is not known" },
	{ "resolveprotocol", DANTED_CHANGED,
	  "names are always resolved here, as 'names' says" },
	{ "child.", DANTED_NOTE, "there are no children to bound" },
	{ "localdomain", DANTED_NOTE, "danted does not use it either" },
	{ "cpu.", DANTED_NOTE,
	  "use CPUAffinity= and CPUSchedulingPolicy= of the service" },
	{ "route.", DANTED_NOTE,
	  "how long a parent that failed is left alone is 'retry'" },
	{ "internal.tcp.tcp_nodelay", DANTED_NOTE, "'nodelay' is on anyway" },
	{ "external.tcp.tcp_nodelay", DANTED_NOTE, "'nodelay' is on anyway" },
	{ "internal.socket.so_keepalive", DANTED_NOTE,
	  "'keepalive' of a listener is on anyway" },
	{ "internal.log.", DANTED_LOST, "errors are not told apart like that" },
	{ "external.log.", DANTED_LOST, "errors are not told apart like that" },
	{ "internal.", DANTED_LOST, "there is no such option" },
	{ "external.", DANTED_LOST, "there is no such option" },
	{ "clientcompatibility", DANTED_NOTE, "there is no GSSAPI" },
};

/* --- Growing lists ------------------------------------------------------ */

static void *grow(struct danted_parser *p, void *at, size_t count, size_t *room,
		  size_t size)
{
	size_t wanted = *room ? 2 * *room : 8;
	void *list;

	if (count < *room)
		return at;
	list = conf_arena_alloc(p->f->arena, wanted, size);
	if (!list) {
		p->no_memory = true;
		return NULL;
	}
	if (count)
		memcpy(list, at, count * size);
	*room = wanted;
	return list;
}

struct danted_addr *danted_more_addrs(struct danted_parser *p,
				      struct danted_addrs *list)
{
	struct danted_addr *at = grow(p, list->at, list->count, &list->room,
				      sizeof(*at));

	if (!at)
		return NULL;
	list->at = at;
	return &at[list->count++];
}

struct danted_rule *danted_more_rules(struct danted_parser *p,
				      struct danted_rules *list)
{
	struct danted_rule *at = grow(p, list->at, list->count, &list->room,
				      sizeof(*at));

	if (!at)
		return NULL;
	list->at = at;
	return &at[list->count++];
}

/* --- Settings ----------------------------------------------------------- */

static bool take_internal(struct danted_parser *p,
			  const struct danted_token *key)
{
	struct danted_addr a, *place;

	if (!danted_address(p, key, false, &a))
		return false;
	if (a.kind == DANTED_URL || a.kind == DANTED_SUFFIX)
		return danted_wrong(p, key, "this is no address");
	if (a.has_ports &&
	    (a.port_count != 1 || a.ports[0].lo != a.ports[0].hi))
		return danted_wrong(p, key, "one port is expected");
	place = danted_more_addrs(p, &p->f->internals);
	if (place)
		*place = a;
	return true;
}

static bool take_external(struct danted_parser *p,
			  const struct danted_token *key)
{
	struct danted_addr a, *place;

	if (!danted_address(p, key, false, &a))
		return false;
	if (a.kind == DANTED_URL || a.kind == DANTED_SUFFIX)
		return danted_wrong(p, key, "this is no address");
	place = danted_more_addrs(p, &p->f->externals);
	if (place)
		*place = a;
	return true;
}

static bool take_internal_protocol(struct danted_parser *p,
				   const struct danted_token *key)
{
	return danted_bits(p, key, families, ARRAY_SIZE(families),
			   &p->f->internal_families);
}

static bool take_external_protocol(struct danted_parser *p,
				   const struct danted_token *key)
{
	return danted_bits(p, key, families, ARRAY_SIZE(families),
			   &p->f->external_families);
}

static bool take_rotation(struct danted_parser *p,
			  const struct danted_token *key)
{
	static const char *const words[] = { "none", "route", "same-same" };
	const char *word = NULL;

	if (!danted_word(p, key, &word))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i])) {
			p->f->rotation = (enum danted_rotation)i;
			return true;
		}
	return danted_wrong(p, key, "there is no such rotation");
}

static bool take_methods(struct danted_parser *p,
			 const struct danted_token *key)
{
	return danted_methods(p, key, &p->f->methods);
}

static bool take_user(struct danted_parser *p, const struct danted_token *key)
{
	return danted_word(p, key, &p->f->user);
}

/* One place is written to; the others are lost. */
static bool take_log(struct danted_parser *p, const struct danted_token *key)
{
	struct conf_texts places = { 0 };

	if (!danted_texts(p, key, &places))
		return false;
	for (size_t i = 0; i < places.count; i++) {
		const char *place = places.at[i];
		bool console = !strcmp(place, "stderr") ||
			       !strcmp(place, "stdout");

		if (i || p->f->log || p->f->syslog) {
			danted_remark(p->remarks, DANTED_LOST, key->line,
				      "logoutput: the log is written to one "
				      "place, not to %.200s as well",
				      place);
		} else if (!strncmp(place, "syslog", strlen("syslog"))) {
			p->f->syslog = true;
			danted_remark(p->remarks, DANTED_NOTE, key->line,
				      "logoutput: the log goes to standard "
				      "error, which systemd takes to the "
				      "journal and syslog");
		} else if (!console) {
			p->f->log = place;
		}
	}
	return true;
}

static bool take_debug(struct danted_parser *p, const struct danted_token *key)
{
	int64_t n = 0;
	bool ok = danted_number(p, key, &n);

	p->f->debug = n > 0;
	return ok;
}

static bool take_negotiate(struct danted_parser *p,
			   const struct danted_token *key)
{
	return danted_number(p, key, &p->f->negotiate_s);
}

static bool take_connect(struct danted_parser *p,
			 const struct danted_token *key)
{
	return danted_number(p, key, &p->f->connect_s);
}

static bool take_io(struct danted_parser *p, const struct danted_token *key)
{
	bool ok = danted_number(p, key, &p->f->io_s);

	if (ok)
		p->f->udp_io_s = p->f->io_s;
	return ok;
}

static bool take_io_tcp(struct danted_parser *p, const struct danted_token *key)
{
	return danted_number(p, key, &p->f->io_s);
}

static bool take_io_udp(struct danted_parser *p, const struct danted_token *key)
{
	return danted_number(p, key, &p->f->udp_io_s);
}

static bool take_fin(struct danted_parser *p, const struct danted_token *key)
{
	return danted_number(p, key, &p->f->fin_s);
}

static bool take_connectdst(struct danted_parser *p,
			    const struct danted_token *key)
{
	bool yes = true, ok = danted_yes(p, key, &yes);

	p->f->full_cone = !yes;
	return ok;
}

/* Turned off it does nothing. */
static bool take_hosts_access(struct danted_parser *p,
			      const struct danted_token *key)
{
	bool yes = false;

	if (!danted_yes(p, key, &yes))
		return false;
	return !yes || danted_wrong(p, key,
				    "there are no TCP wrappers, and without "
				    "them the wrong ones would be let in");
}

static const struct {
	const char *key;
	danted_take *take;
} settings[] = {
	{ "internal", take_internal },
	{ "external", take_external },
	{ "internal.protocol", take_internal_protocol },
	{ "external.protocol", take_external_protocol },
	{ "external.rotation", take_rotation },
	{ "socksmethod", take_methods },
	{ "method", take_methods },
	{ "clientmethod", danted_clientmethod },
	{ "user.unprivileged", take_user },
	{ "user.notprivileged", take_user },
	{ "logoutput", take_log },
	{ "debug", take_debug },
	{ "timeout.negotiate", take_negotiate },
	{ "timeout.connect", take_connect },
	{ "connecttimeout", take_connect },
	{ "timeout.io", take_io },
	{ "iotimeout", take_io },
	{ "timeout.io.tcp", take_io_tcp },
	{ "timeout.io.udp", take_io_udp },
	{ "timeout.tcp_fin_wait", take_fin },
	{ "udp.connectdst", take_connectdst },
	{ "libwrap.hosts_access", take_hosts_access },
	{ "client", danted_body },
	{ "socks", danted_body },
	{ "hostid", danted_body },
	{ "pass", danted_body },
	{ "block", danted_body },
	{ "route", danted_body },
	{ "monitor", danted_body },
};

static void take_one(struct danted_parser *p, const struct danted_token *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (danted_token_is(key, settings[i].key)) {
			if (!settings[i].take(p, key))
				danted_skip_row(p, key->row);
			return;
		}
	if (!danted_skip_key(p, key, skipped, ARRAY_SIZE(skipped)))
		(void)danted_wrong(p, key, "danted does not know this");
	danted_skip_row(p, key->row);
}

int danted_parse(struct danted_file *ret, const char *text, size_t len,
		 const struct danted_world *world,
		 struct danted_remarks *remarks)
{
	struct danted_parser p = { .f = ret,
				   .world = world,
				   .remarks = remarks };
	struct danted_token t;

	/* What Dante does where nothing is said. */
	ret->negotiate_s = 30;
	ret->connect_s = 30;
	ret->udp_io_s = 24 * 60 * 60;
	danted_lex_init(&p.lex, text, len);
	for (danted_lex_next(&p.lex, DANTED_KEY, &t); t.kind != DANTED_END;
	     danted_lex_next(&p.lex, DANTED_KEY, &t)) {
		if (t.kind == DANTED_WORD) {
			take_one(&p, &t);
		} else {
			(void)danted_wrong(&p, &t,
					   "a setting or a rule is "
					   "expected here");
			danted_skip_row(&p, t.row);
		}
		if (p.no_memory)
			return -ENOMEM;
	}
	return 0;
}
