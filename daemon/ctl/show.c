/*
 * Printing answers.  A field that is missing, in the answer of an older
 * daemon, is shown as 0 or as nothing.
 */
#include "daemon/ctl/show.h"

#include "daemon/ctl/columns.h"
#include "daemon/ctl/human.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES   1024
#define DIGITS_BYTES 24

static int64_t number_in(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static char *text_in(const json_t *j, const char *key, char *out)
{
	const char *text = json_string_value(json_object_get(j, key));

	return human_text(text ? text : "", out, TEXT_BYTES);
}

/* Lines of text, each made harmless by itself. */
static void print_lines(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		for (size_t i = 0; i < len; i++) {
			char one[2] = { text[i] }, safe[8];

			(void)fputs(human_text(one, safe, sizeof(safe)), out);
		}
		(void)putc('\n', out);
		text += len + (text[len] == '\n');
	}
}

static void print_drained(FILE *out, const json_t *j)
{
	const json_t *array = json_object_get(j, "drained"), *one;
	char text[TEXT_BYTES];
	size_t i;

	if (json_array_size(array) == 0)
		return;
	(void)fputs("drained     ", out);
	json_array_foreach(array, i, one)
	{
		const char *name = json_string_value(one);

		(void)fprintf(out, " %s",
			      human_text(name ? name : "", text, sizeof(text)));
	}
	(void)fputs("  (listeners in maintenance)\n", out);
}

static void print_addresses(FILE *out, const json_t *j)
{
	const json_t *array = json_object_get(j, "addresses"), *one;
	char text[TEXT_BYTES];
	size_t i;

	(void)fputs("addresses   ", out);
	json_array_foreach(array, i, one)
	{
		const char *address = json_string_value(one);

		(void)fprintf(
			out, " %s",
			human_text(address ? address : "", text, sizeof(text)));
	}
	(void)putc('\n', out);
}

static void print_reloads(FILE *out, const json_t *j)
{
	const json_t *reloads = json_object_get(j, "reloads");
	const json_t *last = json_object_get(reloads, "last");
	char text[TEXT_BYTES];

	(void)fprintf(out, "reloads      %" PRId64 ", and %" PRId64 " failed\n",
		      number_in(reloads, "ok"), number_in(reloads, "failed"));
	if (!json_is_object(last))
		return;
	if (json_is_true(json_object_get(last, "ok")))
		(void)fprintf(out,
			      "last reload  generation %" PRId64
			      ", after %" PRId64 " ms\n",
			      number_in(last, "generation"),
			      number_in(last, "ms"));
	else
		(void)fprintf(out, "last reload  failed: %s\n",
			      text_in(last, "error", text));
}

static void print_traffic(FILE *out, const json_t *j)
{
	const json_t *now = json_object_get(j, "connections");
	const json_t *totals = json_object_get(j, "totals");
	char up[HUMAN_BYTES], down[HUMAN_BYTES];

	(void)fprintf(out,
		      "connections  %" PRId64 " now: %" PRId64
		      " in a handshake, %" PRId64 " tunnels\n",
		      number_in(now, "active"), number_in(now, "handshakes"),
		      number_in(now, "tunnels"));
	(void)fprintf(
		out, "accepted     %" PRId64 ", and %" PRId64 " rejected\n",
		number_in(totals, "accepted"), number_in(totals, "rejected"));
	(void)fprintf(
		out, "sessions     %" PRId64 " ended, %s up, %s down\n",
		number_in(totals, "sessions"),
		human_size((uint64_t)number_in(totals, "bytes_up"), up),
		human_size((uint64_t)number_in(totals, "bytes_down"), down));
	(void)fprintf(out,
		      "datagrams    %" PRId64 " up, %" PRId64 " down, %" PRId64
		      " dropped\n",
		      number_in(totals, "datagrams_up"),
		      number_in(totals, "datagrams_down"),
		      number_in(totals, "datagrams_dropped"));
}

void show_status(FILE *out, const struct reply *r)
{
	const json_t *j = r->last;
	char text[TEXT_BYTES], age[HUMAN_BYTES];

	(void)fprintf(out, "state        %s\n", text_in(j, "state", text));
	(void)fprintf(out, "version      %s\n", text_in(j, "version", text));
	(void)fprintf(out, "pid          %" PRId64 "\n", number_in(j, "pid"));
	(void)fprintf(out, "uptime       %s\n",
		      human_age(number_in(j, "uptime_s") * 1000, age));
	(void)fprintf(out, "generation   %" PRId64 ", %" PRId64 " alive\n",
		      number_in(j, "generation"), number_in(j, "generations"));
	print_addresses(out, j);
	print_drained(out, j);
	print_traffic(out, j);
	print_reloads(out, j);
	(void)fprintf(out, "crashes      %" PRId64 "\n",
		      number_in(j, "crashes"));
}

static char *digits(int64_t n, char *out)
{
	(void)snprintf(out, DIGITS_BYTES, "%" PRId64, n);
	return out;
}

static int put_generation(struct columns *c, const json_t *j)
{
	const json_t *now = json_object_get(j, "connections");
	char number[DIGITS_BYTES], pid[DIGITS_BYTES], age[HUMAN_BYTES];
	char active[DIGITS_BYTES], tunnels[DIGITS_BYTES];
	char accepted[DIGITS_BYTES], state[TEXT_BYTES], version[TEXT_BYTES];
	char config[TEXT_BYTES];
	const char *cells[] = {
		digits(number_in(j, "generation"), number),
		digits(number_in(j, "pid"), pid),
		text_in(j, "state", state),
		human_age(number_in(j, "age_s") * 1000, age),
		digits(number_in(now, "active"), active),
		digits(number_in(now, "tunnels"), tunnels),
		digits(number_in(j, "accepted"), accepted),
		text_in(j, "version", version),
		text_in(j, "config", config),
	};

	return columns_put(c, cells);
}

int show_generations(FILE *out, const struct reply *r)
{
	static const struct column column[] = {
		{ "GENERATION", true }, { "PID", true },
		{ "STATE", false },     { "AGE", true },
		{ "ACTIVE", true },     { "TUNNELS", true },
		{ "ACCEPTED", true },   { "VERSION", false },
		{ "CONFIG", false },
	};
	struct columns c;
	const json_t *j;
	size_t i;
	int bad = 0;

	columns_init(&c, out, column, ARRAY_SIZE(column));
	json_array_foreach(r->lines, i, j)
	{
		if (bad == 0 && j != r->last)
			bad = put_generation(&c, j);
	}
	columns_done(&c);
	return bad;
}

void show_reload(FILE *out, const struct reply *r, bool waited)
{
	if (waited)
		(void)fprintf(out,
			      "generation %" PRId64 " serves, after %" PRId64
			      " ms\n",
			      number_in(r->last, "generation"),
			      number_in(r->last, "ms"));
	else
		(void)fputs("the reload has begun\n", out);
}

void show_refresh(FILE *out, const struct reply *r)
{
	(void)fprintf(out, "read anew in %" PRId64 " ms; users: %" PRId64,
		      number_in(r->last, "ms"), number_in(r->last, "users"));
	if (number_in(r->last, "ended"))
		(void)fprintf(out, "; sessions of others ended: %" PRId64,
			      number_in(r->last, "ended"));
	(void)putc('\n', out);
}

void show_explain(FILE *out, const struct reply *r)
{
	const json_t *j;
	size_t i;

	json_array_foreach(r->lines, i, j)
	{
		const char *text = json_string_value(
			json_object_get(j, "text"));

		if (text)
			print_lines(out, text);
	}
}

bool show_allows(const struct reply *r)
{
	const char *verdict = json_string_value(
		json_object_get(r->last, "verdict"));

	return verdict && strcmp(verdict, "allowed") == 0;
}

void show_log_level(FILE *out, const struct reply *r)
{
	char text[TEXT_BYTES];

	(void)fprintf(out, "%s\n", text_in(r->last, "level", text));
}

void show_version(FILE *out, const struct reply *r)
{
	char text[TEXT_BYTES];

	(void)fprintf(out, "spliced %s\n", text_in(r->last, "version", text));
}

int show_json(FILE *out, const struct reply *r)
{
	const json_t *j;
	size_t i;

	json_array_foreach(r->lines, i, j)
	{
		/* Fails for want of memory, too: the stream cannot tell. */
		if (json_dumpf(j, out, JSON_COMPACT | JSON_ENSURE_ASCII) < 0)
			return ferror(out) ? 0 : -ENOMEM;
		(void)putc('\n', out);
	}
	return 0;
}

void show_error(FILE *out, const struct reply *r)
{
	const json_t *last = r->last;
	const char *error = json_string_value(json_object_get(last, "error"));

	if (!error || !*error)
		error = "the daemon said no";
	if (!json_object_get(last, "number")) {
		(void)fputs("splicedctl: ", out);
		print_lines(out, error);
		return;
	}
	print_lines(out, error);
	(void)fputs("splicedctl: the reload failed", out);
	if (number_in(last, "generation"))
		(void)fprintf(out, ", generation %" PRId64 " goes on",
			      number_in(last, "generation"));
	(void)putc('\n', out);
}
