/*
 * Groups of parents: from the configuration's urls to what the proxy connects
 * by, with logins from files and contexts for TLS.  Before privileges are
 * dropped, since these files may be root's.
 */
#include "conf/file_advice.h"
#include "daemon/log.h"
#include "daemon/setup_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line of a file: user, colon, password. */
#define CREDENTIALS_BYTES 1024

static struct upstream_host host_of(const struct conf_target *t)
{
	return (struct upstream_host){ .addr = t->addr,
				       .host = t->host,
				       .port = t->port };
}

static enum upstream_scheme scheme_of(enum conf_scheme s)
{
	switch (s) {
	case CONF_SCHEME_SOCKS5:
		return UPSTREAM_SOCKS5;
	case CONF_SCHEME_SOCKS4:
		return UPSTREAM_SOCKS4;
	case CONF_SCHEME_HTTP:
		return UPSTREAM_HTTP;
	case CONF_SCHEME_HTTPS:
		return UPSTREAM_HTTPS;
	}
	return UPSTREAM_SOCKS5;
}

static enum upstream_policy policy_of(enum conf_balance b)
{
	switch (b) {
	case CONF_BALANCE_FAILOVER:
		return UPSTREAM_FAILOVER;
	case CONF_BALANCE_ROUND_ROBIN:
		return UPSTREAM_ROUND_ROBIN;
	case CONF_BALANCE_LEAST_CONNECTIONS:
		return UPSTREAM_LEAST_CONNECTIONS;
	case CONF_BALANCE_HASH_CLIENT:
		return UPSTREAM_HASH_CLIENT;
	case CONF_BALANCE_HASH_TARGET:
		return UPSTREAM_HASH_TARGET;
	}
	return UPSTREAM_FAILOVER;
}

/* --- Logins -------------------------------------------------------------- */

static ssize_t read_file(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && len < size) {
		n = read(fd, out + len, size - len);
		if (n > 0)
			len += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)len;
	close_fd(&fd);
	return n;
}

/* Without the line's end. */
static struct span only_line(const char *text, size_t len)
{
	if (len && text[len - 1] == '\n')
		len--;
	if (len && text[len - 1] == '\r')
		len--;
	return (struct span){ (const uint8_t *)text, len };
}

/* Room for a sentence with the longest path in it. */
#define WHY_BYTES (PATH_MAX + CONF_WHY_BYTES)

/* For parents whose url has no login; *ret->user NULL: there is no file. */
static int read_login(const struct conf_upstream *c, struct conf_url *ret,
		      struct conf_url_room *room, char *why)
{
	char text[CREDENTIALS_BYTES / 2], wrong[CONF_WHY_BYTES];
	ssize_t n;
	int r;

	if (!*c->credentials_file)
		return 0;
	n = read_file(c->credentials_file, text, sizeof(text));
	if (n < 0) {
		(void)snprintf(why, WHY_BYTES, "%s: '%s' cannot be read: %s%s",
			       c->where, c->credentials_file, strerror((int)-n),
			       file_read_advice((int)n));
		return (int)n;
	}
	r = conf_credentials_parse(ret, room, only_line(text, (size_t)n),
				   wrong);
	explicit_bzero(text, sizeof(text));
	if (r < 0)
		(void)snprintf(why, WHY_BYTES, "%s:1: %s", c->credentials_file,
			       wrong);
	return r;
}

/* --- TLS ----------------------------------------------------------------- */

static bool has_https(const struct conf_upstream *c)
{
	for (size_t i = 0; i < c->url.count; i++)
		if (c->url.at[i].scheme == CONF_SCHEME_HTTPS)
			return true;
	return false;
}

/* One context for all parents of a group. */
static int make_tls(struct tcp_tls **ret, const struct conf_upstream *c,
		    char *why)
{
	struct tcp_tls_options o = {
		.client = true,
		.ca_file = *c->tls_ca ? c->tls_ca : NULL,
		.verify = c->tls_verify ? TCPSERVER_TLS_VERIFY_REQUIRED
					: TCPSERVER_TLS_VERIFY_NONE,
	};
	char wrong[512];
	int r;

	if (!has_https(c))
		return 0;
	if (!c->tls_verify)
		o.ca_file = NULL;
	r = tcp_tls_new(ret, &o, wrong, sizeof(wrong));
	if (r < 0)
		(void)snprintf(why, WHY_BYTES, "%s: upstream '%s': %s",
			       c->where, c->name, wrong);
	return r;
}

/* --- All of it ----------------------------------------------------------- */

/* What one group's parents point at. */
struct setup_upstream {
	struct tcp_tls *tls; /* NULL: none of them has any */
	struct conf_url login;
	struct conf_url_room room;
	struct upstream_parent parent[];
};

static struct upstream_parent parent_of(const struct conf_upstream *c,
					const struct conf_url *u,
					const struct setup_upstream *s)
{
	bool own = u->user;

	return (struct upstream_parent){
		.scheme = scheme_of(u->scheme),
		.remote = u->remote || c->resolve == CONF_RESOLVE_REMOTE,
		.at = host_of(&u->target),
		.user = own ? u->user : s->login.user,
		.password = own ? u->password : s->login.password,
		.tls = u->scheme == CONF_SCHEME_HTTPS ? s->tls : NULL,
		.tls_name = *c->tls_name ? c->tls_name : u->target.host,
	};
}

bool setup_upstream_is_remote(const struct conf_upstream *c)
{
	size_t first = c->chain ? c->url.count - 1 : 0;

	if (c->resolve == CONF_RESOLVE_REMOTE)
		return true;
	for (size_t i = first; i < c->url.count; i++)
		if (!c->url.at[i].remote)
			return false;
	return true;
}

static int make_group(struct setup_upstream **ret, struct upstream_group *g,
		      const struct conf_upstream *c)
{
	struct setup_upstream *s;
	char why[WHY_BYTES];
	int r;

	s = calloc(1, sizeof(*s) + c->url.count * sizeof(s->parent[0]));
	if (!s)
		return -ENOMEM;
	*ret = s;
	r = read_login(c, &s->login, &s->room, why);
	if (r == 0)
		r = make_tls(&s->tls, c, why);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", why);
		return r;
	}
	for (size_t i = 0; i < c->url.count; i++)
		s->parent[i] = parent_of(c, &c->url.at[i], s);
	*g = (struct upstream_group){
		.name = c->name,
		.parents = s->parent,
		.count = c->url.count,
		.policy = policy_of(c->policy),
		.chain = c->chain,
		.remote = setup_upstream_is_remote(c),
		.send_proxy = (uint8_t)c->send_proxy,
		.retry_ms = c->retry_ms,
		.check_ms = c->check_ms,
	};
	if (c->check_target.count)
		g->check_target = host_of(&c->check_target.at[0]);
	return 0;
}

/* On any worker's thread. */
void setup_upstream_told(void *ctx UNUSED, const struct upstream_news *n)
{
	const struct upstream_parent *p = &n->group->parents[n->parent];
	bool errors = n->error && !*n->said;

	if (n->why == OUTCOME_NONE)
		log_line(LOG_LEVEL_NOTICE,
			 "upstream %s: parent %u, %s port %u, is well again",
			 n->group->name, n->parent + 1, p->at.host, p->at.port);
	else
		log_line(LOG_LEVEL_WARNING,
			 "upstream %s: parent %u, %s port %u, has failed: "
			 "%s%s%s",
			 n->group->name, n->parent + 1, p->at.host, p->at.port,
			 outcome_word(n->why), errors || *n->said ? ", " : "",
			 errors ? strerrordesc_np(-n->error) : n->said);
}

int setup_upstreams(struct setup *s)
{
	const struct conf *c = s->conf;
	int r = 0;

	s->groups = calloc(c->upstream_count + 1, sizeof(*s->groups));
	s->upstreams = calloc(c->upstream_count + 1, sizeof(void *));
	if (!s->groups || !s->upstreams)
		return -ENOMEM;
	for (size_t i = 0; i < c->upstream_count && r == 0; i++)
		r = make_group(&s->upstreams[i], &s->groups[i],
			       &c->upstreams[i]);
	return r;
}

int setup_upstreams_check(const struct conf *c, struct conf_errors *errors)
{
	int result = 0;

	for (size_t i = 0; i < c->upstream_count; i++) {
		const struct conf_upstream *u = &c->upstreams[i];
		struct conf_url_room room = { 0 };
		struct conf_url login = { 0 };
		struct tcp_tls *tls = NULL;
		char why[WHY_BYTES];

		if (read_login(u, &login, &room, why) < 0 ||
		    make_tls(&tls, u, why) < 0) {
			conf_errors_add(errors, CONF_ERROR, NULL, 0, "%s", why);
			result = -EBADMSG;
		}
		explicit_bzero(&room, sizeof(room));
		tcp_tls_unref(tls);
	}
	return result;
}

void setup_upstreams_done(struct setup *s)
{
	for (size_t i = 0; s->upstreams && s->upstreams[i]; i++) {
		tcp_tls_unref(s->upstreams[i]->tls);
		explicit_bzero(&s->upstreams[i]->room,
			       sizeof(s->upstreams[i]->room));
		free(s->upstreams[i]);
	}
	free(TAKE_PTR(s->upstreams));
	free(TAKE_PTR(s->groups));
}
