/*
 * Giving up rights, in the order that works: what needs root first, and
 * threads only after all of it, since capabilities and system call filters
 * belong to single threads.
 */
#include "daemon/prepare.h"

#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

int prepare_log_file(const struct conf *c, const char *user)
{
	const char *path = c->log.path;
	const struct passwd *pw = user ? getpwnam(user) : NULL;
	CLEANUP(close_fd) int fd = -1;

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

		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s", path,
			 strerror(-r));
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
				 .journal = c->log.journal };
	int r = log_start(&o);

	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "cannot open the log %s: %s",
			 c->log.path      ? c->log.path
			 : c->log.journal ? "journal"
					  : "stderr",
			 strerror(-r));
	return r;
}

/* --- Capabilities ------------------------------------------------------- */

/* Those that sockets made while serving need. */
static uint64_t needed_capabilities(const struct conf *c)
{
	uint64_t keep = 0;

	if (c->outbound.mark || *c->outbound.device)
		keep |= CAPABILITY_BIT(CAP_NET_RAW);
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		if (!l->optional)
			continue; /* open already */
		keep |= CAPABILITY_BIT(CAP_NET_BIND_SERVICE);
		if (l->mark || *l->device)
			keep |= CAPABILITY_BIT(CAP_NET_RAW);
	}
	return keep;
}

/* --- Confinement -------------------------------------------------------- */

/* What has to stay in reach, as sandbox_enter() wants it. */
struct reach {
	char *folders[8];
	size_t folder_count;
	uint16_t *ports;
	size_t port_count;
};

static void reach_done(struct reach *n)
{
	for (size_t i = 0; i < n->folder_count; i++)
		free(n->folders[i]);
	free(n->ports);
}

/* The folder of a file: a rule for the file itself ends with its inode. */
static int add_folder_of(struct reach *n, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;

	if (!slash || n->folder_count == ARRAY_SIZE(n->folders))
		return 0;
	folder = slash == path ? strdup("/")
			       : strndup(path, (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	/* Nothing could be read in one that does not exist. */
	if (access(folder, F_OK) < 0)
		free(folder);
	else
		n->folders[n->folder_count++] = folder;
	return 0;
}

/* With what it is a link to: /etc/resolv.conf often points into /run. */
static int add_file(struct reach *n, const char *path)
{
	char real[PATH_MAX];
	int r;

	if (!*path)
		return 0;
	r = add_folder_of(n, path);
	if (r == 0 && realpath(path, real) && strcmp(real, path) != 0)
		r = add_folder_of(n, real);
	return r;
}

/* Ports of listeners that may come later. */
static int add_ports(struct reach *n, const struct conf *c)
{
	size_t max = 0;

	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].optional)
			max += c->listeners[i].address.count;
	n->ports = calloc(max + 1, sizeof(*n->ports));
	if (!n->ports)
		return -ENOMEM;
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct conf_listener *l = &c->listeners[i];

		for (size_t k = 0; l->optional && k < l->address.count; k++)
			if (l->address.at[k].addr.port)
				n->ports[n->port_count++] = l->address.at[k]
								    .addr.port;
	}
	return 0;
}

static int confine(const struct conf *c)
{
	struct reach n = { 0 };
	char why[512] = "";
	int r = add_file(&n, c->names.hosts);

	if (r == 0)
		r = add_file(&n, c->names.resolv_conf);
	if (r == 0) /* nsswitch.conf and others that libraries look into */
		r = add_folder_of(&n, "/etc/nsswitch.conf");
	if (r == 0)
		r = add_ports(&n, c);
	if (r == 0) {
		const struct sandbox s = {
			.read = (const char *const *)n.folders,
			.read_count = n.folder_count,
			.log = c->log.path,
			.ports = n.ports,
			.port_count = n.port_count,
		};

		r = sandbox_enter(&s, why, sizeof(why));
	}
	reach_done(&n);
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, "the sandbox cannot be entered: %s",
			 *why ? why : strerror(-r));
	else if (*why)
		log_line(LOG_LEVEL_WARNING, "sandbox: %s", why);
	return r;
}

int prepare_rights(const struct conf *c, const char *user)
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
	if (!off)
		return confine(c);
	log_line(LOG_LEVEL_WARNING,
		 "not confined: sandbox = \"off\" is for finding faults");
	return 0;
}
