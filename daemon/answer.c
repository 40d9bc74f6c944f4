/*
 * The answers.  Numbers go through jansson's signed 64 bits: counters that
 * would need the last bit do not come to be.
 */
#include "config.h"

#include "daemon/answer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names stay in the order in which they are put. */
#define LINE_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

/*
 * A text as JSON.  Paths and lines of a configuration may hold bytes that are
 * no UTF-8, which JSON cannot say: those become question marks.
 */
static json_t *json_text(const char *text)
{
	json_t *j = json_string(text);
	char *plain;

	if (j)
		return j;
	plain = strdup(text);
	if (!plain)
		return NULL;
	for (char *at = plain; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	j = json_string(plain);
	free(plain);
	return j;
}

/* Adds "done" and "ok", and makes it text; takes the object, NULL too. */
static char *last_line(json_t *object, bool ok)
{
	char *text = NULL, *line = NULL;
	size_t len;

	if (object && json_object_set_new(object, "done", json_true()) == 0 &&
	    json_object_set_new(object, "ok", json_boolean(ok)) == 0)
		text = json_dumps(object, LINE_FLAGS);
	json_decref(object);
	if (!text)
		return NULL;
	len = strlen(text);
	line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	line[len] = '\n';
	line[len + 1] = '\0';
	return line;
}

char *answer_ok(void)
{
	return last_line(json_pack("{s:i}", "protocol", ANSWER_PROTOCOL), true);
}

char *answer_error(const char *why)
{
	return last_line(json_pack("{s:i, s:o}", "protocol", ANSWER_PROTOCOL,
				   "error", json_text(why)),
			 false);
}

char *answer_version(void)
{
	return last_line(json_pack("{s:i, s:s}", "protocol", ANSWER_PROTOCOL,
				   "version", PACKAGE_VERSION),
			 true);
}

static json_int_t age_s(int64_t since_us, int64_t now_us)
{
	return max_i64(now_us - since_us, 0) / 1000000;
}

/* "ADDR ADDR" as an array. */
static json_t *json_words(const char *text)
{
	json_t *array = json_array();

	while (array && *text) {
		size_t len = strcspn(text, " ");

		if (len &&
		    json_array_append_new(array, json_stringn(text, len)) < 0) {
			json_decref(array);
			return NULL;
		}
		text += len + (text[len] == ' ');
	}
	return array;
}

static json_t *json_drained(const struct drained *d)
{
	json_t *array = json_array();

	for (size_t i = 0; array && d && i < d->count; i++)
		if (json_array_append_new(array, json_text(d->name[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Names of the one that serves. */
static json_t *json_listeners(const struct view *v)
{
	json_t *array = json_array();
	struct table_name name;
	uint32_t count = 0;

	for (size_t i = 0; array && i < v->generation_count; i++) {
		const struct segment *s = v->generations[i].segment;

		if (!s || v->generations[i].number != v->serving)
			continue;
		(void)segment_table(s, "listeners", sizeof(name), &count);
		/* The last element is empty: a table has one at least. */
		for (unsigned k = 1; k <= count && k <= UINT16_MAX; k++) {
			table_name_read(&name, s, "listeners", k);
			if (*name.text &&
			    json_array_append_new(array, json_text(name.text)) <
				    0) {
				json_decref(array);
				return NULL;
			}
		}
	}
	return array;
}

static json_t *json_reload(const struct view_reload *r)
{
	return json_pack("{s:b, s:I, s:I, s:o}", "ok", r->ok, "generation",
			 (json_int_t)r->generation, "ms", (json_int_t)r->ms,
			 "error", json_text(r->error ? r->error : ""));
}

static json_t *json_reloads(const struct view *v)
{
	return json_pack("{s:I, s:I, s:o}", "ok", (json_int_t)v->reloads,
			 "failed", (json_int_t)v->failed_reloads, "last",
			 v->reloaded ? json_reload(&v->last) : json_null());
}

static json_t *json_connections(const struct table_totals *t)
{
	return json_pack("{s:I, s:I, s:I}", "active", (json_int_t)t->active,
			 "handshakes", (json_int_t)t->handshakes, "tunnels",
			 (json_int_t)t->relays);
}

static json_t *json_totals(const struct table_totals *t)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "accepted",
			 (json_int_t)t->accepted, "rejected",
			 (json_int_t)t->rejected, "sessions",
			 (json_int_t)t->sessions, "bytes_up",
			 (json_int_t)t->bytes_up, "bytes_down",
			 (json_int_t)t->bytes_down, "datagrams_up",
			 (json_int_t)t->datagrams_up, "datagrams_down",
			 (json_int_t)t->datagrams_down, "datagrams_dropped",
			 (json_int_t)t->datagrams_dropped);
}

char *answer_status(const struct view *v, int64_t now_us)
{
	struct table_totals t = v->carried;

	for (size_t i = 0; i < v->generation_count; i++)
		if (v->generations[i].segment)
			table_totals_add(&t, v->generations[i].segment, true);
	return last_line(
		json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o,"
			  " s:I, s:o, s:o, s:o}",
			  "protocol", ANSWER_PROTOCOL, "state", v->state,
			  "version", PACKAGE_VERSION, "pid",
			  (json_int_t)getpid(), "uptime_s",
			  age_s(v->started_us, now_us), "generation",
			  (json_int_t)v->serving, "generations",
			  (json_int_t)v->generation_count, "addresses",
			  json_words(v->addresses ? v->addresses : ""),
			  "connections", json_connections(&t), "reloads",
			  json_reloads(v), "crashes", (json_int_t)v->crashes,
			  "totals", json_totals(&t), "drained",
			  json_drained(v->drained), "listeners",
			  json_listeners(v)),
		true);
}

static json_t *json_generation(const struct view_generation *g, int64_t now_us)
{
	struct table_about about = { 0 };
	struct table_totals t = { 0 };

	/* A generation writes its segment: nothing in it is relied upon. */
	if (g->segment) {
		table_totals_add(&t, g->segment, true);
		if (!table_about_read(&about, g->segment))
			memset(&about, 0, sizeof(about));
		about.version[sizeof(about.version) - 1] = '\0';
		about.config[sizeof(about.config) - 1] = '\0';
	}
	return json_pack(
		"{s:I, s:I, s:s, s:I, s:I, s:o, s:I, s:I, s:o, s:o}",
		"generation", (json_int_t)g->number, "pid", (json_int_t)g->pid,
		"state", g->state, "age_s", age_s(g->started_us, now_us),
		"workers", (json_int_t)about.workers, "connections",
		json_connections(&t), "accepted", (json_int_t)t.accepted,
		"sessions", (json_int_t)t.sessions, "version",
		json_text(about.version), "config", json_text(about.config));
}

/* Takes both, NULL too. */
static json_t *append(json_t *array, json_t *element)
{
	if (array && json_array_append_new(array, element) < 0) {
		json_decref(array);
		return NULL;
	}
	if (!array)
		json_decref(element);
	return array;
}

static json_t *json_past(const struct view *v)
{
	json_t *all = json_array();

	for (size_t i = 0; i < v->past_count; i++) {
		const struct view_past_reload *r = &v->past[i];

		all = append(all,
			     json_pack("{s:f, s:b, s:I, s:I, s:o}", "at",
				       (double)r->at_us / 1e6, "ok", r->ok,
				       "ms", (json_int_t)r->ms, "generation",
				       (json_int_t)r->generation, "error",
				       json_text(r->error)));
	}
	return all;
}

char *answer_overview(const struct view *v, int64_t now_us)
{
	struct table_totals t = v->carried;
	json_t *generations = json_array(), *j;
	char *text;

	for (size_t i = 0; i < v->generation_count; i++) {
		const struct view_generation *g = &v->generations[i];

		if (g->segment)
			table_totals_add(&t, g->segment, true);
		generations = append(generations, json_generation(g, now_us));
	}
	j = json_pack(
		"{s:s, s:s, s:I, s:f, s:I, s:I, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:I, s:I, s:I}",
		"state", v->state, "version", PACKAGE_VERSION, "pid",
		(json_int_t)getpid(), "started", (double)v->started_us / 1e6,
		"uptime_s", age_s(v->started_us, now_us), "generation",
		(json_int_t)v->serving, "addresses",
		json_words(v->addresses ? v->addresses : ""), "connections",
		json_connections(&t), "totals", json_totals(&t), "drained",
		json_drained(v->drained), "generations", generations, "reloads",
		json_past(v), "reloads_ok", (json_int_t)v->reloads,
		"reloads_failed", (json_int_t)v->failed_reloads, "crashes",
		(json_int_t)v->crashes);
	text = j ? json_dumps(j, LINE_FLAGS) : NULL;
	json_decref(j);
	return text;
}

/* Takes the object, NULL too. */
static int put_line(FILE *out, json_t *object)
{
	int r = object ? json_dumpf(object, out, LINE_FLAGS) : -1;

	json_decref(object);
	return r < 0 || putc('\n', out) == EOF ? -ENOMEM : 0;
}

char *answer_generations(const struct view *v, int64_t now_us)
{
	char *text = NULL, *last = answer_ok();
	size_t size;
	FILE *out = last ? open_memstream(&text, &size) : NULL;
	int r = out ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < v->generation_count; i++)
		r = put_line(out, json_generation(&v->generations[i], now_us));
	if (r == 0 && fputs(last, out) == EOF)
		r = -ENOMEM;
	if (out && fclose(out) == EOF)
		r = -ENOMEM;
	free(last);
	if (r < 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *answer_sessions(const uint32_t *numbers, size_t count, size_t left_out)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < count; i++)
		if (json_array_append_new(array, json_integer(numbers[i])) <
		    0) {
			json_decref(array);
			return NULL;
		}
	return last_line(json_pack("{s:i, s:o, s:I}", "protocol",
				   ANSWER_PROTOCOL, "generations", array,
				   "left_out", (json_int_t)left_out),
			 true);
}

char *answer_killed(size_t count)
{
	return last_line(json_pack("{s:i, s:I}", "protocol", ANSWER_PROTOCOL,
				   "killed", (json_int_t)count),
			 true);
}

char *answer_log_level(const char *level)
{
	return last_line(json_pack("{s:i, s:s}", "protocol", ANSWER_PROTOCOL,
				   "level", level),
			 true);
}

char *answer_refreshed(const struct answer_refreshed *d)
{
	return last_line(json_pack("{s:i, s:I, s:I, s:I, s:o}", "protocol",
				   ANSWER_PROTOCOL, "ms", (json_int_t)d->ms,
				   "users", (json_int_t)d->users, "ended",
				   (json_int_t)d->ended, "error",
				   json_text(d->ok ? "" : d->error)),
			 d->ok);
}

/* Each line as {"text": ...}; what has no line feed is no line. */
static int put_texts(FILE *out, const char *text)
{
	char line[2048];
	const char *feed;
	int r = 0;

	for (; r == 0 && (feed = strchr(text, '\n')); text = feed + 1) {
		(void)snprintf(line, sizeof(line), "%.*s", (int)(feed - text),
			       text);
		r = put_line(out, json_pack("{s:o}", "text", json_text(line)));
	}
	return r;
}

char *answer_explained(const char *lines, const char *verdict)
{
	char *text = NULL,
	     *last = last_line(json_pack("{s:i, s:s}", "protocol",
					 ANSWER_PROTOCOL, "verdict", verdict),
			       true);
	size_t size;
	FILE *out = last ? open_memstream(&text, &size) : NULL;
	int r = out ? put_texts(out, lines) : -ENOMEM;

	if (r == 0 && fputs(last, out) == EOF)
		r = -ENOMEM;
	if (out && fclose(out) == EOF)
		r = -ENOMEM;
	free(last);
	if (r < 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *answer_reload(uint64_t number)
{
	return last_line(json_pack("{s:i, s:I}", "protocol", ANSWER_PROTOCOL,
				   "number", (json_int_t)number),
			 true);
}

char *answer_reloaded(uint64_t number, const struct view_reload *result)
{
	const char *error = result->error ? result->error : "";

	if (result->ok)
		error = "";
	else if (!*error)
		error = "the reload failed";
	return last_line(
		json_pack("{s:i, s:I, s:I, s:I, s:o}", "protocol",
			  ANSWER_PROTOCOL, "number", (json_int_t)number,
			  "generation", (json_int_t)result->generation, "ms",
			  (json_int_t)result->ms, "error", json_text(error)),
		result->ok);
}
