/*
 * One function for each type of option; those of lists stand in fill_list.c.
 * They complain and go on, so that one run tells all; after a complaint the
 * field's content does not matter.
 */
#include "conf/fill.h"

#include "conf/arena.h"
#include "conf/fill_internal.h"
#include "conf/nearest.h"
#include "conf/quantity.h"
#include "conf/source.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void conf_fill_report(struct conf_fill *f, enum conf_severity severity,
		      unsigned line, const char *fmt, ...)
{
	const char *file = f->label;
	unsigned file_line = 0;
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (f->source)
		conf_source_where(f->source, line, &file, &file_line);
	conf_errors_add(f->errors, severity, file, file_line, "%s", text);
	if (severity == CONF_ERROR && !f->result)
		f->result = -EBADMSG;
}

char *fill_keep(struct fill_job *j, const char *text, size_t len)
{
	char *copy = conf_arena_copy(j->f->conf->arena, text, len);

	if (!copy)
		j->f->result = -ENOMEM;
	return copy;
}

static void fill_bool(struct fill_job *j)
{
	*(bool *)j->field = !strcmp(j->values[0].text, "true");
}

/* Reads a number of the option's kind; complains and returns false. */
static bool read_number(struct fill_job *j, int64_t *ret)
{
	const char *text = j->values[0].text;
	const struct conf_option *o = j->o;
	char bounds[CONF_BOUNDS_BYTES];
	int r;

	if (o->zero && !strcmp(text, o->zero)) {
		*ret = o->zero_is;
		return true;
	}
	if (o->type == CONF_TYPE_SIZE)
		r = conf_size_parse(ret, text);
	else if (o->type == CONF_TYPE_DURATION)
		r = conf_duration_parse(ret, text);
	else
		r = conf_number_parse(ret, text);
	conf_option_bounds(o, bounds);
	if (r == 0 && *ret == 0 &&
	    (o->or_zero || (o->zero && !strcmp(o->zero, "0"))))
		return true;
	if (r == -EINVAL && o->type == CONF_TYPE_SIZE)
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', which is no size; write it as in "
			 "\"64k\", \"1M\", \"2G\"",
			 o->key, text);
	else if (r == -EINVAL && o->type == CONF_TYPE_DURATION)
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', which is no duration; write it as "
			 "in \"200ms\", \"15s\", \"5m\", \"1h\", \"1d\"",
			 o->key, text);
	else if (r == -EINVAL)
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', which is no whole number; it must "
			 "be %s",
			 o->key, text, bounds);
	else if (r < 0 || *ret < o->min || *ret > o->max ||
		 (o->step && *ret % o->step))
		COMPLAIN(j, j->line, "'%s' is %.100s, but must be %s", o->key,
			 text, bounds);
	else
		return true;
	return false;
}

static void fill_number(struct fill_job *j)
{
	int64_t n;

	if (!read_number(j, &n))
		return;
	if (j->o->type == CONF_TYPE_INT)
		*(uint32_t *)j->field = (uint32_t)n;
	else if (j->o->type == CONF_TYPE_SIZE)
		*(uint64_t *)j->field = (uint64_t)n;
	else
		*(int64_t *)j->field = n;
}

static void fill_rate(struct fill_job *j)
{
	const char *text = j->values[0].text;
	char bounds[CONF_BOUNDS_BYTES];
	struct conf_rate rate;
	int r = conf_rate_parse(&rate, text);

	conf_option_bounds(j->o, bounds);
	if (r == -EINVAL)
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', which is no rate; write it as in "
			 "\"100/s\", \"30/1m\", \"500/1h\"",
			 j->o->key, text);
	else if (r < 0 || (rate.count &&
			   (rate.count < j->o->min || rate.count > j->o->max)))
		COMPLAIN(j, j->line, "'%s' is %.100s, but must be %s",
			 j->o->key, text, bounds);
	else
		*(struct conf_rate *)j->field = rate;
}

static bool is_name(const char *text)
{
	for (; *text; text++)
		if (!((*text >= 'a' && *text <= 'z') ||
		      (*text >= 'A' && *text <= 'Z') ||
		      (*text >= '0' && *text <= '9') || strchr("_.-", *text)))
			return false;
	return true;
}

static void fill_string(struct fill_job *j)
{
	const char *text = j->values[0].text;
	const struct conf_option *o = j->o;
	size_t len = strlen(text);
	const char *copy = fill_keep(j, text, len);

	if (len < (size_t)o->min)
		COMPLAIN(j, j->line, "'%s' must not be empty", o->key);
	else if (len > (size_t)o->max)
		COMPLAIN(j, j->line,
			 "'%s' has %zu bytes, but must have at most %lld",
			 o->key, len, (long long)o->max);
	else if (o->type == CONF_TYPE_PATH && len && *text != '/' &&
		 !(o->zero && !strcmp(text, o->zero)))
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', but must be %s%san absolute path",
			 o->key, text, o->zero ? o->zero : "",
			 o->zero ? " or " : "");
	else if (o->type == CONF_TYPE_NAME && !is_name(text))
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', but only letters, digits, '_', "
			 "'.' and '-' may stand in it",
			 o->key, text);
	*(const char **)j->field = copy ? copy : "";
}

static void fill_mode(struct fill_job *j)
{
	const char *text = j->values[0].text;
	char bounds[CONF_BOUNDS_BYTES];
	unsigned long mode = 0;

	if (strlen(text) <= 4 && strspn(text, "01234567") == strlen(text))
		mode = strtoul(text, NULL, 8);
	if (mode < (unsigned long)j->o->min || mode > (unsigned long)j->o->max)
		COMPLAIN(j, j->line, "'%s' is '%.100s', but must be %s",
			 j->o->key, text, conf_option_bounds(j->o, bounds));
	else
		*(uint32_t *)j->field = (uint32_t)mode;
}

static void fill_log(struct fill_job *j)
{
	const char *text = j->values[0].text;
	struct conf_log *log = j->field;

	log->path = NULL;
	log->journal = !strcmp(text, "journal");
	if (log->journal || !strcmp(text, "stderr"))
		return;
	if (!strncmp(text, "file:/", 6) &&
	    strlen(text + 5) <= (size_t)j->o->max)
		log->path = fill_keep(j, text + 5, strlen(text + 5));
	else if (*text == '/')
		COMPLAIN(j, j->line, "'%s' is a path; write \"file:%.100s\"",
			 j->o->key, text);
	else
		COMPLAIN(j, j->line,
			 "'%s' is '%.100s', but must be \"stderr\", "
			 "\"journal\" or \"file:/ABSOLUTE/PATH\"",
			 j->o->key, text);
}

/* Finds a word's number; complains and returns -1. */
static int read_word(struct fill_job *j, const struct conf_value *v)
{
	char hint[CONF_HINT_BYTES], bounds[CONF_BOUNDS_BYTES];
	struct conf_nearest n;

	ASSERT(j->o->words);
	conf_nearest_init(&n, v->text);
	for (int i = 0; j->o->words[i]; i++) {
		if (!strcmp(j->o->words[i], v->text))
			return i;
		conf_nearest_try(&n, j->o->words[i]);
	}
	COMPLAIN(j, v->line, "'%s': '%.100s' is not known%s; it must be %s",
		 j->o->key, v->text, conf_nearest_hint(&n, hint),
		 conf_option_bounds(j->o, bounds));
	return -1;
}

static void fill_word(struct fill_job *j)
{
	int word = read_word(j, &j->values[0]);

	if (word >= 0)
		*(unsigned *)j->field = (unsigned)word;
}

/* Reads a set; with `ranking` also the order in which it is written. */
static uint32_t read_words(struct fill_job *j, struct conf_ranking *ranking)
{
	uint32_t set = 0;

	if (!j->count && !j->o->or_none)
		COMPLAIN(j, j->line, "'%s' is an empty list", j->o->key);
	for (size_t i = 0; i < j->count; i++) {
		int word = read_word(j, &j->values[i]);

		if (word < 0)
			continue;
		if (set & 1u << word)
			COMPLAIN(j, j->values[i].line,
				 "'%.100s' stands twice in '%s'",
				 j->values[i].text, j->o->key);
		else if (ranking)
			ranking->at[ranking->count++] = (uint8_t)word;
		set |= 1u << word;
	}
	return set;
}

static void fill_words(struct fill_job *j)
{
	*(uint32_t *)j->field = read_words(j, NULL);
}

static void fill_ranking(struct fill_job *j)
{
	struct conf_ranking *ranking = j->field;

	*ranking = (struct conf_ranking){ 0 };
	ranking->set = read_words(j, ranking);
}

static void fill_field(struct fill_job *j)
{
	switch (j->o->type) {
	case CONF_TYPE_BOOL:
		return fill_bool(j);
	case CONF_TYPE_INT:
	case CONF_TYPE_SIZE:
	case CONF_TYPE_DURATION:
		return fill_number(j);
	case CONF_TYPE_RATE:
		return fill_rate(j);
	case CONF_TYPE_STRING:
	case CONF_TYPE_PATH:
	case CONF_TYPE_NAME:
		return fill_string(j);
	case CONF_TYPE_LOG:
		return fill_log(j);
	case CONF_TYPE_MODE:
		return fill_mode(j);
	case CONF_TYPE_ENTRY:
		return fill_entry(j);
	case CONF_TYPE_WORD:
		return fill_word(j);
	case CONF_TYPE_WORDS:
		return fill_words(j);
	case CONF_TYPE_RANKING:
		return fill_ranking(j);
	case CONF_TYPE_ADDRESSES:
	case CONF_TYPE_SERVERS:
	case CONF_TYPE_SOURCES:
	case CONF_TYPE_TOLD:
		return fill_endpoints(j);
	case CONF_TYPE_FROM:
	case CONF_TYPE_TRUSTED:
	case CONF_TYPE_TO:
		return fill_matches(j);
	case CONF_TYPE_PORTS:
		return fill_ports(j);
	case CONF_TYPE_LISTENERS:
		return fill_listeners(j);
	case CONF_TYPE_USERIDS:
	case CONF_TYPE_DOMAINS:
	case CONF_TYPE_PATHS:
		return fill_texts(j);
	case CONF_TYPE_TARGETS:
		return fill_targets(j);
	case CONF_TYPE_WINDOWS:
		return fill_windows(j);
	case CONF_TYPE_URLS:
		return fill_urls(j);
	}
}

/* Tells whether the number of elements is right, but for sets of words. */
static bool count_fits(struct fill_job *j)
{
	if (j->o->words || !conf_type_is_list(j->o->type))
		return true;
	if (j->count < (size_t)j->o->min)
		COMPLAIN(j, j->line, "'%s' is an empty list%s", j->o->key,
			 j->o->required ? "" : "; leave it out for \"any\"");
	else if (j->count > (size_t)j->o->max)
		COMPLAIN(j, j->line,
			 "'%s' has %zu elements, but at most %lld "
			 "are allowed",
			 j->o->key, j->count, (long long)j->o->max);
	else
		return true;
	return false;
}

void conf_fill_option(struct conf_fill *f, const struct conf_option *o,
		      void *base, const struct conf_value *values, size_t count,
		      unsigned line)
{
	struct fill_job j = {
		.f = f,
		.o = o,
		.field = (char *)base + o->offset,
		.values = values,
		.count = count,
		.line = line,
	};

	ASSERT(count > 0 || conf_type_is_list(o->type));
	/* What is there lacks parts, and nobody will see it. */
	if (f->result == -ENOMEM)
		return;
	/* "" says "none" where a list may be empty. */
	if (conf_type_is_list(o->type) && (o->words ? o->or_none : !o->min) &&
	    count == 1 && !*values[0].text)
		j.count = 0;
	if (count_fits(&j))
		fill_field(&j);
}

#define DEFAULT_ELEMENTS 8

void conf_fill_default(struct conf_fill *f, const struct conf_option *o,
		       void *base)
{
	struct conf_value values[DEFAULT_ELEMENTS] = { { .text = "" } };
	char copy[128], *rest = copy, *word;
	size_t count = 0;

	ASSERT(strlen(o->def) < sizeof(copy));
	memcpy(copy, o->def, strlen(o->def) + 1);
	if (!conf_type_is_list(o->type)) {
		values[count++] = (struct conf_value){ .text = copy };
	} else {
		while ((word = strsep(&rest, " ")) != NULL) {
			ASSERT(count < DEFAULT_ELEMENTS);
			if (*word)
				values[count++] = (struct conf_value){
					.text = word
				};
		}
	}
	conf_fill_option(f, o, base, values, count, 0);
}
