/*
 * Translating texts with an expectation, on a machine that is always the same.
 */
#include "t/unit/danted_text.h"

#include "conf/conf.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* --- A machine ---------------------------------------------------------- */

static uint16_t find_service(void *ctx UNUSED, const char *name)
{
	return !strcmp(name, "https") ? 443 : 0;
}

static size_t one(struct tcp_addr *out, const char *text)
{
	ck_assert_int_eq(addr_parse_ip(out, text), 0);
	return 1;
}

static size_t find_interface(void *ctx UNUSED, const char *name,
			     struct tcp_addr *out, size_t max)
{
	size_t count;

	if (!strcmp(name, "lo"))
		return one(out, "127.0.0.1");
	if (!strcmp(name, "eth0"))
		return one(out, "192.0.2.1");
	if (strcmp(name, "dual0") != 0)
		return 0;
	count = one(out, "192.0.2.9");
	return max > 1 ? count + one(out + 1, "2001:db8::9") : count;
}

static size_t find_host(void *ctx UNUSED, const char *name,
			struct tcp_addr *out, size_t max UNUSED)
{
	return !strcmp(name, "www.example.com") ? one(out, "192.0.2.80") : 0;
}

static const struct danted_world world = { .service = find_service,
					   .interface = find_interface,
					   .host = find_host };

/* --- Translating -------------------------------------------------------- */

struct done danted_translate(const char *text, size_t len)
{
	struct done d = { .r = 0 };
	size_t size = 0;
	FILE *out = open_memstream(&d.text, &size);

	d.r = danted_import(text, len, "d", &world, out, &d.remarks);
	ck_assert_int_eq(fclose(out), 0);
	out = open_memstream(&d.said, &size);
	danted_remarks_print(&d.remarks, "d", out);
	ck_assert_int_eq(fclose(out), 0);
	return d;
}

void danted_done(struct done *d)
{
	danted_remarks_done(&d->remarks);
	free(d->text);
	free(d->said);
}

/* What was written is a configuration. */
void danted_loads(const char *text)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "result", &errors);

	ck_assert_msg(r == 0, "%s\n%s", errors.kept ? errors.list[0].text : "?",
		      text);
	conf_errors_done(&errors);
	conf_free(c);
}

/* With a grade and words of a remark (NULL: none), and what is written. */
void danted_becomes(const char *text, const char *said, const char *written)
{
	struct done d = danted_translate(text, strlen(text));

	ck_assert_msg(d.r == 0, "%s\n%s", text, d.said);
	danted_loads(d.text);
	ck_assert_msg(!said || strstr(d.said, said), "%s\n%s", text, d.said);
	ck_assert_msg(said || !d.remarks.kept, "%s\n%s", text, d.said);
	ck_assert_msg(!written || strstr(d.text, written), "%s\n%s", text,
		      d.text);
	danted_done(&d);
}

void danted_is_refused(const char *text, const char *said)
{
	struct done d = danted_translate(text, strlen(text));

	ck_assert_msg(d.r == -EBADMSG && !*d.text, "%s\n%s", text, d.text);
	ck_assert_msg(strstr(d.said, said) != NULL, "%s\n%s", text, d.said);
	ck_assert_uint_ge(d.remarks.counts[DANTED_REFUSED], 1);
	danted_done(&d);
}
