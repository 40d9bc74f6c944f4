/*
 * Listeners and their certificates: what cannot be served, and what is most
 * likely not meant.
 */
#include "conf/check_internal.h"
#include "conf/cover.h"

#include <string.h>

/* --- What cannot be ------------------------------------------------------ */

/* Lists that say something of each certificate. */
static void check_certificates(struct check *k, const struct conf_tls *t)
{
	const struct {
		const char *key;
		const struct conf_texts *list;
	} beside[] = { { "key", &t->key }, { "ocsp", &t->ocsp } };

	for (size_t i = 0; i < ARRAY_SIZE(beside); i++)
		if (beside[i].list->count > t->certificate.count)
			COMPLAIN(k, t->where,
				 "tls '%s': '%s' has %zu elements, but "
				 "'certificate' %zu; they belong together in "
				 "their order",
				 t->name, beside[i].key, beside[i].list->count,
				 t->certificate.count);
}

static void check_tls(struct check *k, const struct conf_tls *t)
{
	check_certificates(k, t);
	if (*t->client_ca)
		return;
	if (conf_tls_verify(t) != CONF_VERIFY_NONE)
		COMPLAIN(k, t->where,
			 "tls '%s': 'verify' needs a 'client_ca': by nobody "
			 "else are clients' certificates signed",
			 t->name);
	if (*t->client_crl)
		COMPLAIN(k, t->where,
			 "tls '%s': 'client_crl' needs a 'client_ca'", t->name);
}

static const char *lonely(uint32_t protocols)
{
	return protocols & CONF_FORWARD ? "forward" : "transparent";
}

static void check_protocols(struct check *k, const struct conf_listener *l)
{
	const uint32_t alone = CONF_FORWARD | CONF_TRANSPARENT;

	if (l->protocols & alone && l->protocols & (l->protocols - 1))
		COMPLAIN(k, l->where,
			 "listener '%s': '%s' stands alone in 'protocols': "
			 "whatever a client sends is for the target",
			 l->name, lonely(l->protocols));
	if (l->protocols & CONF_FORWARD && !l->target.count)
		COMPLAIN(k, l->where,
			 "listener '%s' is for 'forward', but no 'target' says "
			 "where to",
			 l->name);
	if (!(l->protocols & CONF_TRANSPARENT))
		return;
	for (size_t i = 0; i < l->address.count; i++)
		if (l->address.at[i].socket)
			COMPLAIN(k, l->where,
				 "listener '%s' is for 'transparent', but "
				 "nothing leads clients to a UNIX socket who "
				 "meant an address",
				 l->name);
	if (l->tls)
		COMPLAIN(k, l->where,
			 "listener '%s' is for 'transparent', but with 'tls': "
			 "its clients speak TLS, if any, with whom they meant",
			 l->name);
}

static bool verifies(const struct conf *c, const struct conf_listener *l)
{
	return l->tls &&
	       conf_tls_verify(&c->tls[l->tls - 1]) != CONF_VERIFY_NONE;
}

bool conf_verifies_clients(const struct conf *c,
			   const struct conf_listener_set *set)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (conf_listeners_hold(set, i) &&
		    verifies(c, &c->listeners[i]))
			return true;
	return false;
}

/* Whom nobody could know would be locked out. */
static void check_certificate_login(struct check *k,
				    const struct conf_client *e)
{
	if (e->action == CONF_ALLOW && e->auth.set & CONF_AUTH_CERTIFICATE &&
	    !conf_verifies_clients(k->c, &e->listener))
		COMPLAIN(k, e->where,
			 "'%s' asks for a certificate, but no listener of it "
			 "has a 'tls' with a 'client_ca'",
			 e->name);
}

void conf_check_listeners(struct check *k)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < c->tls_count; i++)
		check_tls(k, &c->tls[i]);
	for (size_t i = 0; i < c->listener_count; i++)
		check_protocols(k, &c->listeners[i]);
	for (size_t i = 0; i < c->client_count; i++)
		check_certificate_login(k, &c->clients[i]);
}

/* --- What is probably not meant ------------------------------------------ */

static void warn_of_http2(struct sense *k, const struct conf_listener *l)
{
	if (!l->http2 && !l->tls)
		WARN(k, l->where,
		     "listener '%s' sets http2, but has no 'tls', without "
		     "which there is none",
		     l->name);
	else if (!l->http2 && !(l->protocols & CONF_HTTP))
		WARN(k, l->where,
		     "listener '%s' sets http2, but does not speak http",
		     l->name);
}

static void warn_of_header(struct sense *k, const struct conf_listener *l)
{
	if (l->proxy_protocol_only && !l->proxy_protocol.count)
		WARN(k, l->where,
		     "listener '%s' sets proxy_protocol_only, but "
		     "'proxy_protocol' is empty: everybody is refused",
		     l->name);
	for (size_t i = 0; i < l->proxy_protocol.count; i++)
		if (l->proxy_protocol.at[i].kind == CONF_MATCH_CLASS &&
		    l->proxy_protocol.at[i].class == ADDR_CLASS_ANY &&
		    !conf_is_local(l))
			WARN(k, l->where,
			     "listener '%s' believes the PROXY header of "
			     "everybody who can reach it, who may so claim any "
			     "address; name the balancers in 'proxy_protocol'",
			     l->name);
}

static void warn_of_target(struct sense *k, const struct conf_listener *l)
{
	if (l->protocols & CONF_FORWARD) {
		if (l->target_policy != CONF_TURN_FAILOVER &&
		    l->target.count < 2)
			WARN(k, l->where,
			     "listener '%s' sets target_policy, but has one "
			     "'target' only",
			     l->name);
	} else if (l->target.count || l->target_policy != CONF_TURN_FAILOVER ||
		   l->send_proxy != CONF_HEADER_OFF) {
		WARN(k, l->where,
		     "listener '%s' sets target, target_policy or send_proxy, "
		     "but is not for 'forward', which alone has them",
		     l->name);
	}
	if (l->tproxy && !(l->protocols & CONF_TRANSPARENT))
		WARN(k, l->where,
		     "listener '%s' sets tproxy, but is not for 'transparent', "
		     "which alone has it",
		     l->name);
}

/* Options of TCP where there is none, and the other way round. */
static void warn_of_sockets(struct sense *k, const struct conf_listener *l)
{
	size_t sockets = 0;

	for (size_t i = 0; i < l->address.count; i++)
		sockets += l->address.at[i].socket &&
			   *l->address.at[i].socket == '/';
	if (!sockets && l->mode != 0600)
		WARN(k, l->where,
		     "listener '%s' sets mode, but has no 'unix:' address",
		     l->name);
	if (!conf_is_unix(l))
		return;
	if (l->udp_address.count || l->udp_ports.count)
		WARN(k, l->where,
		     "listener '%s' sets udp_address or udp_ports, but clients "
		     "of UNIX sockets get no UDP",
		     l->name);
	if (l->fastopen || l->defer_accept_ms || l->user_timeout_ms ||
	    l->keepalive_idle_ms || l->keepalive_interval_ms ||
	    l->keepalive_count || l->mark || *l->device || l->freebind ||
	    !l->v6only || l->optional)
		WARN(k, l->where,
		     "listener '%s' sets optional, fastopen, defer_accept, "
		     "keepalive_*, user_timeout, v6only, freebind, device or "
		     "mark, which UNIX sockets do not have",
		     l->name);
}

static void warn_of_unused(struct sense *k, size_t tls)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].tls == tls + 1)
			return;
	if (c->admin.tls == tls + 1)
		return;
	WARN(k, c->tls[tls].where,
	     "tls '%s' is of no use: no entry of 'listeners' names it",
	     c->tls[tls].name);
}

/* Handshakes of TLS, where it is spoken at all. */
static void warn_of_handshakes(struct sense *k)
{
	const struct conf_limits *l = &k->c->limits;
	bool spoken = false;

	if (!l->tls_handshakes)
		return;
	for (size_t i = 0; i < k->c->listener_count; i++)
		spoken |= k->c->listeners[i].tls != 0;
	if (!spoken)
		WARN(k, k->c->path,
		     "limits: 'tls_handshakes' bounds nothing: no entry of "
		     "'listeners' has a 'tls'");
	else if (l->tls_handshakes > l->handshakes)
		WARN(k, k->c->path,
		     "limits: 'tls_handshakes' is more than 'handshakes', and "
		     "never reached");
}

bool conf_is_unix(const struct conf_listener *l)
{
	for (size_t i = 0; i < l->address.count; i++)
		if (!l->address.at[i].socket)
			return false;
	return true;
}

bool conf_is_local(const struct conf_listener *l)
{
	for (size_t i = 0; i < l->address.count; i++) {
		const struct conf_endpoint *e = &l->address.at[i];

		if (!e->socket &&
		    (e->interface ? strcmp(e->interface, "lo") != 0
				  : !addr_is_loopback(&e->addr)))
			return false;
	}
	return true;
}

void conf_sense_listeners(struct sense *k)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		warn_of_http2(k, l);
		warn_of_header(k, l);
		warn_of_target(k, l);
		warn_of_sockets(k, l);
	}
	for (size_t i = 0; i < c->tls_count; i++)
		warn_of_unused(k, i);
	warn_of_handshakes(k);
}
