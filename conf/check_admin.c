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

void conf_check_admin(struct check *k)
{
	const struct conf_admin *a = &k->c->admin;
	const struct conf_listener l = conf_admin_listener(k->c);

	if (!*a->users && !conf_is_local(&l))
		COMPLAIN(k, l.where,
			 "admin: 'http' is not on this machine only, so that "
			 "everybody who reaches it sees all sessions; listen "
			 "on 127.0.0.1, ::1 or \"unix:/PATH\", or name a file "
			 "of 'users'");
	if (a->tls && has_only_sockets(&l))
		COMPLAIN(k, l.where,
			 "admin: 'tls' is for addresses of 'http', and there "
			 "is none");
}

void conf_sense_admin(struct sense *k)
{
	const struct conf_admin *a = &k->c->admin;
	const struct conf_listener l = conf_admin_listener(k->c);

	if (!a->http.count && (*a->users || a->user_metrics))
		WARN(k, l.where,
		     "admin: 'users' and 'user_metrics' do nothing without "
		     "'http'");
	if (*a->users && !a->tls && !conf_is_local(&l))
		WARN(k, l.where,
		     "admin: passwords for 'http' go through the network as "
		     "they are; name an entry of 'tls'");
}
