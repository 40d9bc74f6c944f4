/*
 * The grammar of host names (RFC 952, RFC 1123 §2.1), with '_' because names
 * in use have it.
 */
#include "core/host_name.h"

#include <string.h>

#define NAME_MAX_LEN  253
#define LABEL_MAX_LEN 63

/* The character in lower case, 0 if it has no place in a label. */
static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_')
		return c;
	return 0;
}

int host_name_fold(char *ret, const char *text, size_t len)
{
	bool absolute = len > 0 && text[len - 1] == '.';
	size_t label = 0;

	len -= absolute;
	if (len == 0 || len > NAME_MAX_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		ret[i] = text[i] == '.' ? '.' : fold(text[i]);
		if (!ret[i])
			return -EINVAL;
		if (ret[i] != '.') {
			if (++label > LABEL_MAX_LEN)
				return -EINVAL;
			continue;
		}
		if (label == 0)
			return -EINVAL;
		label = 0;
	}
	if (label == 0)
		return -EINVAL;
	if (absolute)
		ret[len] = '.';
	ret[len + absolute] = '\0';
	return (int)len;
}

bool host_name_within(const char *name, size_t len, const char *domain)
{
	size_t tail = strlen(domain);

	if (len < tail || memcmp(name + len - tail, domain, tail) != 0)
		return false;
	return len == tail || name[len - tail - 1] == '.';
}
