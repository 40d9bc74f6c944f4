/*
 * Session records in memory of their own, or in an array that readers know.
 */
#pragma once

#include "daemon/proxy/sessions.h"

#define GENERATION 12

extern struct sessions *records;
extern struct session *slots; /* NULL: memory of their own */
extern uint32_t slot_count;

void records_make(unsigned workers, size_t per_worker);
void records_make_shared(unsigned workers, size_t per_worker);
void records_teardown(void);

/* Opens one; fails the test where there is none. */
struct session *open_slot(unsigned worker);
