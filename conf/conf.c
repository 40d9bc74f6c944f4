/*
 * The life of a configuration: read, filled, checked, freed.
 */
#include "conf/conf.h"

#include "conf/arena.h"
#include "conf/check.h"
#include "conf/read.h"
#include "conf/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void conf_free(struct conf *c)
{
	if (!c)
		return;
	conf_arena_free(c->arena);
	free(c);
}

static void free_conf(struct conf **c)
{
	conf_free(*c);
}

/* The folder of a file, absolute; where there is none, as the path says. */
static const char *folder_of(struct conf_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/'), *folder;
	int len = slash ? (int)(slash - path) : 0;
	char *here;

	if (*path == '/')
		return conf_arena_copy(arena, path, (size_t)len);
	here = getcwd(NULL, 0);
	folder = conf_arena_format(arena, "%s%s%.*s",
				   here ? (strcmp(here, "/") ? here : "") : ".",
				   len ? "/" : "", len, path);
	free(here);
	return folder;
}

/* Makes an empty one; NULL: out of memory. */
static struct conf *conf_new(const char *path)
{
	CLEANUP(free_conf) struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->arena = conf_arena_new();
	if (!c->arena)
		return NULL;
	c->path = conf_arena_copy(c->arena, path, strlen(path));
	c->folder = folder_of(c->arena, path);
	if (!c->path || !c->folder)
		return NULL;
	return TAKE_PTR(c);
}

/* Fills and checks; takes *c, which goes to *ret on success. */
static int load(struct conf **ret, struct conf **c, struct conf_source *source,
		struct conf_errors *errors)
{
	struct conf_fill f = { .conf = *c, .source = source, .errors = errors };
	size_t before = errors->errors;
	int r;

	conf_read(&f);
	conf_source_done(source);
	/* Without listeners, nothing was read beyond a syntax error. */
	if (f.result == -ENOMEM ||
	    (f.result < 0 && errors->errors > before && !(*c)->listener_count))
		return f.result;
	r = conf_check(*c, errors);
	if (f.result < 0 || r < 0)
		return f.result < 0 ? f.result : r;
	conf_check_sense(*c, errors);
	*ret = TAKE_PTR(*c);
	return 0;
}

int conf_load(struct conf **ret, const char *path, struct conf_errors *errors)
{
	CLEANUP(free_conf) struct conf *c = conf_new(path);
	struct conf_source source;
	int r;

	if (!c)
		return -ENOMEM;
	r = conf_source_read(&source, c->arena, path, errors);
	if (r < 0)
		return r;
	return load(ret, &c, &source, errors);
}

int conf_load_text(struct conf **ret, const char *text, const char *name,
		   struct conf_errors *errors)
{
	CLEANUP(free_conf) struct conf *c = conf_new(name);
	struct conf_source source;
	int r;

	if (!c)
		return -ENOMEM;
	r = conf_source_text(&source, c->arena, text, strlen(text), name, ".",
			     errors);
	if (r < 0)
		return r;
	return load(ret, &c, &source, errors);
}

static const struct conf_option *address_option(void)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *s = conf_sections[i];

		if (strcmp(s->name, "listeners") != 0)
			continue;
		for (size_t k = 0; k < s->option_count; k++)
			if (!strcmp(s->options[k].key, "address"))
				return &s->options[k];
	}
	ASSERT(!"the table has no listeners.address");
	return NULL;
}

/* Warns of addresses that only clients who are refused could reach. */
static void warn_of_addresses(const struct conf *c,
			      const struct conf_listener *l,
			      struct conf_errors *errors)
{
	if (c->path)
		return;
	for (size_t i = 0; i < l->address.count; i++) {
		const struct conf_endpoint *e = &l->address.at[i];

		if (e->socket || (!e->interface && addr_is_loopback(&e->addr)))
			continue;
		conf_errors_add(errors, CONF_WARNING, "--listen", 0,
				"only clients of this machine are served; to "
				"serve others, write a configuration file");
		return;
	}
}

int conf_set_listen(struct conf *c, const char *const *addresses, size_t count,
		    struct conf_errors *errors)
{
	struct conf_fill f = { .conf = c,
			       .label = "--listen",
			       .errors = errors };
	struct conf_value *values = calloc(count + 1, sizeof(*values));
	struct conf_listener old = c->listeners[0];
	int r;

	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		values[i].text = addresses[i];
	conf_fill_option(&f, address_option(), &c->listeners[0], values, count,
			 0);
	free(values);
	r = f.result;
	if (r == 0)
		r = conf_check_addresses(c, errors);
	if (r < 0) {
		c->listeners[0] = old;
		return r;
	}
	c->listeners[0].optional = false;
	warn_of_addresses(c, &c->listeners[0], errors);
	return 0;
}
