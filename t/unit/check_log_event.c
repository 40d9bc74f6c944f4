/*
 * The events that programs look for: each by its text, and none by a text that
 * a peer has a part in.
 */
#include "daemon/log_event.h"
#include "t/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char *word_of(const char *text)
{
	const struct log_event *e = log_event_of(text, strlen(text));

	return e ? e->word : "";
}

START_TEST(texts_have_their_words)
{
	static const char *const texts[][2] = {
		{ "access event=connect client=127.0.0.1:1", "connect" },
		{ "access event=disconnect client=127.0.0.1:1", "disconnect" },
		{ "access event=error client=127.0.0.1:1", "error" },
		{ "spliced is ready on [::]:1080 (2 workers)", "ready" },
		{ "listener \"lan\" listens on 192.0.2.1:1 now", "listening" },
		{ "refreshed, as the files say, in 3 ms; users: 7",
		  "refreshed" },
		{ "refresh failed, what was read before holds: no",
		  "refresh-failed" },
		{ "generation 3: draining; open sessions: 7", "ending" },
		{ "ending at once; open sessions: 7", "ending" },
		{ "sessions cut: 7", "cut" },
		{ "too many generations: sessions cut: 7", "cut" },
		{ "generation 3 has ended", "ended" },
		{ "spliced has ended", "ended" },
		{ "12 lines of the log were lost", "lost" },
		{ "cannot open /x again, still writing to the old file: no",
		  "reopen-failed" },
		{ "the master is gone", "master-gone" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_str_eq(word_of(texts[i][0]), texts[i][1]);
}
END_TEST

START_TEST(others_have_none)
{
	static const char *const texts[] = {
		"",
		"access",
		"accesses",
		"access ",
		"access event=",
		"access event=other",
		"generation 3: its counters",
		"spliced",
		/* Of peers. */
		"access client=127.0.0.1:1 user=\"sessions cut: 7\"",
		"access client=127.0.0.1:1 user=\"; open sessions: \"",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_str_eq(word_of(texts[i]), "");
	ck_assert_str_eq(word_of("access event=error user=\"the master is gone "
				 "12 lines of the log were lost\""),
			 "error");
}
END_TEST

START_TEST(ids_are_those_of_the_journal)
{
	const struct log_event *e = log_event_of("the master is gone", 18);

	ck_assert_uint_eq(strlen(e->id), 32);
	ck_assert_uint_eq(strspn(e->id, "0123456789abcdef"), 32);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_event");
	TCase *t = tcase_create("all");

	tcase_add_test(t, texts_have_their_words);
	tcase_add_test(t, others_have_none);
	tcase_add_test(t, ids_are_those_of_the_journal);
	suite_add_tcase(s, t);
	return run_suite(s);
}
