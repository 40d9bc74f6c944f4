/*
 * Whole configurations from arbitrary text: what loads must dump as a text
 * that loads and dumps as the same.  Includes are left out: they would read
 * files of the machine.
 */
#include "conf/conf.h"

#include <sanitizer/lsan_interface.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct conf *load(const char *text)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r = conf_load_text(&c, text, "fuzz", &errors);

	ASSERT(r == 0 || (r == -EBADMSG && errors.errors));
	ASSERT((c != NULL) == (r == 0));
	conf_errors_done(&errors);
	return c;
}

static char *dump(const struct conf *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ASSERT(out && conf_dump(c, out) == 0);
	(void)fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = malloc(size + 1), *first, *second;
	struct conf *c, *again;

	memcpy(text, bytes, size);
	text[size] = '\0';
	/* libconfig 1.5 forgets a string that it has begun at an error. */
	__lsan_disable();
	c = strstr(text, "@include") ? NULL : load(text);
	__lsan_enable();
	free(text);
	if (!c)
		return 0;
	first = dump(c);
	again = load(first);
	ASSERT(again);
	second = dump(again);
	ASSERT(!strcmp(first, second));
	free(first);
	free(second);
	conf_free(c);
	conf_free(again);
	return 0;
}
