/*
 * Loading texts with an expectation.  What differs from it is printed whole.
 */
#include "t/unit/conf_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *list, *key, *value;
} needed[] = {
	{ "tls", "name", "\"edge\"" },
	{ "tls", "certificate", "[ \"/c\", \"/d\" ]" },
	{ "tls", "client_ca", "\"/a\"" },
	{ "listeners", "name", "\"lan\"" },
	{ "listeners", "address", "\"127.0.0.1:1080\"" },
	{ "listeners", "target", "\"192.0.2.1:1\"" },
	{ "upstreams", "name", "\"paris\"" },
	{ "upstreams", "url", "\"socks5h://192.0.2.1\"" },
	{ "clients", "action", "\"allow\"" },
	{ "rules", "action", "\"allow\"" },
	{ "quotas", "users", "\"*\"" },
	{ "quotas", "month", "\"1G\"" },
};

void conf_text_entry(char *out, size_t size, const char *list, const char *key,
		     const char *assignment)
{
	size_t used = (size_t)snprintf(out, size, "%s: ( { ", list);

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!strcmp(needed[i].list, list) &&
		    strcmp(needed[i].key, key) != 0)
			used += (size_t)snprintf(out + used, size - used,
						 "%s = %s; ", needed[i].key,
						 needed[i].value);
	used += (size_t)snprintf(out + used, size - used, "%s } );\n",
				 assignment);
	ck_assert_uint_lt(used, size);
}

static bool holds(const struct conf_errors *e, enum conf_severity severity,
		  const char *part)
{
	for (size_t i = 0; i < e->kept; i++)
		if (e->list[i].severity == severity &&
		    strstr(e->list[i].text, part))
			return true;
	return false;
}

static void show(const char *text, const struct conf_errors *e,
		 const char *part)
{
	fprintf(stderr, "---- text\n%s\n---- expected: %s\n---- found\n", text,
		part);
	conf_errors_print(e, stderr);
}

struct conf *conf_text_load(const char *text)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "text", &e);

	if (r < 0 || e.warnings)
		show(text, &e, "no error, no warning");
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(e.errors, 0);
	ck_assert_uint_eq(e.warnings, 0);
	conf_errors_done(&e);
	return c;
}

void conf_text_refused(const char *text, const char *part, bool alone)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "text", &e);
	bool good = r == -EBADMSG && !c && holds(&e, CONF_ERROR, part) &&
		    (!alone || e.errors == 1);

	if (!good)
		show(text, &e, part);
	ck_assert(good);
	conf_errors_done(&e);
}

void conf_text_warned(const char *text, const char *part)
{
	struct conf_errors e = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "text", &e);

	if (r < 0 || !holds(&e, CONF_WARNING, part))
		show(text, &e, part);
	ck_assert_int_eq(r, 0);
	ck_assert(holds(&e, CONF_WARNING, part));
	conf_free(c);
	conf_errors_done(&e);
}

char *conf_text_dump(const struct conf *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(conf_dump(c, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}
