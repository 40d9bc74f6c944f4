/*
 * System accounts by shadow(5), as danted's method "username" takes them, but
 * for those that are locked or have expired.
 */
#include "daemon/pam/verify.h"

#include "daemon/proxy/password.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY 86400

/* An empty field is -1. */
bool verify_is_current(const struct spwd *s, long today)
{
	if (s->sp_expire >= 0 && today >= s->sp_expire)
		return false;
	/* It must be changed first. */
	if (s->sp_lstchg == 0)
		return false;
	return s->sp_lstchg < 0 || s->sp_max < 0 ||
	       today - s->sp_lstchg <= s->sp_max;
}

/* A locked account has something in front of its hash, or none at all. */
static bool is_hash(const char *text)
{
	return text && text[0] == '$';
}

enum helper_verdict verify_by_shadow(const struct verify_login *l)
{
	const struct spwd *s;
	bool possible;
	int r;

	errno = 0;
	s = getspnam(l->name);
	if (!s && (errno == EACCES || errno == EPERM)) {
		(void)fprintf(stderr, "<3>the shadow file: %s\n",
			      strerror(errno));
		return HELPER_FAILED;
	}
	possible = s && is_hash(s->sp_pwdp) &&
		   verify_is_current(s, (long)(time(NULL) / DAY));
	/* As long for those who are not there. */
	r = password_check(l->password, s && is_hash(s->sp_pwdp)
						? s->sp_pwdp
						: password_decoy);
	if (r == -ENOMEM)
		return HELPER_FAILED;
	return r == 0 && possible ? HELPER_RIGHT : HELPER_WRONG;
}
