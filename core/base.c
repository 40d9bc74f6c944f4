/*
 * What the macros of base.h need behind them.
 */
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *claim, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line,
		      claim);
	abort();
}
