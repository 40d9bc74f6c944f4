/*
 * From the configuration's clients and rules to those of the proxy.
 */
#include "daemon/load_data.h"
#include "daemon/log.h"
#include "daemon/proxy/guess.h"
#include "daemon/proxy/week.h"
#include "daemon/setup_internal.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* Arrays that a rule_spec points at, while rules_new() copies them. */
struct spec_parts {
	struct rule_match *from, *to;
	struct port_range *ports;
	uint16_t *listeners;
	struct rule_window *when;
	size_t when_count;
};

static void parts_free(struct spec_parts *p)
{
	free(p->from);
	free(p->to);
	free(p->ports);
	free(p->listeners);
	free(p->when);
}

static struct rule_match *copy_matches(const struct conf_matches *m,
				       const struct load_data *d,
				       enum conf_file_kind kind)
{
	struct rule_match *list = calloc(m->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < m->count; i++) {
		const struct conf_match *from = &m->at[i];

		switch (from->kind) {
		case CONF_MATCH_PREFIX:
			list[i].type = RULE_MATCH_PREFIX;
			list[i].prefix = from->prefix;
			break;
		case CONF_MATCH_CLASS:
			list[i].type = RULE_MATCH_CLASS;
			list[i].class = from->class;
			break;
		case CONF_MATCH_NAME:
			list[i].type = RULE_MATCH_NAME;
			list[i].name = from->name;
			break;
		case CONF_MATCH_SUFFIX:
			list[i].type = RULE_MATCH_SUFFIX;
			list[i].name = from->name;
			break;
		case CONF_MATCH_FILE:
			list[i].type = RULE_MATCH_LIST;
			list[i].list = d ? load_data_list(d, kind, from->file)
					 : NULL;
			break;
		}
	}
	return list;
}

static uint16_t *copy_listeners(const struct conf_listener_set *set)
{
	uint16_t *list = calloc(set->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < set->count; i++)
		list[i] = (uint16_t)(set->at[i] + 1);
	return list;
}

static struct port_range *copy_ports(const struct conf_ports *ports)
{
	struct port_range *list = calloc(ports->count + 1, sizeof(*list));

	for (size_t i = 0; list && i < ports->count; i++)
		list[i] = (struct port_range){ .first = ports->at[i].lo,
					       .last = ports->at[i].hi };
	return list;
}

static void add_window(struct spec_parts *p, unsigned first, unsigned last)
{
	p->when[p->when_count++] = (struct rule_window){ (uint16_t)first,
							 (uint16_t)last };
}

/* One that goes over midnight may go over the end of the week, too. */
static void add_windows(struct spec_parts *p, const struct conf_window *w)
{
	unsigned len = w->from < w->to ? w->to - w->from
				       : w->to + DAY_MINUTES - w->from;

	for (unsigned day = 0; day < CONF_DAYS; day++) {
		unsigned first = 1 + day * DAY_MINUTES + w->from;
		unsigned last = first + len - 1;

		if (!(w->days & 1u << day))
			continue;
		add_window(p, first, (unsigned)min_size(last, WEEK_MINUTES));
		if (last > WEEK_MINUTES)
			add_window(p, 1, last - WEEK_MINUTES);
	}
}

static bool copy_windows(struct spec_parts *p, const struct conf_windows *from)
{
	if (!from->count)
		return true;
	p->when = calloc(from->count, (CONF_DAYS + 1) * sizeof(*p->when));
	for (size_t i = 0; p->when && i < from->count; i++)
		add_windows(p, &from->at[i]);
	return p->when;
}

/* By the numbers of their words. */
static const uint8_t methods[] = { AUTH_NONE, AUTH_PASSWORD, AUTH_PAM,
				   AUTH_SYSTEM, AUTH_CERTIFICATE };

_Static_assert(ARRAY_SIZE(methods) == AUTH_METHODS, "methods");

uint32_t setup_methods(uint32_t auth)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(methods); i++)
		if (auth & 1u << i)
			bits |= AUTH_BIT(methods[i]);
	return bits;
}

uint32_t setup_protocols(uint32_t protocols)
{
	uint32_t bits = 0;

	if (protocols & CONF_SOCKS5)
		bits |= PROTOCOL_BIT(PROTOCOL_SOCKS5);
	if (protocols & CONF_SOCKS4)
		bits |= PROTOCOL_BIT(PROTOCOL_SOCKS4);
	if (protocols & CONF_HTTP)
		bits |= PROTOCOL_BIT(PROTOCOL_HTTP) |
			PROTOCOL_BIT(PROTOCOL_HTTP2);
	if (protocols & CONF_FORWARD)
		bits |= PROTOCOL_BIT(PROTOCOL_FORWARD);
	if (protocols & CONF_TRANSPARENT)
		bits |= PROTOCOL_BIT(PROTOCOL_TRANSPARENT);
	return bits;
}

static uint32_t command_bits(uint32_t commands)
{
	uint32_t bits = 0;

	if (commands & CONF_CONNECT)
		bits |= COMMAND_BIT(COMMAND_CONNECT);
	if (commands & CONF_BIND)
		bits |= COMMAND_BIT(COMMAND_BIND);
	if (commands & CONF_UDP)
		bits |= COMMAND_BIT(COMMAND_UDP);
	if (commands & CONF_REQUEST)
		bits |= COMMAND_BIT(COMMAND_REQUEST);
	return bits;
}

/* Nothing to look at where it is about all of them. */
static uint32_t rule_protocols(uint32_t protocols)
{
	return protocols == (CONF_GUESSED | CONF_FORWARD | CONF_TRANSPARENT)
		       ? 0
		       : setup_protocols(protocols);
}

static int client_spec(struct rule_spec *ret, struct spec_parts *p,
		       const struct conf_client *c, const struct load_data *d)
{
	p->from = copy_matches(&c->from, d, CONF_FILE_PREFIXES);
	p->listeners = copy_listeners(&c->listener);
	if (!p->from || !p->listeners || !copy_windows(p, &c->when))
		return -ENOMEM;
	*ret = (struct rule_spec){ .name = c->name,
				   .allow = c->action == CONF_ALLOW,
				   .from = p->from,
				   .from_count = c->from.count,
				   .listeners = p->listeners,
				   .listener_count = c->listener.count,
				   .when = p->when,
				   .when_count = p->when_count,
				   .userids = c->userid.at,
				   .userid_count = c->userid.count,
				   .auth = setup_methods(c->auth.set),
				   .order_count = c->auth.count };
	for (unsigned i = 0; i < c->auth.count; i++)
		ret->order[i] = methods[c->auth.at[i]];
	return 0;
}

static int request_spec(struct rule_spec *ret, struct spec_parts *p,
			const struct conf_rule *c, const struct load_data *d)
{
	p->from = copy_matches(&c->from, d, CONF_FILE_PREFIXES);
	p->to = copy_matches(&c->to, d, CONF_FILE_TARGETS);
	p->ports = copy_ports(&c->ports);
	p->listeners = copy_listeners(&c->listener);
	if (!p->from || !p->to || !p->ports || !p->listeners ||
	    !copy_windows(p, &c->when))
		return -ENOMEM;
	*ret = (struct rule_spec){ .name = c->name,
				   .allow = c->action == CONF_ALLOW,
				   .from = p->from,
				   .from_count = c->from.count,
				   .to = p->to,
				   .to_count = c->to.count,
				   .ports = p->ports,
				   .port_count = c->ports.count,
				   .listeners = p->listeners,
				   .listener_count = c->listener.count,
				   .when = p->when,
				   .when_count = p->when_count,
				   .commands = command_bits(c->commands),
				   .protocols = rule_protocols(c->protocols),
				   .users = c->users.at,
				   .user_count = c->users.count,
				   .groups = c->groups.at,
				   .group_count = c->groups.count };
	return 0;
}

/*
 * danted takes interfaces here.  Who means one gets a rule that never matches,
 * and of one that denies nothing else would tell him.  Names with a dot are not
 * looked at, for there may be a hundred thousand of them.
 */
static void warn_of_interfaces(const struct conf_rule *rule)
{
	for (size_t i = 0; i < rule->to.count; i++) {
		const struct conf_match *m = &rule->to.at[i];

		if (m->kind == CONF_MATCH_NAME && !strchr(m->name, '.') &&
		    if_nametoindex(m->name))
			log_line(LOG_LEVEL_WARNING,
				 "rule '%s': \"%s\" in 'to' is taken for a "
				 "host, not for the interface of that name; "
				 "write addresses",
				 rule->name, m->name);
	}
}

void setup_warn_of_interfaces(const struct conf *c)
{
	for (size_t i = 0; i < c->rule_count; i++)
		warn_of_interfaces(&c->rules[i]);
}

int setup_rules(struct rules **ret, const struct conf *c,
		const struct load_data *d)
{
	size_t count = c->client_count + c->rule_count;
	struct rule_spec *spec = calloc(count + 1, sizeof(*spec));
	struct spec_parts *parts = calloc(count + 1, sizeof(*parts));
	int r = spec && parts ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < c->client_count; i++)
		r = client_spec(&spec[i], &parts[i], &c->clients[i], d);
	for (size_t i = 0; r == 0 && i < c->rule_count; i++) {
		size_t k = c->client_count + i;

		r = request_spec(&spec[k], &parts[k], &c->rules[i], d);
	}
	if (r == 0)
		r = rules_new(ret, spec, c->client_count,
			      spec + c->client_count, c->rule_count,
			      d ? d->groups : NULL);
	for (size_t i = 0; parts && i < count; i++)
		parts_free(&parts[i]);
	free(parts);
	free(spec);
	return r;
}
