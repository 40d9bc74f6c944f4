/*
 * Written beside its place, checked by the loader that the daemon has, and only
 * then put there.
 */
#include "config.h"

#include "daemon/init.h"

#include "conf/conf.h"
#include "conf/file_advice.h"
#include "daemon/options.h"
#include "daemon/proxy/account_file.h"
#include "daemon/setup_tls.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define USUAL_OUTPUT SYSCONFDIR "/spliced/spliced.conf"

extern char **environ;

static void set_list(const char **list, size_t *count, const char *const *usual,
		     size_t usual_count)
{
	for (size_t i = 0; !*count && i < usual_count; i++)
		list[i] = usual[i];
	if (!*count)
		*count = usual_count;
}

/* What was neither said nor asked. */
static void set_usual(struct init_plan *p)
{
	static const char *const here[] = { "127.0.0.1:1080", "[::1]:1080" };
	static const char *const all[] = { "0.0.0.0:1080", "[::]:1080" };
	static const char *const loopback[] = { "loopback" };
	static const char *const protocols[] = { "socks5", "http", "socks4" };
	bool local;

	p->user = p->user ? p->user : "";
	p->certificate = p->certificate ? p->certificate : "";
	p->log = p->log ? p->log : "stderr";
	set_list(p->allow, &p->allow_count, loopback, 1);
	local = p->allow_count == 1 && !strcmp(p->allow[0], "loopback");
	set_list(p->listen, &p->listen_count, local ? here : all, 2);
	/* SOCKS4 has no password. */
	set_list(p->protocols, &p->protocol_count, protocols, *p->user ? 2 : 3);
}

static int wrong(const char *path, int r, const char *next)
{
	(void)fprintf(stderr, "spliced: cannot write %s: %s%s\n", path,
		      strerror(-r), next);
	return EXIT_FAILED;
}

/* Makes its folder, too, if that is all that is missing. */
static int open_beside(const char *output, const char *beside)
{
	char folder[PATH_MAX];
	char *slash;

	(void)snprintf(folder, sizeof(folder), "%s", output);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		(void)mkdir(folder, 0755);
	}
	(void)unlink(beside);
	return open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

static int write_beside(const struct init_plan *p, const char *users,
			const char *beside)
{
	int fd = open_beside(p->output, beside);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (!out)
		return -errno;
	init_put(p, users, out);
	if (fflush(out) || fsync(fd) < 0) {
		int r = errno ? -errno : -EIO;

		(void)fclose(out);
		return r;
	}
	(void)fclose(out);
	return 0;
}

static bool is_right(const char *path)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r = conf_load(&c, path, &errors);

	if (r == 0)
		r = setup_tls_check(c, &errors);
	conf_errors_print(&errors, stderr);
	conf_errors_done(&errors);
	conf_free(c);
	return r == 0;
}

/* link(2) never takes the place of anything. */
static int put_there(const struct init_plan *p, const char *beside)
{
	if (p->force)
		return rename(beside, p->output) < 0 ? -errno : 0;
	if (link(beside, p->output) < 0)
		return -errno;
	(void)unlink(beside);
	return 0;
}

/* --- The first user ------------------------------------------------------- */

/* splicedctl, which lies beside this program. */
static void find_ctl(char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 16);
	char *slash;

	path[len > 0 ? len : 0] = '\0';
	slash = strrchr(path, '/');
	(void)snprintf(slash ? slash + 1 : path, 16, "splicedctl");
}

/* It asks for the password, or reads it where there is no terminal. */
static bool make_user(const struct init_plan *p, const char *users)
{
	char ctl[PATH_MAX];
	const char *const argv[] = { ctl,   "passwd", "--file",
				     users, p->user,  NULL };
	pid_t pid;
	int status = 0;

	find_ctl(ctl, sizeof(ctl));
	(void)fflush(stdout);
	if (posix_spawnp(&pid, ctl, NULL, NULL, (char *const *)argv, environ) !=
		    0 ||
	    waitpid(pid, &status, 0) < 0)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- The end -------------------------------------------------------------- */

static bool speaks(const struct init_plan *p, const char *protocol)
{
	for (size_t i = 0; i < p->protocol_count; i++)
		if (!strcmp(p->protocols[i], protocol))
			return true;
	return false;
}

static void tell_next(const struct init_plan *p, const char *users,
		      bool has_user)
{
	const char *at = p->listen[0];
	bool all = !strncmp(at, "0.0.0.0:", 8);
	const char *scheme = speaks(p, "http") && *p->certificate ? "https"
			     : speaks(p, "socks5")                ? "socks5h"
			     : speaks(p, "http")                  ? "http"
								  : "socks4a";

	(void)printf("\n%s has been written.\n\n", p->output);
	if (!has_user)
		(void)printf("Nobody can log in yet; make a user:\n"
			     "  splicedctl passwd --file %s %s\n",
			     users, p->user);
	(void)printf("Start it:\n");
	if (!strcmp(p->output, USUAL_OUTPUT))
		(void)printf("  systemctl enable --now spliced\n");
	else
		(void)printf("  spliced --config %s\n", p->output);
	(void)printf(
		"Try it:\n  curl -x %s://%s%s %s%s%shttps://example.org/\n",
		scheme, all ? "127.0.0.1" : "", all ? at + 7 : at,
		*p->user ? "--proxy-user " : "", p->user, *p->user ? " " : "");
}

/* Before anything is written, what would be refused by who makes the user. */
static int check_user(const char *user)
{
	if (!*user || (user_name_is_usable(user, strlen(user)) &&
		       !strchr(user, ':') && *user != '#'))
		return 0;
	(void)fputs("spliced: a user's name has 1 to 255 bytes, no control "
		    "character and no\n':', and does not begin with '#'; "
		    "nothing was written\n",
		    stderr);
	return -EINVAL;
}

int init_run(struct init_plan *p)
{
	char beside[PATH_MAX], users[PATH_MAX];
	const char *slash;
	bool has_user = true;
	int r;

	p->output = p->output ? p->output : USUAL_OUTPUT;
	if (!p->force && access(p->output, F_OK) == 0)
		return wrong(p->output, -EEXIST,
			     " (--force replaces it, --output FILE writes "
			     "elsewhere)");
	if (isatty(STDIN_FILENO) && init_ask(p) < 0) {
		(void)fputs("\nspliced: nothing was written\n", stderr);
		return EXIT_FAILED;
	}
	set_usual(p);
	if (check_user(p->user) < 0)
		return EXIT_FAILED;
	slash = strrchr(p->output, '/');
	(void)snprintf(users, sizeof(users), "%.*susers",
		       slash ? (int)(slash - p->output + 1) : 0, p->output);
	if (*users != '/' && *p->user) {
		(void)fputs("spliced: with --user, --output must be an "
			    "absolute path\n",
			    stderr);
		return EXIT_USAGE;
	}
	(void)snprintf(beside, sizeof(beside), "%.4080s.new", p->output);
	r = write_beside(p, users, beside);
	if (r < 0)
		return wrong(beside, r,
			     " (run it as root, or with --output FILE where "
			     "you may write)");
	if (!is_right(beside)) {
		(void)unlink(beside);
		(void)fputs("spliced: nothing was written; try again with "
			    "other answers\n",
			    stderr);
		return EXIT_FAILED;
	}
	r = put_there(p, beside);
	if (r < 0) {
		(void)unlink(beside);
		return wrong(p->output, r, file_write_advice(r));
	}
	if (*p->user)
		has_user = make_user(p, users);
	tell_next(p, users, has_user);
	return EXIT_OK;
}
