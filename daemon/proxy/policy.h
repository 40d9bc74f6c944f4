/*
 * What decides who may do what, as it stands at one moment: rules with the
 * contents of their list files, users, groups.  Immutable and shared by
 * threads; a new one takes the place of an old one, which goes when the last
 * reference to it does.
 */
#pragma once

#include "daemon/proxy/rules.h"

struct quota_members;
struct users;

struct policy;

/* Takes both, `users` may be NULL; one reference.  -ENOMEM: takes nothing. */
int policy_new(struct policy **ret, struct rules *rules, struct users *users)
	MUST_CHECK;

/* Takes what says whose quota is which; before anybody else has it. */
void policy_set_quotas(struct policy *p, struct quota_members *quotas);

/* From any thread. */
const struct policy *policy_ref(const struct policy *p);
void policy_unref(const struct policy *p); /* NULL is harmless */

/* Tells whether anybody but the caller has a reference. */
bool policy_is_shared(const struct policy *p);

const struct rules *policy_rules(const struct policy *p);
const struct users *policy_users(const struct policy *p); /* NULL: no file */

const struct quota_members *policy_quotas(const struct policy *p); /* or NULL */

/* Never the same for two in one process; what was decided by another is old. */
uint64_t policy_number(const struct policy *p);
