/*
 * Giving up rights, in the order that works: what needs root first, and
 * threads only after all of it, since capabilities and system call filters
 * belong to single threads.
 */
#include "daemon/prepare.h"

#include "conf/file_advice.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/quotas.h"
#include "daemon/sandbox.h"
#include "daemon/zone.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* --- The user ----------------------------------------------------------- */

int prepare_user(const struct conf *c, const char **ret)
{
	*ret = NULL;
	if (geteuid() != 0)
		return 0;
	if (!*c->user) {
		if (c->path)
			log_line(LOG_LEVEL_WARNING,
				 "serving as root: user = \"spliced\" would "
				 "give that up");
		else
			*ret = privileges_user_exists("spliced") ? "spliced"
								 : "nobody";
		return 0;
	}
	if (!privileges_user_exists(c->user)) {
		log_line(LOG_LEVEL_ERROR,
			 "%s: there is no user \"%s\" (user = ...) on this "
			 "machine",
			 c->path ? c->path : "built-in", c->user);
		return -ENOENT;
	}
	*ret = c->user;
	return 0;
}

/* --- The log ------------------------------------------------------------ */

/* Somebody else's file, linked to by that name, must not change hands. */
static bool is_plain_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static enum log_style log_style(const struct conf *c)
{
	switch (c->log.access) {
	case CONF_ACCESS_JSON:
		return LOG_STYLE_JSON;
	case CONF_ACCESS_DANTED:
		return LOG_STYLE_DANTED;
	case CONF_ACCESS_LOGFMT:
	case CONF_ACCESS_OFF:
		break;
	}
	return LOG_STYLE_PLAIN;
}

int prepare_log_file(const struct conf *c, const char *user)
{
	const char *path = c->log.path;
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	CLEANUP(close_fd) int fd = -1;

	/* While /etc may be read: danted's stamps are in local time, too. */
	tzset();
	if (!path || !pw)
		return 0;
	fd = open(path,
		  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			  O_NONBLOCK,
		  0640);
	if (fd >= 0 && !is_plain_file(fd)) {
		log_line(LOG_LEVEL_ERROR,
			 "the log %s is no plain file of one name", path);
		return -EINVAL;
	}
	if (fd < 0 || fchown(fd, pw->pw_uid, pw->pw_gid) < 0) {
		int r = -errno;

		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s%s", path,
			 strerror(-r), file_write_advice(r));
		return r;
	}
	return 0;
}

int prepare_log(const struct conf *c)
{
	static const enum log_level levels[] = {
		[CONF_LOG_ERROR] = LOG_LEVEL_ERROR,
		[CONF_LOG_WARNING] = LOG_LEVEL_WARNING,
		[CONF_LOG_NOTICE] = LOG_LEVEL_NOTICE,
		[CONF_LOG_INFO] = LOG_LEVEL_INFO,
		[CONF_LOG_DEBUG] = LOG_LEVEL_DEBUG,
	};
	struct log_options o = { .path = c->log.path,
				 .level = levels[c->log.level],
				 .prefixes = log_stderr_is_journal(),
				 .journal = c->log.journal,
				 .style = log_style(c) };
	int r = log_start(&o);

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s%s",
			 c->log.path      ? c->log.path
			 : c->log.journal ? "journal"
					  : "stderr",
			 strerror(-r), c->log.path ? file_write_advice(r) : "");
	return r;
}

/* --- Capabilities ------------------------------------------------------- */

/* Ports that only root may bind. */
static bool has_low(const struct conf_ports *ports)
{
	return ports->count && ports->at[0].lo < 1024;
}

/* Those that sockets made while serving need. */
static uint64_t needed_capabilities(const struct conf *c)
{
	uint64_t keep = 0;

	if (has_low(&c->outbound.bind_ports))
		keep |= CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
	if (c->outbound.mark || *c->outbound.device)
		keep |= CAPABILITY_BIT(CAP_NET_RAW);
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (has_low(&l->udp_ports))
			keep |= CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
		if (!l->optional)
			continue; /* open already */
		keep |= CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
		if (l->mark || *l->device || l->tproxy)
			keep |= CAPABILITY_BIT(CAP_NET_RAW);
	}
	return keep;
}

/* --- Confinement -------------------------------------------------------- */

/* Ports of listeners that may come later: an array to be freed, or NULL. */
static uint16_t *late_ports(const struct conf *c, size_t *ret_count)
{
	uint16_t *ports;
	size_t max = 0, count = 0;

	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].optional)
			max += c->listeners[i].address.count;
	ports = calloc(max + 1, sizeof(*ports));
	for (size_t i = 0; ports && i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		for (size_t k = 0; l->optional && k < l->address.count; k++)
			if (l->address.at[k].addr.port)
				ports[count++] = l->address.at[k].addr.port;
	}
	*ret_count = count;
	return ports;
}

/* Those that clients may have us listen on: see BIND in proxy/bind.c. */
static void set_bind_ports(struct sandbox *s, const struct conf *c)
{
	const struct conf_ports *ports = &c->outbound.bind_ports;
	bool served = false;

	for (size_t i = 0; i < c->rule_count; i++)
		served |= c->rules[i].action == CONF_ALLOW &&
			  c->rules[i].commands & CONF_BIND;
	if (!served || !ports->count)
		return; /* those that the kernel picks may always be bound */
	s->first_port = ports->at[0].lo;
	s->last_port = ports->at[0].hi;
}

/* What is read again while we serve: an array to be freed, or NULL. */
static const char **read_later(const struct conf *c,
			       const struct data_files *data, size_t *ret_count)
{
	const char **list = calloc(data->count + 4, sizeof(*list));
	size_t count = 0;

	if (!list)
		return NULL;
	list[count++] = c->names.resolv_conf;
	if (*c->names.hosts)
		list[count++] = c->names.hosts;
	if (zone_matters(c)) {
		list[count++] = ZONE_FILE;
		list[count++] = ZONE_FOLDER;
	}
	for (size_t i = 0; i < data->count; i++)
		list[count++] = data->path[i];
	*ret_count = count;
	return list;
}

static int confine(const struct conf *c, const struct data_files *data)
{
	struct sandbox s = { .log = c->log.path };
	const char **read = read_later(c, data, &s.read_count);
	uint16_t *ports = late_ports(c, &s.port_count);
	char why[512] = "";
	int r = -ENOMEM;

	if (c->quota_count && *quota_state_path(c))
		s.state = quota_state_path(c);
	s.read = read;
	s.ports = ports;
	set_bind_ports(&s, c);
	if (ports && read)
		r = sandbox_enter(&s, why, sizeof(why));
	free(ports);
	free(read);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "the sandbox cannot be entered: %s",
			 *why ? why : strerror(-r));
	else if (*why)
		log_line(LOG_LEVEL_NOTICE, "sandbox: %s", why);
	return r;
}

/* They were read with more rights than those who look again have. */
static void warn_of_unreadable(const struct data_files *data)
{
	for (size_t i = 0; i < data->count; i++)
		if (access(data->path[i], R_OK) < 0)
			log_line(LOG_LEVEL_WARNING,
				 "%s: cannot be read any more, now that rights "
				 "were given up (%s): when it changes, reload",
				 data->path[i], strerror(errno));
}

int prepare_rights(const struct conf *c, const char *user,
		   const struct data_files *data)
{
	const bool off = c->sandbox == CONF_SANDBOX_OFF;
	const struct privileges p = { .user = user,
				      .keep = needed_capabilities(c),
				      .debuggable = off };
	char why[256];
	int r = privileges_drop(&p, why, sizeof(why));

	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", why);
		return r;
	}
	warn_of_unreadable(data);
	if (!off)
		return confine(c, data);
	log_line(LOG_LEVEL_WARNING,
		 "not confined: sandbox = \"off\" is for finding faults");
	return 0;
}
