/*
 * Numbers, sizes and durations.  strtoll(3) alone would take blanks in front,
 * octal and a rest that is not looked at.
 */
#include "conf/quantity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* From the largest down: formatting takes the first that divides. */
static const struct unit size_units[] = {
	{ "G", (int64_t)1 << 30 },
	{ "g", (int64_t)1 << 30 },
	{ "M", (int64_t)1 << 20 },
	{ "m", (int64_t)1 << 20 },
	{ "k", (int64_t)1 << 10 },
	{ "K", (int64_t)1 << 10 },
	{ "", 1 },
};

static const struct unit duration_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
	{ "s", 1000 },     { "ms", 1 },
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits; -EINVAL if there are none, -ERANGE if they are too many. */
static int read_digits(int64_t *ret, const char **text)
{
	const char *p = *text;
	int64_t n = 0;

	if (!is_digit(*p))
		return -EINVAL;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			return -ERANGE;
	*text = p;
	*ret = n;
	return 0;
}

int conf_number_parse(int64_t *ret, const char *text)
{
	bool negative = *text == '-';
	const char *p = text + negative;
	int64_t n;
	char *end;
	int r;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		if (strspn(p + 2, "0123456789abcdefABCDEF") != strlen(p + 2) ||
		    strlen(p) < 3 || strlen(p) > 17)
			return -EINVAL;
		n = (int64_t)strtoull(p + 2, &end, 16);
		if (n < 0)
			return -EINVAL;
	} else {
		r = read_digits(&n, &p);
		if (r < 0 || *p)
			return -EINVAL;
	}
	*ret = negative ? -n : n;
	return 0;
}

static int parse_units(int64_t *ret, const char *text, const struct unit *units,
		       size_t count)
{
	int64_t n;
	int r = read_digits(&n, &text);

	if (r < 0)
		return r;
	if (n == 0 && !*text) {
		*ret = 0;
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, units[i].name))
			continue;
		if (__builtin_mul_overflow(n, units[i].factor, &n))
			return -ERANGE;
		*ret = n;
		return 0;
	}
	return -EINVAL;
}

static char *format_units(int64_t n, const struct unit *units, char *out)
{
	const struct unit *u = units;

	while (n % u->factor)
		u++;
	(void)snprintf(out, CONF_QUANTITY_BYTES, "%" PRId64 "%s", n / u->factor,
		       u->name);
	return out;
}

int conf_size_parse(int64_t *ret, const char *text)
{
	return parse_units(ret, text, size_units, ARRAY_SIZE(size_units));
}

int conf_duration_parse(int64_t *ret_ms, const char *text)
{
	return parse_units(ret_ms, text, duration_units,
			   ARRAY_SIZE(duration_units));
}

int conf_rate_parse(struct conf_rate *ret, const char *text)
{
	char duration[CONF_QUANTITY_BYTES];
	const char *p = text;
	int64_t count, ms;
	int r = read_digits(&count, &p);

	*ret = (struct conf_rate){ 0 };
	if (r == 0 && count == 0 && !*p)
		return 0;
	if (r < 0 || *p++ != '/' || strlen(p) + 2 > sizeof(duration))
		return r < 0 ? r : -EINVAL;
	(void)snprintf(duration, sizeof(duration), "%s%s",
		       is_digit(*p) ? "" : "1", p);
	r = conf_duration_parse(&ms, duration);
	if (r < 0)
		return r;
	if (count < 1 || count > UINT32_MAX || ms < CONF_RATE_MS_MIN ||
	    ms > CONF_RATE_MS_MAX)
		return -ERANGE;
	*ret = (struct conf_rate){ .count = (uint32_t)count,
				   .ms = (uint32_t)ms };
	return 0;
}

char *conf_size_format(int64_t bytes, char *out)
{
	return bytes ? format_units(bytes, size_units, out)
		     : memcpy(out, "0", 2);
}

char *conf_duration_format(int64_t ms, char *out)
{
	return ms ? format_units(ms, duration_units, out) : memcpy(out, "0", 2);
}

char *conf_rate_format(const struct conf_rate *r, char *out)
{
	char text[CONF_QUANTITY_BYTES], *unit = text;

	if (!r->count)
		return memcpy(out, "0", 2);
	conf_duration_format(r->ms, text);
	if (text[0] == '1' && !is_digit(text[1]))
		unit++;
	(void)snprintf(out, CONF_QUANTITY_BYTES, "%" PRIu32 "/%.20s", r->count,
		       unit);
	return out;
}
