/*
 * From root to a named user, with at most a few capabilities kept.  The order
 * matters: groups while we may still set them, then the user, and only then
 * the capabilities, which the change of user would otherwise take or leave.
 */
#include "daemon/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_LEAK_CHECK true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_LEAK_CHECK true
#endif
#endif
#ifndef HAVE_LEAK_CHECK
#define HAVE_LEAK_CHECK false
#endif

/* Where the sentence about a failure goes. */
struct report {
	char *text;
	size_t size;
};

/* Writes the sentence, "...: what the error means", and returns -error. */
static int PRINTF_LIKE(3, 4)
	failed(struct report *why, int error, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < why->size)
		(void)snprintf(why->text + len, why->size - (size_t)len, ": %s",
			       strerrordesc_np(error));
	return -error;
}

/* --- Capabilities ------------------------------------------------------- */

static int get_capabilities(uint64_t *ret_effective, uint64_t *ret_permitted)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct sets[2] = { 0 };

	if (syscall(SYS_capget, &head, sets) < 0)
		return -errno;
	*ret_effective = sets[0].effective | (uint64_t)sets[1].effective << 32;
	*ret_permitted = sets[0].permitted | (uint64_t)sets[1].permitted << 32;
	return 0;
}

static int set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct sets[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32),
		  .permitted = (uint32_t)(keep >> 32) },
	};

	return syscall(SYS_capset, &head, sets) < 0 ? -errno : 0;
}

uint64_t privileges_held(void)
{
	uint64_t effective = 0, permitted = 0;

	return get_capabilities(&effective, &permitted) < 0 ? 0 : effective;
}

/* Takes out of the bounding set what is not kept, where we may. */
static void limit_bounding_set(uint64_t keep)
{
	for (unsigned int cap = 0; cap < 64; cap++) {
		if (keep & CAPABILITY_BIT(cap))
			continue;
		/* EINVAL: past the last one; EPERM: no CAP_SETPCAP. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return;
	}
}

static int keep_capabilities(uint64_t keep, struct report *why)
{
	uint64_t effective = 0, permitted = 0;
	int r;

	r = get_capabilities(&effective, &permitted);
	if (r < 0)
		return failed(why, -r, "cannot read the capabilities");
	keep &= permitted;
	/* capset(2) may be forbidden where there is nothing to give up. */
	r = effective == keep && permitted == keep ? 0 : set_capabilities(keep);
	if (r < 0)
		return failed(why, -r, "cannot give up capabilities");
	/* They must not reach programs that we start.  EINVAL: before 4.3. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		return failed(why, errno,
			      "cannot clear the ambient "
			      "capabilities");
	r = get_capabilities(&effective, &permitted);
	if (r < 0 || effective != keep || permitted != keep)
		return failed(why, r < 0 ? -r : EPERM,
			      "the capabilities were not given up");
	return 0;
}

/* --- The user ----------------------------------------------------------- */

bool privileges_user_exists(const char *user)
{
	return getpwnam(user) != NULL;
}

/* Tries to become root again, which must fail. */
static int verify_user(uid_t uid, gid_t gid, struct report *why)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;

	if (getresuid(&ruid, &euid, &suid) < 0 ||
	    getresgid(&rgid, &egid, &sgid) < 0)
		return failed(why, errno, "cannot read the user");
	if (ruid != uid || euid != uid || suid != uid || rgid != gid ||
	    egid != gid || sgid != gid)
		return failed(why, EPERM, "the user was not changed");
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return failed(why, EPERM, "the user can be changed back");
	if (gid != 0 && (setgid(0) == 0 || setegid(0) == 0))
		return failed(why, EPERM, "the group can be changed back");
	return 0;
}

static int become(const char *user, struct report *why)
{
	const struct passwd *entry;
	uid_t uid;
	gid_t gid;

	errno = 0;
	entry = getpwnam(user);
	/* "Not found" is any of several errors, or none; see getpwnam(3). */
	if (!entry)
		return failed(why, errno ? errno : ENOENT,
			      "there is no user \"%s\"", user);
	uid = entry->pw_uid;
	gid = entry->pw_gid;
	if (initgroups(user, gid) < 0)
		return failed(why, errno, "cannot take the groups of \"%s\"",
			      user);
	if (setresgid(gid, gid, gid) < 0)
		return failed(why, errno, "cannot take the group of \"%s\"",
			      user);
	if (setresuid(uid, uid, uid) < 0)
		return failed(why, errno, "cannot become \"%s\"", user);
	return 0;
}

/* --- All of it ---------------------------------------------------------- */

static int leave_root(const struct privileges *p, struct report *why)
{
	int r;

	limit_bounding_set(p->keep);
	if (prctl(PR_SET_KEEPCAPS, 1UL, 0, 0, 0) < 0)
		return failed(why, errno, "cannot keep capabilities");
	r = become(p->user, why);
	if (r < 0)
		return r;
	if (prctl(PR_SET_KEEPCAPS, 0UL, 0, 0, 0) < 0)
		return failed(why, errno, "cannot keep capabilities");
	return 0;
}

int privileges_drop(const struct privileges *p, char *why, size_t size)
{
	struct report report = { why, size };
	bool root = geteuid() == 0;
	unsigned long dumpable;
	int r;

	if (root && p->user) {
		r = leave_root(p, &report);
		if (r < 0)
			return r;
	}
	if (!root || p->user) {
		r = keep_capabilities(p->keep, &report);
		if (r < 0)
			return r;
		/* Last: with CAP_SETUID still there it would always succeed. */
		r = verify_user(geteuid(), getegid(), &report);
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0, 0, 0) < 0)
		return failed(&report, errno, "cannot set no_new_privs");
	/* The leak checker traces its own process, as a debugger would. */
	dumpable = p->debuggable || HAVE_LEAK_CHECK;
	if (prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) < 0)
		return failed(&report, errno, "cannot protect our memory");
	return 0;
}
