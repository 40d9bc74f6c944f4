/*
 * Stamps are taken before the files are read: what changes meanwhile is found
 * at the next look.
 */
#include "daemon/data_files.h"

#include "core/file_stamp.h"

#include <stdlib.h>
#include <string.h>

static void add(struct data_files *d, const char *path)
{
	if (!*path)
		return;
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->path[i], path) == 0)
			return;
	d->path[d->count++] = path;
}

static size_t count_lists(const struct conf_matches *m)
{
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++)
		count += m->at[i].kind == CONF_MATCH_FILE;
	return count;
}

static void add_lists(struct data_files *d, const struct conf_matches *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->at[i].kind == CONF_MATCH_FILE)
			add(d, m->at[i].file);
}

static size_t count_tls(const struct conf_tls *t)
{
	return t->certificate.count + t->key.count + t->ocsp.count + 2;
}

static void add_texts(struct data_files *d, const struct conf_texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		add(d, list->at[i]);
}

static void add_tls(struct data_files *d, const struct conf_tls *t)
{
	add_texts(d, &t->certificate);
	add_texts(d, &t->key);
	add_texts(d, &t->ocsp);
	add(d, t->client_ca);
	add(d, t->client_crl);
}

/*
 * At most so many: users of both kinds, groups, what lists there are, and
 * certificates.
 */
static size_t most_files(const struct conf *c)
{
	size_t most = 3;

	for (size_t i = 0; i < c->client_count; i++)
		most += count_lists(&c->clients[i].from);
	for (size_t i = 0; i < c->rule_count; i++)
		most += count_lists(&c->rules[i].from) +
			count_lists(&c->rules[i].to);
	for (size_t i = 0; i < c->tls_count; i++)
		most += count_tls(&c->tls[i]);
	return most;
}

/*
 * One that is not there has no stamp; that it is out of our reach, now that
 * rights were given up, is no change.
 */
static struct file_stamp stamp_of(const char *path,
				  const struct file_stamp *before)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == EACCES ? *before : (struct file_stamp){ 0 };
	return file_stamp(&st);
}

static int make_room(struct data_files *d, size_t most)
{
	*d = (struct data_files){ .path = calloc(most, sizeof(*d->path)),
				  .stamp = calloc(most, sizeof(*d->stamp)) };
	if (!d->path || !d->stamp) {
		data_files_done(d);
		return -ENOMEM;
	}
	return 0;
}

int data_files_init(struct data_files *d, const struct conf *c)
{
	int r = make_room(d, most_files(c));

	if (r < 0)
		return r;
	add(d, c->auth.users_file);
	add(d, c->admin.users);
	add(d, c->auth.groups_file);
	for (size_t i = 0; i < c->client_count; i++)
		add_lists(d, &c->clients[i].from);
	for (size_t i = 0; i < c->rule_count; i++) {
		add_lists(d, &c->rules[i].from);
		add_lists(d, &c->rules[i].to);
	}
	for (size_t i = 0; i < c->tls_count; i++)
		add_tls(d, &c->tls[i]);
	(void)data_files_look(d);
	return 0;
}

int data_files_init_tls(struct data_files *d, const struct conf_tls *t)
{
	int r = make_room(d, count_tls(t));

	if (r < 0)
		return r;
	add_tls(d, t);
	(void)data_files_look(d);
	return 0;
}

void data_files_done(struct data_files *d)
{
	free(TAKE_PTR(d->path));
	free(TAKE_PTR(d->stamp));
	d->count = 0;
}

const char *data_files_look(struct data_files *d)
{
	const char *changed = NULL;

	for (size_t i = 0; i < d->count; i++) {
		struct file_stamp now = stamp_of(d->path[i], &d->stamp[i]);

		if (!changed && !file_stamp_equal(&now, &d->stamp[i]))
			changed = d->path[i];
		d->stamp[i] = now;
	}
	return changed;
}
