/*
 * Reading the configuration and telling two sides what is wrong with it: who
 * looks at standard error, and who asked for a reload from elsewhere.
 */
#include "daemon/load.h"

#include <stdio.h>
#include <string.h>

static void print(const struct conf_errors *errors, int r, FILE *out)
{
	conf_errors_print(errors, out);
	if (r < 0 && !errors->errors)
		(void)fprintf(out, "spliced: %s\n", strerror(-r));
}

/* What does not fit is lost, but not the end of the text. */
static void print_into(const struct conf_errors *errors, int r, char *text,
		       size_t size)
{
	FILE *out = fmemopen(text, size, "w");

	if (out) {
		print(errors, r, out);
		(void)fclose(out);
	}
	text[size - 1] = '\0';
}

int load_conf(struct conf **ret, const struct options *o, char *text,
	      size_t size)
{
	struct conf_errors errors = { 0 };
	struct conf *c = NULL;
	int r = o->config ? conf_load(&c, o->config, &errors)
			  : conf_default(&c);

	if (r == 0 && o->listen_count)
		r = conf_set_listen(c, o->listen, o->listen_count, &errors);
	print(&errors, r, stderr);
	if (r < 0 && text && size)
		print_into(&errors, r, text, size);
	conf_errors_done(&errors);
	if (r < 0) {
		conf_free(c);
		return r;
	}
	*ret = c;
	return 0;
}
