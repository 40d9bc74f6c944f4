/*
 * Who may look: HTTP Basic against a file of users, by the same verification
 * as logins of the proxy's clients: hashed beside the loop, remembered,
 * delayed and locked out alike.  The file is looked at when somebody logs in,
 * a second after the last look at the earliest.
 */
#include "daemon/admin_internal.h"

#include "core/file_stamp.h"
#include "daemon/log.h"
#include "daemon/proxy/auth.h"
#include "daemon/proxy/http_basic.h"
#include "daemon/proxy/policy.h"
#include "daemon/proxy/users.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_EACH_MS 1000

struct admin_login {
	const char *path;
	struct auth *auth;
	struct policy *policy; /* of users alone */
	struct file_stamp stamp;
	int64_t looked_ms;
};

static int load(struct policy **ret, const char *path)
{
	struct users_fault fault = { 0 };
	struct users *users = NULL;
	int r = users_load(&users, path, &fault);

	if (r == 0)
		r = policy_new(ret, NULL, users);
	if (r == 0)
		return 0;
	users_free(users);
	log_line(LOG_LEVEL_ERROR, "%s:%u: %s", path, fault.line,
		 fault.why ? fault.why : strerror(-r));
	return r;
}

static struct file_stamp stamp_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? file_stamp(&st)
				    : (struct file_stamp){ 0 };
}

/* One that cannot be read leaves what was read before. */
static void follow(struct admin_login *l)
{
	struct policy *fresh = NULL;
	struct file_stamp now;

	if (tcp_deadline(0) - l->looked_ms < LOOK_EACH_MS)
		return;
	l->looked_ms = tcp_deadline(0);
	now = stamp_of(l->path);
	if (file_stamp_equal(&now, &l->stamp))
		return;
	l->stamp = now;
	if (load(&fresh, l->path) < 0)
		return;
	policy_unref(l->policy);
	l->policy = fresh;
}

int admin_login_new(struct admin_login **ret, const struct conf *c)
{
	const struct conf_auth *a = &c->auth;
	const struct auth_options o = {
		.kinds = AUTH_BIT(AUTH_PASSWORD),
		.cache_ms = a->cache_ms,
		.cache_entries = 64,
		.failure_delay_ms = a->failure_delay_ms,
		.lock_after = a->lock_after,
		.lock_ms = a->lock_time_ms,
		.client_prefix4 = (uint8_t)c->limits.client_prefix4,
		.client_prefix6 = (uint8_t)c->limits.client_prefix6,
	};
	struct admin_login *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->path = c->admin.users;
	l->stamp = stamp_of(l->path);
	r = load(&l->policy, l->path);
	if (r == 0)
		r = auth_new(&l->auth, &o);
	if (r < 0) {
		admin_login_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void admin_login_free(struct admin_login *l)
{
	if (!l)
		return;
	auth_free(l->auth);
	policy_unref(l->policy);
	free(l);
}

/* -EACCES: wrong; others: it could not be verified. */
static int verify(struct admin_login *l, struct tcp_conn *c, struct span name,
		  struct span password, struct login **ret)
{
	struct login_claim claim = { .policy = l->policy,
				     .client = tcp_conn_peer(c),
				     .name = name,
				     .password = password,
				     .kinds = { AUTH_PASSWORD },
				     .kind_count = 1 };
	enum auth_method by;
	int r = auth_recall(l->auth, &claim, &by);

	if (r != -ENOENT)
		return r;
	*ret = login_new(l->auth, &claim);
	return *ret ? 0 : -ENOMEM;
}

bool admin_log_in(struct admin_login *l, struct tcp_conn *c, struct span value,
		  int64_t deadline)
{
	uint8_t room[HTTP_BASIC_MAX];
	struct span name, password;
	struct login *login = NULL;
	enum auth_method by;
	int r;

	if (!value.at)
		return false;
	follow(l);
	r = http_basic_parse(value, room, &name, &password);
	if (r == 0)
		r = verify(l, c, name, password, &login);
	explicit_bzero(room, sizeof(room));
	memset((uint8_t *)(uintptr_t)value.at, '*', value.len);
	if (r == 0 && login)
		r = login_verify(l->auth, login, &by, deadline);
	return r == 0;
}

/* --- Where nobody does --------------------------------------------------- */

/* Cuts port and brackets off. */
static char *name_in(char *host)
{
	if (*host != '[') {
		host[strcspn(host, ":")] = '\0';
		return host;
	}
	host++;
	host[strcspn(host, "]")] = '\0';
	return host;
}

bool admin_is_called(const struct admin *a, const struct tcp_conn *c,
		     struct span host)
{
	char text[256] = "", *name;
	struct tcp_addr ip;

	/* No browser comes by a path, or passes over a wrong certificate. */
	if (a->login || a->listener.tls || host.len == 0 ||
	    tcp_conn_peer(c)->family == AF_UNIX)
		return true;
	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.at, host.len);
	name = name_in(text);
	return addr_parse_ip(&ip, name) == 0 ||
	       strcasecmp(name, "localhost") == 0 ||
	       (*name &&
		(strcasecmp(name, a->machine) == 0 ||
		 strcasecmp(name, a->setup->conf->admin.pac_host) == 0));
}
