/*
 * One reader for each kind of file; then a look at whether those who are named
 * in rules exist.
 */
#include "daemon/load_data.h"

#include "conf/file_advice.h"
#include "daemon/proxy/groups.h"
#include "daemon/proxy/match_list.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct loading {
	struct load_data *data;
	const struct conf *c;
	struct conf_errors *errors;
	bool lenient; /* what may not be read is a warning */
	int result;
};

/* --- Reading ------------------------------------------------------------ */

/* Says that a file could not be read at all. */
static void refuse_reading(struct loading *l, const struct conf_file *f, int r)
{
	bool may_not = r == -EACCES && l->lenient;
	enum conf_severity severity = may_not ? CONF_WARNING : CONF_ERROR;

	if (f->where)
		conf_errors_add(l->errors, severity, f->where, 0,
				"the list '%s' cannot be read: %s%s", f->path,
				strerror(-r), file_read_advice(r));
	else
		conf_errors_add(l->errors, severity, f->path, 0,
				"cannot be read: %s%s", strerror(-r),
				file_read_advice(r));
	if (!may_not && l->result == 0)
		l->result = r;
}

/* `why` empty: it could not be read. */
static void refuse(struct loading *l, const struct conf_file *f, int r,
		   unsigned line, const char *why)
{
	if (!why || !*why) {
		refuse_reading(l, f, r);
		return;
	}
	conf_errors_add(l->errors, CONF_ERROR, f->path, line, "%s", why);
	if (l->result == 0)
		l->result = r;
}

static void load_users(struct loading *l, const struct conf_file *f,
		       struct users **ret)
{
	struct users_fault fault = { 0 };
	int r = users_load(ret, f->path, &fault);

	if (r < 0)
		refuse(l, f, r, fault.line, fault.why);
}

static void load_groups(struct loading *l, const struct conf_file *f)
{
	struct users_fault fault = { 0 };
	int r = groups_load(&l->data->groups, f->path, &fault);

	if (r < 0)
		refuse(l, f, r, fault.line, fault.why);
}

static void load_list(struct loading *l, const struct conf_file *f, size_t i)
{
	bool names = f->kind == CONF_FILE_TARGETS;
	struct match_list_fault fault = { 0 };
	size_t count;
	int r = match_list_load(&l->data->lists[i], f->path, names, &fault);

	if (r < 0) {
		refuse(l, f, r, fault.line, fault.why);
		return;
	}
	(void)match_list_entries(l->data->lists[i], &count);
	if (!count)
		conf_errors_add(l->errors, CONF_WARNING, f->where, 0,
				"the list '%s' is empty: nothing matches by it",
				f->path);
}

static void load_file(struct loading *l, size_t i)
{
	const struct conf_file *f = &l->data->files[i];

	switch (f->kind) {
	case CONF_FILE_USERS:
		load_users(l, f, &l->data->users);
		break;
	case CONF_FILE_ADMINS:
		load_users(l, f, &l->data->admins);
		break;
	case CONF_FILE_GROUPS:
		load_groups(l, f);
		break;
	case CONF_FILE_PREFIXES:
	case CONF_FILE_TARGETS:
		load_list(l, f, i);
		break;
	}
}

/* --- Doubts ------------------------------------------------------------- */

/* How somebody may log in, in CONF_AUTH_ bits. */
static uint32_t logins(const struct conf *c)
{
	uint32_t all = 0;

	for (size_t i = 0; i < c->client_count; i++)
		if (c->clients[i].action == CONF_ALLOW)
			all |= c->clients[i].auth.set &
			       (CONF_AUTH_LOGINS | CONF_AUTH_CERTIFICATE);
	return all;
}

static void doubt_users(struct loading *l, const struct conf_rule *r)
{
	for (size_t i = 0; i < r->users.count; i++) {
		const char *name = r->users.at[i];
		struct span s = { (const uint8_t *)name, strlen(name) };

		if (strcmp(name, CONF_USER_ANY) != 0 &&
		    strcmp(name, CONF_USER_NONE) != 0 &&
		    !users_hash(l->data->users, s))
			conf_errors_add(l->errors, CONF_WARNING, r->where, 0,
					"'%s' names the user '%s', whom '%s' "
					"does not have",
					r->name, name, l->c->auth.users_file);
	}
}

static void doubt_groups(struct loading *l, const struct conf_rule *r)
{
	for (size_t i = 0; i < r->groups.count; i++) {
		const char *name = r->groups.at[i];
		size_t count;

		(void)groups_members(l->data->groups, name, &count);
		if (!count)
			conf_errors_add(l->errors, CONF_WARNING, r->where, 0,
					"'%s' names the group '%s', of which "
					"'%s' has no members",
					r->name, name, l->c->auth.groups_file);
	}
}

static void doubt_helper(struct loading *l)
{
	const char *path = l->c->auth.helper;
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : 0;

	if (r == -ENOENT || (r == 0 && !S_ISSOCK(st.st_mode)))
		conf_errors_add(l->errors, CONF_WARNING, l->c->path, 0,
				"auth: there is no socket '%s', without which "
				"\"pam\" and \"system\" fail (systemctl enable "
				"--now spliced-pam.socket)",
				path);
}

static void doubt(struct loading *l)
{
	uint32_t kinds = logins(l->c);

	for (size_t i = 0; i < l->c->rule_count; i++) {
		/* Elsewhere there may be others. */
		if (kinds == CONF_AUTH_PASSWORD && l->data->users)
			doubt_users(l, &l->c->rules[i]);
		if (l->data->groups)
			doubt_groups(l, &l->c->rules[i]);
	}
	if (kinds & (CONF_AUTH_PAM | CONF_AUTH_SYSTEM))
		doubt_helper(l);
}

/* --- All of it ---------------------------------------------------------- */

static int load_all(struct loading *l)
{
	struct load_data *d = l->data;

	*d = (struct load_data){ 0 };
	l->result = conf_files(&d->files, &d->file_count, l->c);
	if (l->result == 0) {
		d->lists = calloc(d->file_count + 1,
				  sizeof(struct match_list *));
		l->result = d->lists ? 0 : -ENOMEM;
	}
	if (l->result < 0) {
		conf_errors_add(l->errors, CONF_ERROR, NULL, 0, "%s",
				strerror(-l->result));
	} else {
		for (size_t i = 0; i < d->file_count; i++)
			load_file(l, i);
		doubt(l);
	}
	if (l->result < 0)
		load_data_done(d);
	return l->result;
}

int load_data(struct load_data *ret, const struct conf *c,
	      struct conf_errors *errors)
{
	struct loading l = { .data = ret, .c = c, .errors = errors };

	return load_all(&l);
}

int load_data_check(const struct conf *c, struct conf_errors *errors)
{
	struct load_data d = { 0 };
	struct loading l = {
		.data = &d,
		.c = c,
		.errors = errors,
		.lenient = true,
	};
	int r = load_all(&l);

	if (r == 0)
		load_data_done(&d);
	return r;
}

const struct match_list *load_data_list(const struct load_data *d,
					enum conf_file_kind kind,
					const char *path)
{
	size_t i = conf_files_find(d->files, d->file_count, kind, path);

	return i < d->file_count ? d->lists[i] : NULL;
}

void load_data_done(struct load_data *d)
{
	users_free(d->users);
	users_free(d->admins);
	groups_free(d->groups);
	for (size_t i = 0; d->lists && i < d->file_count; i++)
		match_list_free(d->lists[i]);
	free(d->lists);
	free(d->files);
	*d = (struct load_data){ 0 };
}
