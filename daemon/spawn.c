/*
 * fork(2) and exec, in a process of one thread, so that the child may do as
 * it likes before the exec.
 */
#include "daemon/spawn.h"

#include "daemon/generation.h"
#include "daemon/handoff.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* --- The path ----------------------------------------------------------- */

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* Writes dir/name; a relative folder begins at the working directory. */
static int join(const char *dir, size_t dir_len, const char *name, char *out,
		size_t size)
{
	char here[PATH_MAX] = "";
	int len;

	if ((dir_len == 0 || dir[0] != '/') && !getcwd(here, sizeof(here)))
		return -errno;
	len = snprintf(out, size, "%s%s%.*s%s%s", here, *here ? "/" : "",
		       (int)dir_len, dir, dir_len ? "/" : "", name);
	return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

int spawn_path(const char *argv0, char *out, size_t size)
{
	const char *at = getenv("PATH");

	if (argv0[0] == '/')
		return snprintf(out, size, "%s", argv0) < (int)size
			       ? 0
			       : -ENAMETOOLONG;
	if (strchr(argv0, '/'))
		return join("", 0, argv0, out, size);
	while (at) {
		const char *end = strchrnul(at, ':');

		if (join(at, (size_t)(end - at), argv0, out, size) == 0 &&
		    is_program(out))
			return 0;
		at = *end ? end + 1 : NULL;
	}
	return -ENOENT;
}

/* --- The child ---------------------------------------------------------- */

static int set_environment(const struct spawn *s)
{
	/* What is the master's alone: a generation must not talk to the
	 * service manager, nor take old descriptors for its own. */
	static const char *const masters[] = {
		"NOTIFY_SOCKET",  "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_FDS",     "LISTEN_PID",    "LISTEN_FDNAMES",
		"LISTEN_PIDFDID",
	};
	char text[64];
	size_t len = 1;
	char *names;

	for (size_t i = 0; i < ARRAY_SIZE(masters); i++)
		(void)unsetenv(masters[i]);
	(void)snprintf(text, sizeof(text), "%u %zu %zu", s->number,
		       FIRST_FD + s->count, s->count);
	if (setenv(GENERATION_ENV, text, 1) < 0)
		return -errno;
	if (s->count == 0)
		return 0; /* LISTEN_FDS=0 would be an error */
	for (size_t i = 0; i < s->count; i++)
		len += strlen(s->names[i]) + 1;
	names = calloc(1, len);
	if (!names)
		return -ENOMEM;
	for (size_t i = 0, at = 0; i < s->count; i++)
		at += (size_t)snprintf(names + at, len - at, "%s%s",
				       i ? ":" : "", s->names[i]);
	(void)snprintf(text, sizeof(text), "%zu", s->count);
	if (setenv("LISTEN_FDNAMES", names, 1) < 0 ||
	    setenv("LISTEN_FDS", text, 1) < 0)
		return -errno;
	(void)snprintf(text, sizeof(text), "%d", getpid());
	return setenv("LISTEN_PID", text, 1) < 0 ? -errno : 0;
}

/* First all out of the way, then each to its place, open over the exec. */
static int move_descriptors(const struct spawn *s, int *moved)
{
	int first_free = FIRST_FD + (int)s->count + 1;

	for (size_t i = 0; i <= s->count; i++) {
		moved[i] = fcntl(i < s->count ? s->fds[i] : s->control,
				 F_DUPFD_CLOEXEC, first_free);
		if (moved[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i <= s->count; i++)
		if (dup2(moved[i], FIRST_FD + (int)i) < 0)
			return -errno;
	return 0;
}

static int place_descriptors(const struct spawn *s)
{
	int *moved = calloc(s->count + 1, sizeof(*moved));
	int r = moved ? move_descriptors(s, moved) : -ENOMEM;

	free(moved);
	return r;
}

/* All descriptors are there three times for a moment. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

NO_RETURN static void be_the_child(const struct spawn *s)
{
	int report = -1;
	struct handoff_msg m = { .type = HANDOFF_FAILED };
	char text[PATH_MAX + 128];
	int r = set_environment(s);

	raise_limit();
	/* Before anything is moved: the way to report a failure. */
	report = fcntl(s->control, F_DUPFD_CLOEXEC,
		       FIRST_FD + (int)(2 * s->count) + 2);
	if (r == 0)
		r = place_descriptors(s);
	if (r == 0) {
		(void)execv(s->path, s->argv);
		r = -errno;
	}
	(void)snprintf(text, sizeof(text), "cannot start %s: %s", s->path,
		       strerror(-r));
	m.text = (struct span){ .at = (const uint8_t *)text,
				.len = strlen(text) };
	(void)!handoff_send(report, &m, NULL, 0);
	_exit(127);
}

pid_t spawn_generation(const struct spawn *s)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_the_child(s);
	return pid;
}
