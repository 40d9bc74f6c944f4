/*
 * A password comes from the terminal, twice and unseen, or as a line of
 * standard input.  It is in memory for secrets only, and goes nowhere but into
 * crypt(3).
 */
#include "config.h"

#include "daemon/ctl/passwd.h"

#include "conf/file_advice.h"
#include "daemon/ctl/passwd_file.h"
#include "daemon/proxy/account_file.h"
#include "daemon/proxy/secret.h"

#include <crypt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#define DEFAULT_FILE   SYSCONFDIR "/spliced/users"
#define PASSWORD_BYTES 255   /* RFC 1929 */
#define METHOD         "$y$" /* yescrypt, with libcrypt's own cost */

/* Secrets of one command. */
struct words {
	char first[PASSWORD_BYTES + 2], again[PASSWORD_BYTES + 2];
	struct crypt_data room;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
};

static int tell(const char *what)
{
	(void)fprintf(stderr, "splicedctl: %s\n", what);
	return CTL_REFUSED;
}

/* --- Reading ------------------------------------------------------------ */

/*
 * A line of standard input into room for PASSWORD_BYTES and one more, byte by
 * byte lest the rest be lost in a buffer; signals come through while it waits.
 * Its length, -1: there is none.
 */
static ssize_t read_line(char *to, const sigset_t *while_waiting)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t len = 0;
	bool any = false;
	char c;

	for (;;) {
		if (ppoll(&p, 1, NULL, while_waiting) < 0)
			return -1;
		if (read(STDIN_FILENO, &c, 1) != 1)
			break;
		any = true;
		if (c == '\n')
			break;
		if (len <= PASSWORD_BYTES)
			to[len++] = c;
	}
	to[min_size(len, PASSWORD_BYTES + 1)] = '\0';
	return any ? (ssize_t)len : -1;
}

static volatile sig_atomic_t caught;

static void catch (int signo)
{
	caught = signo;
}

/*
 * The terminal must not stay silent when somebody gives up, so signals for the
 * end are held up but while it is waited for a byte.
 */
static ssize_t read_unseen(const char *prompt, char *to)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction ours = { .sa_handler = catch };
	struct sigaction old[ARRAY_SIZE(signals)];
	struct termios seen, unseen;
	sigset_t ends, before;
	ssize_t len = -1;

	if (tcgetattr(STDIN_FILENO, &seen) < 0)
		return -1;
	(void)sigemptyset(&ends);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&ends, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &ends, &before);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &ours, &old[i]);
	unseen = seen;
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0) {
		(void)fputs(prompt, stderr);
		len = read_line(to, &before);
	}
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &seen);
	(void)fputc('\n', stderr);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &old[i], NULL);
	if (caught)
		(void)raise(caught);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return len;
}

static int check_password(const char *password, ssize_t len)
{
	if (len < 0)
		return tell("there is no password: type one, or give it as a "
			    "line of the standard input");
	if (len == 0)
		return tell("an empty password lets everybody in");
	if (len > PASSWORD_BYTES)
		return tell("a password has 255 bytes at most");
	if (strlen(password) != (size_t)len)
		return tell("there is a NUL in the password");
	return CTL_OK;
}

static int read_password(struct words *w)
{
	bool person = isatty(STDIN_FILENO);
	int status = check_password(w->first,
				    person ? read_unseen("Password: ", w->first)
					   : read_line(w->first, NULL));

	if (status != CTL_OK || !person)
		return status;
	if (read_unseen("Again: ", w->again) < 0 ||
	    strcmp(w->first, w->again) != 0)
		return tell("these are two different passwords");
	return CTL_OK;
}

/* --- The command -------------------------------------------------------- */

static int check_user(const char *user)
{
	if (!user_name_is_usable(user, strlen(user)))
		return tell("a user's name has 1 to 255 bytes, none of them a "
			    "control character");
	if (strchr(user, ':') || user[0] == '#')
		return tell("a user's name has no ':', and does not begin with "
			    "'#'");
	return CTL_OK;
}

static int change(const char *file, const char *user, const char *hash)
{
	static const char *const said[] = {
		[PASSWD_ADDED] = "added to",
		[PASSWD_CHANGED] = "changed in",
		[PASSWD_REMOVED] = "removed from",
	};
	enum passwd_change what = PASSWD_ADDED;
	struct users_fault fault;
	int r = passwd_file_change(file, user, hash, &what, &fault);

	if (r == 0) {
		(void)printf("%s: %s %s\n", user, said[what], file);
		return CTL_OK;
	}
	if (fault.why && fault.line)
		(void)fprintf(stderr, "splicedctl: %s:%u: %s\n", file,
			      fault.line, fault.why);
	else
		(void)fprintf(stderr, "splicedctl: %s: %s%s\n", file,
			      fault.why     ? fault.why
			      : r == -ESRCH ? "there is no such user"
					    : strerror(-r),
			      hash ? file_write_advice(r)
				   : file_read_advice(r));
	return CTL_REFUSED;
}

static int hash_and_change(const char *file, const char *user, struct words *w)
{
	const char *hash = NULL;
	int status = read_password(w);

	if (status != CTL_OK)
		return status;
	if (crypt_gensalt_rn(METHOD, 0, NULL, 0, w->salt, sizeof(w->salt)))
		hash = crypt_rn(w->first, w->salt, &w->room, sizeof(w->room));
	if (!hash)
		return tell("libcrypt cannot hash by yescrypt");
	return change(file, user, hash);
}

int passwd_run(const struct args *a)
{
	const char *file = a->passwd.file ? a->passwd.file : DEFAULT_FILE;
	int status = check_user(a->passwd.user);
	struct words *w;

	if (status != CTL_OK)
		return status;
	if (a->passwd.remove)
		return change(file, a->passwd.user, NULL);
	w = secret_new(sizeof(*w));
	if (!w)
		return tell("there is no memory");
	status = hash_and_change(file, a->passwd.user, w);
	secret_free(w, sizeof(*w));
	return status;
}
