/*
 * Whole configurations of danted from arbitrary text: what is not refused must
 * become a configuration that loads.
 */
#include "conf/conf.h"
#include "conf/danted.h"

#include <sanitizer/lsan_interface.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A machine of which names say what they are. */
static uint16_t find_service(void *ctx UNUSED, const char *name)
{
	return (uint16_t)(*name == 'h' ? 80 : 0);
}

static size_t find(const char *name, struct tcp_addr *out, size_t max)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 }, v6[16] = { 0xfd, 1 };

	addr_set(&out[0], AF_INET, v4, 0);
	if (max > 1)
		addr_set(&out[1], AF_INET6, v6, 0);
	return strchr(name, '6') ? min_size(max, 2) : 1;
}

static size_t find_interface(void *ctx UNUSED, const char *name,
			     struct tcp_addr *out, size_t max)
{
	return *name == 'e' && strlen(name) < 16 ? find(name, out, max) : 0;
}

static size_t find_host(void *ctx UNUSED, const char *name,
			struct tcp_addr *out, size_t max)
{
	return *name == 'w' ? find(name, out, max) : 0;
}

static void load(const char *text)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r;

	/* libconfig 1.5 forgets a string that it has begun at an error. */
	__lsan_disable();
	r = conf_load_text(&c, text, "result", &errors);
	__lsan_enable();
	if (r < 0)
		conf_errors_print(&errors, stderr);
	if (r < 0)
		(void)fputs(text, stderr);
	ASSERT(r == 0);
	conf_errors_done(&errors);
	conf_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct danted_world world = { .service = find_service,
					    .interface = find_interface,
					    .host = find_host };
	struct danted_remarks remarks = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r = danted_import((const char *)bytes, size, "fuzz", &world, out,
			      &remarks);

	(void)fclose(out);
	ASSERT(r == 0 || r == -EBADMSG);
	ASSERT((r < 0) == (remarks.counts[DANTED_REFUSED] > 0));
	ASSERT((r < 0) == (len == 0));
	if (r == 0)
		load(text);
	danted_remarks_done(&remarks);
	free(text);
	return 0;
}
