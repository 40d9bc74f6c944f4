/*
 * What the rows of the table allow, in words.
 */
#include "conf/option.h"

#include "conf/quantity.h"

#include <inttypes.h>
#include <stdio.h>

bool conf_type_is_list(enum conf_type type)
{
	return type >= CONF_TYPE_WORDS;
}

static char *format_number(const struct conf_option *o, int64_t n, char *out)
{
	if (o->type == CONF_TYPE_SIZE)
		return conf_size_format(n, out);
	if (o->type == CONF_TYPE_DURATION)
		return conf_duration_format(n, out);
	(void)snprintf(out, CONF_QUANTITY_BYTES, "%" PRId64, n);
	return out;
}

static void format_words(const struct conf_option *o, char *out)
{
	static const char *const kinds[] = { "some of:", "one of:",
					     "in order, some of:" };
	int kind = o->type == CONF_TYPE_WORD      ? 1
		   : o->type == CONF_TYPE_RANKING ? 2
						  : 0;
	size_t used = (size_t)snprintf(out, CONF_BOUNDS_BYTES, "%s",
				       kinds[kind]);

	for (const char *const *w = o->words; *w; w++)
		used += (size_t)snprintf(out + used, CONF_BOUNDS_BYTES - used,
					 " %s", *w);
}

char *conf_option_bounds(const struct conf_option *o, char *out)
{
	char min[CONF_QUANTITY_BYTES], max[CONF_QUANTITY_BYTES];
	char step[CONF_QUANTITY_BYTES];

	out[0] = '\0';
	if (o->words) {
		format_words(o, out);
	} else if (o->type == CONF_TYPE_INT || o->type == CONF_TYPE_SIZE ||
		   o->type == CONF_TYPE_DURATION) {
		(void)snprintf(out, CONF_BOUNDS_BYTES, "%s%s%s%s to %s%s%s",
			       o->zero ? o->zero : "", o->or_zero ? ", 0" : "",
			       o->zero ? " or " : "",
			       format_number(o, o->min, min),
			       format_number(o, o->max, max),
			       o->step ? " in steps of " : "",
			       o->step ? format_number(o, o->step, step) : "");
	} else if (o->type == CONF_TYPE_MODE) {
		(void)snprintf(out, CONF_BOUNDS_BYTES, "%04o to %04o",
			       (unsigned)o->min, (unsigned)o->max);
	} else if (o->type == CONF_TYPE_RATE) {
		(void)snprintf(out, CONF_BOUNDS_BYTES,
			       "0 or COUNT/TIME, %" PRId64 " to %" PRId64
			       " in %s to %s",
			       o->min, o->max,
			       conf_duration_format(CONF_RATE_MS_MIN, min),
			       conf_duration_format(CONF_RATE_MS_MAX, max));
	} else if (o->type == CONF_TYPE_BOOL) {
		(void)snprintf(out, CONF_BOUNDS_BYTES, "true or false");
	}
	return out;
}
