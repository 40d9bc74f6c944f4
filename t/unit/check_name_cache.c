/*
 * The table of names: bounds, eviction, and what is held stays.
 */
#include "core/name_cache.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct name_cache *cache;
static int me; /* whoever holds entries */

static void make(size_t max)
{
	ck_assert_int_eq(name_cache_new(&cache, max), 0);
}

static void teardown(void)
{
	name_cache_free(cache);
	cache = NULL;
}

static struct name_entry *add(const char *name)
{
	struct name_entry *e = name_cache_add(cache, name, strlen(name));

	ck_assert_ptr_nonnull(e);
	name_cache_hold(cache, e, &me);
	return e;
}

static void add_idle(const char *name)
{
	name_cache_put(cache, add(name));
}

static bool has(const char *name)
{
	return name_cache_find(cache, name) != NULL;
}

START_TEST(what_is_put_is_found)
{
	struct name_entry *e;

	make(10);
	ck_assert(!has("a"));
	e = add("a");
	ck_assert_ptr_eq(name_cache_find(cache, "a"), e);
	name_cache_put(cache, e);
	ck_assert_ptr_eq(name_cache_find(cache, "a"), e);
	ck_assert(!has("a."));
	ck_assert(!has("b"));
}
END_TEST

START_TEST(the_one_unused_for_longest_goes)
{
	make(3);
	add_idle("a");
	add_idle("b");
	add_idle("c");
	name_cache_touch(cache, name_cache_find(cache, "a"));
	add_idle("d");
	ck_assert(has("a"));
	ck_assert(!has("b"));
	ck_assert(has("c") && has("d"));
	ck_assert_uint_eq(name_cache_idle(cache), 3);
}
END_TEST

START_TEST(what_is_held_stays_and_does_not_count)
{
	struct name_entry *held;
	char name[16];

	make(4);
	held = add("held");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_idle(name);
	}
	ck_assert_ptr_eq(name_cache_find(cache, "held"), held);
	ck_assert_uint_eq(name_cache_idle(cache), 4);
	ck_assert(has("n99") && has("n96") && !has("n95"));
	name_cache_touch(cache, held);
	name_cache_put(cache, held);
	ck_assert(has("held") && !has("n96"));
	ck_assert_uint_eq(name_cache_idle(cache), 4);
	name_cache_hold(cache, held, &me);
	ck_assert_uint_eq(name_cache_idle(cache), 3);
	name_cache_put(cache, held);
}
END_TEST

START_TEST(a_cache_of_none_keeps_none)
{
	make(0);
	add_idle("a");
	ck_assert(!has("a"));
	ck_assert_uint_eq(name_cache_idle(cache), 0);
}
END_TEST

START_TEST(a_flood_of_names_stays_within_its_bound)
{
	char name[16];

	make(1000);
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add_idle(name);
		ck_assert_uint_le(name_cache_idle(cache), 1000);
	}
	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert(has(name) == (i >= 49000));
	}
}
END_TEST

START_TEST(records_keep_copies_of_addresses)
{
	uint8_t ip[2][16] = { { 10, 0, 0, 1 }, { 10, 0, 0, 2 } };
	struct name_record known = { .expires = 7, .count = 2 };
	struct name_entry *e;

	make(1);
	e = add("a");
	ck_assert_int_eq(name_entry_set(e, NAME_V4, &known, ip), 0);
	ck_assert_int_eq(name_entry_set(e, NAME_V6, &known, ip), 0);
	ip[1][3] = 9;
	ck_assert_int_eq(name_entry_ip(e, NAME_V4, 1)[3], 2);
	ck_assert_int_eq(name_entry_ip(e, NAME_V6, 1)[3], 2);
	ck_assert_int_eq(e->record[NAME_V4].expires, 7);
	known = (struct name_record){ .error = -ENOENT };
	ck_assert_int_eq(name_entry_set(e, NAME_V4, &known, NULL), 0);
	ck_assert_uint_eq(e->record[NAME_V4].count, 0);
	ck_assert_ptr_null(e->record[NAME_V4].ip);
	ck_assert_int_eq(e->record[NAME_V4].error, -ENOENT);
	name_cache_put(cache, e);
}
END_TEST

START_TEST(what_is_forgotten_leaves_an_empty_entry)
{
	uint8_t ip[1][16] = { { 10, 0, 0, 1 } };
	struct name_record known = { .expires = 7, .count = 1 };
	struct name_entry *idle, *held;

	make(4);
	idle = add("idle");
	held = add("held");
	ck_assert_int_eq(name_entry_set(idle, NAME_V4, &known, ip), 0);
	ck_assert_int_eq(name_entry_set(held, NAME_V4, &known, ip), 0);
	name_cache_put(cache, idle);
	name_cache_forget(cache);
	ck_assert_ptr_eq(name_cache_find(cache, "idle"), idle);
	ck_assert_uint_eq(idle->record[NAME_V4].count, 0);
	ck_assert_int_eq(idle->record[NAME_V4].expires, 0);
	ck_assert_uint_eq(name_cache_idle(cache), 1);
	/* What is held is its holder's, who learns anew. */
	ck_assert_ptr_eq(name_cache_find(cache, "held"), held);
	ck_assert_uint_eq(held->record[NAME_V4].count, 1);
	name_cache_put(cache, held);
	ck_assert_ptr_eq(name_cache_find(cache, "held"), held);
	ck_assert_uint_eq(held->record[NAME_V4].count, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("name_cache");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, what_is_put_is_found);
	tcase_add_test(t, the_one_unused_for_longest_goes);
	tcase_add_test(t, what_is_held_stays_and_does_not_count);
	tcase_add_test(t, a_cache_of_none_keeps_none);
	tcase_add_test(t, a_flood_of_names_stays_within_its_bound);
	tcase_add_test(t, records_keep_copies_of_addresses);
	tcase_add_test(t, what_is_forgotten_leaves_an_empty_entry);
	suite_add_tcase(s, t);
	return run_suite(s);
}
