/*
 * A set of names; there are few of them, and they change by hand.
 */
#include "daemon/drained.h"

#include <string.h>

static size_t find(const struct drained *d, const char *name)
{
	size_t i = 0;

	while (i < d->count && strcmp(d->name[i], name) != 0)
		i++;
	return i;
}

bool drained_has(const struct drained *d, const char *name)
{
	return find(d, name) < d->count;
}

int drained_set(struct drained *d, const char *name, bool on)
{
	size_t i = find(d, name);

	if (!*name || strchr(name, '\n'))
		return -EINVAL;
	if (strlen(name) >= DRAINED_NAME_BYTES)
		return -ENAMETOOLONG;
	if (on == (i < d->count))
		return -EALREADY;
	if (on && d->count == DRAINED_MAX)
		return -ENOSPC;
	if (on)
		memcpy(d->name[d->count++], name, strlen(name) + 1);
	else if (i != --d->count)
		memcpy(d->name[i], d->name[d->count], DRAINED_NAME_BYTES);
	return 0;
}

size_t drained_format(const struct drained *d, char out[DRAINED_TEXT_BYTES])
{
	char *at = out;

	for (size_t i = 0; i < d->count; i++) {
		size_t len = strlen(d->name[i]);

		memcpy(at, d->name[i], len);
		at[len] = '\n';
		at += len + 1;
	}
	return (size_t)(at - out);
}

void drained_parse(struct drained *d, struct span text)
{
	d->count = 0;
	while (text.len > 0) {
		const uint8_t *feed = memchr(text.at, '\n', text.len);
		size_t len = feed ? (size_t)(feed - text.at) : text.len;
		char name[DRAINED_NAME_BYTES];

		if (len < sizeof(name) && !memchr(text.at, '\0', len)) {
			memcpy(name, text.at, len);
			name[len] = '\0';
			(void)!drained_set(d, name, true);
		}
		len += feed != NULL;
		text.at += len;
		text.len -= len;
	}
}
