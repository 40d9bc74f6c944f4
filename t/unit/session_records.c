/*
 * What tests of session records share.
 */
#include "t/unit/session_records.h"

#include <check.h>
#include <stdlib.h>

struct sessions *records;
struct session *slots;
uint32_t slot_count;

void records_make(unsigned workers, size_t per_worker)
{
	ck_assert_int_eq(
		sessions_new(&records, workers, per_worker, NULL, GENERATION),
		0);
}

void records_make_shared(unsigned workers, size_t per_worker)
{
	slot_count = sessions_slots(workers, per_worker);
	slots = calloc(slot_count, sizeof(*slots));
	ck_assert_ptr_nonnull(slots);
	ck_assert_int_eq(
		sessions_new(&records, workers, per_worker, slots, GENERATION),
		0);
}

void records_teardown(void)
{
	sessions_free(records);
	free(slots);
	records = NULL;
	slots = NULL;
}

struct session *open_slot(unsigned worker)
{
	struct session *s = sessions_open(records, worker);

	ck_assert_ptr_nonnull(s);
	return s;
}
