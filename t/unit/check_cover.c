/*
 * Coverage of one rule's condition by another's: what is certain, and what
 * must not be called certain.
 */
#include "conf/cover.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX 8

struct list {
	struct conf_match at[ELEMENTS_MAX];
	char names[ELEMENTS_MAX][CONF_NAME_BYTES];
	struct conf_matches all;
};

/* Reads elements parted by blanks. */
static struct conf_matches *list(struct list *l, const char *text)
{
	char copy[256], why[CONF_WHY_BYTES], *rest = copy, *word;

	l->all = (struct conf_matches){ .at = l->at };
	memcpy(copy, text, strlen(text) + 1);
	while ((word = strsep(&rest, " ")) != NULL) {
		size_t i = l->all.count++;

		ck_assert_int_eq(
			conf_match_parse(&l->at[i], word, l->names[i], why), 0);
	}
	return &l->all;
}

static bool covers(const char *outer, const char *inner, bool targets)
{
	struct list a, b;

	return conf_matches_cover(list(&a, outer), list(&b, inner), targets);
}

START_TEST(any_client_covers_all_clients)
{
	ck_assert(covers("any", "any", false));
	ck_assert(covers("any", "127.0.0.0/8 ::/0 private", false));
	ck_assert(!covers("private", "any", false));
	ck_assert(!covers("0.0.0.0/0", "any", false));
}
END_TEST

START_TEST(any_target_spares_guarded_addresses)
{
	ck_assert(covers("any", "any", true));
	ck_assert(covers("any", "192.0.2.0/24", true));
	ck_assert(covers("any", "example.com .example.org internet", true));
	ck_assert(!covers("any", "loopback", true));
	ck_assert(!covers("any", "linklocal", true));
	ck_assert(!covers("any", "multicast", true));
	ck_assert(!covers("any", "private", true));
	ck_assert(!covers("any", "127.0.0.1", true));
	ck_assert(!covers("any", "169.254.169.254", true));
	ck_assert(!covers("any", "0.0.0.0/0", true));
	ck_assert(!covers("any", "::1", true));
	ck_assert(!covers("any", "::/0", true));
	ck_assert(!covers("any", "100.64.0.0/10", true));
}
END_TEST

START_TEST(prefixes_cover_narrower_ones)
{
	ck_assert(covers("10.0.0.0/8", "10.1.0.0/16", true));
	ck_assert(covers("10.0.0.0/8", "10.0.0.0/8", true));
	ck_assert(!covers("10.1.0.0/16", "10.0.0.0/8", true));
	ck_assert(!covers("::/0", "10.0.0.0/8", true));
	ck_assert(
		covers("192.0.2.0/24 10.0.0.0/8", "10.1.1.1 192.0.2.7", true));
	ck_assert(
		!covers("192.0.2.0/24 10.0.0.0/8", "10.1.1.1 192.0.3.7", true));
}
END_TEST

START_TEST(suffixes_cover_what_is_below)
{
	ck_assert(covers(".example.com", "example.com", true));
	ck_assert(covers(".example.com", "www.example.com", true));
	ck_assert(covers(".example.com", ".a.example.com", true));
	ck_assert(!covers(".example.com", "badexample.com", true));
	ck_assert(!covers(".a.example.com", ".example.com", true));
	ck_assert(covers("example.com", "example.com", true));
	ck_assert(!covers("example.com", "www.example.com", true));
	ck_assert(!covers("example.com", ".example.com", true));
	ck_assert(!covers(".example.com", "192.0.2.1", true));
}
END_TEST

START_TEST(port_ranges)
{
	struct conf_port_range web[] = { { 80, 80 }, { 443, 443 } };
	struct conf_port_range low[] = { { 1, 1023 } };
	struct conf_port_range https[] = { { 443, 443 } };
	struct conf_ports all = { 0 }, w = { web, 2 }, l = { low, 1 };
	struct conf_ports h = { https, 1 };

	ck_assert(conf_ports_cover(&all, &all));
	ck_assert(conf_ports_cover(&all, &w));
	ck_assert(!conf_ports_cover(&w, &all));
	ck_assert(conf_ports_cover(&l, &w));
	ck_assert(conf_ports_cover(&w, &h));
	ck_assert(!conf_ports_cover(&h, &w));
}
END_TEST

START_TEST(listener_sets)
{
	uint16_t first[] = { 0 }, both[] = { 1, 0 };
	struct conf_listener_set all = { 0 }, f = { first, 1 }, b = { both, 2 };

	ck_assert(conf_listeners_cover(&all, &all));
	ck_assert(conf_listeners_cover(&all, &f));
	ck_assert(!conf_listeners_cover(&f, &all));
	ck_assert(conf_listeners_cover(&b, &f));
	ck_assert(!conf_listeners_cover(&f, &b));
	ck_assert(conf_listeners_hold(&all, 7));
	ck_assert(conf_listeners_hold(&b, 1));
	ck_assert(!conf_listeners_hold(&f, 1));
}
END_TEST

START_TEST(everysingleis_recognized)
{
	static const char *const open[] = {
		"any",  "internet", "0.0.0.0/0",
		"::/0", "2000::/3", "10.0.0.0/8 any"
	};
	static const char *const closed[] = { "private", "loopback",
					      "10.0.0.0/8", "2001:db8::/32",
					      "fc00::/7" };
	struct list l;

	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		ck_assert_msg(conf_matches_everyone(list(&l, open[i])), "%s",
			      open[i]);
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		ck_assert_msg(!conf_matches_everyone(list(&l, closed[i])), "%s",
			      closed[i]);
}
END_TEST

static struct conf_match file(const char *path)
{
	return (struct conf_match){ .kind = CONF_MATCH_FILE, .file = path };
}

static struct conf_matches one(struct conf_match *m)
{
	return (struct conf_matches){ .at = m, .count = 1 };
}

START_TEST(a_file_covers_itself_alone)
{
	struct conf_match a = file("/a"), b = file("/b"), same = file("/a");
	struct conf_matches x = one(&a), y = one(&b), z = one(&same);
	struct list l;

	for (int targets = 0; targets < 2; targets++) {
		ck_assert(conf_matches_cover(&x, &z, targets));
		ck_assert(!conf_matches_cover(&x, &y, targets));
		ck_assert(!conf_matches_cover(&x, list(&l, "10.0.0.0/8"),
					      targets));
		ck_assert(!conf_matches_cover(list(&l, "0.0.0.0/0 ::/0"), &x,
					      targets));
	}
	/* Guarded addresses may be in it. */
	ck_assert(conf_matches_cover(list(&l, "any"), &x, false));
	ck_assert(!conf_matches_cover(list(&l, "any"), &x, true));
	ck_assert(!conf_matches_everyone(&x));
}
END_TEST

START_TEST(texts_cover_some_of_them)
{
	const char *a[] = { "joe", "ann" }, *b[] = { "ann" }, *c[] = { "Ann" };
	struct conf_texts none = { 0 }, two = { a, 2 }, single = { b, 1 },
			  other = { c, 1 };

	ck_assert(conf_texts_cover(&two, &single));
	ck_assert(conf_texts_cover(&two, &none));
	ck_assert(conf_texts_cover(&none, &none));
	ck_assert(!conf_texts_cover(&single, &two));
	ck_assert(!conf_texts_cover(&none, &single));
	ck_assert(!conf_texts_cover(&two, &other));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cover");
	TCase *t = tcase_create("cover");

	tcase_add_test(t, any_client_covers_all_clients);
	tcase_add_test(t, any_target_spares_guarded_addresses);
	tcase_add_test(t, prefixes_cover_narrower_ones);
	tcase_add_test(t, suffixes_cover_what_is_below);
	tcase_add_test(t, port_ranges);
	tcase_add_test(t, listener_sets);
	tcase_add_test(t, everysingleis_recognized);
	tcase_add_test(t, a_file_covers_itself_alone);
	tcase_add_test(t, texts_cover_some_of_them);
	suite_add_tcase(s, t);
	return run_suite(s);
}
