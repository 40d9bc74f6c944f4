/*
 * What a generation does for who steers it: sessions are ended, the log says
 * more or less.  On the thread of refresh.h.
 */
#include "core/clock.h"
#include "daemon/answer.h"
#include "daemon/filter.h"
#include "daemon/line_word.h"
#include "daemon/log.h"
#include "daemon/refresh.h"

#include <stdlib.h>
#include <string.h>

/* --- Ending sessions ----------------------------------------------------- */

/* Who is to go. */
struct victims {
	struct filters filters;
	uint64_t *ids;
	size_t count, room;
	const char *why; /* what was asked for makes no sense */
	char reason[FILTER_WHY_BYTES];
};

static int add_victim(struct victims *v, uint64_t id)
{
	if (v->count == v->room) {
		size_t room = v->room ? v->room * 2 : 64;
		uint64_t *ids = reallocarray(v->ids, room, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		v->ids = ids;
		v->room = room;
	}
	v->ids[v->count++] = id;
	return 0;
}

static int add_row(void *ctx, const struct row *r)
{
	struct victims *v = ctx;

	return filters_match(&v->filters, r) ? add_victim(v, r->session.id) : 0;
}

/* An id or a filter; -EINVAL with v->why. */
static int take_word(struct victims *v, char *word, uint32_t generation)
{
	uint32_t number;
	uint64_t id;

	v->why = "a word makes no sense";
	if (!line_word_read(word))
		return -EINVAL;
	if (*word >= '0' && *word <= '9') {
		v->why = "that is no session of this generation";
		if (!row_id_parse(&number, &id, word) || number != generation)
			return -EINVAL;
		return add_victim(v, id);
	}
	v->why = v->reason;
	return filters_add(&v->filters, word, v->reason);
}

/* Both at once would leave open which of the two counts. */
static int take_words(struct victims *v, char *words, uint32_t generation)
{
	char *word;
	int r = 0;

	(void)strsep(&words, " "); /* our number */
	while (r == 0 && (word = strsep(&words, " ")))
		if (*word)
			r = take_word(v, word, generation);
	if (r < 0)
		return r;
	v->why = filters_vague(&v->filters);
	if (v->why)
		return -EINVAL;
	v->why = "kill takes ids or filters, one at least";
	return (v->count > 0) == (v->filters.count > 0) ? -EINVAL : 0;
}

static int end_sessions(const struct setup *s, struct victims *v, char *words,
			size_t *ret)
{
	int r = take_words(v, words, s->generation);

	if (r == 0 && v->filters.count)
		r = rows_each(s->published.segment, clock_ms(), add_row, v);
	if (r == 0)
		*ret = v->count ? proxy_kill(s->proxy, v->ids, v->count) : 0;
	return r;
}

char *steer_kill(const struct setup *s, char *words, const char *who)
{
	struct victims *v = calloc(1, sizeof(*v));
	char *copy = strdup(words), *answer = NULL;
	size_t ended = 0;
	int r = v && copy ? end_sessions(s, v, words, &ended) : -ENOMEM;

	if (r == 0) {
		log_line(LOG_LEVEL_NOTICE,
			 "sessions killed: %zu, as %s asks: %.500s", ended, who,
			 copy);
		answer = answer_killed(ended);
	} else if (v && copy) {
		answer = answer_error(r == -EINVAL ? v->why : strerror(-r));
	}
	if (v)
		free(v->ids);
	free(v);
	free(copy);
	return answer;
}

/* --- The log ------------------------------------------------------------- */

char *steer_log_level(char *words, const char *who)
{
	static const char *const levels[] = {
		[LOG_LEVEL_ERROR] = "error",   [LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (size_t i = 0; *words && i < ARRAY_SIZE(levels); i++) {
		if (strcmp(words, levels[i]) != 0)
			continue;
		/* Said while it is heard, whatever the change is. */
		if (i < LOG_LEVEL_NOTICE)
			log_line(LOG_LEVEL_NOTICE, "log level: %s, as %s asks",
				 levels[i], who);
		log_set_level((enum log_level)i);
		if (i >= LOG_LEVEL_NOTICE)
			log_line(LOG_LEVEL_NOTICE, "log level: %s, as %s asks",
				 levels[i], who);
		return answer_log_level(levels[i]);
	}
	if (*words)
		return answer_error("levels are error, warning, notice, info "
				    "and debug");
	return answer_log_level(levels[log_get_level()]);
}
