/*
 * The walk over libconfig's tree along the option table.  libconfig's own
 * look-ups are not used: they cannot tell an absent value from one of another
 * type, and nobody asks for a key that is misspelt.
 */
#include "conf/read.h"

#include "conf/arena.h"
#include "conf/nearest.h"
#include "conf/scan.h"
#include "conf/source.h"

#include <libconfig.h>
#include <string.h>

struct reader {
	struct conf_fill *f;
	struct conf_arena *scratch; /* texts of numbers, lists of texts */
};

#define COMPLAIN(r, line_, ...)                                                \
	conf_fill_report((r)->f, CONF_ERROR, line_, __VA_ARGS__)

static unsigned line_of(const config_setting_t *s)
{
	return config_setting_source_line(s);
}

static const char *type_name(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return "a group";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_STRING:
		return "a text in quotes";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	default:
		return "a list";
	}
}

static const char *wanted_name(const struct conf_option *o)
{
	switch (o->type) {
	case CONF_TYPE_BOOL:
		return "true or false, without quotes";
	case CONF_TYPE_INT:
		return o->zero ? "a whole number or a word" : "a whole number";
	case CONF_TYPE_SIZE:
		return "a size such as \"64k\"";
	case CONF_TYPE_DURATION:
		return "a duration such as \"15s\"";
	case CONF_TYPE_RATE:
		return "a rate such as \"100/s\"";
	case CONF_TYPE_MODE:
		return "octal digits in quotes, such as \"0660\"";
	case CONF_TYPE_PORTS:
		return "numbers or texts in quotes, one or a list";
	default:
		return conf_type_is_list(o->type)
			       ? "texts in quotes, one or a list"
			       : "a text in quotes";
	}
}

static void refuse_type(struct reader *r, const struct conf_option *o,
			const config_setting_t *s)
{
	COMPLAIN(r, line_of(s), "'%s' must be %s, but here is %s", o->key,
		 wanted_name(o), type_name(s));
}

static bool takes_number(enum conf_type type)
{
	return type == CONF_TYPE_INT || type == CONF_TYPE_SIZE ||
	       type == CONF_TYPE_DURATION || type == CONF_TYPE_RATE ||
	       type == CONF_TYPE_PORTS;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* Turns a scalar into text; NULL after a complaint. */
static const char *scalar_text(struct reader *r, const struct conf_option *o,
			       const config_setting_t *s)
{
	const char *text = NULL;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_BOOL:
		if (o->type != CONF_TYPE_BOOL)
			break;
		return config_setting_get_bool(s) ? "true" : "false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		if (!takes_number(o->type))
			break;
		text = conf_arena_format(r->scratch, "%lld",
					 config_setting_get_int64(s));
		if (!text)
			r->f->result = -ENOMEM;
		return text;
	case CONFIG_TYPE_STRING:
		if (o->type == CONF_TYPE_BOOL)
			break;
		text = config_setting_get_string(s);
		if (is_printable(text))
			return text;
		COMPLAIN(r, line_of(s), "'%s' holds a control character",
			 o->key);
		return NULL;
	default:
		break;
	}
	refuse_type(r, o, s);
	return NULL;
}

static bool is_sequence(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_ARRAY ||
	       config_setting_type(s) == CONFIG_TYPE_LIST;
}

static void read_list(struct reader *r, const struct conf_option *o,
		      const config_setting_t *s, void *base)
{
	size_t count = (size_t)config_setting_length(s), good = 0;
	struct conf_value *values = conf_arena_alloc(r->scratch, count,
						     sizeof(*values));

	if (!values) {
		r->f->result = -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		const config_setting_t *e = config_setting_get_elem(s, i);

		values[good].line = line_of(e);
		values[good].text = scalar_text(r, o, e);
		good += values[good].text != NULL;
	}
	/* What is left of a list with faults must not look like an empty one.
	 */
	if (good == count)
		conf_fill_option(r->f, o, base, values, count, line_of(s));
}

static void read_option(struct reader *r, const struct conf_option *o,
			const config_setting_t *s, void *base)
{
	struct conf_value v = { .line = line_of(s) };

	if (is_sequence(s) && conf_type_is_list(o->type)) {
		read_list(r, o, s, base);
		return;
	}
	v.text = scalar_text(r, o, s);
	if (v.text)
		conf_fill_option(r->f, o, base, &v, 1, v.line);
}

static const struct conf_option *find_option(const struct conf_section *section,
					     const char *key)
{
	for (size_t i = 0; i < section->option_count; i++)
		if (!strcmp(section->options[i].key, key))
			return &section->options[i];
	return NULL;
}

/* Names the group to which a misplaced option belongs, or NULL. */
static const struct conf_section *home_of(const char *key)
{
	for (size_t i = 0; i < conf_section_count; i++)
		if (find_option(conf_sections[i], key))
			return conf_sections[i];
	return NULL;
}

static bool is_section(const char *key)
{
	for (size_t i = 1; i < conf_section_count; i++)
		if (!strcmp(conf_sections[i]->name, key))
			return true;
	return false;
}

/* `section` is where the unknown key stands; groups count at the top. */
static void refuse_key(struct reader *r, const struct conf_section *section,
		       const config_setting_t *s)
{
	const char *key = config_setting_name(s);
	const struct conf_section *home = home_of(key);
	char hint[CONF_HINT_BYTES];
	struct conf_nearest n;
	bool top = !*section->name;

	conf_nearest_init(&n, key);
	for (size_t i = 0; i < section->option_count; i++)
		conf_nearest_try(&n, section->options[i].key);
	for (size_t i = 1; top && i < conf_section_count; i++)
		conf_nearest_try(&n, conf_sections[i]->name);
	conf_nearest_hint(&n, hint);
	if (!*hint && home)
		COMPLAIN(r, line_of(s),
			 "unknown option '%.63s' (it belongs to %s%s%s)", key,
			 *home->name ? "'" : "the top level", home->name,
			 *home->name ? "'" : "");
	else if (top)
		COMPLAIN(r, line_of(s), "unknown option '%.63s'%s", key, hint);
	else
		COMPLAIN(r, line_of(s), "unknown option '%.63s' in '%s'%s", key,
			 section->name, hint);
}

/*
 * Reads the members of a group; NULL: there is none.  Defaults come first, so
 * that a value that is refused leaves a sound one.
 */
static void read_group(struct reader *r, const struct conf_section *section,
		       const config_setting_t *group, void *base)
{
	int count = group ? config_setting_length(group) : 0;

	for (size_t i = 0; i < section->option_count; i++)
		if (!section->options[i].required)
			conf_fill_default(r->f, &section->options[i], base);
	for (int i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(
			group, (unsigned)i);
		const char *key = config_setting_name(s);
		const struct conf_option *o = find_option(section, key);

		if (o)
			read_option(r, o, s, base);
		else if (*section->name || !is_section(key))
			refuse_key(r, section, s);
	}
	for (size_t i = 0; group && i < section->option_count; i++)
		if (section->options[i].required &&
		    !config_setting_get_member(group, section->options[i].key))
			COMPLAIN(r, line_of(group),
				 "this entry of '%s' has no '%s'",
				 section->name, section->options[i].key);
}

#define IS_ENTRY(type)                                                         \
	_Static_assert(offsetof(struct type, where) ==                         \
			       offsetof(struct conf_entry, where),             \
		       "where");                                               \
	_Static_assert(offsetof(struct type, name) ==                          \
			       offsetof(struct conf_entry, name),              \
		       "name")

IS_ENTRY(conf_tls);
IS_ENTRY(conf_listener);
IS_ENTRY(conf_client);
IS_ENTRY(conf_upstream);
IS_ENTRY(conf_rule);
IS_ENTRY(conf_quota);

/* Notes where an entry stands and gives it a name if it has none. */
static void finish_entry(struct reader *r, const struct conf_section *section,
			 const config_setting_t *s, struct conf_entry *e,
			 size_t i)
{
	struct conf_arena *arena = r->f->conf->arena;
	int singular = (int)strlen(section->name) - 1;
	const char *file;
	unsigned line;

	conf_source_where(r->f->source, line_of(s), &file, &line);
	e->where = conf_arena_format(arena, "%s:%u", file, line);
	if (!e->name || !*e->name)
		e->name = conf_arena_format(arena, "%.*s-%zu", singular,
					    section->name, i + 1);
	if (!e->where || !e->name)
		r->f->result = -ENOMEM;
}

static void read_entries(struct reader *r, const struct conf_section *section,
			 const config_setting_t *list, char *at, size_t count)
{
	size_t *filled = (size_t *)((char *)r->f->conf + section->count_offset);

	for (size_t i = 0; i < count; i++) {
		const config_setting_t *s = config_setting_get_elem(
			list, (unsigned)i);
		void *entry = at + *filled * section->size;

		if (!config_setting_is_group(s)) {
			COMPLAIN(r, line_of(s),
				 "an entry of '%s' must be a group '{ }', but "
				 "here is %s",
				 section->name, type_name(s));
			continue;
		}
		read_group(r, section, s, entry);
		finish_entry(r, section, s, entry, i);
		++*filled;
	}
}

static void read_entry_list(struct reader *r,
			    const struct conf_section *section,
			    const config_setting_t *list)
{
	size_t count = list ? (size_t)config_setting_length(list) : 0;
	char *base = (char *)r->f->conf + section->offset;
	char *at;

	if (list && !is_sequence(list)) {
		COMPLAIN(r, line_of(list),
			 "'%s' must be a list of groups, ( { ... }, { ... } ), "
			 "but here is %s",
			 section->name, type_name(list));
		return;
	}
	if (count > section->max) {
		COMPLAIN(r, line_of(list),
			 "'%s' has %zu entries, but at most %zu are allowed",
			 section->name, count, section->max);
		return;
	}
	at = conf_arena_alloc(r->f->conf->arena, count, section->size);
	if (!at) {
		r->f->result = -ENOMEM;
		return;
	}
	memcpy(base, &at, sizeof(at));
	read_entries(r, section, list, at, count);
}

static void read_section(struct reader *r, const struct conf_section *section,
			 const config_setting_t *root)
{
	const config_setting_t *s = config_setting_get_member(root,
							      section->name);
	char *base = (char *)r->f->conf + section->offset;

	if (!*section->name) {
		read_group(r, section, root, base);
	} else if (section->is_list) {
		read_entry_list(r, section, s);
	} else if (s && !config_setting_is_group(s)) {
		COMPLAIN(r, line_of(s),
			 "'%s' must be a group, { ... }, but here is %s",
			 section->name, type_name(s));
		read_group(r, section, NULL, base);
	} else {
		read_group(r, section, s, base);
	}
}

/* Credentials stand behind "://". */
static size_t shown_len(const char *text)
{
	size_t len = strcspn(text, "\r\n");
	const char *url = memmem(text, len, "://", 3);

	return min_size(url ? (size_t)(url - text) : len, 60);
}

/*
 * Finds the last line up to *line that is not blank, for a message: at the end
 * of the text libconfig's line lies beyond what was written.
 */
static struct span line_text(const struct conf_source *source, unsigned *line)
{
	const char *at = source->text, *found = at;
	unsigned found_line = 1;

	for (unsigned n = 1; n <= *line; n++) {
		const char *start = at + strspn(at, " \t");

		if (!strchr("\r\n", *start)) {
			found = start;
			found_line = n;
		}
		at = strchr(at, '\n');
		if (!at)
			break;
		at++;
	}
	*line = found_line;
	return (struct span){ .at = (const uint8_t *)found,
			      .len = shown_len(found) };
}

static void report_syntax(struct conf_fill *f, const config_t *config)
{
	const char *text = config_error_text(config);
	unsigned line = (unsigned)config_error_line(config);
	struct span s = line_text(f->source, &line);

	if (!text)
		text = "the parser failed";
	if (!strcmp(text, "syntax error"))
		text = "syntax error here or just before (a missing ';', '=' "
		       "or quote?)";
	else if (!strcmp(text, "duplicate setting name"))
		text = "this option stands twice in its group";
	else if (!strcmp(text, "mismatched element type in array"))
		text = "the elements of '[ ]' must be all texts or all "
		       "numbers";
	conf_fill_report(f, CONF_ERROR, line, "%s: %.*s", text, (int)s.len,
			 (const char *)s.at);
}

static void report_scan(void *ctx, unsigned line, const char *text)
{
	conf_fill_report(ctx, CONF_ERROR, line, "%s", text);
}

void conf_read(struct conf_fill *f)
{
	struct reader r = { .f = f };
	config_t config;

	if (conf_scan_check(f->source->text, f->source->len, report_scan, f))
		return;
	r.scratch = conf_arena_new();
	if (!r.scratch) {
		f->result = -ENOMEM;
		return;
	}
	config_init(&config);
	if (config_read_string(&config, f->source->text))
		for (size_t i = 0; i < conf_section_count; i++)
			read_section(&r, conf_sections[i],
				     config_root_setting(&config));
	else
		report_syntax(f, &config);
	config_destroy(&config);
	conf_arena_free(r.scratch);
}
