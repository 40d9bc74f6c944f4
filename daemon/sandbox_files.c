/*
 * Files and ports, by Landlock.  A rule for a file is void once another one
 * was renamed to its name, as editors, resolvconf and logrotate do; so rules
 * are for folders, and hold for all that is beneath.
 *
 * The kernel's interface is spelled out here: headers of Debian 12 stop at
 * version 2 of it, and its version is known at run time only.
 */
#include "daemon/sandbox_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION 1u

enum { RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

/* Rights on files and folders; some came with later versions. */
#define FS_WRITE_FILE  ((uint64_t)1 << 1)
#define FS_READ_FILE   ((uint64_t)1 << 2)
#define FS_READ_DIR    ((uint64_t)1 << 3)
#define FS_REMOVE_FILE ((uint64_t)1 << 5)
#define FS_MAKE_REG    ((uint64_t)1 << 8)
#define FS_FIRST_ALL   (((uint64_t)1 << 13) - 1)
#define FS_REFER       ((uint64_t)1 << 13) /* version 2 */
#define FS_TRUNCATE    ((uint64_t)1 << 14) /* 3 */
#define FS_IOCTL_DEV   ((uint64_t)1 << 15) /* 5 */
#define NET_BIND_TCP   ((uint64_t)1 << 0)  /* 4; connecting is not handled */
#define SCOPE_ALL      ((uint64_t)3)       /* 6: abstract sockets, signals */

#define READ   (FS_READ_FILE | FS_READ_DIR)
#define APPEND (FS_WRITE_FILE | FS_MAKE_REG)
#define RENAME (APPEND | FS_REMOVE_FILE | READ)

#define LINKS_MAX 8

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

static int create_ruleset(const struct ruleset *rs, size_t size, unsigned flags)
{
	long r = syscall(SYS_landlock_create_ruleset, rs, size, flags);

	return r < 0 ? -errno : (int)r;
}

static int add_rule(int set, unsigned type, const void *rule)
{
	return syscall(SYS_landlock_add_rule, set, type, rule, 0) < 0 ? -errno
								      : 0;
}

/* All that this version of Landlock can refuse, but for connecting. */
static struct ruleset all_of(int version)
{
	struct ruleset rs = { .fs = FS_FIRST_ALL };

	if (version >= 2)
		rs.fs |= FS_REFER;
	if (version >= 3)
		rs.fs |= FS_TRUNCATE;
	if (version >= 4)
		rs.net = NET_BIND_TCP;
	if (version >= 5)
		rs.fs |= FS_IOCTL_DEV;
	if (version >= 6)
		rs.scoped = SCOPE_ALL;
	return rs;
}

/* What is not there now, or not for us, will not be there for the others. */
static bool is_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES ||
	       error == ELOOP || error == ENAMETOOLONG;
}

/* Allows this for a file, or for a folder and all beneath. */
static int allow(int set, const char *path, uint64_t rights,
		 const struct sandbox_report *why)
{
	CLEANUP(close_fd) int fd = open(path, O_PATH | O_CLOEXEC);
	struct path_rule rule = { .allowed = rights, .fd = fd };
	struct stat st;
	int r;

	if (fd < 0 && is_missing(errno))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return sandbox_failed(why, -errno, "cannot open %s", path);
	if (!S_ISDIR(st.st_mode))
		rule.allowed &= FS_READ_FILE | FS_WRITE_FILE;
	r = add_rule(set, RULE_PATH_BENEATH, &rule);
	return r < 0 ? sandbox_failed(why, r, "Landlock refuses %s", path) : 0;
}

/* Cuts the last name off an absolute path. */
static void to_folder(char *path)
{
	char *slash = strrchr(path, '/');

	ASSERT(slash);
	slash[slash == path] = '\0';
}

/*
 * Allows it in the folder of a file, there or not, and where the file is a
 * link, as resolv.conf often is, in the folder that it leads to.
 */
static int allow_folder_of(int set, const char *file, uint64_t rights,
			   const struct sandbox_report *why)
{
	char path[PATH_MAX], target[PATH_MAX], folder[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", file) >= (int)sizeof(path))
		return 0;
	for (int links = 0; links <= LINKS_MAX; links++) {
		ssize_t len = readlink(path, target, sizeof(target));
		int r;

		to_folder(path);
		r = allow(set, path, rights, why);
		if (r < 0 || len <= 0 || len == (ssize_t)sizeof(target))
			return r;
		target[len] = '\0';
		memcpy(folder, path, strlen(path) + 1);
		len = target[0] == '/'
			      ? snprintf(path, sizeof(path), "%s", target)
			      : snprintf(path, sizeof(path), "%s/%s", folder,
					 target);
		if (len >= (ssize_t)sizeof(path))
			return 0;
	}
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * What code that is not ours reads: c-ares the first for its keys, without
 * which it takes rand(3), and the second in place of a file; a worker keeps
 * one to give up when descriptors run out.  Nobody renames over these.
 */
static int allow_devices(int set, const struct sandbox_report *why)
{
	int r = allow(set, "/dev/urandom", FS_READ_FILE, why);

	return r < 0 ? r : allow(set, "/dev/null", FS_READ_FILE, why);
}

static int allow_paths(int set, const struct sandbox *s,
		       const struct sandbox_report *why)
{
	int r = allow_devices(set, why);

	for (size_t i = 0; r == 0 && i < s->read_count; i++) {
		ASSERT(s->read[i][0] == '/');
		r = is_folder(s->read[i])
			    ? allow(set, s->read[i], READ, why)
			    : allow_folder_of(set, s->read[i], READ, why);
	}
	if (r == 0 && s->log)
		r = allow_folder_of(set, s->log, APPEND, why);
	if (r == 0 && s->state)
		r = allow_folder_of(set, s->state, RENAME, why);
	return r;
}

static bool has_few_ports(const struct sandbox *s)
{
	return !s->last_port ||
	       s->last_port - s->first_port < SANDBOX_PORTS_MAX;
}

/* Port 0, too: a source address is bound with it. */
static int allow_ports(int set, const struct sandbox *s,
		       const struct sandbox_report *why)
{
	struct port_rule rule = { .allowed = NET_BIND_TCP };
	int r = add_rule(set, RULE_NET_PORT, &rule);

	for (size_t i = 0; r == 0 && i < s->port_count; i++) {
		rule.port = s->ports[i];
		r = add_rule(set, RULE_NET_PORT, &rule);
	}
	for (unsigned port = s->first_port; r == 0 && port <= s->last_port;
	     port++) {
		rule.port = port;
		r = add_rule(set, RULE_NET_PORT, &rule);
	}
	return r < 0 ? sandbox_failed(why, r, "Landlock refuses port %u",
				      (unsigned)rule.port)
		     : 0;
}

static void tell_missing(int version, const struct sandbox_report *why)
{
	if (version < 4)
		sandbox_note(why,
			     "Landlock %d of this kernel does not confine "
			     "ports, signals and abstract sockets",
			     version);
	else if (version < 6)
		sandbox_note(why,
			     "Landlock %d of this kernel does not confine "
			     "signals and abstract sockets",
			     version);
}

int sandbox_files(const struct sandbox *s, const struct sandbox_report *why)
{
	int version = create_ruleset(NULL, 0, CREATE_RULESET_VERSION);
	CLEANUP(close_fd) int set = -1;
	struct ruleset rs;
	int r;

	/* Not built in, not turned on, or kept from us by a container. */
	if (version == -ENOSYS || version == -EOPNOTSUPP || version == -EPERM) {
		sandbox_note(why,
			     "files and ports are not confined: no Landlock "
			     "(%s)",
			     strerrordesc_np(-version));
		return 0;
	}
	if (version < 0)
		return sandbox_failed(why, version, "cannot use Landlock");
	rs = all_of(version);
	if (!has_few_ports(s))
		rs.net = 0;
	/* Of a longer struct an older kernel wants the rest to be zero. */
	set = create_ruleset(&rs, sizeof(rs), 0);
	if (set < 0)
		return sandbox_failed(why, set, "cannot use Landlock");
	r = allow_paths(set, s, why);
	if (r == 0 && rs.net)
		r = allow_ports(set, s, why);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
		return sandbox_failed(why, -errno, "cannot enter Landlock");
	tell_missing(version, why);
	return 0;
}
