/*
 * What churn prints: one line of JSON.
 */
#pragma once

#include "t/helper/churn.h"

static void report(void)
{
	const struct count *c = &churn.count;
	uint64_t now = now_ns();

	printf("{\"seconds\": %.3f, \"started\": %llu, \"ok\": %llu, "
	       "\"failed\": %llu, \"busy\": %u, \"bytes\": %llu, "
	       "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
	       "\"max_at\": %.3f, \"errors\": ",
	       (double)(now - c->begin_ns) / 1e9,
	       (unsigned long long)c->started, (unsigned long long)c->ok,
	       (unsigned long long)errors_all(&c->errors), churn.busy,
	       (unsigned long long)c->bytes, hist_us(&c->hist, 0.5) / 1e3,
	       hist_us(&c->hist, 0.99) / 1e3, (double)c->hist.max / 1e6,
	       c->slowest_ns ? (double)(c->slowest_ns - churn.begin_ns) / 1e9
			     : 0.0);
	errors_print(&c->errors);
	printf(", \"tunnels\": %u, \"whole\": %u, \"tunnel_errors\": ",
	       churn.opened, churn.whole);
	errors_print(&churn.held_errors);
	puts("}");
	fflush(stdout);
}
