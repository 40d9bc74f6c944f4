/*
 * Writing a configuration as a file.  All that it says of an option comes
 * from the table, so that it cannot lag behind.
 */
#include "conf/option.h"

#include "conf/quantity.h"

#include <inttypes.h>
#include <string.h>

#define TEXT_BYTES   4352 /* "file:" and the longest path */
#define LINE_COLUMNS 78

struct dump {
	const struct conf *c;
	FILE *out;
	unsigned depth; /* tabs in front */
	bool explain;   /* comments too: not in every entry of a list */
};

static void indent(const struct dump *d)
{
	for (unsigned i = 0; i < d->depth; i++)
		fputc('\t', d->out);
}

static size_t count_words(uint32_t set)
{
	return (size_t)__builtin_popcount(set);
}

static const char *nth_word(const struct conf_option *o, uint32_t set, size_t n)
{
	unsigned i = 0;

	for (;; i++)
		if (set & 1u << i && n-- == 0)
			return o->words[i];
}

/* How many elements the value has; 1 where it is no list. */
static size_t value_count(const struct conf_option *o, const void *field)
{
	switch (o->type) {
	case CONF_TYPE_WORDS:
		return count_words(*(const uint32_t *)field);
	case CONF_TYPE_RANKING:
		return ((const struct conf_ranking *)field)->count;
	case CONF_TYPE_ADDRESSES:
	case CONF_TYPE_SERVERS:
	case CONF_TYPE_SOURCES:
	case CONF_TYPE_TOLD:
		return ((const struct conf_endpoints *)field)->count;
	case CONF_TYPE_FROM:
	case CONF_TYPE_TRUSTED:
	case CONF_TYPE_TO:
		return ((const struct conf_matches *)field)->count;
	case CONF_TYPE_PORTS:
		return max_size(1, ((const struct conf_ports *)field)->count);
	case CONF_TYPE_LISTENERS:
		return ((const struct conf_listener_set *)field)->count;
	case CONF_TYPE_USERIDS:
	case CONF_TYPE_DOMAINS:
	case CONF_TYPE_PATHS:
		return ((const struct conf_texts *)field)->count;
	case CONF_TYPE_TARGETS:
		return ((const struct conf_targets *)field)->count;
	case CONF_TYPE_WINDOWS:
		return ((const struct conf_windows *)field)->count;
	case CONF_TYPE_URLS:
		return ((const struct conf_urls *)field)->count;
	default:
		return 1;
	}
}

static void element_text(const struct conf *c, const struct conf_option *o,
			 const void *field, size_t i, char *out)
{
	const struct conf_endpoints *endpoints = field;
	const struct conf_listener_set *set = field;
	const struct conf_ranking *ranking = field;
	const struct conf_matches *matches = field;
	const struct conf_ports *ports = field;
	const struct conf_targets *targets = field;
	const struct conf_texts *texts = field;
	const struct conf_windows *windows = field;
	const struct conf_urls *urls = field;

	switch (o->type) {
	case CONF_TYPE_WORDS:
		(void)snprintf(out, TEXT_BYTES, "%s",
			       nth_word(o, *(const uint32_t *)field, i));
		break;
	case CONF_TYPE_RANKING:
		(void)snprintf(out, TEXT_BYTES, "%s", o->words[ranking->at[i]]);
		break;
	case CONF_TYPE_ADDRESSES:
	case CONF_TYPE_SERVERS:
	case CONF_TYPE_SOURCES:
	case CONF_TYPE_TOLD:
		conf_endpoint_format(&endpoints->at[i],
				     o->type == CONF_TYPE_ADDRESSES ||
					     o->type == CONF_TYPE_SERVERS,
				     out, TEXT_BYTES);
		break;
	case CONF_TYPE_FROM:
	case CONF_TYPE_TRUSTED:
	case CONF_TYPE_TO:
		conf_match_format(&matches->at[i], out, TEXT_BYTES);
		break;
	case CONF_TYPE_PORTS:
		if (ports->count)
			conf_ports_format(&ports->at[i], out, TEXT_BYTES);
		else
			(void)snprintf(out, TEXT_BYTES, "any");
		break;
	case CONF_TYPE_LISTENERS:
		(void)snprintf(out, TEXT_BYTES, "%s",
			       c->listeners[set->at[i]].name);
		break;
	case CONF_TYPE_USERIDS:
	case CONF_TYPE_DOMAINS:
	case CONF_TYPE_PATHS:
		(void)snprintf(out, TEXT_BYTES, "%s", texts->at[i]);
		break;
	case CONF_TYPE_TARGETS:
		conf_target_format(&targets->at[i], out, TEXT_BYTES);
		break;
	case CONF_TYPE_WINDOWS:
		conf_window_format(&windows->at[i], out, TEXT_BYTES);
		break;
	case CONF_TYPE_URLS:
		conf_url_format(&urls->at[i], out, TEXT_BYTES);
		break;
	default:
		ASSERT(!"no list");
	}
}

/* Tells whether a number is written by its word. */
static bool is_zero_word(const struct conf_option *o, int64_t n)
{
	return o->zero && n == o->zero_is && strcmp(o->zero, "0") != 0;
}

/* The name of an entry of another list, or the word for none. */
static const char *entry_text(const struct conf *c, const struct conf_option *o,
			      uint16_t number)
{
	size_t i = 0;
	const char *at;

	if (!number)
		return o->zero;
	while (strcmp(conf_sections[i]->name, o->of) != 0)
		i++;
	memcpy(&at, (const char *)c + conf_sections[i]->offset, sizeof(at));
	at += (number - 1u) * conf_sections[i]->size;
	return ((const struct conf_entry *)(const void *)at)->name;
}

static void scalar_text(const struct conf *c, const struct conf_option *o,
			const void *field, char *out)
{
	const struct conf_log *log = field;
	const char *text;

	switch (o->type) {
	case CONF_TYPE_BOOL:
		text = *(const bool *)field ? "true" : "false";
		break;
	case CONF_TYPE_INT:
		(void)snprintf(out, TEXT_BYTES, "%" PRIu32,
			       *(const uint32_t *)field);
		text = is_zero_word(o, *(const uint32_t *)field) ? o->zero
								 : out;
		break;
	case CONF_TYPE_SIZE:
		text = conf_size_format((int64_t) * (const uint64_t *)field,
					out);
		break;
	case CONF_TYPE_DURATION:
		text = is_zero_word(o, *(const int64_t *)field)
			       ? o->zero
			       : conf_duration_format(*(const int64_t *)field,
						      out);
		break;
	case CONF_TYPE_RATE:
		text = conf_rate_format(field, out);
		break;
	case CONF_TYPE_MODE:
		(void)snprintf(out, TEXT_BYTES, "%04o",
			       *(const uint32_t *)field);
		text = out;
		break;
	case CONF_TYPE_ENTRY:
		text = entry_text(c, o, *(const uint16_t *)field);
		break;
	case CONF_TYPE_WORD:
		text = o->words[*(const unsigned *)field];
		break;
	case CONF_TYPE_LOG:
		(void)snprintf(out, TEXT_BYTES, "file:%s",
			       log->path ? log->path : "");
		text = log->journal ? "journal" : log->path ? out : "stderr";
		break;
	default:
		text = *(const char *const *)field;
		break;
	}
	if (text != out)
		(void)snprintf(out, TEXT_BYTES, "%s", text);
}

/* Writes the value as texts parted by blanks, as the table writes defaults. */
static void value_text(const struct conf *c, const struct conf_option *o,
		       const void *field, char *out)
{
	char text[TEXT_BYTES];
	size_t used = 0;

	out[0] = '\0';
	if (!conf_type_is_list(o->type)) {
		scalar_text(c, o, field, out);
		return;
	}
	for (size_t i = 0; i < value_count(o, field) && used < TEXT_BYTES / 2;
	     i++) {
		element_text(c, o, field, i, text);
		used += (size_t)snprintf(out + used, TEXT_BYTES - used, "%s%s",
					 i ? " " : "", text);
		used = min_size(used, TEXT_BYTES - 1);
	}
}

/* Returns the columns that it took. */
static size_t print_quoted(const struct dump *d, const char *text)
{
	size_t columns = 2;

	fputc('"', d->out);
	for (; *text; text++, columns++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', d->out);
		fputc(*text, d->out);
	}
	fputc('"', d->out);
	return columns;
}

static void print_list(const struct dump *d, const struct conf_option *o,
		       const void *field)
{
	size_t count = value_count(o, field);
	size_t column = d->depth * 8 + strlen(o->key) + 5;
	char text[TEXT_BYTES];

	if (count == 0) {
		fputs("[ ]", d->out);
		return;
	}
	if (count > 1)
		fputs("[ ", d->out);
	for (size_t i = 0; i < count; i++) {
		element_text(d->c, o, field, i, text);
		if (i && column + strlen(text) + 6 > LINE_COLUMNS) {
			fputs(",\n", d->out);
			indent(d);
			fputc('\t', d->out);
			column = d->depth * 8 + 8;
		} else if (i) {
			fputs(", ", d->out);
		}
		column += print_quoted(d, text) + 2;
	}
	if (count > 1)
		fputs(" ]", d->out);
}

/* Numbers beyond libconfig's 32 bits carry an L. */
static void print_int(const struct dump *d, const struct conf_option *o,
		      uint32_t n)
{
	if (is_zero_word(o, n))
		(void)print_quoted(d, o->zero);
	else
		fprintf(d->out, "%" PRIu32 "%s", n, n > INT32_MAX ? "L" : "");
}

static void print_value(const struct dump *d, const struct conf_option *o,
			const void *field)
{
	char text[TEXT_BYTES];

	if (conf_type_is_list(o->type)) {
		print_list(d, o, field);
	} else if (o->type == CONF_TYPE_INT) {
		print_int(d, o, *(const uint32_t *)field);
	} else {
		scalar_text(d->c, o, field, text);
		if (o->type == CONF_TYPE_BOOL)
			fputs(text, d->out);
		else
			(void)print_quoted(d, text);
	}
}

static void print_option(const struct dump *d, const struct conf_option *o,
			 const void *base)
{
	const char *field = (const char *)base + o->offset;
	char text[TEXT_BYTES], bounds[CONF_BOUNDS_BYTES];

	if (d->explain) {
		indent(d);
		conf_option_bounds(o, bounds);
		fprintf(d->out, "# %s%s%s\n", o->help, *bounds ? "; " : "",
			bounds);
	}
	indent(d);
	fprintf(d->out, "%s = ", o->key);
	print_value(d, o, field);
	value_text(d->c, o, field, text);
	fprintf(d->out, ";%s\n",
		!o->required && !strcmp(text, o->def) ? "  # default" : "");
}

static void print_options(const struct dump *d, const struct conf_section *s,
			  const void *base)
{
	for (size_t i = 0; i < s->option_count; i++)
		print_option(d, &s->options[i], base);
}

static void print_entries(struct dump *d, const struct conf_section *s)
{
	const char *base = (const char *)d->c;
	size_t count;
	const char *at;

	memcpy(&at, base + s->offset, sizeof(at));
	memcpy(&count, base + s->count_offset, sizeof(count));
	fprintf(d->out, "%s: (", s->name);
	d->depth = 2;
	for (size_t i = 0; i < count; i++) {
		fprintf(d->out, "%s\n\t{\n", i ? "," : "");
		d->explain = i == 0;
		print_options(d, s, at + i * s->size);
		fputs("\t}", d->out);
	}
	fputs(count ? "\n);\n" : " );\n", d->out);
}

static void print_section(struct dump *d, const struct conf_section *s)
{
	const char *base = (const char *)d->c + s->offset;

	fprintf(d->out, "\n# %s.\n", s->help);
	d->explain = true;
	if (s->is_list) {
		print_entries(d, s);
	} else if (!*s->name) {
		d->depth = 0;
		print_options(d, s, base);
	} else {
		d->depth = 1;
		fprintf(d->out, "%s: {\n", s->name);
		print_options(d, s, base);
		fputs("};\n", d->out);
	}
}

int conf_dump(const struct conf *c, FILE *out)
{
	struct dump d = { .c = c, .out = out };

	errno = 0;
	fprintf(out, "# The effective configuration, from %s%s.\n",
		c->path ? c->path : "no file", c->path ? "" : ", as built in");
	for (size_t i = 0; i < conf_section_count; i++)
		print_section(&d, conf_sections[i]);
	if (fflush(out) || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}
