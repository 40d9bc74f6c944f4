/*
 * A bound on what frames of a client may cost.
 */
#include "daemon/proxy/h2_guard.h"

static int64_t time_of(const struct h2_rate *rate, uint32_t cost)
{
	return (int64_t)cost * 1000000 / rate->per_second;
}

bool h2_guard_take(struct h2_guard *g, const struct h2_rate *rate,
		   uint32_t cost, int64_t now_ms)
{
	int64_t now = now_ms * 1000;
	int64_t until = max_i64(g->used_until, now) + time_of(rate, cost);

	if (until - now > time_of(rate, rate->burst))
		return false;
	g->used_until = until;
	return true;
}

void h2_guard_give(struct h2_guard *g, const struct h2_rate *rate,
		   uint32_t cost)
{
	g->used_until -= time_of(rate, cost);
}
