#include "daemon/proxy/give_way.h"

#include <sched.h>

void give_way(unsigned cost)
{
	static _Thread_local unsigned since;

	since += cost;
	if (since < GIVE_WAY_NOW)
		return;
	since = 0;
	(void)sched_yield();
}
