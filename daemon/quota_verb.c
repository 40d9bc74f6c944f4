/*
 * A user's name stands in the line as line_word_put() writes it.
 */
#include "daemon/quota_verb.h"

#include "daemon/answer.h"
#include "daemon/line_word.h"
#include "daemon/proxy/quota.h"
#include "daemon/quotas.h"
#include "daemon/refresh.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answering {
	const char *user; /* NULL: all */
	FILE *out;
	size_t count;
	bool failed;
};

static json_t *name_of(const char *user)
{
	json_t *j = json_string(user);

	/* No UTF-8: JSON cannot say it. */
	return j ? j : json_string("?");
}

static void put_user(void *ctx, const struct quota_view *v)
{
	struct answering *a = ctx;
	json_t *j;
	char *text;

	if (a->user && strcmp(a->user, v->user) != 0)
		return;
	j = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:s, s:b}", "user",
		      name_of(v->user), "quota", v->quota, "day",
		      (json_int_t)v->day, "day_limit",
		      (json_int_t)v->bound->day, "month", (json_int_t)v->month,
		      "month_limit", (json_int_t)v->bound->month, "over",
		      v->bound->end ? "end" : "refuse", "used_up", v->over);
	text = j ? json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	if (text)
		(void)fprintf(a->out, "%s\n", text);
	a->failed |= !text;
	a->count++;
	free(text);
	json_decref(j);
}

static char *show(struct quota_keeper *k, const char *user)
{
	struct answering a = { .user = user };
	char *text = NULL, *end = answer_ok();
	size_t size;

	a.out = open_memstream(&text, &size);
	if (a.out) {
		quota_keeper_each(k, put_user, &a);
		(void)fputs(end ? end : "", a.out);
	}
	if (!a.out || fclose(a.out) == EOF || !end || a.failed)
		free(TAKE_PTR(text));
	free(end);
	if (text && user && !a.count) {
		free(text);
		return answer_error("nothing is known of that user's quota: he "
				    "has none, or has not used it");
	}
	return text;
}

static char *reset(struct quota_keeper *k, const char *user)
{
	char why[256];
	int r = quota_keeper_reset(
		k, (struct span){ (const uint8_t *)user, strlen(user) });

	if (r == 0)
		return answer_ok();
	if (r == -ESRCH)
		return answer_error("that user has no quota");
	(void)snprintf(why, sizeof(why),
		       "it counts from zero now, but that cannot be written: "
		       "%s",
		       strerror(-r));
	return answer_error(why);
}

char *quota_answer(struct refresh *r, char *words)
{
	struct quota_keeper *k = refresh_quotas(r);
	bool wants_reset = strncmp(words, "reset ", 6) == 0;
	char *user = words + (wants_reset ? 6 : 0);

	if (!k)
		return answer_error("the configuration has no quotas");
	user += strspn(user, " ");
	if (strchr(user, ' ') || !line_word_read(user) ||
	    (wants_reset && !*user))
		return answer_error("quotas takes a user, or reset and a user");
	return wants_reset ? reset(k, user) : show(k, *user ? user : NULL);
}
