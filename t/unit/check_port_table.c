/*
 * Ranges of ports and the runs that they are made of.
 */
#include "daemon/proxy/port_table.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Each port of a range is in one run of it, and no other port in any. */
static unsigned check_range(struct port_range range)
{
	static uint8_t held[65536];
	uint32_t runs[PORT_RUNS];
	unsigned count = port_runs(&range, runs);

	ck_assert_uint_le(count, PORT_RUNS);
	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < count; i++) {
		unsigned level = runs[i] >> 16;
		unsigned first = (runs[i] & 0xffff) << 4 * level;

		for (unsigned k = 0; k < 1u << 4 * level; k++) {
			held[first + k]++;
			if (port_run((uint16_t)(first + k), level) != runs[i])
				ck_abort_msg("run of %u", first + k);
		}
	}
	for (unsigned port = 0; port < 65536; port++)
		if (held[port] != (port >= range.first && port <= range.last))
			ck_abort_msg("port %u of %u-%u", port, range.first,
				     range.last);
	return count;
}

START_TEST(runs_hold_the_ports_of_their_range)
{
	ck_assert_uint_eq(check_range((struct port_range){ 0, 65535 }), 1);
	ck_assert_uint_eq(check_range((struct port_range){ 80, 80 }), 1);
	ck_assert_uint_eq(check_range((struct port_range){ 0, 0 }), 1);
	ck_assert_uint_eq(check_range((struct port_range){ 65535, 65535 }), 1);
	ck_assert_uint_eq(check_range((struct port_range){ 16, 31 }), 1);
	(void)check_range((struct port_range){ 15, 32 });
	(void)check_range((struct port_range){ 1024, 65535 });
	(void)check_range((struct port_range){ 1, 65534 });
	srandom(1);
	for (int i = 0; i < 100; i++) {
		uint16_t first = (uint16_t)random();
		uint16_t last = (uint16_t)(first + random() % (65536 - first));

		(void)check_range((struct port_range){ first, last });
	}
}
END_TEST

START_TEST(each_run_has_one_number)
{
	struct port_table t = { 0 };
	struct port_range range = { 0, 0 };
	uint32_t most = 0;

	ck_assert_uint_eq(port_table_find(&t, 0), PORT_NONE);
	for (int round = 0; round < 2; round++)
		for (unsigned i = 0; i < 2000; i++) {
			range.first = (uint16_t)(17 * i);
			range.last = (uint16_t)(range.first + i);
			ck_assert_int_eq(port_table_add(&t, &range), 0);
			if (round == 0)
				most = t.count;
		}
	ck_assert_uint_eq(t.count, most);
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t runs[PORT_RUNS];
		unsigned count;

		range.first = (uint16_t)(17 * i);
		range.last = (uint16_t)(range.first + i);
		count = port_runs(&range, runs);
		for (unsigned n = 0; n < count; n++)
			ck_assert_uint_lt(port_table_find(&t, runs[n]),
					  t.count);
	}
	ck_assert_uint_eq(port_table_find(&t, port_run(0, 4)), PORT_NONE);
	port_table_done(&t);
	port_table_done(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("port_table");
	TCase *t = tcase_create("all");

	tcase_add_test(t, runs_hold_the_ports_of_their_range);
	tcase_add_test(t, each_run_has_one_number);
	suite_add_tcase(s, t);
	return run_suite(s);
}
