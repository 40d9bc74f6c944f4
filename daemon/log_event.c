/*
 * A line is known by how it begins and by a part of it.  Nothing else begins
 * that way, because what comes from a peer is in access lines only and never
 * the beginning of one; these are looked for first.
 */
#include "daemon/log_event.h"

#include <string.h>

/* How a session ended, whatever it had come to. */
#define ID_SESSION "818b62850d1d4768927ca85437b30946"

#define ID_ENDED "542afb8c25a240ce91c8b2b36247d90d"

/* The start of a line that no other row may claim. */
#define ACCESS "access "

static const struct log_event events[] = {
	{ "connect", "c55a62a105024fa7bc99b80188281f36", "access event=connect",
	  "" },
	{ "disconnect", ID_SESSION, "access event=disconnect", "" },
	{ "error", ID_SESSION, "access event=error", "" },
	{ "ready", "dc24467c78824ae587414876553a9b52", "spliced is ready on ",
	  "" },
	{ "listening", "3301b0e69f99483fa62c9a325aca8755", "listener ",
	  " listens on " },
	{ "refreshed", "1cc684c3c4904be5ae784fd8260ec49d", "refreshed, ", "" },
	{ "refresh-failed", "27cae08030024c52840e6c4de9f7eafe",
	  "refresh failed, ", "" },
	{ "parent-failed", "5c8ff57d62b7445a9dc9fbe8d8be6dc4", "upstream ",
	  ", has failed: " },
	{ "parent-well", "c24f4ad797b64342837e358f66dfda37", "upstream ",
	  ", is well again" },
	{ "quota-used-up", "422e1b8e06e740cabb73ee6ea7c22b0b", "quota '",
	  " is used up" },
	{ "quota-state-failed", "d819868ac9bb4163ae95c09bc8a927d8",
	  "quotas: ", ": " },
	{ "ending", "6f36f66d66484d82b075806ffcb828dd", "",
	  "; open sessions: " },
	{ "cut", "10615d96efd94888950aa6e2e4a0e472", "", "sessions cut: " },
	{ "ended", ID_ENDED, "generation ", " has ended" },
	{ "ended", ID_ENDED, "spliced has ended", "" },
	{ "lost", "9b3eb4a10452477e85beea3c7ad31f06", "",
	  " lines of the log were lost" },
	{ "reopen-failed", "8f6eee71f6304547b4c41f6c45e16186", "cannot open ",
	  ", still writing to the old file" },
	{ "master-gone", "f1182203c3194920b23182d29ee07707",
	  "the master is gone", "" },
};

static bool begins(const char *text, size_t len, const char *start)
{
	size_t n = strlen(start);

	return len >= n && memcmp(text, start, n) == 0;
}

const struct log_event *log_event_of(const char *text, size_t len)
{
	bool access = begins(text, len, ACCESS);

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		const struct log_event *e = &events[i];

		if (begins(text, len, e->start) &&
		    access == begins(e->start, strlen(e->start), ACCESS) &&
		    memmem(text, len, e->part, strlen(e->part)))
			return e;
	}
	return NULL;
}
