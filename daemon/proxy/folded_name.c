/*
 * Only ASCII: other bytes are no part of host names.
 */
#include "daemon/proxy/folded_name.h"

static char fold(uint8_t c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

void folded_name_set(struct folded_name *ret, struct span host)
{
	size_t skip;

	if (host.len && host.at[host.len - 1] == '.')
		host.len--;
	skip = host.len > FOLDED_BYTES ? host.len - FOLDED_BYTES : 0;
	ret->len = (uint8_t)(host.len - skip);
	ret->labels = 0;
	for (size_t i = 0; i < ret->len; i++)
		ret->text[i] = fold(host.at[skip + i]);
	for (size_t i = ret->len; i-- > 0 && ret->labels < FOLDED_LABELS;)
		if (i == 0 ? skip == 0 : ret->text[i - 1] == '.')
			ret->start[ret->labels++] = (uint8_t)i;
}
