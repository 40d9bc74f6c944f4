/*
 * PAM asks, and each time it asks for something that is not to be seen it gets
 * the password.  Nobody is there for a second question, so whoever must change
 * a password first is not let in.
 */
#include "daemon/pam/verify.h"

#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUESTIONS_MAX 16

static char *answer_to(int style, const struct verify_login *l)
{
	switch (style) {
	case PAM_PROMPT_ECHO_OFF:
		return strdup(l->password);
	case PAM_PROMPT_ECHO_ON:
		return strdup(l->name);
	default:
		return NULL; /* it only tells something */
	}
}

static int converse(int count, const struct pam_message **questions,
		    struct pam_response **ret, void *login)
{
	struct pam_response *answers;

	if (count <= 0 || count > QUESTIONS_MAX)
		return PAM_CONV_ERR;
	answers = calloc((size_t)count, sizeof(*answers));
	if (!answers)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++)
		answers[i].resp = answer_to(questions[i]->msg_style, login);
	*ret = answers;
	return PAM_SUCCESS;
}

/* The delay is spliced's part, which does not hold a process up for it. */
static void no_delay(int status, unsigned us, void *login)
{
	(void)status;
	(void)us;
	(void)login;
}

static int set_items(pam_handle_t *p, const struct verify_login *l)
{
	int r = pam_set_item(p, PAM_TTY, "spliced");

	if (r == PAM_SUCCESS && l->client[0])
		r = pam_set_item(p, PAM_RHOST, l->client);
	if (r == PAM_SUCCESS)
		r = pam_set_item(p, PAM_FAIL_DELAY, (const void *)no_delay);
	return r;
}

/* Some errors say that PAM cannot work, all others that it does not want to. */
static enum helper_verdict verdict_of(pam_handle_t *p,
				      const struct verify_login *l, int r)
{
	switch (r) {
	case PAM_SUCCESS:
		return HELPER_RIGHT;
	case PAM_OPEN_ERR:
	case PAM_SYMBOL_ERR:
	case PAM_SERVICE_ERR:
	case PAM_SYSTEM_ERR:
	case PAM_BUF_ERR:
	case PAM_CONV_ERR:
	case PAM_ABORT:
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_MODULE_UNKNOWN:
	case PAM_BAD_ITEM:
		(void)fprintf(stderr, "<3>PAM service \"%s\": %s\n", l->service,
			      pam_strerror(p, r));
		return HELPER_FAILED;
	default:
		return HELPER_WRONG;
	}
}

/* pam_start(3) takes the name so, whatever is given. */
static void lower(char *to, const char *from)
{
	do {
		*to++ = *from >= 'A' && *from <= 'Z' ? (char)(*from | 0x20)
						     : *from;
	} while (*from++);
}

/*
 * Without a file of its own a service would be "other", which may let in whom
 * nobody had in mind.
 */
static bool has_file(const char *said)
{
	static const char *const folders[] = { "/etc/pam.d", "/usr/lib/pam.d",
					       "/usr/share/pam.d" };
	char service[HELPER_SERVICE_BYTES + 1], path[128];

	lower(service, said);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folders[i],
			       service);
		if (access(path, R_OK) == 0)
			return true;
	}
	(void)fprintf(stderr,
		      "<3>PAM service \"%s\": there is no /etc/pam.d/%s\n",
		      said, service);
	return false;
}

enum helper_verdict verify_by_pam(const struct verify_login *l)
{
	const struct pam_conv conv = { .conv = converse,
				       .appdata_ptr = (void *)l };
	const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
	enum helper_verdict verdict;
	pam_handle_t *p = NULL;
	int r;

	if (!has_file(l->service))
		return HELPER_FAILED;
	r = pam_start(l->service, l->name, &conv, &p);
	if (r != PAM_SUCCESS)
		return verdict_of(p, l, r);
	r = set_items(p, l);
	if (r == PAM_SUCCESS)
		r = pam_authenticate(p, flags);
	if (r == PAM_SUCCESS)
		r = pam_acct_mgmt(p, flags);
	verdict = verdict_of(p, l, r);
	(void)pam_end(p, r);
	return verdict;
}
