/*
 * What a generation answers to clients of the control socket whom the master
 * has passed on.
 */
#include "daemon/answer.h"
#include "daemon/explain.h"
#include "daemon/peer.h"
#include "daemon/quota_verb.h"
#include "daemon/refresh.h"

#include <stdlib.h>
#include <string.h>

static char *do_refresh(struct refresh *r, char *words, const char *who)
{
	char reason[PEER_BYTES + 16];
	bool enforce = strcmp(words, "enforce") == 0;
	struct refreshed d;

	if (*words && !enforce)
		return answer_error("refresh knows enforce and no other word");
	(void)snprintf(reason, sizeof(reason), "as %s asks", who);
	d = refresh_now(r, enforce, reason);
	return answer_refreshed(&(struct answer_refreshed){
		.ok = d.ok,
		.ms = d.ms,
		.users = d.users,
		.ended = d.ended,
		.error = d.error,
	});
}

static char *explained(struct refresh *r, const struct explain_query *q)
{
	static const char *const words[] = {
		[EXPLAIN_DENIED] = "denied",
		[EXPLAIN_ALLOWED] = "allowed",
		[EXPLAIN_UNDECIDED] = "undecided",
	};
	char *text = NULL, *answer = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	enum explain_verdict verdict = EXPLAIN_DENIED;
	const struct setup *s = refresh_setup(r);
	int bad = out ? explain(s->policy, s->conf, q, out, &verdict) : -ENOMEM;

	if (out && fclose(out) == EOF)
		bad = -ENOMEM;
	if (bad == 0)
		answer = answer_explained(text, words[verdict]);
	free(text);
	return answer;
}

static char *do_explain(struct refresh *r, char *words, const char *who UNUSED)
{
	struct explain_words w;
	struct explain_query q = { 0 };
	char why[EXPLAIN_WHY_BYTES];
	int bad = explain_read(&w, words, why);

	if (bad == 0)
		bad = explain_parse(&q, &w, refresh_setup(r)->conf, why);
	return bad < 0 ? answer_error(why) : explained(r, &q);
}

static char *do_quotas(struct refresh *r, char *words, const char *who UNUSED)
{
	return quota_answer(r, words);
}

static char *do_kill(struct refresh *r, char *words, const char *who)
{
	return steer_kill(refresh_setup(r), words, who);
}

static char *do_log_level(struct refresh *r UNUSED, char *words,
			  const char *who)
{
	return steer_log_level(words, who);
}

char *refresh_answer(struct refresh *r, char *line, int fd)
{
	static const struct {
		const char *verb;
		char *(*run)(struct refresh *r, char *words, const char *who);
	} verbs[] = {
		{ "refresh", do_refresh },     { "explain", do_explain },
		{ "quotas", do_quotas },       { "kill", do_kill },
		{ "log-level", do_log_level },
	};
	char who[PEER_BYTES];
	char *words = line + strspn(line, " "), *verb = strsep(&words, " ");

	if (!words)
		words = verb + strlen(verb);
	words += strspn(words, " ");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verb, verbs[i].verb) == 0)
			return verbs[i].run(r, words, peer_format(fd, who));
	return answer_error("no such verb in this generation");
}
