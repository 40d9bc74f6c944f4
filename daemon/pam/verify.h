/*
 * The two ways in which spliced-pam finds out whether a login is right.
 */
#pragma once

#include "daemon/proxy/helper_msg.h"

#include <shadow.h>

/* A login as strings; the password lies in memory for secrets. */
struct verify_login {
	char service[HELPER_SERVICE_BYTES + 1];
	char client[HELPER_CLIENT_BYTES + 1];
	char name[256], password[256];
};

/* By the service's file of pam.d(5), which must exist. */
enum helper_verdict verify_by_pam(const struct verify_login *l);

/* By shadow(5). */
enum helper_verdict verify_by_shadow(const struct verify_login *l);

/* Tells whether account and password are still good on a day since 1970. */
bool verify_is_current(const struct spwd *s, long today);
