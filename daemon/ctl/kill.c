/*
 * Which generations have what is meant is looked up in their segments; each
 * then ends its own, by the same words, so that nobody is hit who came later
 * under another's number.
 */
#include "daemon/ctl/kill.h"

#include "daemon/ctl/ask.h"
#include "daemon/ctl/command.h"
#include "daemon/ctl/show.h"
#include "daemon/line_word.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 20000

struct search {
	const struct args *a;
	bool *found;       /* by id */
	uint32_t count;    /* in the generation that is looked at */
	uint32_t *numbers; /* of those that have some */
	size_t generations;
	uint64_t matches, killed;
};

/* --- The command line ---------------------------------------------------- */

static bool is_id(const char *word)
{
	return *word >= '0' && *word <= '9' && !strpbrk(word, "=<>");
}

static char **take_filters(struct args *a, char **words)
{
	char **end = args_take_filters(a, words);
	const char *why = end ? filters_vague(&a->filters) : NULL;

	if (!why)
		return end;
	(void)fprintf(stderr, "splicedctl: %s\n", why);
	return NULL;
}

char **kill_take(struct args *a, char **words)
{
	uint32_t generation;
	uint64_t id;

	if (!*words) {
		(void)fputs("splicedctl: kill wants ids of sessions, or "
			    "filters\n",
			    stderr);
		return NULL;
	}
	if (!is_id(*words))
		return take_filters(a, words);
	a->ids = words;
	for (; *words; words++) {
		if (row_id_parse(&generation, &id, *words))
			continue;
		(void)fprintf(stderr,
			      "splicedctl: '%.100s' is no id of a session "
			      "such as 1.0.5\n",
			      *words);
		return NULL;
	}
	return words;
}

/* --- Looking ------------------------------------------------------------- */

static int look_at(void *ctx, const struct row *r)
{
	struct search *s = ctx;
	char id[ROW_ID_BYTES];

	if (!s->a->ids) {
		s->count += filters_match(&s->a->filters, r);
		return 0;
	}
	(void)row_id(r, id);
	for (size_t i = 0; s->a->ids[i]; i++) {
		if (s->found[i] || strcmp(s->a->ids[i], id) != 0)
			continue;
		s->found[i] = true;
		s->count++;
	}
	return 0;
}

/* Takes the descriptor. */
static int look_through(struct search *s, uint32_t number, int fd)
{
	struct segment *segment = NULL;
	struct timespec ts;
	int r = segment_open(&segment, fd);

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	s->count = 0;
	if (r == 0)
		r = rows_each(segment,
			      (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
			      look_at, s);
	segment_free(segment);
	if (r == 0 && s->count) {
		s->numbers[s->generations++] = number;
		s->matches += s->count;
	}
	if (r < 0)
		(void)fprintf(stderr,
			      "splicedctl: the sessions of generation %" PRIu32
			      " cannot be read: %s\n",
			      number, strerror(-r));
	return r < 0 ? CTL_REFUSED : CTL_OK;
}

static int no_daemon(const struct args *a, int r)
{
	char why[512];

	(void)fprintf(stderr, "splicedctl: %s\n",
		      ask_why(r, a->socket, why, sizeof(why)));
	return CTL_NO_DAEMON;
}

static int look(struct search *s)
{
	struct reply reply;
	int status = CTL_OK;
	int r = ask_daemon(&reply, s->a->socket, "sessions", PATIENCE_MS);
	const json_t *numbers;

	if (r < 0)
		return no_daemon(s->a, r);
	numbers = json_object_get(reply.last, "generations");
	for (size_t i = 0; i < reply.fd_count; i++) {
		json_int_t number = json_integer_value(
			json_array_get(numbers, i));
		int bad = look_through(s, (uint32_t)number,
				       take_fd(&reply.fds[i]));

		if (bad != CTL_OK)
			status = bad;
	}
	if (!reply.ok) {
		show_error(stderr, &reply);
		status = CTL_REFUSED;
	}
	reply_done(&reply);
	return status;
}

/* --- Ending -------------------------------------------------------------- */

/* One line; what is gone meanwhile is no failure. */
static int tell(struct search *s, const char *line)
{
	struct reply reply;
	int r = ask_daemon(&reply, s->a->socket, line, PATIENCE_MS);
	int status = CTL_OK;
	const json_t *killed;

	if (r < 0)
		return no_daemon(s->a, r);
	killed = json_object_get(reply.last, "killed");
	s->killed += (uint64_t)json_integer_value(killed);
	if (!reply.ok) {
		show_error(stderr, &reply);
		status = CTL_REFUSED;
	}
	reply_done(&reply);
	return status;
}

/* Begins a line; NULL: no memory. */
static FILE *begin(char *line, size_t size, uint32_t number)
{
	FILE *f;

	memset(line, 0, size);
	f = fmemopen(line, size, "w");
	if (f) {
		(void)setvbuf(f, NULL, _IONBF, 0);
		(void)fprintf(f, "kill %" PRIu32, number);
	}
	return f;
}

static int end_by_filters(struct search *s, uint32_t number)
{
	char line[COMMAND_LINE_BYTES + 1];
	FILE *f = begin(line, COMMAND_LINE_BYTES, number);
	bool fits;

	if (!f)
		return CTL_REFUSED;
	for (char **word = s->a->filter_words; *word; word++) {
		(void)fputc(' ', f);
		line_word_put(f, *word);
	}
	fits = fputc('\0', f) != EOF && !ferror(f);
	(void)fclose(f);
	if (fits)
		return tell(s, line);
	(void)fputs("splicedctl: that is more than fits into a question\n",
		    stderr);
	return CTL_USAGE;
}

static bool is_of(const char *id, uint32_t number)
{
	uint32_t generation;
	uint64_t rest;

	return row_id_parse(&generation, &rest, id) && generation == number;
}

/* As many lines as it takes. */
static int end_by_ids(struct search *s, uint32_t number)
{
	char line[COMMAND_LINE_BYTES + 1];
	int len = 0, status = CTL_OK;

	for (size_t i = 0; s->a->ids[i] && status == CTL_OK; i++) {
		const char *id = s->a->ids[i];

		if (!s->found[i] || !is_of(id, number))
			continue;
		if (len + ROW_ID_BYTES >= COMMAND_LINE_BYTES) {
			status = tell(s, line);
			len = 0;
		}
		if (len == 0)
			len = snprintf(line, sizeof(line), "kill %" PRIu32,
				       number);
		len += snprintf(line + len, sizeof(line) - (size_t)len, " %s",
				id);
	}
	return len && status == CTL_OK ? tell(s, line) : status;
}

static int end_all(struct search *s)
{
	int status = CTL_OK;

	for (size_t i = 0; i < s->generations && status == CTL_OK; i++)
		status = s->a->ids ? end_by_ids(s, s->numbers[i])
				   : end_by_filters(s, s->numbers[i]);
	return status;
}

/* --- All of it ----------------------------------------------------------- */

/* A filter may hit more than was thought of. */
static int confirm(const struct search *s)
{
	char answer[8] = "";

	if (s->a->ids || s->a->yes || s->matches == 0)
		return CTL_OK;
	if (!isatty(STDIN_FILENO)) {
		(void)fprintf(stderr,
			      "splicedctl: sessions that match: %" PRIu64
			      "; --yes ends them\n",
			      s->matches);
		return CTL_USAGE;
	}
	(void)fprintf(stderr, "end %" PRIu64 " sessions? [y/N] ", s->matches);
	if (fgets(answer, sizeof(answer), stdin) &&
	    (*answer == 'y' || *answer == 'Y'))
		return CTL_OK;
	(void)fputs("splicedctl: nothing was ended\n", stderr);
	return CTL_REFUSED;
}

static int tell_missing(const struct search *s)
{
	int status = CTL_OK;

	for (size_t i = 0; s->a->ids && s->a->ids[i]; i++) {
		if (s->found[i])
			continue;
		(void)fprintf(stderr, "splicedctl: there is no session %s\n",
			      s->a->ids[i]);
		status = CTL_REFUSED;
	}
	return status;
}

static int search_and_end(struct search *s)
{
	int looked = look(s), status, missing;

	if (looked == CTL_NO_DAEMON)
		return looked;
	status = confirm(s);
	if (status == CTL_OK)
		status = end_all(s);
	if (status == CTL_USAGE || status == CTL_NO_DAEMON)
		return status;
	if (s->a->json)
		(void)printf("{\"killed\":%" PRIu64 ",\"done\":true,\"ok\":%s}"
			     "\n",
			     s->killed, status == CTL_OK ? "true" : "false");
	else if (status == CTL_OK)
		(void)printf("sessions killed: %" PRIu64 "\n", s->killed);
	missing = tell_missing(s);
	return status != CTL_OK ? status : looked != CTL_OK ? looked : missing;
}

int kill_run(const struct args *a)
{
	struct search s = { .a = a };
	size_t ids = 0;
	int status = CTL_REFUSED;

	while (a->ids && a->ids[ids])
		ids++;
	s.found = calloc(ids + 1, sizeof(*s.found));
	s.numbers = calloc(HANDOFF_FDS_MAX, sizeof(*s.numbers));
	if (s.found && s.numbers)
		status = search_and_end(&s);
	else
		(void)fputs("splicedctl: there is no memory\n", stderr);
	free(s.found);
	free(s.numbers);
	return status;
}

int kill_one(const char *socket, const char *id)
{
	char line[ROW_ID_BYTES * 2 + 8];
	struct reply reply;
	int r;

	(void)snprintf(line, sizeof(line), "kill %.*s %s",
		       (int)strcspn(id, "."), id, id);
	r = ask_daemon(&reply, socket, line, PATIENCE_MS);
	if (r < 0)
		return r;
	r = reply.ok ? (int)json_integer_value(
			       json_object_get(reply.last, "killed"))
		     : -ESRCH;
	reply_done(&reply);
	return r;
}
