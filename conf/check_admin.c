/*
 * The listener for metrics: who could reach it, and what is in its way.
 */
#include "conf/admin.h"
#include "conf/check_internal.h"

#include <string.h>

static bool has_only_sockets(const struct conf_listener *l)
{
	for (size_t i = 0; i < l->address.count; i++)
		if (!l->address.at[i].socket)
			return false;
	return true;
}

/* A browser reads no file, and "any" would be no proxy at all. */
static void check_direct(struct check *k, const char *where)
{
	const struct conf_matches *direct = &k->c->admin.pac_direct;

	for (size_t i = 0; i < direct->count; i++) {
		const struct conf_match *m = &direct->at[i];

		if (m->kind == CONF_MATCH_FILE)
			COMPLAIN(
				k, where,
				"admin: 'pac_direct' takes no \"@FILE\"; write "
				"what stands there");
		if (m->kind == CONF_MATCH_CLASS &&
		    (m->class == ADDR_CLASS_ANY ||
		     m->class == ADDR_CLASS_INTERNET))
			COMPLAIN(k, where,
				 "admin: '%s' in 'pac_direct' would lead "
				 "browsers around this proxy; write what is "
				 "to be fetched without it",
				 addr_class_name(m->class));
	}
}

void conf_check_admin(struct check *k)
{
	const struct conf_admin *a = &k->c->admin;
	const struct conf_listener l = conf_admin_listener(k->c);

	check_direct(k, l.where);

	if (!*a->users && !conf_is_local(&l))
		COMPLAIN(k, l.where,
			 "admin: 'http' is not on this machine only, so that "
			 "everybody who reaches it sees all sessions; listen "
			 "on 127.0.0.1, ::1 or \"unix:/PATH\", or name a file "
			 "of 'users'");
	if (a->tls && a->http.count && has_only_sockets(&l))
		COMPLAIN(k, l.where,
			 "admin: 'tls' is for addresses of 'http', and there "
			 "is none");
}

void conf_sense_admin(struct sense *k)
{
	const struct conf_admin *a = &k->c->admin;
	const struct conf_listener l = conf_admin_listener(k->c);

	if (!a->http.count && (a->tls || *a->users || a->user_metrics))
		WARN(k, l.where,
		     "admin: 'tls', 'users' and 'user_metrics' do nothing "
		     "without 'http'");
	if (!a->http.count && (*a->pac_host || a->pac_direct.count))
		WARN(k, l.where,
		     "admin: 'pac_host' and 'pac_direct' do nothing without "
		     "'http'");
	if (*a->users && !a->tls && !conf_is_local(&l))
		WARN(k, l.where,
		     "admin: passwords for 'http' go through the network as "
		     "they are; name an entry of 'tls'");
}
