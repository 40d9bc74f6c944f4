/*
 * Options that are lists: each element is read by itself, so that one that is
 * refused hides no other.
 */
#include "conf/arena.h"
#include "conf/fill_internal.h"

#include <string.h>

#define USERID_MAX_BYTES 255 /* what a request may hold */

void *fill_array(struct fill_job *j, size_t size)
{
	void *at = conf_arena_alloc(j->f->conf->arena, j->count, size);

	if (!at)
		j->f->result = -ENOMEM;
	return at;
}

/* Reads one by the form that its type of option has; false: see why. */
static bool parse_endpoint(const struct fill_job *j, const char *text,
			   struct conf_endpoint *e, size_t *ret_len, char *why)
{
	int port = j->o->type == CONF_TYPE_SERVERS ? 53 : -1;

	int r;

	*ret_len = 0;
	if (j->o->type == CONF_TYPE_ADDRESSES) {
		r = conf_endpoint_parse_socket(e, text, why);
		if (r)
			return r > 0;
	}
	if (j->o->type == CONF_TYPE_SOURCES)
		return conf_endpoint_parse_source(e, ret_len, text, why) == 0;
	if (j->o->type == CONF_TYPE_TOLD)
		return conf_endpoint_parse_told(e, text, why) == 0;
	return conf_endpoint_parse(e, ret_len, text, port, why) == 0;
}

static bool read_endpoint(struct fill_job *j, const struct conf_value *v,
			  struct conf_endpoint *e)
{
	char why[CONF_WHY_BYTES];
	size_t len;

	if (!parse_endpoint(j, v->text, e, &len, why)) {
		COMPLAIN(j, v->line, "'%s': %s", j->o->key, why);
		return false;
	}
	if (e->interface)
		e->interface = fill_keep(j, e->interface, len);
	if (e->socket)
		e->socket = fill_keep(j, e->socket, strlen(e->socket));
	if (j->o->type == CONF_TYPE_SERVERS &&
	    (e->interface || !e->addr.port)) {
		COMPLAIN(j, v->line,
			 "'%s': '%.100s' is not the address of a server",
			 j->o->key, v->text);
		return false;
	}
	return true;
}

/* What clients are told is one address of each family. */
static void check_families(struct fill_job *j)
{
	const struct conf_endpoints *list = j->field;

	if (j->o->type == CONF_TYPE_TOLD && list->count == 2 &&
	    list->at[0].addr.family == list->at[1].addr.family)
		COMPLAIN(j, j->values[1].line,
			 "'%s' has two addresses of one family; at most one of "
			 "each can be told",
			 j->o->key);
}

void fill_endpoints(struct fill_job *j)
{
	struct conf_endpoints *list = j->field;

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++)
		if (read_endpoint(j, &j->values[i], &list->at[list->count]))
			list->count++;
	check_families(j);
}

#define FILE_MAX_BYTES 4095 /* PATH_MAX less its NUL */

/* A relative path begins at the folder of the main file, as in @include. */
static bool read_file(struct fill_job *j, const struct conf_value *v,
		      struct conf_match *m)
{
	const char *name = v->text + 1, *folder = j->f->conf->folder;
	size_t len = strlen(name) + (*name == '/' ? 0 : strlen(folder) + 1);

	if (!*name || name[strlen(name) - 1] == '/') {
		COMPLAIN(j, v->line,
			 "'%s': '%.100s' names no file; write \"@/PATH\", or "
			 "\"@NAME\" for one beside the configuration",
			 j->o->key, v->text);
		return false;
	}
	if (len > FILE_MAX_BYTES) {
		COMPLAIN(j, v->line,
			 "'%s': the path of '%.100s...' has %zu bytes, but "
			 "must have at most %d",
			 j->o->key, v->text, len, FILE_MAX_BYTES);
		return false;
	}
	m->kind = CONF_MATCH_FILE;
	m->file = *name == '/' ? fill_keep(j, name, len)
			       : conf_arena_format(j->f->conf->arena, "%s/%s",
						   folder, name);
	if (!m->file)
		j->f->result = -ENOMEM;
	return m->file != NULL;
}

void fill_matches(struct fill_job *j)
{
	char name[CONF_NAME_BYTES], why[CONF_WHY_BYTES];
	struct conf_matches *list = j->field;
	bool names = j->o->type == CONF_TYPE_TO;

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++) {
		struct conf_match *m = &list->at[list->count];

		if (*j->values[i].text == '@' &&
		    j->o->type != CONF_TYPE_TRUSTED) {
			list->count += read_file(j, &j->values[i], m);
			continue;
		}
		if (conf_match_parse(m, j->values[i].text, names ? name : NULL,
				     why) < 0) {
			COMPLAIN(j, j->values[i].line, "'%s': %s", j->o->key,
				 why);
			continue;
		}
		if (m->kind == CONF_MATCH_NAME || m->kind == CONF_MATCH_SUFFIX)
			m->name = fill_keep(j, name, strlen(name));
		list->count++;
	}
}

void fill_ports(struct fill_job *j)
{
	struct conf_ports *list = j->field;
	char why[CONF_WHY_BYTES];

	*list = (struct conf_ports){ 0 };
	if (j->count == 1 && !strcmp(j->values[0].text, "any"))
		return;
	list->at = fill_array(j, sizeof(*list->at));
	for (size_t i = 0; list->at && i < j->count; i++) {
		if (conf_ports_parse(&list->at[list->count], j->values[i].text,
				     why) < 0)
			COMPLAIN(j, j->values[i].line, "'%s': %s", j->o->key,
				 why);
		else
			list->count++;
	}
}

void fill_windows(struct fill_job *j)
{
	struct conf_windows *list = j->field;
	char why[CONF_WHY_BYTES];

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++) {
		if (conf_window_parse(&list->at[list->count], j->values[i].text,
				      why) < 0)
			COMPLAIN(j, j->values[i].line, "'%s': %s", j->o->key,
				 why);
		else
			list->count++;
	}
}

static const char *read_userid(struct fill_job *j, const struct conf_value *v)
{
	size_t len = strlen(v->text);

	if (len && len <= USERID_MAX_BYTES)
		return fill_keep(j, v->text, len);
	COMPLAIN(j, v->line,
		 "'%s' has a text of %zu bytes, but must have 1 to %d",
		 j->o->key, len, USERID_MAX_BYTES);
	return NULL;
}

static const char *read_domain(struct fill_job *j, const struct conf_value *v)
{
	char name[CONF_NAME_BYTES], why[CONF_WHY_BYTES];

	if (conf_domain_parse(name, v->text, why) < 0)
		COMPLAIN(j, v->line, "'%s': %s", j->o->key, why);
	else if (!strcmp(name, ".") && j->count > 1)
		COMPLAIN(j, v->line,
			 "'%s': '.' says that there is none, and stands alone",
			 j->o->key);
	else
		return fill_keep(j, name, strlen(name));
	return NULL;
}

/* "" is an element here: it leaves out one of several. */
static const char *read_path(struct fill_job *j, const struct conf_value *v)
{
	size_t len = strlen(v->text);

	if (len > FILE_MAX_BYTES)
		COMPLAIN(j, v->line,
			 "'%s' has a path of %zu bytes, but must have at most "
			 "%d",
			 j->o->key, len, FILE_MAX_BYTES);
	else if (*v->text ? *v->text != '/' : j->o->min)
		COMPLAIN(j, v->line,
			 "'%s' is '%.100s', but must be an absolute path",
			 j->o->key, v->text);
	else
		return fill_keep(j, v->text, len);
	return NULL;
}

static const char *read_text(struct fill_job *j, const struct conf_value *v)
{
	if (j->o->type == CONF_TYPE_DOMAINS)
		return read_domain(j, v);
	if (j->o->type == CONF_TYPE_PATHS)
		return read_path(j, v);
	return read_userid(j, v);
}

void fill_texts(struct fill_job *j)
{
	struct conf_texts *list = j->field;

	list->at = fill_array(j, sizeof(*list->at));
	list->count = 0;
	for (size_t i = 0; list->at && i < j->count; i++) {
		const char *text = read_text(j, &j->values[i]);

		if (text)
			list->at[list->count++] = text;
	}
}
